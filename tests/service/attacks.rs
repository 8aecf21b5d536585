//! Attacks on tokens that issue tokens. Each test repeats an attack that revealed a weakness in an
//! earlier version.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[cfg(feature = "cache")]
use keyfob::store::cache::Cached;
use keyfob::{
    Access, Delegation, Issued, Lifetime, MemoryStore, NewToken, Policy, Scope, ScopeSet, Status, TokenKey, TokenKind,
    TokenRecord, TokenStore, Tokens,
    clock::FixedClock,
    leak::LeakedToken,
    mint,
    policy::Lifetimes,
    record::{Issuer, RevocationReason},
    rotation::Rotation,
    store::{ChainResult, LastUse, ListQuery, Page, ReadResult, StoreError, StoreErrorKind},
};

use crate::support::{actor, keyring, new_token, now, project};

const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

type Made = Issued<Arc<TokenRecord>>;

/// A store in memory that counts its reads and its calls of `revoke_issued_by`. If `most` is set,
/// only the first `most` + 1 of the counted calls succeed. If `slow` is set, look-ups take longer.
#[derive(Default)]
struct Watched {
    store: MemoryStore,
    calls: AtomicU64,
    most: Option<u64>,
    slow: std::sync::Mutex<Option<(Slow, Duration)>>,
}

#[cfg_attr(not(feature = "cache"), allow(dead_code))]
#[derive(Clone, Copy, PartialEq)]
enum Slow {
    All,
    One(TokenKey),
}

impl Watched {
    fn counted(&self) -> Result<&MemoryStore, StoreError> {
        let calls = self.calls.fetch_add(1, Ordering::SeqCst);
        match self.most {
            Some(most) if calls > most => Err(StoreErrorKind::Unavailable.into()),
            _ => Ok(&self.store),
        }
    }

    async fn take_time(&self, key: &TokenKey) {
        let slow = self.slow.lock().unwrap().filter(|(slow, _)| [Slow::All, Slow::One(*key)].contains(slow));
        if let Some((_, wait)) = slow {
            tokio::time::sleep(wait).await;
        }
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }
}

impl TokenStore for Watched {
    handed_on!(store: insert, count, update, revoke, revoke_owner, revoke_family, revoke_batch, rotate, touch_many);

    async fn find(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.counted()?.find(key).await
    }
    async fn find_recent(&self, key: &TokenKey) -> Result<ReadResult, StoreError> {
        self.take_time(key).await;
        self.counted()?.find_recent(key).await
    }
    async fn find_recent_chain(&self, key: &TokenKey) -> Result<ChainResult, StoreError> {
        self.take_time(key).await;
        self.counted()?.find_recent_chain(key).await
    }
    async fn list(&self, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
        self.counted()?.list(query).await
    }
    async fn revoke_issued_by(
        &self,
        project: &keyfob::ProjectId,
        issuer: &keyfob::TokenId,
        revocation: &keyfob::record::Revocation,
    ) -> Result<u64, StoreError> {
        self.counted()?.revoke_issued_by(project, issuer, revocation).await
    }
}

fn policy() -> Policy {
    Policy::default().with_lifetimes(TokenKind::Agent, Lifetimes::default())
}

fn service<S: TokenStore>(store: S) -> (FixedClock, Tokens<S>) {
    let clock = FixedClock::new(now());
    (clock.clone(), Tokens::new(keyring(), store).with_clock(clock).with_policy(policy()))
}

fn manage() -> Scope {
    Scope::new("tokens:manage").unwrap()
}

async fn managing<S: TokenStore>(tokens: &Tokens<S>, more: &str) -> Made {
    let scopes = ScopeSet::new(&format!("tokens:manage {more}")).unwrap();
    tokens.issue(&actor(), new_token().with_scopes(scopes).with_lifetime(Lifetime::For(10 * DAY))).await.unwrap()
}

