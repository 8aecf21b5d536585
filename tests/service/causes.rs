//! Checks that a host can distinguish every cause of an error with at most two nested patterns.

use std::time::Duration;

use keyfob::{
    Access, Credential, Error, ErrorKind, Invalid, Keyring, Lifetime, MemoryStore, Name, NewToken, Pepper, Policy,
    Rejection, Scope, ScopeSet, Tokens, VerifyError,
    clock::FixedClock,
    error::{HeaderError, InvalidKind, OutsideIssuer},
    keys::{KeyNumber, KeyringError},
    policy::PolicyBreach,
    record::{Narrowing, RevocationReason},
    rotation::Rotation,
    store::StoreErrorKind,
};

use crate::support::{actor, keyring, new_token, now, pepper, prefix, project};
use crate::verbs::Away;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns a description of an error. The function needs only one `match`, whose patterns are at
/// most two levels deep. So a host can distinguish these errors in the same way.
fn said(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Invalid(_) => "invalid",
        ErrorKind::Policy(PolicyBreach::TooLong) => "lives too long",
        ErrorKind::Policy(PolicyBreach::NeverExpires) => "must expire",
        ErrorKind::Limit => "too many",
        ErrorKind::NotFound => "unknown",
        ErrorKind::Conflict => "changed meanwhile",
        ErrorKind::Ended(keyfob::Status::Revoked) => "revoked",
        ErrorKind::Wider => "wider",
        ErrorKind::OutsideIssuer(OutsideIssuer::Scopes) => "beyond the issuer",
        ErrorKind::AlreadyRotated => "rotated",
        ErrorKind::KeyMints => "mints",
        ErrorKind::Unavailable => "store is down",
        _ => "else",
    }
}

fn answered(error: &VerifyError) -> &'static str {
    match error.rejection() {
        Some(Rejection::UnknownKey) => "unknown key",
        Some(Rejection::Project) => "wrong project",
        Some(Rejection::Scope) => "missing scope",
        Some(Rejection::Policy) => "expired policy",
        Some(_) => "else",
        None => "store is down",
    }
}

#[tokio::test]
async fn each_cause_of_an_operations_error_is_one_pattern() {
    let policy = Policy::default().with_most_live_per_owner(2);
    let tokens = Tokens::new(keyring(), MemoryStore::new()).with_clock(FixedClock::new(now())).with_policy(policy);
    let issue = async |new: NewToken| said(&tokens.issue(&actor(), new).await.unwrap_err());
    assert_eq!(issue(new_token().with_lifetime(Lifetime::For(367 * DAY))).await, "lives too long");
    assert_eq!(issue(new_token().with_lifetime(Lifetime::Never)).await, "must expire");

    let issued = tokens.issue(&actor(), new_token().with_scopes(ScopeSet::new("manage").unwrap())).await.unwrap();
    let key = issued.record.key();
    let access = Access::to(&key.project, &[]);
    let verified = tokens.verify(issued.token.expose_secret(), &access).await.unwrap();
    let delegation = verified.delegate(&Scope::new("manage").unwrap()).unwrap();
    let wider = new_token().with_scopes(ScopeSet::new("other").unwrap()).within(&delegation);
    assert_eq!(issue(wider).await, "beyond the issuer");
    tokens.rotate(&actor(), &key, Rotation::with_grace(DAY)).await.unwrap();
    let again = tokens.rotate(&actor(), &key, Rotation::with_grace(DAY)).await.unwrap_err();
    assert_eq!(said(&again), "rotated");
    assert_eq!(issue(new_token()).await, "too many");

    let wider = Narrowing { scopes: Some(ScopeSet::new("other").unwrap()), ..Narrowing::default() };
    assert_eq!(said(&tokens.narrow(&actor(), &key, wider).await.unwrap_err()), "wider");
    tokens.revoke(&actor(), &key, RevocationReason::default()).await.unwrap();
    assert_eq!(said(&tokens.disable(&actor(), &key).await.unwrap_err()), "revoked");
    let elsewhere = keyfob::TokenKey { project: project("146"), ..key };
    assert_eq!(said(&tokens.disable(&actor(), &elsewhere).await.unwrap_err()), "unknown");
    assert_eq!(said(&tokens.retire_key(KeyNumber::FIRST).await.unwrap_err()), "mints");
    assert_eq!(said(&Error::from(keyfob::store::StoreError::new(StoreErrorKind::Conflict))), "changed meanwhile");

    let away = Tokens::new(keyring(), Away).with_clock(FixedClock::new(now()));
    assert_eq!(said(&away.issue(&actor(), new_token()).await.unwrap_err()), "store is down");
    let error = away.verify(issued.token.expose_secret(), &access).await.unwrap_err();
    assert_eq!(error.store_error().map(|error| error.kind()), Some(StoreErrorKind::Unavailable));
    assert_eq!(answered(&error), "store is down");
}

#[tokio::test]
async fn each_cause_of_a_rejection_is_one_pattern() {
    let tokens = Tokens::new(keyring(), MemoryStore::new()).with_clock(FixedClock::new(now()));
    let issued = tokens.issue(&actor(), new_token()).await.unwrap();
    let text = issued.token.expose_secret();
    let (here, there) = (project("145"), project("146"));
    let needed = [Scope::new("repo:read").unwrap()];
    let error = tokens.verify(text, &Access::to(&there, &[])).await.unwrap_err();
    assert_eq!((answered(&error), error.store_error().is_none()), ("wrong project", true));
    assert_eq!(answered(&tokens.verify(text, &Access::to(&here, &needed)).await.unwrap_err()), "missing scope");
    let other =
        Keyring::builder(prefix()).mint_with(KeyNumber::new(2).unwrap(), Pepper::new((9..41).collect()).unwrap());
    let other = Tokens::new(other.build().unwrap(), MemoryStore::new());
    assert_eq!(answered(&other.verify(text, &Access::to(&here, &[])).await.unwrap_err()), "unknown key");
    let strict = Policy::default().with_max_lifetime(DAY);
    let error = tokens.with_policy(strict).verify(text, &Access::to(&here, &[])).await.unwrap_err();
    assert_eq!(answered(&error), "expired policy");
}

#[test]
fn each_cause_before_the_service_is_one_pattern() {
    let long: Invalid = Name::new(&"n".repeat(256)).unwrap_err();
    assert!(matches!(long.kind(), InvalidKind::TooLong { max: 255 }));
    assert_eq!(said(&long.into()), "invalid");
    let none: [&[u8]; 0] = [];
    assert!(matches!(Credential::from_authorization(none, &keyring()), Err(HeaderError::Missing)));
    let twice = Keyring::builder(prefix()).mint_with(KeyNumber::FIRST, pepper()).accept_prefix(prefix()).build();
    assert!(matches!(twice, Err(KeyringError::DuplicatePrefix(_))));
}
