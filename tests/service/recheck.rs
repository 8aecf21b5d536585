//! Tests of the recheck of a long-lived connection. A token that ends while the check runs is
//! rejected.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyfob::{
    Access, Clock, Issued, Keyring, Lifetime, MemoryStore, OwnerId, Policy, ProjectId, Rejection, Scope, ScopeSet,
    Timestamp, TokenRecord, TokenStore, Tokens, Verified,
    clock::FixedClock,
    events::{Event, EventSink},
    owners::{OwnerState, Owners, OwnersError},
    record::{Narrowing, RevocationReason, mint_with},
    rotation::Rotation,
    tokens::Usage,
};

use crate::support::{CountingStore, Script, actor, keyring, new_token, now, project};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

type Service<S = MemoryStore> = Tokens<S>;
type Made = Issued<Arc<TokenRecord>>;

fn service() -> (FixedClock, Service) {
    let clock = FixedClock::new(now());
    (clock.clone(), Tokens::new(keyring(), MemoryStore::new()).with_clock(clock))
}

async fn verified<S: TokenStore>(tokens: &Service<S>, made: &Made) -> Verified {
    tokens.verify(made.token.expose_secret(), &Access::to(&made.record.project, &[])).await.unwrap()
}

/// Rechecks a proof. Returns why the proof no longer holds, or `None` if it holds.
async fn lost<S: TokenStore>(tokens: &Service<S>, proof: &Verified) -> Option<Rejection> {
    let again = tokens.recheck(proof, &Access::to(proof.project(), &[])).await;
    again.err().map(|error| error.rejection().unwrap())
}

/// A directory of owners whose look-ups take time: each look-up advances the clock.
struct Slow {
    clock: FixedClock,
    takes: Mutex<Duration>,
    says: OwnerState,
}

impl Owners for Slow {
    async fn state(&self, _: &OwnerId, _: &ProjectId) -> Result<OwnerState, OwnersError> {
        self.clock.advance(*self.takes.lock().unwrap());
        Ok(self.says)
    }
}

#[tokio::test]
async fn a_token_that_ends_while_its_owner_is_looked_up_is_rejected() {
    let (clock, tokens) = service();
    for says in [OwnerState::Active, OwnerState::Suspended] {
        clock.set(now());
        let made = tokens.issue(&actor(), new_token().with_lifetime(Lifetime::For(HOUR))).await.unwrap();
        let proof = verified(&tokens, &made).await;
        let slow = Arc::new(Slow { clock: clock.clone(), takes: Mutex::default(), says });
        let asking = Tokens::new(keyring(), tokens.store()).with_clock(clock.clone()).with_owners(Arc::clone(&slow));
        let suspended = (says == OwnerState::Suspended).then_some(Rejection::OwnerSuspended);
        for (takes, expected) in
            [(4 * MS, suspended), (5 * MS, Some(Rejection::Expired)), (DAY, Some(Rejection::Expired))]
        {
            *slow.takes.lock().unwrap() = takes;
            let access = Access::to(&made.record.project, &[]);
            clock.set(now().saturating_add(HOUR - 5 * MS));
            let outcome = asking.verify(made.token.expose_secret(), &access).await;
            assert_eq!(outcome.err().and_then(|error| error.rejection()), expected, "{takes:?}");
            clock.set(now().saturating_add(HOUR - 5 * MS));
            assert_eq!(lost(&asking, &proof).await, expected, "{takes:?}");
        }
    }
}

/// A clock that counts how often the service reads it.
struct Counted(Arc<AtomicU64>);

impl Clock for Counted {
    fn now(&self) -> Timestamp {
        self.0.fetch_add(1, Ordering::SeqCst);
        now()
    }
}

