//! Issues and revokes the tokens of the test, while another process verifies them through its
//! cache. Measures for how long the other process still accepts a token after the token was
//! revoked. This time must not exceed the staleness bound of the cache.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keyfob::{
    Access, Delegation, Error, ErrorKind, Issued, Name, NewToken, OwnerId, Scope, ScopeSet, TokenKey, TokenRecord,
    record::RevocationReason, store::RevokeGroup,
};

use crate::staleness::engine::{Service, open, policy};
use crate::staleness::{BOUND, DATABASE, FEED, ISSUERS};
use crate::support::other::{Other, nanos};
use crate::support::{actor, base62, keyring, project};

/// The number of tokens in a round.
pub const TOKENS: usize = 100;
/// The number of owners among which the second half of a round's tokens is divided evenly. In the
/// first half, each token has a different owner.
pub const OWNERS: usize = 2;
/// The maximum number of rounds of one revoker.
const MOST_ROUNDS: usize = 1_000;
/// The pause between two operations during a fault, and before an operation is repeated.
const PACE: Duration = Duration::from_millis(5);

/// The maximum time until an operation is acknowledged, with or without a fault.
const PATIENCE: Duration = Duration::from_secs(120);

/// The number of revokers that were started in this process.
static REVOKERS: AtomicUsize = AtomicUsize::new(0);

/// An operation that ends tokens. `One` revokes a single token, and `Owner` revokes all tokens of
/// an owner. In a test of issuers, `One` ends the issuer of a single token, and `Owner` ends an
/// issuer that many tokens share.
#[derive(Clone, Copy, Debug)]
enum Act {
    One(usize),
    Owner(usize),
}

/// The results of all rounds.
#[derive(Debug, Default)]
pub struct Seen {
    /// For each token, the time from the acknowledgement of its revocation to the start of the last
    /// verification that accepted the token. The time is zero if that verification started before
    /// the acknowledgement.
    pub delays: Vec<Duration>,
    /// The number of tokens that verification still accepted at the end of the round.
    pub never_refused: usize,
    /// The number of tokens that verification rejected before their revocation began.
    pub refused_too_early: usize,
    /// The number of repeated operations. An operation is repeated if its acknowledgement was lost.
    pub repeated: usize,
}

impl Seen {
    /// Returns the number of tokens that verification accepted later than the bound allows.
    pub fn too_late(&self) -> usize {
        self.delays.iter().filter(|delay| **delay > BOUND).count()
    }

    pub fn percentile(&self, percent: usize) -> Duration {
        let mut delays = self.delays.clone();
        delays.sort();
        delays[(delays.len() - 1) * percent / 100]
    }
}

/// The counts that the verifying process reports.
pub struct Counts {
    pub hits: u64,
    pub misses: u64,
    pub joined: u64,
    pub feed_losses: u64,
    /// Whether the feed has delivered an event, and its last event was not a loss of the feed.
    /// False if there is no feed.
    pub feed_is_well: bool,
    pub unanswered: u64,
    pub unanswered_at: u64,
    pub longest: Duration,
    /// The first unexpected result of a verification, or "none". The expected results are "ok",
    /// "unavailable", and the rejection for the reason of the test.
    pub strange: String,
}

impl Counts {
    pub fn hit_rate(&self) -> f64 {
        self.hits as f64 / (self.hits + self.misses + self.joined) as f64
    }
}

/// The results of the verifying process for one token.
pub struct Tried {
    /// The time at which the last verification that accepted the token began. The field `refused`
    /// is the time at which the first verification that rejected the token ended. Both times are in
    /// nanoseconds since 1970.
    pub accepted: u64,
    pub refused: u64,
    pub outcome: String,
}

/// A round of the test, with `TOKENS` tokens that the verifying process has accepted.
pub struct Round {
    number: usize,
    keys: Vec<TokenKey>,
    /// The delegations of the issuers that issue several tokens of the round each. Empty if the
    /// test does not end issuers.
    shared: Vec<Delegation>,
    /// For each token, the times at which its revocation began and was acknowledged. An entry is
    /// `None` if the token is not revoked yet.
    revoked: Vec<Option<(u64, u64)>>,
}

pub struct Revoker {
    tokens: Service,
    other: Other,
    rounds: usize,
    /// Whether the cache of the verifying process follows a feed.
    pub follows: bool,
    /// Whether the test ends the issuers of the tokens instead of the tokens.
    issuers: bool,
    pub seen: Seen,
}

impl Revoker {
    /// Creates a revoker on the database at the address `database`. Starts the verifying process,
    /// which opens the database at the address `others`.
    pub async fn start(database: &str, others: &str, environment: &[(&str, &str)]) -> Self {
        let tokens = Service::new(keyring(), open(database, Duration::ZERO, false, None).await).with_policy(policy());
        let other = Other::start("staleness::verifier::other_process", &[environment, &[(DATABASE, others)]].concat());
        let [follows, issuers] = [FEED, ISSUERS].map(|wanted| environment.iter().any(|(name, _)| *name == wanted));
        // Several tests share a cluster, so each revoker uses other owners.
        let rounds = REVOKERS.fetch_add(1, Ordering::SeqCst) * MOST_ROUNDS;
        Self { tokens, other, rounds, follows, issuers, seen: Seen::default() }
    }

