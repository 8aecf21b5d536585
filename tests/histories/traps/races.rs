//! Traps of concurrent operations. Each test makes a change between the read and the write of
//! another operation.

use keyfob::{
    ErrorKind, Lifetime, Name, OwnerId, ScopeSet, Status,
    record::{Narrowing, RequestId, RevocationReason},
    rotation::{Rotated, Rotation},
    store::{ListQuery, RevokeGroup},
};

use crate::support::{actor, kind_of};
use crate::traps::world::{DAY, HOUR, Made, World};

const LEAK: RevocationReason = RevocationReason::KeyCompromise;

async fn rotate(world: &World, made: &Made, rotation: Rotation) -> Result<Rotated, ErrorKind> {
    kind_of(world.tokens.rotate(&actor(), &made.record.key(), rotation).await)
}

/// Returns the number of all tokens in the project, and the number of live tokens.
async fn tokens(world: &World) -> (usize, usize) {
    let page = world.tokens.list(&ListQuery::new(world.project)).await.unwrap();
    (page.items.len(), page.items.iter().filter(|view| view.status.is_live()).count())
}

fn scopes(text: &str) -> ScopeSet {
    ScopeSet::new(text).unwrap()
}

pub async fn rotate_twice_in_the_gap(world: World) {
    let old = world.issue().await;
    let mut won = None;
    let meanwhile = async { won = Some(rotate(&world, &old, Rotation::with_grace(HOUR)).await.unwrap()) };
    let lost = world.during(rotate(&world, &old, Rotation::with_grace(DAY)), meanwhile).await.unwrap_err();
    assert_eq!(lost, ErrorKind::AlreadyRotated);
    let (won, view) = (won.unwrap(), world.tokens.get(&old.record.key()).await.unwrap().unwrap());
    assert_eq!((view.rotated_to, view.grace_until), (Some(won.issued.record.id), won.old.grace_until));
    assert_eq!(tokens(&world).await, (2, 2), "the losing rotation must leave no token");
}

/// A client repeats a rotation before the first call has ended. Both calls return a token, but only
/// one of the two tokens works.
pub async fn the_same_request_twice_in_the_gap(world: World) {
    let old = world.issue().await;
    let asked = || Rotation::with_grace(HOUR).with_retry(RequestId::new("r1").unwrap(), HOUR);
    let mut quick = None;
    let meanwhile = async { quick = Some(rotate(&world, &old, asked()).await.unwrap()) };
    let slow = world.during(rotate(&world, &old, asked()), meanwhile).await.unwrap();
    assert_eq!(world.outcome(&quick.unwrap().issued).await, "revoked");
    world.tokens.confirm(&actor(), &slow.issued.record.key()).await.unwrap();
    assert_eq!(world.outcome(&slow.issued).await, "ok");
    assert_eq!(tokens(&world).await, (3, 2));
}

pub async fn revoke_during_a_rotation(world: World) {
    let old = world.issue().await;
    let key = old.record.key();
    let meanwhile = async { drop(world.tokens.revoke(&actor(), &key, LEAK).await.unwrap()) };
    let lost = world.during(rotate(&world, &old, Rotation::with_grace(HOUR)), meanwhile).await.unwrap_err();
    assert_eq!(lost, ErrorKind::Ended(Status::Revoked));
    assert_eq!(tokens(&world).await, (1, 0), "the rotation must leave no successor");
}

pub async fn revoke_all_of_an_owner_during_a_rotation(world: World) {
    let old = world.issue().await;
    let group = RevokeGroup::Owner(OwnerId::new("ada").unwrap());
    let meanwhile = async {
        assert_eq!(world.tokens.revoke_everywhere(&actor(), &group, LEAK, None).await.unwrap(), 1);
    };
    let lost = world.during(rotate(&world, &old, Rotation::with_grace(HOUR)), meanwhile).await.unwrap_err();
    assert_eq!(lost, ErrorKind::Ended(Status::Revoked));
    assert_eq!(tokens(&world).await, (1, 0));
}

