//! Traps of concurrent operations, and of operations that follow each other.

use keyfob::{
    Access, Keyring, Lifetime, Name, NewToken, OwnerId, PresentedToken, TokenStore, Tokens,
    record::RevocationReason,
    store::{ListOrder, ListQuery, PageSize, RevokeGroup},
};

use crate::support::{Script, actor, prefix, project};
use crate::traps::world::{DAY, HOUR, MS, World};

const LEAK: RevocationReason = RevocationReason::KeyCompromise;

/// A verification that read the token before its revocation still succeeds. The next verification
/// fails, because no result of a verification is stored.
pub async fn revoke_during_a_verification(world: World) {
    let made = world.issue().await;
    let key = made.record.key();
    let revoke = async {
        world.tokens.revoke(&actor(), &key, LEAK).await.unwrap();
    };
    assert_eq!(world.outcome_with(&made, revoke).await, "ok");
    assert_eq!(world.outcome(&made).await, "revoked");
    world.tokens.flush_usage().await.unwrap();
    assert_eq!(world.outcome(&made).await, "revoked");
}

pub async fn revoke_matching_during_a_verification(world: World) {
    let made = world.issue().await;
    let group = RevokeGroup::Owner(OwnerId::new("ada").unwrap());
    let revoke = async {
        assert_eq!(world.tokens.revoke_everywhere(&actor(), &group, LEAK, None).await.unwrap(), 1);
    };
    assert_eq!(world.outcome_with(&made, revoke).await, "ok");
    assert_eq!(world.outcome(&made).await, "revoked");
}

pub async fn touch_after_revoke(world: World) {
    let made = world.issue().await;
    let key = made.record.key();
    assert_eq!(world.outcome(&made).await, "ok");
    let revoked = world.tokens.revoke(&actor(), &key, LEAK).await.unwrap();
    assert_eq!(world.tokens.flush_usage().await.unwrap(), 1);
    let view = world.tokens.get(&key).await.unwrap().unwrap();
    assert_eq!(view.last_used_at, Some(world.tokens.now()));
    assert_eq!((view.revoked, view.version), (revoked.revoked, revoked.version));
    assert_eq!(world.outcome(&made).await, "revoked");
}

/// A last use that is written between the read and the write of a rename causes no conflict, and
/// the last use is not lost.
pub async fn rename_against_touch(world: World) {
    let made = world.issue().await;
    let (key, name) = (made.record.key(), Name::new("renamed").unwrap());
    assert_eq!(world.outcome(&made).await, "ok");
    let record = world.tokens.store().find(&key).await.unwrap().unwrap();
    assert_eq!(world.tokens.flush_usage().await.unwrap(), 1);
    let change = keyfob::record::Change::Rename(name.clone());
    let renamed = world.tokens.store().update(&key, record.version, change).await.unwrap().unwrap();
    assert_eq!((&renamed.name, renamed.last_used_at), (&name, Some(world.tokens.now())));
}

/// A host that ends a project revokes the project's tokens, and should not reuse the project's id.
/// If the host reuses the id anyway, the old tokens still do not work.
pub async fn project_ended_and_its_id_reused(world: World) {
    let old = world.issue().await;
    world.clock.advance(MS);
    let all = RevokeGroup::CreatedBefore(world.tokens.now());
    let reason = RevocationReason::CessationOfOperation;
    assert_eq!(world.tokens.revoke_group(&actor(), &world.project, &all, reason).await.unwrap(), 1);
    let new = NewToken::new(world.project, OwnerId::new("eve").unwrap(), Name::new("CI").unwrap());
    let new = world.make(new).await;
    assert_eq!((world.outcome(&old).await, world.outcome(&new).await), ("revoked", "ok"));
    world.clock.advance(DAY);
    assert_eq!(world.tokens.purge(HOUR).await.unwrap(), 1);
    assert_eq!((world.outcome(&old).await, world.outcome(&new).await), ("unknown", "ok"));
}

pub async fn negative_entry_then_issue(world: World) {
    let mint = |policy| keyfob::mint(world.tokens.keyring(), policy, world.new_token(), &actor(), world.tokens.now());
    let made = mint(world.tokens.policy()).unwrap();
    let verify = async || world.tokens.verify(made.token.expose_secret(), &Access::to(&world.project, &[])).await;
    assert_eq!(verify().await.unwrap_err().rejection().unwrap().as_str(), "unknown");
    world.tokens.store().insert(made.record.clone(), None, None).await.unwrap();
    assert!(verify().await.is_ok());
}