    /// Issues the tokens of a round, and waits until the verifying process has accepted all of
    /// them.
    pub async fn issue(&mut self) -> Round {
        let (keys, shared, revoked) = (Vec::new(), Vec::new(), vec![None; TOKENS]);
        let mut round = Round { number: self.rounds, keys, shared, revoked };
        self.rounds += 1;
        if self.issuers {
            for owner in 0..OWNERS {
                round.shared.push(self.issuer(round.owner(TOKENS + owner), None).await);
            }
        }
        while round.keys.len() < TOKENS {
            let number = round.keys.len();
            // Each token of the first half has an owner of its own. The tokens of the second half
            // share a few owners.
            let owner = if number < TOKENS / 2 { number } else { TOKENS + number % OWNERS };
            let owner = round.owner(owner);
            let new = NewToken::new(project("145"), owner.clone(), Name::new("watched").unwrap());
            let (issuer, new) = if !self.issuers {
                (None, new)
            } else if number < TOKENS / 2 {
                let mut by = self.issuer(owner.clone(), None).await;
                let key = by.key();
                // Some tokens are bound to the ending token through another token.
                if number % 4 == 3 {
                    by = self.issuer(owner, Some(&by)).await;
                }
                (Some(key), new.within(&by))
            } else {
                let by = &round.shared[number % OWNERS];
                (Some(by.key()), new.within(by))
            };
            let issued = self.make(new).await;
            self.other.tell(issued.token.expose_secret());
            round.keys.push(issuer.unwrap_or_else(|| issued.record.key()));
        }
        self.other.tell("watch");
        assert_eq!(self.other.said(), "all accepted");
        round
    }

    /// Issues a token, and repeats the call until it is acknowledged.
    async fn make(&self, new: NewToken) -> Issued<Arc<TokenRecord>> {
        let began = Instant::now();
        loop {
            match self.tokens.issue(&actor(), new.clone()).await {
                Ok(issued) => return issued,
                Err(error) => {
                    assert_lost(&error);
                    assert!(began.elapsed() < PATIENCE, "no token is issued: {error:?}");
                }
            }
        }
    }

    /// Issues a token that may issue other tokens, and returns the delegation of the new token. If
    /// `within` is given, the new token is bound to the token of `within`.
    async fn issuer(&self, owner: OwnerId, within: Option<&Delegation>) -> Delegation {
        let new = NewToken::new(project("145"), owner, Name::new("issuer").unwrap());
        let new = new.with_scopes(ScopeSet::new("tokens:manage").unwrap());
        let made = self.make(within.iter().fold(new, |new, by| new.within(by))).await;
        let began = Instant::now();
        loop {
            match self.tokens.verify(made.token.expose_secret(), &Access::to(&project("145"), &[])).await {
                Ok(verified) => {
                    return verified.delegate(&Scope::new("tokens:manage").unwrap()).unwrap().allow_manage();
                }
                Err(error) => {
                    assert_eq!(error.rejection(), None, "{error:?}");
                    assert!(began.elapsed() < PATIENCE, "an issuer is not verified: {error:?}");
                }
            }
        }
    }

    /// Performs all revocations of the round. Repeats each operation until it is acknowledged.
    pub async fn revoke(&mut self, round: &mut Round) {
        self.act(round, &acts()).await;
    }

    /// Performs the first quarter of the revocations.
    pub async fn revoke_some(&mut self, round: &mut Round) {
        let acts = acts();
        self.act(round, &acts[..acts.len() / 4]).await;
    }

    /// Revokes all tokens of the round: the first part before `happening` starts, the second part
    /// while `happening` runs, and the rest after `happening` has ended.
    pub async fn revoke_amid(&mut self, round: &mut Round, happening: impl Future<Output = ()>) {
        self.revoke_some(round).await;
        let acts = acts();
        let amid = &acts[acts.len() / 4..acts.len() / 2];
        let is_over = Cell::new(false);
        let happening = async {
            happening.await;
            is_over.set(true);
        };
        let acting = async {
            // Repeating an operation that was already acknowledged changes nothing.
            for act in amid.iter().cycle() {
                if is_over.get() && amid.iter().all(|act| round.is_done(act)) {
                    break;
                }
                self.act(round, &[*act]).await;
                tokio::time::sleep(PACE).await;
            }
        };
        tokio::join!(happening, acting);
        self.revoke(round).await;
    }