async fn delegation<S: TokenStore>(tokens: &Tokens<S>, made: &Made) -> Delegation {
    let verified = tokens.verify(made.token.expose_secret(), &Access::to(&project("145"), &[])).await.unwrap();
    verified.delegate(&manage()).unwrap()
}

async fn child<S: TokenStore>(tokens: &Tokens<S>, by: &Delegation, new: NewToken) -> Made {
    tokens.issue(&by.actor(), new.within(by)).await.unwrap()
}

/// The cache's bound limits the age of every record of the returned chain. While the store looks up
/// the issuer, the cached record of the token itself grows older.
#[cfg(feature = "cache")]
#[tokio::test]
async fn a_chain_is_not_answered_older_than_the_bound_of_the_cache() {
    let bound = Duration::from_millis(400);
    let store = Arc::new(Watched::default());
    let here = Tokens::new(keyring(), Cached::new(Arc::clone(&store), bound)).with_policy(policy());
    let elsewhere = Tokens::new(keyring(), Arc::clone(&store)).with_policy(policy());
    let manager = managing(&here, "").await;
    let made = child(&here, &delegation(&here, &manager).await, new_token()).await;
    let access = Access::to(&made.record.project, &[]);
    // The cache holds the record of the token, but not the record of its issuer: the write of the
    // issuer's last use removes that record from the cache.
    here.store().find_recent(&made.record.key()).await.unwrap();
    let asked = Instant::now();
    let used = LastUse { key: manager.record.key(), used_at: keyfob::Clock::now(&keyfob::SystemClock), from: None };
    here.store().touch_many(&[used]).await.unwrap();
    elsewhere.revoke(&actor(), &made.record.key(), RevocationReason::default()).await.unwrap();
    let revoked = Instant::now();
    tokio::time::sleep(Duration::from_millis(300)).await;
    *store.slow.lock().unwrap() = Some((Slow::One(manager.record.key()), Duration::from_millis(300)));
    let verified = here.verify(made.token.expose_secret(), &access).await;
    if let Ok(verified) = verified {
        let (old, age) = (revoked.elapsed(), verified.age());
        panic!(
            "accepted {old:?} after its revocation, with a bound of {bound:?}; the reported age is {age:?}, but the record is {:?} old",
            asked.elapsed()
        );
    }
}

/// A token is bound to itself. No policy allows such a record, but a host's own SQL can create one,
/// and a damaged table can contain one.
#[tokio::test]
async fn a_leak_report_ends_though_a_token_is_bound_to_itself() {
    let (_, tokens) = service(Watched { most: Some(1000), ..Watched::default() });
    let Issued { token, mut record } = mint(&keyring(), &policy(), new_token(), &actor(), now()).unwrap();
    record.issuer = Some(Issuer { id: record.id, bound: true });
    tokens.store().insert(record, None, None).await.unwrap();
    let report = tokens.report_leak(&actor(), &LeakedToken::new(token.expose_secret()).unwrap()).await;
    assert!(report.is_ok(), "{report:?} after {} calls", tokens.store().calls());
}

#[tokio::test]
async fn a_leak_report_ends_though_two_tokens_are_bound_to_each_other() {
    let (_, tokens) = service(Watched { most: Some(1000), ..Watched::default() });
    let mut made = [(); 2].map(|()| mint(&keyring(), &policy(), new_token(), &actor(), now()).unwrap());
    let ids = [made[0].record.id, made[1].record.id];
    for (made, id) in made.iter_mut().zip([ids[1], ids[0]]) {
        made.record.issuer = Some(Issuer { id, bound: true });
        tokens.store().insert(made.record.clone(), None, None).await.unwrap();
    }
    let report = tokens.report_leak(&actor(), &LeakedToken::new(made[0].token.expose_secret()).unwrap()).await;
    assert!(report.is_ok(), "{report:?} after {} calls", tokens.store().calls());
}

