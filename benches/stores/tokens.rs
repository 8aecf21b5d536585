//! The tokens that the benchmark loads into the engines.
//!
//! The benchmark can compute each token again from its number, so it does not have to keep the
//! texts of the tokens.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Access, Actor, Issued, Keyring, Lifetime, MemoryStore, Name, NewToken, OwnerId, Pepper, Policy, Prefix, ProjectId,
    ScopeSet, Timestamp, TokenKey, TokenRecord, TokenStore, Tokens, clock::FixedClock, record::mint_with,
};
use rand_core::{TryCryptoRng, TryRng};

/// The number of tokens of each owner. All tokens of an owner are in one project.
pub const OF_OWNER: u64 = 100;
/// The length of a token in bytes: `acme_pat_00000_` (15), the id and the separator after it (17),
/// and the rest (50).
const TEXT: usize = 15 + 17 + 50;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// An unlimited series of tokens, numbered project by project.
#[derive(Clone)]
pub struct Population {
    /// The number of tokens in each project.
    pub in_project: u64,
    keyring: Arc<Keyring>,
    policy: Policy,
    scopes: ScopeSet,
    now: Timestamp,
}

/// The text of a token, as a request presents it, and the key of its record.
pub struct Shown {
    pub text: [u8; TEXT],
    pub key: TokenKey,
}

impl Population {
    pub fn new(in_project: u64) -> Self {
        Self {
            in_project,
            keyring: Arc::new(keyring()),
            policy: Policy::default(),
            scopes: ScopeSet::new("repo.read repo.write").unwrap(),
            now: Timestamp::from_unix_millis(1_800_000_000_000).unwrap(),
        }
    }

    /// Returns the current time of the population.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns the id of the project with this number. The id is the number, written with at least
    /// five digits. So ids as text have the same order as the numbers, up to project 99999.
    pub fn project(&self, number: u64) -> ProjectId {
        ProjectId::new(&format!("{number:05}")).unwrap()
    }

    /// Returns the owner of the token with this number.
    pub fn owner(&self, token: u64) -> OwnerId {
        OwnerId::new(&format!("user-{:07}", token / OF_OWNER)).unwrap()
    }

    /// Returns the token with this number. The token was created at a random time within the last
    /// 60 days and has a lifetime of 90 days.
    pub fn token(&self, number: u64) -> Issued {
        let mut random = Random(number);
        let project = self.project(number / self.in_project);
        let owner = self.owner(number);
        let actor = Actor::from(&owner);
        let name = Name::new(&format!("VS Code integration {}", number % OF_OWNER)).unwrap();
        let new = NewToken::new(project, owner, name).with_scopes(self.scopes.clone());
        let age = Duration::from_millis(random.next() % (60 * DAY).as_millis() as u64);
        let new = new.with_lifetime(Lifetime::For(90 * DAY));
        mint_with(&mut random, &self.keyring, &self.policy, new, &actor, self.now.saturating_sub(age)).unwrap()
    }

    /// Returns the text and the key of the token with this number.
    pub fn shown(&self, number: u64) -> Shown {
        let issued = self.token(number);
        let text = issued.token.expose_secret().as_bytes();
        Shown { text: text.try_into().unwrap(), key: issued.record.key() }
    }

    /// Returns the records of one project, ordered by token id.
    pub fn records(&self, project: u64) -> Vec<TokenRecord> {
        let numbers = project * self.in_project..(project + 1) * self.in_project;
        let mut records: Vec<_> = numbers.map(|number| self.token(number).record).collect();
        records.sort_unstable_by_key(|record| record.id);
        records
    }

    /// Returns a service that uses this store and can verify the tokens of this population.
    pub fn tokens<S: TokenStore>(&self, store: S) -> Tokens<S> {
        Tokens::new(keyring(), store).with_clock(FixedClock::new(self.now))
    }

    /// Returns a store in memory that holds the tokens of these projects.
    pub async fn in_memory(&self, projects: Range<u64>) -> MemoryStore {
        let store = MemoryStore::new();
        for project in projects {
            for record in self.records(project) {
                store.insert(record, None, None).await.unwrap();
            }
        }
        store
    }
}

fn keyring() -> Keyring {
    let pepper = Pepper::new((0..32).collect()).unwrap();
    Keyring::new(Prefix::new("acme_pat").unwrap(), pepper)
}

/// Verifies a token, and panics if it is rejected.
pub async fn verify<S: TokenStore>(tokens: &Tokens<S>, shown: &Shown) {
    tokens.verify(&shown.text, &Access::to(&shown.key.project, &[])).await.unwrap();
}

/// A SplitMix64 random number generator with its state. The same seed always gives the same
/// numbers, so the tokens are predictable. This predictability does no harm in a benchmark.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Returns a random number below `end`. Some numbers are slightly more frequent than others,
    /// but the difference is too small to affect the benchmark.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Returns a random number that is at least 0 and less than 1.
    pub fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.next() as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Random {}
