//! Each error has its own text. The `Debug` output of a secret type shows only the name of the
//! type.

use std::collections::HashSet;
use std::fmt::Display;
use std::time::Duration;

use keyfob::{
    Access, Credential, ErrorKind, Invalid, Keyring, Lifetime, MemoryStore, Policy, PresentedToken, ProjectId,
    Rejection, Scope, ScopeSet, Status, Timestamp, TokenKind, Tokens,
    clock::FixedClock,
    error::{HeaderError, OutsideIssuer},
    import::{ImportDigest, ImportHash},
    keys::KeyNumber,
    policy::PolicyBreach,
    store::{StoreError, StoreErrorKind},
};

use crate::support::{actor, keyring, new_token, now, pepper, prefix, project};

#[track_caller]
fn differ(errors: &[&dyn Display]) {
    let mut met = HashSet::new();
    for error in errors {
        let text = error.to_string();
        assert!(text.len() > 3, "{text:?}");
        assert!(met.insert(text.clone()), "two errors have the text {text:?}");
    }
}

#[test]
fn no_two_errors_have_the_same_text() {
    differ(&[&HeaderError::Missing, &HeaderError::Repeated, &HeaderError::Scheme, &HeaderError::Malformed]);
    let kinds = [
        ErrorKind::OutsideIssuer(OutsideIssuer::Project),
        ErrorKind::OutsideIssuer(OutsideIssuer::Owner),
        ErrorKind::OutsideIssuer(OutsideIssuer::Scopes),
        ErrorKind::OutsideIssuer(OutsideIssuer::Addresses),
        ErrorKind::OutsideIssuer(OutsideIssuer::Expiry),
        ErrorKind::OutsideIssuer(OutsideIssuer::Kind),
        ErrorKind::OutsideIssuer(OutsideIssuer::Metadata),
        ErrorKind::OutsideIssuer(OutsideIssuer::NotIssued),
        ErrorKind::IssuerEnded(Rejection::Revoked),
        ErrorKind::IssuerEnded(Rejection::Scope),
        ErrorKind::Ended(Status::Revoked),
        ErrorKind::Ended(Status::Expired),
        ErrorKind::Inactive(Status::Disabled),
        ErrorKind::Inactive(Status::Pending),
        ErrorKind::AlreadyRotated,
        ErrorKind::NotRotated,
        ErrorKind::Wider,
        ErrorKind::PredecessorInGrace(now()),
        ErrorKind::Limit,
        ErrorKind::NotFound,
        ErrorKind::Conflict,
        ErrorKind::Rejected(Rejection::Tag),
        ErrorKind::Unkeyed,
        ErrorKind::Keyed,
        ErrorKind::KeyMints,
        ErrorKind::KeyInUse { live: 3 },
        ErrorKind::Rng,
        ErrorKind::Partial,
        ErrorKind::Unavailable,
        ErrorKind::Store,
    ];
    let breaches = PolicyBreach::ALL.iter().map(|breach| ErrorKind::Policy(*breach));
    let errors: Vec<keyfob::Error> = kinds.into_iter().chain(breaches).map(keyfob::Error::from).collect();
    differ(&errors.iter().map(|error| error as &dyn Display).collect::<Vec<_>>());
    // The error for a rejected token does not name the reason of the rejection.
    assert_eq!(keyfob::Error::from(ErrorKind::Rejected(Rejection::Expired)).to_string(), "the token is not valid");
    let of_store =
        [StoreErrorKind::Conflict, StoreErrorKind::IssuerChanged, StoreErrorKind::Limit, StoreErrorKind::Corrupt];
    differ(&of_store.map(StoreError::new).each_ref().map(|error| error as &dyn Display));
}

#[test]
fn an_error_returns_its_source() {
    let store = || StoreError::with_source(StoreErrorKind::Unavailable, "away");
    let error = keyfob::Error::from(store());
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::Unavailable, store().to_string()));
    assert_eq!(error.store().unwrap().kind(), StoreErrorKind::Unavailable);
    assert_eq!((&error as &dyn std::error::Error).source().unwrap().to_string(), "away");
    for (of_store, kind) in [
        (StoreErrorKind::Limit, ErrorKind::Limit),
        (StoreErrorKind::Conflict, ErrorKind::Conflict),
        (StoreErrorKind::IssuerChanged, ErrorKind::Conflict),
        (StoreErrorKind::Corrupt, ErrorKind::Store),
        (StoreErrorKind::Schema, ErrorKind::Store),
        (StoreErrorKind::Other, ErrorKind::Store),
    ] {
        assert_eq!(keyfob::Error::from(StoreError::new(of_store)).kind(), kind);
    }
    let refused = keyfob::Error::from(ErrorKind::AlreadyRotated);
    assert!((&refused as &dyn std::error::Error).source().is_none() && refused.store().is_none());
}

