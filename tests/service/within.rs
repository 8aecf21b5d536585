//! Checks that every permission of a token is also a permission of each token in its chain, at any
//! time and after any sequence of operations. The test runs random operations, and checks the
//! results with a second implementation of this rule. The second implementation reads the records.
//!
//! The test runs 100,000 operations, or 1,000,000 with `KEYFOB_TEST_SIZE=full`. If a sequence
//! breaks the rule, proptest shrinks it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Access, Lifetime, MemoryStore, OwnerId, Policy, Scope, ScopeSet, Timestamp, TokenKey, TokenKind, TokenRecord,
    TokenStore, Tokens, Verified,
    clock::FixedClock,
    import::{ImportDigest, ImportHash, ImportToken},
    policy::{Lifetimes, ScopeMatcher},
    record::{AddressRanges, Metadata, Narrowing, RevocationReason},
    rotation::Rotation,
    store::{ListQuery, PageSize},
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{actor, keyring, new_token, now, project, size};

const HOUR: Duration = Duration::from_secs(3600);
const SCOPES: [&str; 9] = [
    "repo:read",
    "repo-read",
    "user",
    "repo:read user",
    "repo-x-* repo:*",
    "repo:* repo-* tokens:manage",
    "repo:* repo-* tokens:*",
    "repo-* repo:x tokens:manage",
    "*",
];
const NEEDED: [&str; 6] = ["repo:read", "repo:x", "user", "tokens:manage", "repo-read", "repo-x-y"];
const ADDRESSES: [&str; 4] = ["", "10.0.0.0/8", "10.1.0.0/16", "192.0.2.0/24"];
const FROM: [&str; 4] = ["10.1.2.3", "10.2.0.1", "192.0.2.7", "2001:db8::1"];
const DEPTH: usize = 3;

#[derive(Clone, Debug)]
enum Act {
    Issue { scopes: usize, addresses: usize, hours: u32 },
    Within { by: usize, scopes: usize, addresses: usize, hours: u32, kind: usize, metadata: bool, allow: u16 },
    Narrow { token: usize, scopes: usize, addresses: usize, hours: Option<u32> },
    Rotate { token: usize, by: Option<usize>, grace: u32 },
    Disable(usize),
    Enable(usize),
    Revoke(usize),
    Import { scopes: usize },
    Purge,
    Wait(u32),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let one = || 0..64_usize;
    // Mostly selects scopes that allow a token to issue tokens.
    let wide = || prop_oneof![6 => Just(5_usize), 2 => 6..SCOPES.len(), 1 => 0..SCOPES.len()];
    let somewhere = || prop_oneof![3 => Just(0_usize), 2 => 0..ADDRESSES.len()];
    let kind = || prop_oneof![4 => Just(2_usize), 1 => 0..3_usize];
    let rarely = || proptest::bool::weighted(0.2);
    let act = prop_oneof![
        3 => (wide(), somewhere(), 1..200_u32)
            .prop_map(|(scopes, addresses, hours)| Act::Issue { scopes, addresses, hours }),
        9 => (one(), prop_oneof![3 => wide(), 1 => 0..SCOPES.len()], somewhere(), 1..10_u32, kind(), rarely(), 0..625_u16).prop_map(
            |(by, scopes, addresses, hours, kind, metadata, allow)| {
                Act::Within { by, scopes, addresses, hours, kind, metadata, allow }
            }
        ),
        2 => (one(), wide(), somewhere(), proptest::option::weighted(0.3, 1..100_u32))
            .prop_map(|(token, scopes, addresses, hours)| Act::Narrow { token, scopes, addresses, hours }),
        2 => (one(), proptest::option::of(one()), 0..20_u32)
            .prop_map(|(token, by, grace)| Act::Rotate { token, by, grace }),
        1 => one().prop_map(Act::Disable),
        1 => one().prop_map(Act::Enable),
        1 => one().prop_map(Act::Revoke),
        1 => (0..SCOPES.len()).prop_map(|scopes| Act::Import { scopes }),
        1 => Just(Act::Purge),
        1 => (1..5_u32).prop_map(Act::Wait),
    ];
    proptest::collection::vec(act, 40)
}

fn scopes(at: usize) -> ScopeSet {
    ScopeSet::new(SCOPES[at]).unwrap()
}

fn addresses(at: usize) -> AddressRanges {
    AddressRanges::new(ADDRESSES[at]).unwrap()
}

