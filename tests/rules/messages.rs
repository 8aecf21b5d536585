//! Each error says something, and no two alike; what hides its content says at least what it is.

use std::collections::HashSet;
use std::error::Error;
use std::fmt::Display;
use std::time::Duration;

use keyfob::{
    Access, ConfirmError, Credential, FixedClock, ForeignDigest, ForeignHash, HeaderError, Interrupted, Invalid,
    KeyNumber, Keyring, MemoryStore, MintError, PolicyBreach, PolicyError, PresentedToken, ProjectId, Rejection,
    RngError, RotateError, Scope, ScopeSet, Status, StoreError, StoreErrorKind, SuccessionError, Timestamp, Tokens,
    TransitionError, WithinError,
};

use crate::support::{actor, keyring, new_token, now, pepper, prefix, project};

#[track_caller]
fn differ(errors: &[&dyn Display]) {
    let mut met = HashSet::new();
    for error in errors {
        let text = error.to_string();
        assert!(text.len() > 3, "{text:?}");
        assert!(met.insert(text.clone()), "{text:?} is said of two");
    }
}

#[test]
fn no_two_errors_say_the_same() {
    let days = |days: u64| Duration::from_secs(days * 86_400);
    differ(&[&HeaderError::Missing, &HeaderError::Repeated, &HeaderError::Scheme, &HeaderError::Malformed]);
    differ(&[
        &WithinError::Project,
        &WithinError::Owner,
        &WithinError::Scopes,
        &WithinError::Addresses,
        &WithinError::Expiry,
        &RngError,
    ]);
    differ(&[
        &SuccessionError::Inactive(Status::Revoked),
        &SuccessionError::Inactive(Status::Expired),
        &SuccessionError::Superseded,
        &SuccessionError::Mint(MintError::Rng(RngError)),
        &SuccessionError::Mint(MintError::Within(WithinError::Owner)),
        &SuccessionError::Mint(MintError::Policy(PolicyError::NoLifetime)),
    ]);
    differ(&[
        &TransitionError::Ended(Status::Revoked),
        &TransitionError::Ended(Status::Expired),
        &TransitionError::NotRotated,
        &TransitionError::Wider,
        &TransitionError::Policy(PolicyBreach::TooLong),
        &TransitionError::Policy(PolicyBreach::NeverExpires),
    ]);
    differ(&[
        &PolicyError::NeverExpires,
        &PolicyError::TooLong { max: days(30) },
        &PolicyError::TooShort { min: days(30) },
        &PolicyError::NoLifetime,
        &PolicyError::PastEndOfTime,
    ]);
}

#[test]
fn an_error_of_the_service_passes_on_what_is_behind_it() {
    let store = || StoreError::with_source(StoreErrorKind::Unavailable, "away");
    let of = |failed: &[&str], after: Option<&str>| {
        let failed = failed.iter().map(|id| project(id)).collect();
        Interrupted { failed, after: after.map(project), count: 3, error: store() }
    };
    let interrupted = of(&["145"], Some("900"));
    let others = [of(&["145", "900"], Some("900")), of(&[], Some("145")), of(&[], None)];
    for (interrupted, said) in [&interrupted].into_iter().chain(&others).zip([
        "failed in project 145",
        "failed in 2 projects, of which 145 is the first",
        "cannot list the projects after 145",
        "cannot list the projects",
    ]) {
        let rest = "the token store is unavailable (3 tokens were reached elsewhere; repeat the call)";
        assert_eq!(interrupted.to_string(), format!("{said}: {rest}"));
    }
    let refused = RotateError::from(SuccessionError::Superseded);
    let changed = ConfirmError::Change(store().into());
    let rejected = ConfirmError::Rejected(Rejection::Tag);
    differ(&[&interrupted, &refused, &RotateError::from(store()), &rejected]);
    assert_eq!(changed.to_string(), store().to_string());
    for error in [&interrupted as &dyn Error, &RotateError::from(store()), &changed] {
        assert_eq!(error.source().unwrap().to_string(), "away");
    }
    assert!((&refused as &dyn Error).source().is_none() && (&rejected as &dyn Error).source().is_none());
}

#[test]
fn a_bound_is_told_in_days_where_it_is_some() {
    let said = |seconds| PolicyError::TooLong { max: Duration::from_secs(seconds) }.to_string();
    assert_eq!(said(2 * 86_400), "a token may live for at most 2 days");
    assert_eq!(said(86_401), "a token may live for at most 86401 seconds");
    assert_eq!(said(0), "a token may live for at most 0 seconds");
    let invalid: Invalid = ProjectId::new("").unwrap_err();
    assert_eq!(invalid.to_string(), "project id: empty");
}

#[tokio::test]
async fn what_hides_its_content_says_what_it_is() {
    let tokens = Tokens::new(keyring(), MemoryStore::new()).with_clock(FixedClock::new(now()));
    let managing = [Scope::new("tokens").unwrap()];
    let new = new_token().with_scopes(ScopeSet::new("tokens").unwrap());
    let issued = tokens.issue(&actor(), new).await.unwrap();
    let text = issued.token.expose_secret();
    let verified = tokens.verify(text, &Access::to(&project("145"), &managing)).await.unwrap();
    let public_part = issued.record.public_part();
    assert!(text.starts_with(&public_part));

    assert_eq!(format!("{verified:?}"), format!("Verified {{ token: {public_part:?}, .. }}"));
    let manager = verified.manager(&managing[0]).unwrap();
    assert_eq!(format!("{manager:?}"), format!("Manager {{ token: {public_part:?}, .. }}"));
    let presented = format!("{:?}", PresentedToken::parse(text, tokens.keyring()).unwrap());
    assert!(presented.starts_with("PresentedToken") && presented.contains(issued.record.id.as_str()), "{presented}");
    let header = format!("Bearer {text}");
    assert_eq!(format!("{:?}", Credential::from_authorization([&header]).unwrap()), "Credential(..)");
    assert_eq!(format!("{:?}", ForeignDigest::from_bytes(ForeignHash::Sha256, &[7; 32]).unwrap()), "ForeignDigest(..)");
    assert!(format!("{:?}", pepper()).starts_with("Pepper"));
    assert!(format!("{:?}", keyring()).starts_with("Keyring {"));
    assert!(format!("{:?}", Keyring::builder(prefix())).starts_with("KeyringBuilder {"));
    assert_eq!(format!("{:?}", KeyNumber::new(7).unwrap()), "KeyNumber(7)");
    assert_eq!(format!("{:?}", Timestamp::from_unix_millis(0).unwrap()), "Timestamp(1970-01-01T00:00:00.000Z)");
    let range: keyfob::AddressRange = "10.0.0.0/8".parse().unwrap();
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