    async fn act(&mut self, round: &mut Round, acts: &[Act]) {
        let reason = RevocationReason::KeyCompromise;
        for act in acts {
            let (began, since) = (nanos(), Instant::now());
            // The number of revoked tokens is certain only at the first attempt.
            let mut first = !round.is_done(act);
            loop {
                let acknowledged = match act {
                    Act::One(number) if self.issuers && number % 3 == 0 => {
                        self.tokens.disable(&actor(), &round.keys[*number]).await.map(drop)
                    }
                    Act::One(number) => {
                        let revoked = self.tokens.revoke(&actor(), &round.keys[*number], reason).await;
                        revoked.map(drop)
                    }
                    Act::Owner(owner) if self.issuers => {
                        self.tokens.revoke(&actor(), &round.shared[*owner].key(), reason).await.map(drop)
                    }
                    Act::Owner(owner) => {
                        let group = RevokeGroup::Owner(round.owner(TOKENS + owner));
                        let revoked = self.tokens.revoke_group(&actor(), &project("145"), &group, reason).await;
                        revoked.map(|revoked| assert!(!first || revoked as usize == TOKENS / 2 / OWNERS))
                    }
                };
                match acknowledged {
                    Ok(()) => break,
                    // The acknowledgement is lost, so the operation may or may not have been
                    // applied.
                    Err(error) => {
                        assert_lost(&error);
                        assert!(since.elapsed() < PATIENCE, "{act:?} is not acknowledged: {error:?}");
                    }
                }
                self.seen.repeated += 1;
                first = false;
                tokio::time::sleep(PACE).await;
            }
            let acknowledged = nanos();
            for number in act.numbers() {
                round.revoked[number].get_or_insert((began, acknowledged));
            }
        }
    }

    /// Lets the verifying process verify each token once. Returns the results.
    pub fn try_all(&mut self) -> Vec<Tried> {
        self.other.tell("try");
        self.tried()
    }

    /// Waits until the bound has passed. Then makes the verifying process verify each token once
    /// more, and repeat each verification that fails with `Unavailable`. Records the results.
    pub async fn end(&mut self, round: Round) {
        tokio::time::sleep(BOUND + Duration::from_millis(1)).await;
        self.other.tell("end");
        let tried = self.tried();
        for (tried, revoked) in tried.into_iter().zip(round.revoked) {
            let (began, acknowledged) = revoked.unwrap();
            // The token must be accepted, or rejected for the reason of the test. Any other
            // outcome, such as an unknown token, is a fault.
            let refused = if self.issuers { "issuer_ended" } else { "revoked" };
            assert!(["ok", refused].contains(&tried.outcome.as_str()), "{}", tried.outcome);
            self.seen.never_refused += usize::from(tried.outcome == "ok");
            self.seen.refused_too_early += usize::from(tried.refused < began);
            self.seen.delays.push(Duration::from_nanos(tried.accepted.saturating_sub(acknowledged)));
        }
    }

    fn tried(&mut self) -> Vec<Tried> {
        let tried = |said: String| {
            let said: Vec<&str> = said.split(' ').collect();
            Tried { accepted: said[0].parse().unwrap(), refused: said[1].parse().unwrap(), outcome: said[2].into() }
        };
        (0..TOKENS).map(|_| tried(self.other.said())).collect()
    }

    pub fn counts(&mut self) -> Counts {
        self.other.tell("counts");
        let said = self.other.said();
        let (counts, strange) = said.rsplit_once(' ').unwrap();
        let counts: Vec<u64> = counts.split(' ').map(|count| count.parse().unwrap()).collect();
        Counts {
            hits: counts[0],
            misses: counts[1],
            joined: counts[2],
            feed_losses: counts[3],
            feed_is_well: counts[4] == 1,
            unanswered: counts[5],
            unanswered_at: counts[6],
            longest: Duration::from_nanos(counts[7]),
            strange: strange.to_owned(),
        }
    }

    pub fn stop(self) -> Seen {
        self.other.end();
        self.seen
    }
}

impl Round {
    fn owner(&self, place: usize) -> OwnerId {
        OwnerId::new(&base62((self.number * 2 * TOKENS + place) as u64, 8)).unwrap()
    }

    fn is_done(&self, act: &Act) -> bool {
        act.numbers().all(|number| self.revoked[number].is_some())
    }
}

impl Act {
    /// Returns the indices of the tokens that this revocation ends.
    fn numbers(self) -> impl Iterator<Item = usize> {
        let (first, step, end) = match self {
            Self::One(number) => (number, 1, number + 1),
            Self::Owner(owner) => (TOKENS / 2 + owner, OWNERS, TOKENS),
        };
        (first..end).step_by(step)
    }
}

/// Returns all revocations of a round in their order: first the revocations of several single
/// tokens, then the revocation of all tokens of one owner, and so on.
fn acts() -> Vec<Act> {
    let each = TOKENS / 2 / OWNERS;
    let of_owner = |owner| (owner * each..(owner + 1) * each).map(Act::One).chain([Act::Owner(owner)]);
    (0..OWNERS).flat_map(of_owner).collect()
}

/// Checks that an operation failed with `Unavailable`. No other error may occur.
#[track_caller]
fn assert_lost(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}