/// The permissions beyond the defaults that the host gave when one token issued another. By
/// default, the issued token is a bound token for an agent, has no metadata, and cannot issue
/// tokens.
#[derive(Clone, Copy)]
struct Allowed {
    kind: bool,
    metadata: bool,
    manage: bool,
    independent: bool,
}

/// The matcher of half of the cases: `foo-*` grants what begins with `foo-`. The default wildcards
/// do not apply.
struct Dashes;

impl ScopeMatcher for Dashes {
    fn name(&self) -> &'static str {
        "dashes"
    }

    fn allows(&self, granted: &str, needed: &str) -> bool {
        granted.strip_suffix('*').is_some_and(|stem| stem.ends_with('-') && needed.starts_with(stem))
    }

    fn covers(&self, granted: &str, other: &str) -> bool {
        self.allows(granted, other)
    }
}

struct World {
    /// Whether the policy has the matcher [`Dashes`].
    has_dashes: bool,
    tokens: Tokens<MemoryStore>,
    clock: FixedClock,
    /// The keys and texts of the tokens in the order of their issue. Purged tokens are included.
    made: Vec<(TokenKey, String)>,
    allowed: BTreeMap<TokenKey, Allowed>,
    /// Results of earlier verifications. The test keeps them to delegate with them after the token
    /// has changed.
    kept: Vec<Verified>,
}

impl World {
    fn new(has_dashes: bool) -> Self {
        let clock = FixedClock::new(now());
        let policy = Policy::default()
            .with_max_depth(DEPTH as u8)
            .with_lifetimes(TokenKind::Agent, Lifetimes { max: 300 * HOUR, ..Lifetimes::AGENT });
        let policy = if has_dashes { policy.with_scope_matcher(&Dashes) } else { policy };
        let tokens = Tokens::new(keyring(), MemoryStore::new()).with_clock(clock.clone()).with_policy(policy);
        Self { has_dashes, tokens, clock, made: Vec::new(), allowed: BTreeMap::new(), kept: Vec::new() }
    }

    fn key(&self, at: usize) -> Option<TokenKey> {
        self.made.get(at % self.made.len().max(1)).map(|(key, _)| *key)
    }

    async fn verify(&self, at: usize, scope: Option<&Scope>, from: Option<IpAddr>) -> Option<Verified> {
        let (_, text) = self.made.get(at % self.made.len().max(1))?;
        let project = project("145");
        let access = Access::to(&project, scope.map_or(&[], std::slice::from_ref));
        let access = if let Some(from) = from { access.from_address(from) } else { access };
        self.tokens.verify(text, &access).await.ok()
    }

    /// Chooses one of the tokens, in most cases one of the latest three, and verifies it. Returns
    /// the proof if the token works. Otherwise returns a proof from an earlier verification, if the
    /// test has kept one.
    async fn proof(&mut self, at: usize) -> Option<Verified> {
        let at = if at < 16 { at } else { self.made.len().saturating_sub(1 + at % 3) };
        for from in FROM {
            if let Some(verified) = self.verify(at, None, from.parse().ok()).await {
                if self.kept.len() < 16 {
                    self.kept.push(verified.clone());
                }
                return Some(verified);
            }
        }
        self.kept.get(at % self.kept.len().max(1)).cloned()
    }