/// The holder of a token issues tokens that live for a millisecond. Ended tokens do not count
/// towards the limit of live tokens, and their records stay in the store until a purge.
#[tokio::test]
async fn a_leak_report_does_not_walk_through_what_has_ended_long_ago() {
    let (clock, tokens) = service(Watched::default());
    let manager = managing(&tokens, "").await;
    let by = delegation(&tokens, &manager).await;
    for _ in 0..500 {
        child(&tokens, &by, new_token().with_lifetime(Lifetime::For(MS))).await;
        clock.advance(MS);
    }
    clock.advance(2 * DAY);
    let before = tokens.store().calls();
    tokens.report_leak(&actor(), &LeakedToken::new(manager.token.expose_secret()).unwrap()).await.unwrap();
    let calls = tokens.store().calls() - before;
    assert!(calls < 20, "{calls} calls in sequence for 500 tokens that ended long ago");
}

/// A leak report counts only the bound tokens that worked until their issuer ended.
#[tokio::test]
async fn what_had_expired_before_is_not_counted_as_ended_by_a_leak_report() {
    let (clock, tokens) = service(MemoryStore::new());
    let manager = managing(&tokens, "").await;
    let by = delegation(&tokens, &manager).await;
    child(&tokens, &by, new_token().with_lifetime(Lifetime::For(HOUR))).await;
    clock.advance(2 * HOUR);
    let outcome = tokens.report_leak(&actor(), &LeakedToken::new(manager.token.expose_secret()).unwrap()).await;
    assert_eq!(outcome.unwrap().issued().bound_ended, 0);
}

/// An explanation of a token lists every check that fails, not only the first one.
#[tokio::test]
async fn an_explanation_names_the_issuer_beside_the_tokens_own_state() {
    let (_, tokens) = service(MemoryStore::new());
    let manager = managing(&tokens, "").await;
    let made = child(&tokens, &delegation(&tokens, &manager).await, new_token()).await;
    tokens.disable(&actor(), &made.record.key()).await.unwrap();
    tokens.revoke(&actor(), &manager.record.key(), RevocationReason::default()).await.unwrap();
    let explanation = tokens.explain(made.token.expose_secret(), &Access::to(&project("145"), &[])).await.unwrap();
    assert!(explanation.fails.contains(&keyfob::Rejection::IssuerEnded), "{:?}", explanation.fails);
}

/// The chain of the token is longer than the current policy allows, and its topmost issuer has
/// ended. The policy in force when the tokens were issued allowed such a chain.
#[tokio::test]
async fn a_token_below_an_ended_root_is_not_shown_as_active_nor_rotated() {
    let (_, tokens) = service(MemoryStore::new());
    let tokens = tokens.with_policy(policy().with_max_depth(2));
    let root = managing(&tokens, "").await;
    let by = delegation(&tokens, &root).await.allow_manage();
    let middle = child(&tokens, &by, new_token().with_scopes(ScopeSet::new("tokens:manage").unwrap())).await;
    let leaf = child(&tokens, &delegation(&tokens, &middle).await, new_token()).await.record.key();
    tokens.revoke(&actor(), &root.record.key(), RevocationReason::default()).await.unwrap();
    assert_eq!(tokens.get(&leaf).await.unwrap().unwrap().status, Status::IssuerEnded);
    let tokens = tokens.with_policy(policy());
    let status = tokens.get(&leaf).await.unwrap().unwrap().status;
    let rotated = tokens.rotate(&actor(), &leaf, Rotation::with_grace(Duration::ZERO)).await.map(drop);
    assert!(status == Status::IssuerEnded && rotated.is_err(), "{status:?}, {rotated:?}");
}

/// If a token has expired, the service does not look up its issuer, because the state of the issuer
/// cannot change the result.
#[tokio::test]
async fn a_page_of_dead_tokens_asks_for_no_issuers() {
    let (clock, tokens) = service(Watched::default());
    for _ in 0..50 {
        let manager = managing(&tokens, "").await;
        child(&tokens, &delegation(&tokens, &manager).await, new_token().with_lifetime(Lifetime::For(MS))).await;
    }
    clock.advance(DAY);
    let before = tokens.store().calls();
    tokens.list(&ListQuery::new(project("145"))).await.unwrap();
    assert_eq!(tokens.store().calls() - before, 1);
}

