//! One process revokes a manager, which is a token that issues other tokens. At the same time,
//! another process uses the manager's delegation to issue or rotate a token. Each engine runs this
//! race 150 times, or 10,000 times with `KEYFOB_TEST_SIZE=full`.
//!
//! After the revocation is acknowledged, the delegation must create no token. No token that is
//! bound to the manager, directly or through another token, may pass verification. This includes
//! tokens that were issued during the revocation. The same race on a store that reads the manager's
//! row without a lock must break one of these rules. This shows that the test can fail.

use std::collections::BTreeSet;
use std::env;
use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keyfob::{
    Access, Delegation, Error, ErrorKind, Issued, Name, NewToken, OwnerId, Policy, ProjectId, Rejection, Scope,
    ScopeSet, Status, Timestamp, TokenId, TokenKey, TokenRecord, TokenStore, Tokens,
    record::RevocationReason,
    rotation::Rotation,
    store::{DynStore, IssuerCondition, ListQuery, LiveLimit, PageSize, StoreError, StoreErrorKind},
};

use super::{DATABASE, PATIENCE, SqliteFile, open, spin_until};

use crate::support::other::{Other, nanos, say};
use crate::support::{actor, keyring, project, size};

/// The environment variable that sets the [`Lock`] of the other process's store.
const LOCK: &str = "KEYFOB_RACES_LOCK";
/// The outcome of a call that the service refused because it found the manager revoked.
const REVOKED: &str = "revoked";
/// The outcome of a call that the store refused because of the condition on the issuer.
const REFUSED: &str = "refused";
/// The outcome of a verification of a token whose issuer has ended.
const ISSUER_ENDED: &str = "issuer_ended";
/// The text for an empty list of ids.
const NO_IDS: &str = "none";
/// The amount by which the start of the issuing call is shifted after each round, in microseconds.
const STEP: i64 = 100;
/// The maximum random shift of the issuing call in one round, in microseconds.
const JITTER: i64 = 300;
/// The maximum time by which all rounds together may shift the start of the issuing call, in
/// microseconds. No store call takes longer than this, so a larger shift could not change the order
/// of the two calls.
const FARTHEST: i64 = 50_000;

/// The maximum number of rounds. Within this number, a store that does not lock the issuer's row
/// must fail.
const UNLOCKED: u64 = 10_000;

/// Returns the number of rounds and a minimum. Each of the two calls must take effect first in at
/// least this minimum number of rounds.
fn rounds() -> (u64, u64) {
    if size::is_full() { (10_000, 500) } else { (150, 8) }
}

/// Whether the store locks the issuer's row while it inserts a token of that issuer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lock {
    Held,
    /// The store reads the issuer's row before the insert, without a lock.
    None,
}

/// A store with or without the lock on the issuer's row. It counts the operations that the
/// condition on the issuer refused.
struct Conditional {
    store: DynStore,
    lock: Lock,
    refused: AtomicU64,
}

impl Conditional {
    /// Returns the condition that the inner store has to check. This is `issuer`, unless
    /// `lock` is [`Lock::None`]. In this case, the function checks `issuer` itself, without a lock.
    /// It then returns `None` if the condition holds, and an error if it does not.
    async fn left(
        &self,
        project: ProjectId,
        issuer: Option<IssuerCondition>,
    ) -> Result<Option<IssuerCondition>, StoreError> {
        let (Lock::None, Some(condition)) = (self.lock, issuer) else { return Ok(issuer) };
        let row = self.store.find(&TokenKey { project, id: condition.id }).await?;
        if condition.holds(row.as_deref()) { Ok(None) } else { Err(StoreErrorKind::IssuerChanged.into()) }
    }

    fn counted<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if outcome.as_ref().is_err_and(|error| error.kind() == StoreErrorKind::IssuerChanged) {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }
}

impl TokenStore for Conditional {
    handed_on!(
        store: find, find_recent, find_recent_chain, list, count, update, revoke, revoke_owner, revoke_family, revoke_issued_by, revoke_batch, touch_many
    );

    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<LiveLimit>,
        issuer: Option<IssuerCondition>,
    ) -> Result<Arc<TokenRecord>, StoreError> {
        match self.left(record.project, issuer).await {
            Ok(left) => self.counted(self.store.insert(record, limit, left).await),
            Err(error) => self.counted(Err(error)),
        }
    }

    async fn rotate(
        &self,
        key: &TokenKey,
        version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        match self.left(key.project, issuer).await {
            Ok(left) => self.counted(self.store.rotate(key, version, successor, grace_until, left).await),
            Err(error) => self.counted(Err(error)),
        }
    }
}