    async fn act(&mut self, act: &Act) {
        let (by_ada, manage) = (actor(), Scope::new("tokens:manage").unwrap());
        match act {
            Act::Issue { scopes: at, addresses: from, hours } => {
                let new = new_token().with_scopes(scopes(*at)).with_addresses(addresses(*from));
                let new = new.with_lifetime(Lifetime::For(*hours * HOUR));
                let issued = self.tokens.issue(&by_ada, new).await.unwrap();
                self.made.push((issued.record.key(), issued.token.expose_secret().to_owned()));
            }
            Act::Within { by, scopes: at, addresses: from, hours, kind: of_kind, metadata: with_metadata, allow } => {
                let Some(Ok(mut by)) = self.proof(*by).await.map(|proof| proof.delegate(&manage)) else { return };
                let [kind, metadata, manage, independent] = [1, 5, 25, 125].map(|place| allow / place % 5);
                let allowed = Allowed {
                    kind: kind == 0,
                    metadata: metadata == 0,
                    manage: manage > 0,
                    independent: independent == 0,
                };
                if allowed.kind {
                    by = by.allow_kind(TokenKind::Human).allow_kind(TokenKind::Service);
                }
                if allowed.metadata {
                    by = by.allow_metadata();
                }
                if allowed.manage {
                    by = by.allow_manage();
                }
                if allowed.independent {
                    by = by.independent();
                }
                let mut new = new_token().with_scopes(scopes(*at)).with_addresses(addresses(*from));
                new = new.with_kind(TokenKind::ALL[*of_kind]).with_lifetime(Lifetime::For(*hours * HOUR)).within(&by);
                if *with_metadata {
                    new = new.with_metadata(Metadata::new("{}").unwrap());
                }
                if let Ok(issued) = self.tokens.issue(&by_ada, new).await {
                    self.allowed.insert(issued.record.key(), allowed);
                    self.made.push((issued.record.key(), issued.token.expose_secret().to_owned()));
                }
            }
            Act::Narrow { token, scopes: at, addresses: from, hours } => {
                let Some(key) = self.key(*token) else { return };
                let expires_at = hours.and_then(|hours| self.tokens.now().checked_add(hours * HOUR));
                let narrowing = Narrowing { scopes: Some(scopes(*at)), addresses: Some(addresses(*from)), expires_at };
                let _ = self.tokens.narrow(&by_ada, &key, narrowing).await;
            }
            Act::Rotate { token, by, grace } => {
                let Some(key) = self.key(*token) else { return };
                let mut rotation = Rotation::with_grace(*grace * HOUR);
                if let Some(by) = by {
                    let Some(Ok(by)) = self.proof(*by).await.map(|proof| proof.delegate(&manage)) else { return };
                    rotation = rotation.within(&by);
                }
                if let Ok(rotated) = self.tokens.rotate(&by_ada, &key, rotation).await {
                    let new = rotated.issued;
                    if let Some(allowed) = self.allowed.get(&key).copied() {
                        self.allowed.insert(new.record.key(), allowed);
                    }
                    self.made.push((new.record.key(), new.token.expose_secret().to_owned()));
                }
            }
            Act::Disable(token) => {
                let Some(key) = self.key(*token) else { return };
                let _ = self.tokens.disable(&by_ada, &key).await;
            }
            Act::Enable(token) => {
                let Some(key) = self.key(*token) else { return };
                let _ = self.tokens.enable(&by_ada, &key).await;
            }
            Act::Revoke(token) => {
                let Some(key) = self.key(*token) else { return };
                let _ = self.tokens.revoke(&by_ada, &key, RevocationReason::default()).await;
            }
            Act::Import { scopes: at } => {
                let digest = ImportDigest::from_text(ImportHash::Sha256, &format!("{:064x}", self.made.len())).unwrap();
                let owner = OwnerId::new("ada").unwrap();
                let mut token =
                    ImportToken::new(digest, project("145"), owner, "old".parse().unwrap(), self.tokens.now());
                token.scopes = scopes(*at);
                self.tokens.import(&by_ada, vec![Ok(token)]).await.unwrap();
            }
            Act::Purge => {
                self.tokens.purge(Duration::ZERO).await.unwrap();
            }
            Act::Wait(hours) => self.clock.advance(*hours * HOUR),
        }
    }

    async fn rows(&self) -> BTreeMap<TokenKey, Arc<TokenRecord>> {
        let query = ListQuery { most: PageSize::MAX, ..ListQuery::new(project("145")) };
        let page = self.tokens.store().list(&query).await.unwrap();
        page.items.into_iter().map(|record| (record.key(), record)).collect()
    }