/// `revoke_orphans` records the issuer of a token as the actor of the revocation, in the same form
/// as in the field `created_by`.
#[tokio::test]
async fn maintenance_names_the_issuer_as_an_actor_as_everything_else_does() {
    let (_, tokens) = service(MemoryStore::new());
    let manager = managing(&tokens, "").await;
    let by = delegation(&tokens, &manager).await;
    let made = child(&tokens, &by, new_token()).await;
    tokens.rotate(&actor(), &manager.record.key(), Rotation::with_grace(Duration::ZERO)).await.unwrap();
    assert_eq!(tokens.revoke_orphans().await.unwrap(), 1);
    let revoked = tokens.get(&made.record.key()).await.unwrap().unwrap().revoked.unwrap();
    assert_eq!(revoked.by, made.record.created_by);
}

/// The issuer of the token was revoked, so the token no longer works. A notice that it will expire
/// would be wrong.
#[tokio::test]
async fn no_notice_is_sent_of_a_token_whose_issuer_has_ended() {
    let (clock, tokens) = service(MemoryStore::new());
    let manager = managing(&tokens, "").await;
    let by = delegation(&tokens, &manager).await;
    let made = child(&tokens, &by, new_token().with_lifetime(Lifetime::For(3 * DAY))).await;
    tokens.revoke(&actor(), &manager.record.key(), RevocationReason::default()).await.unwrap();
    clock.advance(2 * DAY + HOUR);
    let notices = tokens.claim_notices(HOUR, keyfob::store::PageSize::MAX).await.unwrap();
    assert!(notices.iter().all(|notice| notice.id.key != made.record.key()), "{:?}", notices[0].view.status);
}

/// If the issuer of a token has ended, the service refuses to rotate the token. If the token was
/// rotated before its issuer ended, the service must also refuse a repeat of this rotation, because
/// the successor would not verify.
#[tokio::test]
async fn a_rotation_is_not_repeated_after_the_issuer_has_ended() {
    let (_, tokens) = service(MemoryStore::new());
    let manager = managing(&tokens, "").await;
    let made = child(&tokens, &delegation(&tokens, &manager).await, new_token()).await.record.key();
    let rotation = || Rotation::with_grace(Duration::ZERO).with_retry("r1".parse().unwrap(), HOUR);
    tokens.rotate(&actor(), &made, rotation()).await.unwrap();
    tokens.revoke(&actor(), &manager.record.key(), RevocationReason::KeyCompromise).await.unwrap();
    let again = tokens.rotate(&actor(), &made, rotation()).await;
    if let Ok(again) = &again {
        let key = again.issued.record.key();
        tokens.confirm(&actor(), &key).await.unwrap();
        let access = Access::to(&key.project, &[]);
        let refused = tokens.verify(again.issued.token.expose_secret(), &access).await.unwrap_err();
        panic!("the successor was returned and confirmed, but its verification is rejected: {:?}", refused.rejection());
    }
}

/// Each change of a token returns a view of the token. If the issuer has ended, this view must not
/// show the token as active.
#[tokio::test]
async fn a_change_does_not_answer_that_a_token_works_whose_issuer_has_ended() {
    let (_, tokens) = service(MemoryStore::new());
    let manager = managing(&tokens, "").await;
    let by = delegation(&tokens, &manager).await;
    let made = child(&tokens, &by, new_token()).await.record.key();
    let pending = child(&tokens, &by, new_token().with_confirm_within(HOUR)).await.record.key();
    tokens.disable(&actor(), &made).await.unwrap();
    tokens.revoke(&actor(), &manager.record.key(), RevocationReason::KeyCompromise).await.unwrap();
    let enabled = tokens.enable(&actor(), &made).await.map(|view| view.status);
    let renamed = tokens.rename(&actor(), &made, "other".parse().unwrap()).await.map(|view| view.status);
    let confirmed = tokens.confirm(&actor(), &pending).await.map(|view| view.status);
    assert_eq!(tokens.get(&made).await.unwrap().unwrap().status, Status::IssuerEnded);
    let told = [enabled, renamed, confirmed];
    assert!(!told.iter().any(|told| matches!(told, Ok(Status::Active))), "{told:?}");
}