pub async fn same_id_under_two_projects(world: World) {
    // Both tokens are minted from the same random digits.
    let draw = || Script::of(&"7".repeat(48));
    let (ring, policy) = (Keyring::unkeyed(prefix()), world.tokens.policy());
    let make = |place| {
        let new = NewToken::new(project(place), OwnerId::new(place).unwrap(), Name::new("CI").unwrap());
        keyfob::record::mint_with(&mut draw(), &ring, policy, new, &actor(), world.tokens.now()).unwrap()
    };
    let (first, second) = (make("145"), make("146"));
    assert_eq!(first.record.id, second.record.id);
    let tokens = Tokens::new(Keyring::unkeyed(prefix()), world.tokens.store()).with_clock(world.clock.clone());
    for made in [&first, &second] {
        tokens.store().insert(made.record.clone(), None, None).await.unwrap();
    }
    tokens.revoke(&actor(), &first.record.key(), LEAK).await.unwrap();
    let verify = async |made: &keyfob::Issued| {
        tokens.verify(made.token.expose_secret(), &Access::to_own_project(&[])).await.map(|token| token.owner().clone())
    };
    assert!(verify(&first).await.is_err());
    assert_eq!(verify(&second).await.unwrap().as_str(), "146");
    // If the project in the text of the first token is replaced, the text is not valid for the
    // second token, although both tokens have the same random characters.
    let moved = first.token.expose_secret().replace("_145_", "_146_");
    assert!(PresentedToken::parse(&moved, tokens.keyring()).is_err());
}

pub async fn store_time_out(world: World) {
    let made = world.issue().await;
    world.time_out();
    let access = Access::to(&world.project, &[]);
    let error = world.tokens.verify(made.token.expose_secret(), &access).await.unwrap_err();
    assert_eq!((error.rejection(), error.challenge().status()), (None, 503));
    assert_eq!(error.challenge().www_authenticate("acme"), None);
    assert_eq!(world.outcome(&made).await, "ok");
    world.time_out();
    assert!(world.tokens.explain(made.token.expose_secret(), &access).await.is_err());
    world.time_out();
    let unfinished = world.tokens.revoke_presented(&actor(), [made.token.expose_secret()], LEAK).await;
    assert!(unfinished.is_err(), "an unfinished report must return an error");
    assert_eq!(world.outcome(&made).await, "ok");
}

pub async fn rows_that_expire_between_two_pages(world: World) {
    let mut ids = Vec::new();
    for hours in 1..=6 {
        ids.push(world.make(world.new_token().with_lifetime(Lifetime::For(hours * HOUR))).await.record.id);
    }
    let mut query = ListQuery::new(world.project);
    query.order = ListOrder::Expires;
    query.descending = false;
    query.most = PageSize::clamped(2);
    let mut seen = Vec::new();
    loop {
        let page = world.tokens.list(&query).await.unwrap();
        seen.extend(page.items.iter().map(|view| view.id));
        query.after = page.next;
        // The record at the cursor expires, and so does the record after it.
        world.clock.advance(3 * HOUR);
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids, "each token occurs once, in order");
}

pub async fn revoke_matching_against_a_token_issued_in_the_same_second(world: World) {
    let before = world.issue().await;
    world.clock.advance(MS);
    let at = world.tokens.now();
    let same = world.issue().await;
    world.clock.advance(MS);
    let group = RevokeGroup::CreatedBefore(at);
    assert_eq!(world.tokens.revoke_group(&actor(), &world.project, &group, LEAK).await.unwrap(), 1);
    assert_eq!((world.outcome(&before).await, world.outcome(&same).await), ("revoked", "ok"));
    // A revocation by owner covers all tokens that exist, including tokens issued in the same
    // millisecond. A token that is issued afterwards is not affected.
    let same_too = world.issue().await;
    let group = RevokeGroup::Owner(OwnerId::new("ada").unwrap());
    assert_eq!(world.tokens.revoke_group(&actor(), &world.project, &group, LEAK).await.unwrap(), 2);
    let after = world.issue().await;
    assert_eq!((world.outcome(&same_too).await, world.outcome(&after).await), ("revoked", "ok"));
}