#[tokio::test]
async fn without_an_owner_look_up_the_clock_is_read_once() {
    let (_, tokens) = service();
    let made = tokens.issue(&actor(), new_token()).await.unwrap();
    let (text, access) = (made.token.expose_secret(), Access::to(&made.record.project, &[]));
    let readings = Arc::new(AtomicU64::new(0));
    let tokens = tokens.with_clock(Counted(Arc::clone(&readings)));
    tokens.verify(text, &access).await.unwrap();
    assert_eq!(readings.swap(0, Ordering::SeqCst), 1);
    let slow = Slow { clock: FixedClock::new(now()), takes: Mutex::default(), says: OwnerState::Active };
    tokens.with_owners(slow).verify(text, &access).await.unwrap();
    assert_eq!(readings.swap(0, Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_recheck_ends_exactly_with_the_token_and_calls_the_store_once() {
    let clock = FixedClock::new(now());
    let tokens = Tokens::new(keyring(), CountingStore::default()).with_clock(clock.clone());
    let made = tokens.issue(&actor(), new_token().with_lifetime(Lifetime::For(HOUR))).await.unwrap();
    let proof = verified(&tokens, &made).await;
    let before = tokens.store().calls();
    clock.advance(HOUR - MS);
    assert_eq!(lost(&tokens, &proof).await, None);
    assert_eq!(tokens.store().calls() - before, 1);
    clock.advance(MS);
    assert_eq!(lost(&tokens, &proof).await, Some(Rejection::Expired));
}

#[tokio::test]
async fn every_end_of_a_token_ends_its_connections() {
    let (_, tokens) = service();
    let fresh = async || {
        let made = tokens.issue(&actor(), new_token()).await.unwrap();
        (verified(&tokens, &made).await, made.record.key())
    };
    let (proof, key) = fresh().await;
    tokens.revoke(&actor(), &key, RevocationReason::KeyCompromise).await.unwrap();
    assert_eq!(lost(&tokens, &proof).await, Some(Rejection::Revoked));

    let (proof, key) = fresh().await;
    tokens.disable(&actor(), &key).await.unwrap();
    assert_eq!(lost(&tokens, &proof).await, Some(Rejection::Disabled));
    tokens.enable(&actor(), &key).await.unwrap();
    assert_eq!(lost(&tokens, &proof).await, None, "a proof that was refused once may hold again");

    let (proof, key) = fresh().await;
    let other = Tokens::new(keyring(), tokens.store()).with_clock(FixedClock::new(now()));
    let strict = other.with_policy(Policy::default().with_max_lifetime(HOUR));
    assert_eq!(lost(&strict, &proof).await, Some(Rejection::Policy));
    for (says, expected) in [
        (OwnerState::Suspended, Some(Rejection::OwnerSuspended)),
        (OwnerState::OutsideProject, Some(Rejection::OwnerOutsideProject)),
        (OwnerState::Active, None),
    ] {
        let slow = Slow { clock: FixedClock::new(now()), takes: Mutex::default(), says };
        let asking = Tokens::new(keyring(), tokens.store()).with_clock(FixedClock::new(now())).with_owners(slow);
        assert_eq!(lost(&asking, &proof).await, expected);
    }
    // The store of this other service does not have the token.
    let (_, elsewhere) = service();
    assert_eq!(lost(&elsewhere, &proof).await, Some(Rejection::Unknown));
    assert!(tokens.get(&key).await.unwrap().is_some());
}

/// After a purge or in a restored store, another token can have the same id and a different secret.
#[tokio::test]
async fn an_id_with_another_secret_is_unknown() {
    let ring = Keyring::unkeyed(crate::support::prefix());
    let minted = |secret: &str| {
        let mut drawn = Script::of(&format!("{:0>15}{}", 7, secret.repeat(33)));
        mint_with(&mut drawn, &ring, &Policy::default(), new_token(), &actor(), now()).unwrap()
    };
    let (old, new) = (minted("a"), minted("b"));
    assert_eq!(old.record.key(), new.record.key());
    let stores = [MemoryStore::new(), MemoryStore::new()];
    stores[0].insert(old.record.clone(), None, None).await.unwrap();
    stores[1].insert(new.record.clone(), None, None).await.unwrap();
    let tokens = stores
        .map(|store| Tokens::new(Keyring::unkeyed(crate::support::prefix()), store).with_clock(FixedClock::new(now())));
    let access = Access::to(&old.record.project, &[]);
    let proof = tokens[0].verify(old.token.expose_secret(), &access).await.unwrap();
    assert_eq!(lost(&tokens[0], &proof).await, None);
    assert_eq!(lost(&tokens[1], &proof).await, Some(Rejection::Unknown));
}

#[tokio::test]
async fn a_recheck_compares_project_scopes_and_address_again() {
    let (_, tokens) = service();
    let new =
        new_token().with_scopes(ScopeSet::new("repo:read user").unwrap()).with_addresses("10.0.0.0/8".parse().unwrap());
    let made = tokens.issue(&actor(), new).await.unwrap();
    let (own, other, scopes) = (made.record.project, project("146"), [Scope::new("repo:read").unwrap()]);
    let near = Access::to(&own, &scopes).from_address([10, 0, 0, 1].into());
    let proof = tokens.verify(made.token.expose_secret(), &near).await.unwrap();
    let far = Access::to(&own, &scopes);
    let wrong = Access::to(&other, &scopes).from_address([10, 0, 0, 1].into());
    let less = Access::to(&own, &[]).from_address([10, 0, 0, 1].into());
    let rejection = async |access| tokens.recheck(&proof, access).await.err().map(|error| error.rejection().unwrap());
    assert_eq!(rejection(&near).await, None);
    assert_eq!(rejection(&far).await, Some(Rejection::Address));
    assert_eq!(rejection(&wrong).await, Some(Rejection::Project));
    let narrowing = Narrowing { scopes: Some(ScopeSet::new("user").unwrap()), ..Narrowing::default() };
    tokens.narrow(&actor(), &made.record.key(), narrowing).await.unwrap();
    assert_eq!(rejection(&near).await, Some(Rejection::Scope));
    assert_eq!(tokens.recheck(&proof, &less).await.unwrap().scopes().as_str(), "user");

    let whose = Access::to_own_project(&[]).from_address([10, 0, 0, 1].into());
    let proof = tokens.verify(made.token.expose_secret(), &whose).await.unwrap();
    assert_eq!(tokens.recheck(&proof, &whose).await.unwrap().project(), &own);
}

/// The emitted events, each as its `Debug` text.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl EventSink for Heard {
    fn record(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

#[tokio::test]
async fn a_recheck_is_a_use_with_an_event_but_no_reuse() {
    let (clock, tokens) = service();
    let heard = Arc::new(Heard::default());
    let tokens = tokens.with_usage(Usage::default()).with_events(Arc::clone(&heard));
    let made = tokens.issue(&actor(), new_token()).await.unwrap();
    let (proof, key) = (verified(&tokens, &made).await, made.record.key());
    clock.advance(HOUR);
    tokens.flush_usage().await.unwrap();
    assert_eq!(lost(&tokens, &proof).await, None);
    tokens.flush_usage().await.unwrap();
    assert_eq!(tokens.get(&key).await.unwrap().unwrap().last_used_at, Some(now().saturating_add(HOUR)));
    assert_eq!(tokens.counts().unwrap().verified, 2);

    tokens.rotate(&actor(), &key, Rotation::with_grace(MS)).await.unwrap();
    assert_eq!(lost(&tokens, &proof).await, None, "within its grace period");
    clock.advance(MS);
    heard.0.lock().unwrap().clear();
    assert_eq!(lost(&tokens, &proof).await, Some(Rejection::Rotated));
    let told = std::mem::take(&mut *heard.0.lock().unwrap());
    let failed = Event::Failed { key: Some(key), rejection: Rejection::Rotated, left_out: 0 };
    assert_eq!(told, [format!("{failed:?}")]);
    assert!(tokens.verify(made.token.expose_secret(), &Access::to(&key.project, &[])).await.is_err());
    assert!(heard.0.lock().unwrap()[0].starts_with("Reused"), "presenting the old token is a reuse");
}