/// The outcome of a call, with the start and the end of the call on the clock that both processes
/// share.
struct Done {
    began: u64,
    ended: u64,
    outcome: String,
}

/// One of the two processes, with its store, its service and its delegations.
struct Hand {
    store: Arc<Conditional>,
    tokens: Tokens<Arc<Conditional>>,
    /// The delegation of the manager, obtained before the race.
    manager: Option<Delegation>,
    /// The delegation of a token that the manager issued. This process creates the delegation
    /// before the race. It is `None` until then.
    below: Option<Delegation>,
}

impl Hand {
    async fn open(database: &str, lock: Lock) -> Self {
        let store = Arc::new(Conditional { store: open(database).await, lock, refused: AtomicU64::new(0) });
        let tokens = Tokens::new(keyring(), Arc::clone(&store)).with_policy(Policy::default().with_max_depth(2));
        Self { tokens, store, manager: None, below: None }
    }

    async fn does(&mut self, words: &str) -> Done {
        let began = nanos();
        let outcome = tokio::time::timeout(PATIENCE, self.act(words)).await;
        let outcome = outcome.unwrap_or_else(|_| panic!("{words:?} did not end in time"));
        Done { began, ended: nanos(), outcome }
    }

    async fn act(&mut self, words: &str) -> String {
        match words.split(' ').collect::<Vec<_>>()[..] {
            ["present", place, manager, below] => {
                self.manager = Some(self.present(place, manager).await);
                self.below = Some(self.present(place, below).await);
                "presented".to_owned()
            }
            ["revoke", below] => {
                let key = self.manager().key();
                let revoked = self.tokens.revoke(&actor(), &key, RevocationReason::KeyCompromise).await;
                revoked.expect("the manager exists");
                let acknowledged = nanos();
                format!("{acknowledged} {} {}", self.verify(below).await, self.issued().await)
            }
            ["list"] => self.issued().await,
            ["issue"] => self.issue_and_verify(self.manager()).await,
            ["issue-below"] => {
                self.issue_and_verify(self.below.as_ref().expect("the tokens were presented first")).await
            }
            ["rotate", id] => self.rotate(TokenId::new(id).unwrap()).await,
            ["verify", text] => self.verify(text).await.to_owned(),
            _ => unreachable!("{words:?}"),
        }
    }

    fn manager(&self) -> &Delegation {
        self.manager.as_ref().expect("the tokens were presented first")
    }

    async fn present(&self, place: &str, text: &str) -> Delegation {
        let verified = self.tokens.verify(text, &Access::to(&project(place), &[])).await.unwrap();
        verified.delegate(&manage()).unwrap().allow_manage()
    }

    async fn verify(&self, text: &str) -> &'static str {
        match self.tokens.verify(text, &Access::to_own_project(&[])).await {
            Ok(_) => "ok",
            Err(error) => error.rejection().unwrap().as_str(),
        }
    }

    /// Issues a token that may issue other tokens.
    async fn issue(&self, by: &Delegation) -> Result<Issued<Arc<TokenRecord>>, Error> {
        let new = NewToken::new(*by.project(), by.owner().clone(), Name::new("raced").unwrap());
        let new = new.with_scopes(ScopeSet::new("tokens:manage").unwrap());
        self.tokens.issue(&by.actor(), new.within(by)).await
    }

    /// Issues a token and verifies it. Returns the text of [`Self::verified`], or the outcome of
    /// the call if it was refused.
    async fn issue_and_verify(&self, by: &Delegation) -> String {
        let refusals = self.refusals();
        match self.issue(by).await {
            Ok(issued) => self.verified(&issued).await,
            Err(error) => self.refusal(&error, refusals),
        }
    }

    async fn rotate(&self, id: TokenId) -> String {
        let (manager, refusals) = (self.manager(), self.refusals());
        let key = TokenKey { project: *manager.project(), id };
        let rotation = Rotation::with_grace(Duration::from_secs(60)).within(manager);
        match self.tokens.rotate(&manager.actor(), &key, rotation).await {
            Ok(rotated) => self.verified(&rotated.issued).await,
            Err(error) => self.refusal(&error, refusals),
        }
    }

    /// Verifies a new token. Returns the token's id, the token's text, the start of the
    /// verification and its outcome, separated by spaces.
    async fn verified(&self, issued: &Issued<Arc<TokenRecord>>) -> String {
        let (id, text, began) = (issued.record.id, issued.token.expose_secret(), nanos());
        format!("{id} {text} {began} {}", self.verify(text).await)
    }

    fn refusals(&self) -> u64 {
        self.store.refused.load(Ordering::Relaxed)
    }

    fn refusal(&self, error: &Error, refusals: u64) -> String {
        let is_expected = match error.kind() {
            ErrorKind::IssuerEnded(rejection) => [Rejection::Revoked, Rejection::IssuerEnded].contains(&rejection),
            // The service refuses to rotate a token that is bound to the revoked manager.
            kind => kind == ErrorKind::Ended(Status::IssuerEnded),
        };
        assert!(is_expected, "the call was refused for another reason: {error:?}");
        if self.refusals() > refusals { REFUSED } else { REVOKED }.to_owned()
    }

    /// Returns the ids of all tokens of the project that were created with the manager's
    /// delegation.
    async fn issued(&self) -> String {
        let by = self.manager().actor();
        let query = ListQuery { most: PageSize::MAX, ..ListQuery::new(*self.manager().project()) };
        let page = self.store.list(&query).await.unwrap();
        assert!(page.next.is_none(), "one page has all tokens");
        let ids: BTreeSet<_> = page.items.iter().filter(|row| row.created_by == by).map(|row| row.id).collect();
        if ids.is_empty() { NO_IDS.to_owned() } else { ids.iter().map(TokenId::as_str).collect::<Vec<_>>().join(",") }
    }
}

