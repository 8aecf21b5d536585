//! Tests of events. Each operation emits its event once, a repeated operation emits no event, and
//! no event shows a secret.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyfob::{
    Access, Actor, Clock, Issued, Lifetime, MemoryStore, Name, NewToken, OwnerId, Policy, ProjectId, Rejection, Scope,
    ScopeSet, TokenRecord, TokenStore, Tokens,
    clock::FixedClock,
    events::{ChangeKind, Event, EventSink},
    import::{ImportDigest, ImportHash, ImportOutcome, ImportToken},
    leak::LeakedToken,
    notices::NoticeLead,
    owners::{OwnerState, Owners, OwnersError},
    record::{Issuer, Narrowing, RequestId, RevocationReason, mint_with},
    rotation::Rotation,
    store::{PageSize, RevokeGroup},
};

use crate::support::{Script, actor, keyring, new_token, now, project};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const LEAK: RevocationReason = RevocationReason::KeyCompromise;

type Made = Issued<Arc<TokenRecord>>;

/// The events that the test has not checked yet, each as its `Debug` text.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Heard {
    fn since(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl EventSink for Heard {
    fn record(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

struct World {
    clock: FixedClock,
    heard: Arc<Heard>,
    tokens: Tokens<MemoryStore>,
}

impl World {
    fn new() -> Self {
        let (clock, heard) = (FixedClock::new(now()), Arc::new(Heard::default()));
        let tokens = Tokens::new(keyring(), MemoryStore::new()).with_clock(clock.clone()).with_events(heard.clone());
        Self { clock, heard, tokens }
    }

    fn under(self, policy: Policy) -> Self {
        Self { tokens: self.tokens.with_policy(policy), ..self }
    }

    async fn issue(&self, new: NewToken) -> Made {
        let made = self.tokens.issue(&actor(), new).await.unwrap();
        self.heard(&[Event::Issued { key: made.record.key(), issuer: None, actor: &actor() }]);
        made
    }

    /// Checks that the service has emitted exactly these events since the last check. Then advances
    /// the clock by a millisecond.
    #[track_caller]
    fn heard(&self, events: &[Event<'_>]) {
        let expected = events.iter().map(|event| format!("{event:?}")).collect::<Vec<_>>();
        assert_eq!(self.heard.since(), expected);
        self.clock.advance(MS);
    }

    async fn outcome(&self, made: &Made) -> Result<(), Option<Rejection>> {
        let access = Access::to(&made.record.project, &[]);
        let verified = self.tokens.verify(made.token.expose_secret(), &access).await;
        verified.map(drop).map_err(|error| error.rejection())
    }
}

#[tokio::test]
async fn each_change_emits_one_event_and_a_repeat_none() {
    let world = World::new();
    let (tokens, eve) = (&world.tokens, Actor::new("eve").unwrap());
    let made = world.issue(new_token().with_scopes(ScopeSet::new("a b").unwrap())).await;
    let key = made.record.key();
    let told = |how| [Event::Changed { key, how, actor: &eve }];
    let narrowing = Narrowing { scopes: Some(ScopeSet::new("a").unwrap()), ..Narrowing::default() };
    for times in [1, 0, 0] {
        tokens.rename(&eve, &key, Name::new("new").unwrap()).await.unwrap();
        world.heard(&told(ChangeKind::Renamed)[..times]);
    }
    for times in [1, 0, 0] {
        tokens.narrow(&eve, &key, narrowing.clone()).await.unwrap();
        world.heard(&told(ChangeKind::Narrowed)[..times]);
    }
    for _ in 0..2 {
        for times in [1, 0] {
            tokens.disable(&eve, &key).await.unwrap();
            world.heard(&told(ChangeKind::Disabled)[..times]);
        }
        for times in [1, 0] {
            tokens.enable(&eve, &key).await.unwrap();
            world.heard(&told(ChangeKind::Enabled)[..times]);
        }
    }
    // Refused operations and queries emit no event.
    let wider = Narrowing { scopes: Some(ScopeSet::new("a b").unwrap()), ..Narrowing::default() };
    assert!(tokens.narrow(&eve, &key, wider).await.is_err());
    assert!(tokens.end_grace(&eve, &key).await.is_err());
    assert!(tokens.issue(&eve, new_token().with_lifetime(Lifetime::Never)).await.is_err());
    tokens.get(&key).await.unwrap();
    tokens.dry_run(&Policy::default()).await.unwrap();
    tokens.explain(made.token.expose_secret(), &Access::to_own_project(&[])).await.unwrap();
    assert_eq!(tokens.purge(Duration::ZERO).await.unwrap(), 0);
    world.heard(&[]);

    let waits = world.issue(new_token().with_confirm_within(HOUR)).await;
    let key = waits.record.key();
    for times in [1, 0, 0] {
        tokens.confirm_presented(&eve, waits.token.expose_secret()).await.unwrap();
        world.heard(&[Event::Changed { key, how: ChangeKind::Confirmed, actor: &eve }][..times]);
    }
}

#[tokio::test]
async fn the_events_of_a_rotation_its_repeat_its_end_and_a_reuse() {
    let world = World::new();
    let (tokens, ada) = (&world.tokens, actor());
    let made = world.issue(new_token()).await;
    let key = made.record.key();
    let rotation = Rotation::with_grace(HOUR).with_retry(RequestId::new("1").unwrap(), HOUR);
    let first = tokens.rotate(&ada, &key, rotation.clone()).await.unwrap();
    let grace_until = first.old.grace_until.unwrap();
    let successor = first.issued.record.id;
    world.heard(&[Event::Rotated { key, successor, grace_until, actor: &ada }]);
    // A repeat of the rotation revokes the first successor, because its text was lost.
    let lost = first.issued.record.key();
    let second = tokens.rotate(&ada, &key, rotation.clone()).await.unwrap();
    let successor = second.issued.record.id;
    world.heard(&[
        Event::Revoked { key: lost, actor: &ada, reason: RevocationReason::Superseded },
        Event::Rotated { key, successor, grace_until, actor: &ada },
    ]);
    tokens.confirm(&ada, &second.issued.record.key()).await.unwrap();
    world.heard(&[Event::Changed { key: second.issued.record.key(), how: ChangeKind::Confirmed, actor: &ada }]);
    assert!(tokens.rotate(&ada, &key, rotation).await.is_err());
    world.heard(&[]);

    // A use of the old token within its grace period emits the same event as any other use. A use
    // after the grace period means that the old secret is still in circulation.
    assert_eq!(world.outcome(&made).await, Ok(()));
    world.heard(&[Event::Verified { key, issuers: &[], left_out: 0 }]);
    for times in [1, 0] {
        tokens.end_grace(&ada, &key).await.unwrap();
        world.heard(&[Event::Changed { key, how: ChangeKind::GraceEnded, actor: &ada }][..times]);
    }
    assert_eq!(world.outcome(&made).await, Err(Some(Rejection::Rotated)));
    world.heard(&[Event::Reused { key, successor: Some(successor), left_out: 0 }]);
    let counts = tokens.counts().unwrap();
    assert_eq!(
        (counts.rejected(Rejection::Rotated), counts.rejected(Rejection::Scope), counts.all_rejected()),
        (1, 0, 1)
    );
}

#[tokio::test]
async fn only_the_call_that_revokes_emits_the_event() {
    let world = World::new();
    let (tokens, ada, eve) = (&world.tokens, actor(), Actor::new("eve").unwrap());
    let made = world.issue(new_token()).await;
    let key = made.record.key();
    tokens.revoke(&eve, &key, LEAK).await.unwrap();
    world.heard(&[Event::Revoked { key, actor: &eve, reason: LEAK }]);
    for actor in [&eve, &ada] {
        tokens.revoke(actor, &key, LEAK).await.unwrap();
        tokens.revoke_presented(actor, [made.token.expose_secret(), "nonsense"], LEAK).await.unwrap();
        world.heard(&[]);
    }
    let leaked = world.issue(new_token()).await;
    for times in [1, 0] {
        tokens.revoke_presented(&eve, [leaked.token.expose_secret()], LEAK).await.unwrap();
        world.heard(&[Event::Revoked { key: leaked.record.key(), actor: &eve, reason: LEAK }][..times]);
    }
    let group = RevokeGroup::Owner(OwnerId::new("ada").unwrap());
    let other = NewToken::new(project("146"), OwnerId::new("ada").unwrap(), Name::new("CI").unwrap());
    for new in [new_token(), new_token(), other] {
        world.issue(new).await;
    }
    let in_project =
        |text, count| Event::GroupRevoked { project: project(text), group: &group, count, actor: &eve, reason: LEAK };
    for times in [2, 0] {
        tokens.revoke_everywhere(&eve, &group, LEAK, None).await.unwrap();
        world.heard(&[in_project("145", 2), in_project("146", 1)][..times]);
    }
}

#[tokio::test]
async fn each_claim_of_a_notice_emits_an_event() {
    let world = World::new();
    let made = world.issue(new_token().with_lifetime(Lifetime::For(7 * DAY + MS))).await;
    let key = made.record.key();
    let told = [Event::Expiring { key, lead: NoticeLead::WEEK }];
    world.clock.advance(HOUR);
    for times in [1, 0] {
        world.tokens.claim_notices(HOUR, PageSize::default()).await.unwrap();
        world.heard(&told[..times]);
    }
    // The notice was not acknowledged. So after its lease, the next call claims it again, and emits
    // the event again.
    world.clock.advance(HOUR);
    let notices = world.tokens.claim_notices(HOUR, PageSize::default()).await.unwrap();
    world.heard(&told);
    assert!(world.tokens.acknowledge_notice(&notices[0].id).await.unwrap());
    world.clock.advance(HOUR);
    world.tokens.claim_notices(HOUR, PageSize::default()).await.unwrap();
    world.heard(&[]);
}

#[tokio::test]
async fn an_import_emits_one_event() {
    let world = World::new();
    let old = || {
        let digest = ImportDigest::from_text(ImportHash::Sha256, &"a1".repeat(32)).unwrap();
        let (ada, name) = (OwnerId::new("ada").unwrap(), Name::new("old").unwrap());
        vec![Ok(ImportToken::new(digest, project("145"), ada, name, now()))]
    };
    let outcomes = world.tokens.import(&actor(), old()).await.unwrap();
    let [ImportOutcome::Inserted(key)] = outcomes[..] else { panic!("{outcomes:?}") };
    world.heard(&[Event::Imported { key, actor: &actor() }]);
    assert_eq!(world.tokens.import(&actor(), old()).await.unwrap(), [ImportOutcome::Exists(key)]);
    world.heard(&[]);
}

#[tokio::test]
async fn a_token_that_the_policy_blocks_has_its_own_event() {
    let world = World::new().under(Policy::default().with_max_lifetime(DAY));
    let made = world.issue(new_token()).await;
    let world = world.under(Policy::default().with_max_lifetime(DAY - MS));
    assert_eq!(world.outcome(&made).await, Err(Some(Rejection::Policy)));
    world.heard(&[Event::PolicyBlocked { key: made.record.key(), left_out: 0 }]);
    assert_eq!(world.tokens.counts().unwrap().rejected(Rejection::Policy), 1);
}

/// A directory of owners whose look-ups fail.
struct Away;

impl Owners for Away {
    async fn state(&self, _: &OwnerId, _: &ProjectId) -> Result<OwnerState, OwnersError> {
        Err("no route to the directory".into())
    }
}

#[tokio::test]
async fn an_owner_that_cannot_be_looked_up_is_a_503() {
    let world = World::new();
    let made = world.issue(new_token()).await;
    let key = made.record.key();
    let tokens = world.tokens.with_owners(Away);
    let access = Access::to(&made.record.project, &[]);
    let error = tokens.verify(made.token.expose_secret(), &access).await.unwrap_err();
    assert_eq!((error.rejection(), error.challenge().status(), error.key()), (None, 503, Some(key)));
    assert!(!error.to_string().contains("directory"), "{error}");
    assert!(tokens.explain(made.token.expose_secret(), &access).await.is_err());
    let told = |event: Event<'_>| vec![format!("{event:?}")];
    assert_eq!(world.heard.since(), told(Event::Unavailable { key: Some(key), left_out: 0 }));
    let counts = tokens.counts().unwrap();
    assert_eq!((counts.unavailable, counts.verified, counts.all_rejected()), (1, 0, 0));
    // If a token has ended, the service does not look up its owner.
    tokens.revoke(&actor(), &key, LEAK).await.unwrap();
    world.heard.since();
    let error = tokens.verify(made.token.expose_secret(), &access).await.unwrap_err();
    assert_eq!(error.rejection(), Some(Rejection::Revoked));
    let failed = Event::Failed { key: Some(key), rejection: Rejection::Revoked, left_out: 0 };
    assert_eq!(world.heard.since(), told(failed));
}

#[tokio::test]
async fn verifications_are_sampled_and_all_counted() {
    let world = World::new();
    let made = world.issue(new_token()).await;
    let key = made.record.key();
    world.clock.set(now());
    for _ in 0..25 {
        assert_eq!(world.outcome(&made).await, Ok(()));
    }
    let told = world.heard.since();
    assert_eq!(
        told,
        vec![format!("{:?}", Event::Verified { key, issuers: &[], left_out: 0 }); Event::SAMPLES as usize]
    );
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.outcome(&made).await, Ok(()));
    world.heard(&[Event::Verified { key, issuers: &[], left_out: 25 - Event::SAMPLES }]);
    assert_eq!(world.tokens.counts().unwrap().verified, 26);
}

/// Issues a token, and rotates it with a grace period of zero. Returns the old token, which no
/// longer works.
async fn rotated(world: &World) -> Made {
    let made = world.issue(new_token()).await;
    world.tokens.rotate(&actor(), &made.record.key(), Rotation::with_grace(Duration::ZERO)).await.unwrap();
    world.heard.since();
    made
}

#[tokio::test]
async fn uses_of_one_old_token_do_not_hide_those_of_another() {
    let world = World::new();
    let (own, stolen) = (rotated(&world).await, rotated(&world).await);
    let start = world.clock.now();
    for _ in 0..600 {
        assert_eq!(world.outcome(&own).await, Err(Some(Rejection::Rotated)));
    }
    for _ in 0..300 {
        assert_eq!(world.outcome(&stolen).await, Err(Some(Rejection::Rotated)));
    }
    let about = |told: &str, made: &Made| told.starts_with("Reused") && told.contains(made.record.id.as_str());
    let told = world.heard.since();
    assert!(told.iter().any(|told| about(told, &own)), "{told:?}");
    assert!(told.iter().any(|told| about(told, &stolen)), "{told:?}");
    assert!(told.len() <= 2 * Event::SAMPLES as usize, "{told:?}");

    // The number of events that were left out is counted separately for each token.
    world.clock.set(start.saturating_add(Duration::from_secs(1)));
    for (made, uses) in [(&stolen, 300), (&own, 600)] {
        let before = told.iter().filter(|told| about(told, made)).count();
        assert_eq!(world.outcome(made).await, Err(Some(Rejection::Rotated)));
        let told = world.heard.since();
        assert!(told[0].ends_with(&format!("left_out: {} }}", uses - before)), "{told:?}");
    }
    assert_eq!(world.tokens.counts().unwrap().rejected(Rejection::Rotated), 902);
}

#[tokio::test]
async fn a_recheck_does_not_hide_a_reuse() {
    let world = World::new();
    let made = world.issue(new_token()).await;
    let access = Access::to(&made.record.project, &[]);
    let proof = world.tokens.verify(made.token.expose_secret(), &access).await.unwrap();
    world.tokens.rotate(&actor(), &made.record.key(), Rotation::with_grace(Duration::ZERO)).await.unwrap();
    for _ in 0..100 {
        assert!(world.tokens.recheck(&proof, &access).await.is_err());
    }
    world.heard.since();
    assert_eq!(world.outcome(&made).await, Err(Some(Rejection::Rotated)));
    assert!(world.heard.since()[0].starts_with("Reused"));
}

#[tokio::test]
async fn refusals_and_repeated_reports_of_one_token_do_not_hide_those_of_another() {
    let world = World::new();
    let (own, other) = (world.issue(new_token()).await, world.issue(new_token()).await);
    for made in [&own, &other] {
        world.tokens.revoke(&actor(), &made.record.key(), LEAK).await.unwrap();
    }
    world.heard.since();
    for (made, uses) in [(&own, 100), (&other, 1)] {
        for _ in 0..uses {
            assert_eq!(world.outcome(made).await, Err(Some(Rejection::Revoked)));
            let leaked = LeakedToken::new(made.token.expose_secret()).unwrap();
            world.tokens.report_leak(&actor(), &leaked).await.unwrap();
        }
    }
    let told = world.heard.since();
    for name in ["Failed", "Leaked"] {
        let about = |told: &&String| told.starts_with(name) && told.contains(other.record.id.as_str());
        assert_eq!(told.iter().filter(about).count(), 1, "{name} of {told:?}");
    }
}

/// A sink that panics on each event. If the service did not catch the panic, the caller would lose
/// the result of its operation.
struct Panicking;

impl EventSink for Panicking {
    fn record(&self, _: &Event<'_>) {
        panic!("this test's sink panics");
    }
}

#[tokio::test]
async fn a_panicking_sink_does_not_undo_or_hide_what_was_done() {
    let tokens = Tokens::new(keyring(), MemoryStore::new()).with_clock(FixedClock::new(now())).with_events(Panicking);
    let issued = tokens.issue(&actor(), new_token()).await.unwrap();
    let key = issued.record.key();
    let access = Access::to(&key.project, &[]);
    assert!(tokens.verify(issued.token.expose_secret(), &access).await.is_ok());
    let rotated = tokens.rotate(&actor(), &key, Rotation::with_grace(Duration::ZERO)).await.unwrap();
    assert!(tokens.verify(issued.token.expose_secret(), &access).await.is_err());
    let successor = rotated.issued.record.key();
    assert!(tokens.revoke(&actor(), &successor, LEAK).await.unwrap().revoked.is_some());
    let error = tokens.verify(rotated.issued.token.expose_secret(), &access).await.unwrap_err();
    assert_eq!(error.rejection(), Some(Rejection::Revoked));
    // The service counts the panics of the sink. They occurred on six events: issued, verified,
    // rotated, reused, revoked and failed.
    let counts = tokens.counts().unwrap();
    assert_eq!((counts.sink_panics, counts.verified, counts.all_rejected()), (6, 1, 2));
}

/// The secret of this token is always the same. In about one run in a hundred, a random secret
/// would contain four characters that also occur in a word of an event.
#[tokio::test]
async fn no_event_shows_four_characters_of_a_secret() {
    let world = World::new();
    let (tokens, ada) = (&world.tokens, actor());
    let mut drawn = Script::of("0qQ1zZ8xX3jJ7kKWv5yYqZ0Xw9HhJ2zKqVx4UuQjZ6kXyW7v");
    let made = mint_with(&mut drawn, tokens.keyring(), tokens.policy(), new_token(), &ada, now()).unwrap();
    tokens.store().insert(made.record.clone(), None, None).await.unwrap();
    let (text, key) = (made.token.expose_secret(), made.record.key());
    let secret = text.rsplit('_').next().unwrap().as_bytes();
    let runs = secret.windows(4).map(|run| std::str::from_utf8(run).unwrap()).collect::<Vec<_>>();

    let access = Access::to_own_project(&[]);
    tokens.verify(text, &access).await.unwrap();
    for refused in [&text[1..], &text[..text.len() - 1], &text.replace("_145_", "_146_"), &text.replace('X', "é")] {
        tokens.verify(refused, &access).await.unwrap_err();
    }
    tokens.disable(&ada, &key).await.unwrap();
    tokens.verify(text, &access).await.unwrap_err();
    tokens.enable(&ada, &key).await.unwrap();
    tokens.rotate(&ada, &key, Rotation::with_grace(Duration::ZERO)).await.unwrap();
    tokens.verify(text, &access).await.unwrap_err();
    tokens.revoke_presented(&ada, [text], LEAK).await.unwrap();
    tokens.verify(text, &access).await.unwrap_err();
    let told = world.heard.since();
    assert_eq!(told.len(), 12, "{told:?}");
    for told in told {
        assert!(runs.iter().all(|run| !told.contains(run)), "{told}");
    }
}

#[tokio::test]
async fn the_verification_of_a_bound_token_names_its_chain() {
    let world = World::new().under(Policy::default().with_max_depth(2));
    let manage = Scope::new("tokens:manage").unwrap();
    let scopes = || ScopeSet::new("tokens:manage").unwrap();
    let mut above = world.issue(new_token().with_scopes(scopes())).await;
    let mut issuers = Vec::new();
    for _ in 0..2 {
        let access = Access::to(&above.record.project, &[]);
        let verified = world.tokens.verify(above.token.expose_secret(), &access).await.unwrap();
        world.heard(&[Event::Verified { key: above.record.key(), issuers: &issuers, left_out: 0 }]);
        world.clock.advance(Duration::from_secs(1));
        let delegation = verified.delegate(&manage).unwrap().allow_manage();
        let new = new_token().with_scopes(scopes()).within(&delegation);
        let below = world.tokens.issue(&delegation.actor(), new).await.unwrap();
        let issuer = Some(Issuer { id: above.record.id, bound: true });
        world.heard(&[Event::Issued { key: below.record.key(), issuer, actor: &delegation.actor() }]);
        issuers.insert(0, above.record.id);
        above = below;
    }
    assert_eq!(world.outcome(&above).await, Ok(()));
    world.heard(&[Event::Verified { key: above.record.key(), issuers: &issuers, left_out: 0 }]);
}
