//! Checks that the handle on the tokens of one owner cannot reach the tokens of another owner.

use std::time::Duration;

use keyfob::{
    Access, Actor, ErrorKind, MemoryStore, Name, OwnerId, ProjectId, Rejection, Status, TokenId, Tokens,
    clock::FixedClock,
    record::RevocationReason,
    rotation::Rotation,
    store::{ListQuery, PageSize},
};

use crate::support::{keyring, kind_of, new_token, now, project};

fn service() -> Tokens<MemoryStore> {
    Tokens::new(keyring(), MemoryStore::new()).with_clock(FixedClock::new(now()))
}

fn owner(id: &str) -> OwnerId {
    OwnerId::new(id).unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Calls each operation of the handle of the owner `by` on one token, and returns the error of each
/// operation.
async fn said(tokens: &Tokens<MemoryStore>, by: &str, of: &ProjectId, id: &TokenId) -> Vec<Option<ErrorKind>> {
    let own = tokens.of(&owner(by), of);
    vec![
        kind_of(own.rename(id, name("other")).await).err(),
        kind_of(own.disable(id).await).err(),
        kind_of(own.enable(id).await).err(),
        kind_of(own.rotate(id, Rotation::with_grace(Duration::from_secs(60))).await).err(),
        kind_of(own.revoke(id).await).err(),
        kind_of(own.revoke_because(id, RevocationReason::KeyCompromise).await).err(),
    ]
}

#[tokio::test]
async fn an_owner_does_everything_with_a_token_of_their_own() {
    let tokens = service();
    let (ada, here) = (owner("ada"), project("145"));
    let own = tokens.of(&ada, &here);
    let issued = own.issue(own.new_token(name("CI"))).await.unwrap();
    let id = issued.record.id;
    assert_eq!((&issued.record.owner, &issued.record.created_by), (&ada, &Actor::from(&ada)));
    assert_eq!(own.get(&id).await.unwrap().unwrap().name, name("CI"));
    assert_eq!(said(&tokens, "ada", &here, &id).await, [None; 6]);
    assert_eq!(own.get(&id).await.unwrap().unwrap().revoked.unwrap().by, Actor::from(&ada));
}

#[tokio::test]
async fn a_token_of_another_owner_or_project_is_not_found() {
    let tokens = service();
    let (here, there) = (project("145"), project("146"));
    let issued = tokens.issue(&Actor::new("root").unwrap(), new_token()).await.unwrap();
    let id = issued.record.id;
    let absent = TokenId::new("1000000000000000").unwrap();
    let none = [Some(ErrorKind::NotFound); 6];
    assert_eq!(said(&tokens, "eve", &here, &id).await, none, "another owner");
    assert_eq!(said(&tokens, "ada", &there, &id).await, none, "another project");
    assert_eq!(said(&tokens, "ada", &here, &absent).await, none, "no such token");
    for (by, of) in [("eve", &here), ("ada", &there)] {
        assert_eq!(tokens.of(&owner(by), of).get(&id).await.unwrap(), None);
    }
    let view = tokens.get(&issued.record.key()).await.unwrap().unwrap();
    assert_eq!((view.status, view.version, view.name), (Status::Active, 1, issued.record.name.clone()), "unchanged");
}

#[tokio::test]
async fn nothing_is_issued_for_another_owner_or_project() {
    let tokens = service();
    for (by, of) in [("eve", "145"), ("ada", "146")] {
        let own = tokens.of(&owner(by), &project(of));
        assert_eq!(kind_of(own.issue(new_token()).await).unwrap_err(), ErrorKind::NotFound, "{by} in {of}");
    }
    assert!(tokens.list(&ListQuery::new(project("145"))).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_list_shows_only_tokens_of_the_owner() {
    let tokens = service();
    for (by, of) in [("ada", "145"), ("ada", "145"), ("ada", "146"), ("eve", "145")] {
        let own = tokens.of(&owner(by), &project(of));
        own.issue(own.new_token(name("CI"))).await.unwrap();
    }
    let own = tokens.of(&owner("ada"), &project("145"));
    for asked in ["145", "146"] {
        let query = ListQuery { owner: Some(owner("eve")), ..ListQuery::new(project(asked)) };
        let listed = own.list(&query).await.unwrap().items;
        assert_eq!(listed.len(), 2);
        assert!(listed.iter().all(|view| view.owner == owner("ada") && view.project == project("145")));
    }
    // The handle replaces only the filters for owner and project. The other parts of the query
    // apply.
    let one = ListQuery { most: PageSize::clamped(1), ..ListQuery::new(project("145")) };
    assert_eq!(own.list(&one).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn another_actor_is_recorded_if_one_is_named() {
    let tokens = service();
    let (ada, here, admin) = (owner("ada"), project("145"), Actor::new("admin").unwrap());
    let own = tokens.of(&ada, &here).by(admin.clone());
    let issued = own.issue(own.new_token(name("CI"))).await.unwrap();
    assert_eq!(issued.record.created_by, admin);
    let revoked =
        own.revoke_because(&issued.record.id, RevocationReason::KeyCompromise).await.unwrap().revoked.unwrap();
    assert_eq!((revoked.by, revoked.reason), (admin, RevocationReason::KeyCompromise));
    let refused = tokens.verify(issued.token.expose_secret(), &Access::to(&here, &[])).await.unwrap_err();
    assert_eq!(refused.rejection(), Some(Rejection::Revoked));
}