/// Runs the other process. The process reads lines, each with a delay in microseconds and an
/// operation. For each line, it sends a start time, which is 0.3 milliseconds in the future. It
/// runs the operation at the start time plus the delay, and sends the outcome.
#[test]
#[ignore = "run by the tests below"]
fn other_hand() {
    let (Ok(database), Ok(lock)) = (env::var(DATABASE), env::var(LOCK)) else { return };
    let lock = if lock == "held" { Lock::Held } else { Lock::None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut hand = runtime.block_on(Hand::open(&database, lock));
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let (delay, words) = line.split_once(' ').expect("a delay and an operation");
        let moment = nanos() + 300_000;
        say(moment);
        spin_until(moment + delay.parse::<u64>().unwrap() * 1_000);
        let Done { began, ended, outcome } = runtime.block_on(hand.does(words));
        say(format!("{began} {ended} {outcome}"));
    }
}

/// The two processes of the test.
struct Hands {
    mine: Hand,
    other: Other,
}

impl Hands {
    /// Sends an operation to the other process. That process chooses a time, and runs the operation
    /// `delay` microseconds later. Returns the chosen time.
    fn tell(&mut self, delay: u64, words: &str) -> u64 {
        self.other.tell(&format!("{delay} {words}"));
        self.other.said().parse().unwrap()
    }

    fn said(&mut self) -> Done {
        let said = self.other.said();
        let words: Vec<_> = said.splitn(3, ' ').collect();
        let [began, ended, outcome] = words[..] else { panic!("{said:?}") };
        Done { began: began.parse().unwrap(), ended: ended.parse().unwrap(), outcome: outcome.to_owned() }
    }

    /// Runs an operation while no other operation runs. Runs it in this process if `mine` is set,
    /// and in the other process otherwise.
    async fn alone(&mut self, mine: bool, words: &str) -> Done {
        if mine {
            return self.mine.does(words).await;
        }
        self.tell(0, words);
        self.said()
    }

    /// Runs two operations, each in one of the two processes. The first operation is a revocation.
    /// This process runs the revocation if `mine_revokes` is set. The second operation starts
    /// `later` microseconds after the first, or before the first if `later` is negative.
    async fn both(&mut self, mine_revokes: bool, words: [&str; 2], later: i64) -> [Done; 2] {
        let delays = [(-later).max(0), later.max(0)].map(i64::unsigned_abs);
        let mine = usize::from(!mine_revokes);
        let moment = self.tell(delays[1 - mine], words[1 - mine]);
        spin_until(moment + delays[mine] * 1_000);
        let my = self.mine.does(words[mine]).await;
        let other = self.said();
        if mine_revokes { [my, other] } else { [other, my] }
    }
}

/// The number of times that each case occurred.
#[derive(Default, Debug)]
struct Tally {
    issued_first: u64,
    revoked_first: u64,
    /// The number of rounds with a rotation.
    rotations: u64,
    /// The number of rounds in which the two calls overlapped.
    overlapping: u64,
    /// The number of calls that the store refused because of the condition on the issuer.
    refused_by_the_store: u64,
    /// The number of new tokens that passed verification before the revocation was acknowledged.
    used: u64,
    /// The number of times that, after the revocation was acknowledged, verification rejected a
    /// token that is bound to the manager, directly or through another token.
    refused_below: u64,
}