#[test]
fn a_bound_is_shown_in_days_if_it_is_whole_days() {
    let said = |seconds| {
        let policy = Policy::default().with_max_lifetime(Duration::from_secs(seconds));
        let asked = Lifetime::For(Duration::from_secs(1_000_000));
        let error = policy.expiry(TokenKind::Human, asked, now()).unwrap_err();
        assert_eq!(error.bound(), Some(Duration::from_secs(seconds)));
        error.to_string()
    };
    assert_eq!(said(2 * 86_400), "a token may live for at most 2 days");
    assert_eq!(said(86_401), "a token may live for at most 86401 seconds");
    assert_eq!(said(0), "a token may live for at most 0 seconds");
    let invalid: Invalid = ProjectId::new("").unwrap_err();
    assert_eq!(invalid.to_string(), "project id: empty");
}

#[tokio::test]
async fn debug_of_a_type_that_hides_its_content_shows_its_name() {
    let tokens = Tokens::new(keyring(), MemoryStore::new()).with_clock(FixedClock::new(now()));
    let managing = [Scope::new("tokens").unwrap()];
    let new = new_token().with_scopes(ScopeSet::new("tokens").unwrap());
    let issued = tokens.issue(&actor(), new).await.unwrap();
    let text = issued.token.expose_secret();
    let verified = tokens.verify(text, &Access::to(&project("145"), &managing)).await.unwrap();
    let public_part = issued.record.public_part();
    assert!(text.starts_with(&public_part));

    assert_eq!(format!("{verified:?}"), format!("Verified {{ token: {public_part:?}, .. }}"));
    let manager = verified.delegate(&managing[0]).unwrap();
    assert_eq!(format!("{manager:?}"), format!("Delegation {{ token: {public_part:?}, .. }}"));
    let presented = format!("{:?}", PresentedToken::parse(text, tokens.keyring()).unwrap());
    assert!(presented.starts_with("PresentedToken") && presented.contains(issued.record.id.as_str()), "{presented}");
    let header = format!("Bearer {text}");
    assert_eq!(format!("{:?}", Credential::from_authorization([&header], &keyring()).unwrap()), "Credential(..)");
    assert_eq!(format!("{:?}", ImportDigest::from_bytes(ImportHash::Sha256, &[7; 32]).unwrap()), "ImportDigest(..)");
    assert!(format!("{:?}", pepper()).starts_with("Pepper"));
    assert!(format!("{:?}", keyring()).starts_with("Keyring {"));
    assert!(format!("{:?}", Keyring::builder(prefix())).starts_with("KeyringBuilder {"));
    assert_eq!(format!("{:?}", KeyNumber::new(7).unwrap()), "KeyNumber(7)");
    assert_eq!(format!("{:?}", Timestamp::from_unix_millis(0).unwrap()), "Timestamp(1970-01-01T00:00:00.000Z)");
    let range: keyfob::record::AddressRange = "10.0.0.0/8".parse().unwrap();
    assert_eq!(format!("{range:?}"), "AddressRange(10.0.0.0/8)");
}

#[tokio::test]
async fn an_explanation_tells_what_works_and_what_fails() {
    let tokens = Tokens::new(keyring(), MemoryStore::new()).with_clock(FixedClock::new(now()));
    let issued = tokens.issue(&actor(), new_token()).await.unwrap();
    let text = issued.token.expose_secret();
    let told = async |place: &str, scopes: &[Scope]| {
        let project = project(place);
        tokens.explain(text, &Access::to(&project, scopes)).await.unwrap().to_string()
    };
    assert!(told("145", &[]).await.ends_with(": works"));
    let fails = told("146", &[Scope::new("any").unwrap()]).await;
    assert!(fails.ends_with(&format!(": fails {}, {}", Rejection::Project, Rejection::Scope)), "{fails}");
}
