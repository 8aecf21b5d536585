//! The code that several ports share: engines for their tests, and a check of a store.
#![allow(clippy::unwrap_used, reason = "all of this runs only in tests")]

use std::path::{Path, PathBuf};

use keyfob::{
    Access, Actor, Keyring, Name, NewToken, OwnerId, Pepper, Prefix, ProjectId, Rejection, TokenStore, Tokens,
    record::RevocationReason,
};

#[path = "../../../support/postgres.rs"]
pub mod postgres;
#[allow(dead_code, reason = "the ports use only a part of this module")]
#[path = "../../../support/process.rs"]
mod process;

/// Returns the folder of keyfob's migrations for an engine: `sqlite` or `postgres`.
pub fn migrations(engine: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../src/migrations").join(engine)
}

/// Issues a token with the store, verifies it, revokes it, and checks that it is then rejected.
///
/// # Panics
/// Panics if a call fails, or if the store serves the wrong state.
pub async fn serves<S: TokenStore>(store: S) {
    let keyring = Keyring::new(Prefix::new("acme_pat").unwrap(), Pepper::generate().unwrap());
    let tokens = Tokens::new(keyring, store);
    let (project, ada) = (ProjectId::new("145").unwrap(), OwnerId::new("ada").unwrap());
    let actor = Actor::from(&ada);
    let new = NewToken::new(project, ada.clone(), Name::new("CI").unwrap());
    let issued = tokens.issue(&actor, new).await.unwrap();
    let (text, access) = (issued.token.expose_secret(), Access::to(&project, &[]));
    assert_eq!(*tokens.verify(text, &access).await.unwrap().owner(), ada);
    tokens.revoke(&actor, &issued.record.key(), RevocationReason::KeyCompromise).await.unwrap();
    let error = tokens.verify(text, &access).await.unwrap_err();
    assert_eq!(error.rejection(), Some(Rejection::Revoked));
}