/// Runs one round in a project of its own. Returns whether the token was issued before the
/// revocation. Returns an error that describes the violation if a check fails.
async fn round(number: u64, later: i64, hands: &mut Hands, tally: &mut Tally) -> Result<bool, String> {
    let place = format!("managed{number}");
    let new = NewToken::new(project(&place), OwnerId::new("ada").unwrap(), Name::new("manager").unwrap());
    let new = new.with_scopes(ScopeSet::new("tokens:manage").unwrap());
    let parent = hands.mine.tokens.issue(&actor(), new).await.unwrap();
    let by = hands.mine.present(&place, parent.token.expose_secret()).await;
    let child = hands.mine.issue(&by).await.unwrap();
    let child_text = child.token.expose_secret();
    let present = format!("present {place} {} {child_text}", parent.token.expose_secret());
    for mine in [true, false] {
        assert_eq!(hands.alone(mine, &present).await.outcome, "presented");
    }
    // Most rounds issue a token with the manager's delegation. The other rounds rotate a token that
    // the manager issued, rotate the manager itself, or issue a token with the delegation of a
    // token that the manager issued.
    let issue = match number % 8 {
        3 => format!("rotate {}", child.record.id),
        6 => format!("rotate {}", parent.record.id),
        1 | 5 => "issue-below".to_owned(),
        _ => "issue".to_owned(),
    };
    let before = ids(&hands.mine.issued().await);

    let mine_revokes = revokes_here(number);
    let [revocation, issued] = hands.both(mine_revokes, [&format!("revoke {child_text}"), &issue], later).await;
    let told: Vec<_> = revocation.outcome.split(' ').collect();
    let [acknowledged, verdict, noted] = told[..] else { panic!("{told:?}") };
    let (acknowledged, noted) = (acknowledged.parse::<u64>().unwrap(), ids(noted));
    if verdict != ISSUER_ENDED {
        return Err(format!(
            "the verification of a token issued before was {verdict} after the revocation was acknowledged"
        ));
    }

    // After the revocation, the issuing process repeats its call with the same delegation.
    let again = hands.alone(!mine_revokes, &issue).await.outcome;
    let after = ids(&hands.alone(!mine_revokes, "list").await.outcome);
    let is_refused = |outcome: &str| [REVOKED, REFUSED].contains(&outcome);
    let mut allowed = before.clone();
    let mut below = vec![child_text];
    if !is_refused(&issued.outcome) {
        let made: Vec<_> = issued.outcome.split(' ').collect();
        let [id, text, used, verdict] = made[..] else { panic!("{made:?}") };
        if issue != "issue-below" {
            allowed.insert(id.to_owned());
        }
        if issued.began > acknowledged {
            return Err(format!("{issue:?} began after the revocation was acknowledged, and succeeded"));
        }
        // The successor of the manager itself is not bound to the manager.
        if number % 8 != 6 {
            below.push(text);
            if used.parse::<u64>().unwrap() > acknowledged && verdict != ISSUER_ENDED {
                return Err(format!(
                    "{issue:?}: the verification of the new token was {verdict} after the revocation was acknowledged"
                ));
            }
            tally.used += u64::from(verdict == "ok");
        }
    }
    for (text, mine) in below.iter().flat_map(|text| [(text, true), (text, false)]) {
        let verdict = hands.alone(mine, &format!("verify {text}")).await.outcome;
        if verdict != ISSUER_ENDED {
            return Err(format!(
                "{issue:?}: the verification of a token below was {verdict} after the revocation was acknowledged"
            ));
        }
        tally.refused_below += 1;
    }
    if !is_refused(&again) {
        return Err(format!("a repeated {issue:?} succeeded after the revocation was acknowledged"));
    }
    if after != noted {
        return Err(format!(
            "{issue:?}: there were {noted:?} after the revocation was acknowledged, and {after:?} later"
        ));
    }
    if noted != allowed {
        return Err(format!("{issue:?}: there are {noted:?} instead of {allowed:?}"));
    }
    tally.rotations += u64::from(issue.starts_with("rotate"));
    tally.overlapping += u64::from(issued.began < acknowledged && revocation.began < issued.ended);
    tally.refused_by_the_store += u64::from(issued.outcome == REFUSED);
    Ok(!is_refused(&issued.outcome))
}

fn manage() -> Scope {
    Scope::new("tokens:manage").unwrap()
}