/// A policy can block a token because its chain is too long, or because the policy blocks one of
/// its issuers. A dry run must count these tokens too.
#[tokio::test]
async fn a_dry_run_counts_what_a_policy_blocks_by_the_chain() {
    let (_, tokens) = service(MemoryStore::new());
    let manager = managing(&tokens, "").await;
    let by = delegation(&tokens, &manager).await;
    let texts = [child(&tokens, &by, new_token()).await, child(&tokens, &by, new_token()).await];
    let access = Access::to(&manager.record.project, &[]);
    let mut missed = Vec::new();
    for (what, other) in [
        ("no depth", policy().with_max_depth(0)),
        (
            "shorter for persons",
            policy().with_lifetimes(TokenKind::Human, Lifetimes { max: DAY, ..Lifetimes::default() }),
        ),
    ] {
        let counted: u64 = tokens.dry_run(&other).await.unwrap().iter().map(|hit| hit.tokens).sum();
        let clock = FixedClock::new(now());
        let under = Tokens::new(keyring(), tokens.store()).with_clock(clock).with_policy(other);
        let mut blocked = 0;
        for made in texts.iter().chain([&manager]) {
            blocked += u64::from(under.verify(made.token.expose_secret(), &access).await.is_err());
        }
        if counted != blocked {
            missed.push(format!("{what}: {counted} counted, {blocked} blocked"));
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}

/// Every call to the store takes less time than the cache's bound. A single call reads a whole
/// chain, so reading a chain takes less time than the bound too.
#[cfg(feature = "cache")]
#[tokio::test]
async fn a_bound_token_passes_a_cache_whose_store_answers_in_time() {
    let bound = Duration::from_millis(1000);
    let store = Arc::new(Watched::default());
    let tokens = Tokens::new(keyring(), Cached::new(Arc::clone(&store), bound)).with_policy(policy());
    let manager = managing(&tokens, "").await;
    let made = child(&tokens, &delegation(&tokens, &manager).await, new_token()).await;
    tokio::time::sleep(bound).await;
    *store.slow.lock().unwrap() = Some((Slow::All, Duration::from_millis(600)));
    let access = Access::to(&made.record.project, &[]);
    for made in [&manager, &made, &made] {
        let verified = tokens.verify(made.token.expose_secret(), &access).await;
        assert!(verified.is_ok(), "{:?}", verified.err());
    }
}

/// The leaked token has issued 500 bound tokens. They are at the end of the longest allowed chain,
/// so no token can be bound to them. Therefore a leak report must not call the store for each of
/// them.
#[tokio::test]
async fn a_leak_report_makes_no_call_for_each_token_that_ends() {
    let (_, tokens) = service(Watched::default());
    let tokens = tokens.with_policy(policy().with_most_live_per_issuer(500));
    let manager = managing(&tokens, "").await;
    let by = delegation(&tokens, &manager).await;
    for _ in 0..500 {
        child(&tokens, &by, new_token()).await;
    }
    let before = tokens.store().calls();
    let leaked = LeakedToken::new(manager.token.expose_secret()).unwrap();
    let outcome = tokens.report_leak(&actor(), &leaked).await.unwrap();
    assert_eq!(outcome.issued().bound_ended, 500);
    let calls = tokens.store().calls() - before;
    assert!(calls < 20, "{calls} calls in sequence for 500 tokens that cannot have issued any");
}