    /// Verifies some of the tokens, for different scopes and addresses. If a verification succeeds,
    /// checks that every token in the chain allows the request.
    async fn judge(&self, seed: usize, depths: &mut [usize; DEPTH + 1]) -> Result<(), TestCaseError> {
        let rows = self.rows().await;
        let now = self.tokens.now();
        for turn in 0..4 {
            let at = seed.wrapping_mul(31).wrapping_add(turn);
            let needed = Scope::new(NEEDED[(at / 3) % NEEDED.len()]).unwrap();
            let from: IpAddr = FROM[(at / 7) % FROM.len()].parse().unwrap();
            // The latest token often has the longest chain.
            let which = if turn == 0 { self.made.len().saturating_sub(1) } else { at };
            let Some(verified) = self.verify(which, Some(&needed), Some(from)).await else { continue };
            let chain = self.chain(&rows, &verified.key(), now)?;
            prop_assert!(chain.len() <= DEPTH + 1);
            depths[chain.len() - 1] += 1;
            for record in &chain {
                prop_assert!(self.grants(record, needed.as_str()), "{} lets {needed} pass", record.id);
                prop_assert!(record.addresses.as_str().is_empty() || record.addresses.allow(Some(from)));
                prop_assert_eq!(&record.owner, verified.owner());
            }
            let end = chain.iter().filter_map(|record| record.ends_at()).min();
            prop_assert_eq!(verified.ends_at(), end);
            for scope in NEEDED {
                let all = chain.iter().all(|record| self.grants(record, scope));
                prop_assert_eq!(verified.allows(&Scope::new(scope).unwrap()), all);
                let scope = Scope::new(scope).unwrap();
                prop_assert_eq!(self.tokens.policy().allows_scope(&verified.scopes(), &scope), all, "{}", scope);
            }
        }
        for (key, allowed) in &self.allowed {
            let Some(record) = rows.get(key) else { continue };
            prop_assert!(allowed.kind || record.kind == TokenKind::Agent);
            prop_assert!(allowed.metadata || record.metadata == Metadata::default());
            prop_assert!(allowed.manage || !self.grants(record, "tokens:manage"), "{}", record.scopes);
            prop_assert_eq!(record.issuer.map(|issuer| issuer.bound), Some(!allowed.independent));
            prop_assert!(allowed.independent || record.expires_at.is_some());
        }
        Ok(())
    }

    /// Returns whether a record grants the scope `needed`: it has this scope, or a wildcard whose
    /// stem `needed` begins with. The test does not use the crate's code for this rule.
    fn grants(&self, record: &TokenRecord, needed: &str) -> bool {
        record.scopes.as_str().split(' ').any(|granted| match granted.strip_suffix('*') {
            Some(stem) if self.has_dashes && stem.ends_with('-') => needed.starts_with(stem),
            Some(stem) if !self.has_dashes && (stem.is_empty() || stem.ends_with(':')) => needed.starts_with(stem),
            _ => granted == needed,
        })
    }

    /// Returns the records of a token and of all its issuers. Returns an error if one of these
    /// tokens does not work.
    fn chain(
        &self,
        rows: &BTreeMap<TokenKey, Arc<TokenRecord>>,
        key: &TokenKey,
        now: Timestamp,
    ) -> Result<Vec<Arc<TokenRecord>>, TestCaseError> {
        let (mut chain, mut next) = (Vec::new(), Some(*key));
        while let Some(key) = next {
            let Some(record) = rows.get(&key) else {
                return Err(TestCaseError::fail(format!("{} is bound to a token that does not exist", chain.len())));
            };
            let ended = |time: Option<Timestamp>| time.is_some_and(|time| time <= now);
            let dead = record.revoked.is_some() || ended(record.expires_at) || ended(record.grace_until);
            prop_assert!(
                !dead && record.disabled.is_none(),
                "{} does not work, but a token that is bound to it does",
                key.id
            );
            chain.push(Arc::clone(record));
            next = record.issuer.filter(|issuer| issuer.bound).map(|issuer| TokenKey { id: issuer.id, ..key });
        }
        Ok(chain)
    }
}

#[test]
fn no_sequence_of_acts_gives_a_token_more_than_its_chain_allows() {
    let cases = if size::is_full() { 25_000 } else { 2500 };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let (mut steps, mut depths) = (0, [0; DEPTH + 1]);
    let (counted, seen) = (std::cell::Cell::from_mut(&mut steps), std::cell::RefCell::new(&mut depths));
    let outcome = runner.run(&acts(), |acts| {
        runtime.block_on(async {
            let mut world = World::new(counted.get() / acts.len() % 2 == 1);
            for (number, act) in acts.iter().enumerate() {
                world.act(act).await;
                counted.set(counted.get() + 1);
                let mut depths = [0; DEPTH + 1];
                let judged = world.judge(number + acts.len() * counted.get(), &mut depths).await;
                seen.borrow_mut().iter_mut().zip(depths).for_each(|(seen, more)| *seen += more);
                judged?;
            }
            Ok(())
        })
    });
    outcome.unwrap();
    println!("{steps} operations; accepted tokens by the number of their issuers: {depths:?}");
    // The test must not check too little, so every length of a chain must have occurred.
    assert!(steps >= 100_000 && depths.iter().all(|passed| *passed >= 10), "{depths:?}");
}