fn ids(text: &str) -> BTreeSet<String> {
    text.split(',').filter(|id| *id != NO_IDS).map(str::to_owned).collect()
}

/// Returns whether this process runs the revocation in the round. Over all rounds, each of the two
/// processes revokes during every kind of call.
fn revokes_here(number: u64) -> bool {
    (number / 8).is_multiple_of(2)
}

/// Runs the rounds until the last one, or until the first violation.
async fn race(database: &str, lock: Lock) -> Result<Tally, String> {
    let name = if lock == Lock::Held { "held" } else { "none" };
    let other = Other::start("races::managers::other_hand", &[(DATABASE, database), (LOCK, name)]);
    let mut hands = Hands { mine: Hand::open(database, lock).await, other };
    let mut tally = Tally::default();
    // The time between the start of the revocation and the start of the issue, for each process
    // that may revoke. If the issue came first, the next issue starts later. If the revocation came
    // first, the next issue starts earlier. So both orders occur about equally often, and the calls
    // meet where they conflict most.
    let mut apart = [0_i64; 2];
    let most = if lock == Lock::Held { rounds().0 } else { UNLOCKED };
    for number in 0..most {
        let apart = &mut apart[usize::from(revokes_here(number))];
        let jitter = (number * 7_919 % (2 * JITTER.unsigned_abs() + 1)).cast_signed() - JITTER;
        match round(number, *apart + jitter, &mut hands, &mut tally).await {
            Ok(true) => (tally.issued_first, *apart) = (tally.issued_first + 1, (*apart + STEP).min(FARTHEST)),
            Ok(false) => (tally.revoked_first, *apart) = (tally.revoked_first + 1, (*apart - STEP).max(-FARTHEST)),
            Err(violation) => {
                hands.other.end();
                return Err(format!("in round {number}, {violation}"));
            }
        }
    }
    hands.other.end();
    Ok(tally)
}

async fn no_token_comes_after_on(database: &str) {
    let started = Instant::now();
    let tally = race(database, Lock::Held).await.unwrap_or_else(|violation| panic!("{violation}"));
    println!("    {tally:?} in {:.1?}", started.elapsed());
    let (all, least) = rounds();
    assert_eq!(tally.issued_first + tally.revoked_first, all);
    assert!(tally.issued_first >= least && tally.revoked_first >= least, "{tally:?}");
    // If this count were zero, the store's condition would not have been needed in any round.
    assert!(tally.refused_by_the_store > 0, "{tally:?}");
    // If no new token had passed verification before the revocation, the later rejections would
    // prove nothing.
    assert!(tally.used > 0 && tally.refused_below >= 2 * all, "{tally:?}");
}

async fn the_missing_lock_shows_on(database: &str) {
    let violation = race(database, Lock::None).await.expect_err("a store without the lock passes");
    println!("    {violation}");
}

#[tokio::test]
async fn a_revoked_manager_issues_nothing_from_another_process_on_sqlite() {
    no_token_comes_after_on(SqliteFile::new().database()).await;
}

#[tokio::test]
async fn a_store_without_the_lock_is_found_out_on_sqlite() {
    the_missing_lock_shows_on(SqliteFile::new().database()).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_revoked_manager_issues_nothing_from_another_process_on_postgres() {
    let Some(server) = crate::support::postgres::shared() else { return };
    no_token_comes_after_on(&super::postgres_database(&server).await).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_store_without_the_lock_is_found_out_on_postgres() {
    let Some(server) = crate::support::postgres::shared() else { return };
    the_missing_lock_shows_on(&super::postgres_database(&server).await).await;
}

#[cfg(feature = "mysql")]
#[tokio::test]
async fn a_revoked_manager_issues_nothing_from_another_process_on_mariadb() {
    let Some(server) = crate::support::mariadb::shared() else { return };
    no_token_comes_after_on(&super::mariadb_database(&server).await).await;
}

#[cfg(feature = "mysql")]
#[tokio::test]
async fn a_store_without_the_lock_is_found_out_on_mariadb() {
    let Some(server) = crate::support::mariadb::shared() else { return };
    the_missing_lock_shows_on(&super::mariadb_database(&server).await).await;
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn a_revoked_manager_issues_nothing_from_another_process_on_a_redis_cluster() {
    let Some(servers) = crate::support::redis::shared_cluster() else { return };
    no_token_comes_after_on(&servers.urls().join(",")).await;
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn a_store_without_the_lock_is_found_out_on_a_redis_cluster() {
    let Some(servers) = crate::support::redis::shared_cluster() else { return };
    the_missing_lock_shows_on(&servers.urls().join(",")).await;
}