pub async fn disable_during_a_rotation(world: World) {
    let old = world.issue().await;
    let key = old.record.key();
    let meanwhile = async { drop(world.tokens.disable(&actor(), &key).await.unwrap()) };
    let lost = world.during(rotate(&world, &old, Rotation::with_grace(HOUR)), meanwhile).await.unwrap_err();
    assert_eq!(lost, ErrorKind::Inactive(Status::Disabled));
    assert_eq!(tokens(&world).await, (1, 1));
    assert_eq!(world.outcome(&old).await, "disabled");
}

pub async fn revoke_during_a_change(world: World) {
    let made = world.make(world.new_token().with_confirm_within(HOUR)).await;
    let key = made.record.key();
    let meanwhile = async { drop(world.tokens.revoke(&actor(), &key, LEAK).await.unwrap()) };
    let confirmed = world.during(world.tokens.confirm(&actor(), &key), meanwhile).await;
    assert_eq!(kind_of(confirmed).unwrap_err(), ErrorKind::Ended(Status::Revoked));
    assert_eq!(world.outcome(&made).await, "revoked");
}

/// The first rename pauses after its read, and writes after the second rename. The token keeps the
/// name that the first rename writes.
pub async fn rename_twice_in_the_gap(world: World) {
    let made = world.issue().await;
    let key = made.record.key();
    let name = |text| Name::new(text).unwrap();
    let meanwhile = async { drop(world.tokens.rename(&actor(), &key, name("quick")).await.unwrap()) };
    let renamed = world.during(world.tokens.rename(&actor(), &key, name("slow")), meanwhile).await.unwrap();
    assert_eq!((renamed.name, renamed.version), (name("slow"), made.record.version + 2));
}

/// A narrowing must not give back a scope that a concurrent narrowing has removed.
pub async fn narrow_twice_in_the_gap(world: World) {
    let made = world.make(world.new_token().with_scopes(scopes("a b c"))).await;
    let key = made.record.key();
    let narrow = |text| {
        let narrowing = Narrowing { scopes: Some(scopes(text)), ..Narrowing::default() };
        async { world.tokens.narrow(&actor(), &key, narrowing).await }
    };
    let meanwhile = async { drop(narrow("b c").await.unwrap()) };
    let lost = world.during(narrow("a b"), meanwhile).await;
    assert_eq!(kind_of(lost).unwrap_err(), ErrorKind::Wider);
    assert_eq!(world.tokens.get(&key).await.unwrap().unwrap().scopes, scopes("b c"));
}

/// A last use that is written during a rename causes no conflict and is not lost.
pub async fn a_last_use_written_during_a_rename(world: World) {
    let made = world.issue().await;
    let key = made.record.key();
    assert_eq!(world.outcome(&made).await, "ok");
    let meanwhile = async { assert_eq!(world.tokens.flush_usage().await.unwrap(), 1) };
    let ada = actor();
    let rename = world.tokens.rename(&ada, &key, Name::new("renamed").unwrap());
    let renamed = world.during(rename, meanwhile).await.unwrap();
    assert_eq!((renamed.last_used_at, renamed.version), (Some(world.tokens.now()), made.record.version + 1));
}

/// A token that expires while an operation waits for the store must not work.
pub async fn expiry_during_a_verification_and_a_rotation(world: World) {
    let new = || world.new_token().with_lifetime(Lifetime::For(HOUR));
    let made = world.make(new()).await;
    assert_eq!(world.outcome_with(&made, async { world.clock.advance(HOUR) }).await, "expired");
    let made = world.make(new()).await;
    let rotation = rotate(&world, &made, Rotation::with_grace(HOUR));
    let lost = world.during(rotation, async { world.clock.advance(HOUR) }).await.unwrap_err();
    assert_eq!(lost, ErrorKind::Ended(Status::Expired));
}
