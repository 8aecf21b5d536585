//! Tests that every operation compares scopes with the matcher of the policy. In each test, the
//! default wildcards would give the opposite result.

use std::time::Duration;

use keyfob::{
    Access, ErrorKind, Issued, MemoryStore, OwnerId, Policy, PresentedToken, Rejection, Scope, ScopeSet, TokenRecord,
    TokenStore, Tokens, Verified, check,
    clock::FixedClock,
    error::OutsideIssuer,
    policy::ScopeMatcher,
    record::{Chain, Narrowing},
    rotation::Rotation,
};

use crate::support::{actor, keyring, new_token, now, project};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// `foo-*` allows every scope that begins with `foo-`. `foo:*` and `*` are ordinary scopes.
struct Dashes;

impl ScopeMatcher for Dashes {
    fn name(&self) -> &'static str {
        "dashes"
    }

    fn allows(&self, granted: &str, needed: &str) -> bool {
        let stem = granted.strip_suffix('*').filter(|stem| stem.ends_with('-'));
        stem.is_some_and(|stem| needed.starts_with(stem))
    }

    fn covers(&self, granted: &str, other: &str) -> bool {
        self.allows(granted, other)
    }
}

/// Allows what [`Dashes`] allows, but covers every scope.
struct CoversAll;

impl ScopeMatcher for CoversAll {
    fn name(&self) -> &'static str {
        "covers all"
    }

    fn allows(&self, granted: &str, needed: &str) -> bool {
        // `deputy` allows `head`, which allows `vault`. So `allows` is not transitive.
        Dashes.allows(granted, needed) || matches!((granted, needed), ("deputy", "head") | ("head", "vault"))
    }

    fn covers(&self, _: &str, _: &str) -> bool {
        true
    }
}

type Service = Tokens<MemoryStore>;

fn service(policy: Policy) -> Service {
    Tokens::new(keyring(), MemoryStore::new()).with_clock(FixedClock::new(now())).with_policy(policy.with_max_depth(2))
}

fn with_dashes() -> Service {
    service(Policy::default().with_scope_matcher(&Dashes))
}

fn scope(text: &str) -> Scope {
    Scope::new(text).unwrap()
}

fn set(text: &str) -> ScopeSet {
    ScopeSet::new(text).unwrap()
}

type Token = Issued<std::sync::Arc<TokenRecord>>;

async fn issue(tokens: &Service, scopes: &str) -> Token {
    tokens.issue(&actor(), new_token().with_scopes(set(scopes))).await.unwrap()
}

async fn issue_within(tokens: &Service, by: &keyfob::Delegation, scopes: &str) -> Result<Token, ErrorKind> {
    let new = new_token().with_scopes(set(scopes)).within(by);
    tokens.issue(&actor(), new).await.map_err(|error| error.kind())
}

async fn verified(tokens: &Service, token: &Token, needed: &[Scope]) -> Result<Verified, Option<Rejection>> {
    let project = project("145");
    let access = Access::to(&project, needed);
    tokens.verify(token.token.expose_secret(), &access).await.map_err(|error| error.rejection())
}

async fn narrow(tokens: &Service, token: &Token, scopes: &str) -> Result<(), ErrorKind> {
    let narrowing = Narrowing { scopes: Some(set(scopes)), ..Narrowing::default() };
    tokens.narrow(&actor(), &token.record.key(), narrowing).await.map(drop).map_err(|error| error.kind())
}

const OUTSIDE: ErrorKind = ErrorKind::OutsideIssuer(OutsideIssuer::Scopes);

#[tokio::test]
async fn verifications_use_the_matcher() {
    let tokens = with_dashes();
    let token = issue(&tokens, "repo-* team:* *").await;
    let project = project("145");
    let plain = verified(&tokens, &token, &[]).await.unwrap();
    for (needed, allowed) in [("repo-read", true), ("team:read", false), ("user", false), ("team:*", true), ("*", true)]
    {
        let needed = [scope(needed)];
        let rejection = (!allowed).then_some(Some(Rejection::Scope));
        assert_eq!(verified(&tokens, &token, &needed).await.err(), rejection, "{needed:?}");
        let access = Access::to(&project, &needed);
        let again = tokens.recheck(&plain, &access).await;
        assert_eq!(again.err().map(|error| error.rejection()), rejection, "{needed:?}");
        let explained = tokens.explain(token.token.expose_secret(), &access).await.unwrap();
        assert_eq!(explained.fails.is_empty(), allowed, "{needed:?}");
        let ring = keyring();
        let presented = PresentedToken::parse(token.token.expose_secret(), &ring).unwrap();
        let chain = Chain::from(tokens.store().find(&presented.key()).await.unwrap());
        let checked = check(&presented, chain, &access, tokens.policy(), now());
        assert_eq!(checked.is_ok(), allowed, "{needed:?}");
        assert_eq!(plain.allows(&needed[0]), allowed, "{needed:?}");
        assert_eq!(plain.delegate(&needed[0]).is_ok(), allowed, "{needed:?}");
        assert_eq!(tokens.policy().allows_scope(&plain.view().scopes, &needed[0]), allowed, "{needed:?}");
        // The default wildcards give another result for each wildcard.
        let default = check(
            &presented,
            tokens.store().find(&presented.key()).await.unwrap().into(),
            &access,
            &Policy::default(),
            now(),
        );
        assert!(default.is_ok(), "{needed:?}");
    }
}

#[tokio::test]
async fn issued_tokens_stay_within_the_issuer_by_the_matcher() {
    let tokens = with_dashes();
    let issuer = issue(&tokens, "repo-* tokens-* team:*").await;
    let by = verified(&tokens, &issuer, &[]).await.unwrap().delegate(&scope("tokens-manage")).unwrap();
    for scopes in ["repo-read", "repo-private-*", "repo-*", "team:*", ""] {
        assert!(issue_within(&tokens, &by, scopes).await.is_ok(), "{scopes}");
    }
    for scopes in ["team:read", "repo", "user", "*", "repo-read user"] {
        assert_eq!(issue_within(&tokens, &by, scopes).await.err(), Some(OUTSIDE), "{scopes}");
    }
    let manages = Some(ErrorKind::OutsideIssuer(OutsideIssuer::Manage));
    for scopes in ["tokens-*", "tokens-manage", "tokens-man-*"] {
        let expected = manages.filter(|_| scopes != "tokens-man-*");
        assert_eq!(issue_within(&tokens, &by, scopes).await.err(), expected, "{scopes}");
        assert!(issue_within(&tokens, &by.clone().allow_manage(), scopes).await.is_ok(), "{scopes}");
    }
    let ada = OwnerId::new("ada").unwrap();
    let of_ada = tokens.of(&ada, &project("145"));
    let by = of_ada.delegation(&issuer.record.id, &scope("tokens-manage")).await.unwrap();
    assert!(issue_within(&tokens, &by, "repo-read").await.is_ok());
    assert_eq!(issue_within(&tokens, &by, "team:read").await.err(), Some(OUTSIDE));
    assert_eq!(issue_within(&tokens, &by, "tokens-*").await.err(), manages);
}

#[tokio::test]
async fn narrowing_and_rotation_use_the_matcher() {
    let tokens = with_dashes();
    let issuer = issue(&tokens, "repo-* tokens-* team:*").await;
    let by = verified(&tokens, &issuer, &[]).await.unwrap().delegate(&scope("tokens-manage")).unwrap();
    let child = issue_within(&tokens, &by, "repo-write").await.unwrap();
    assert_eq!(narrow(&tokens, &issuer, "team:read").await, Err(ErrorKind::Wider));
    assert_eq!(narrow(&tokens, &issuer, "repo-* tokens-* *").await, Err(ErrorKind::Wider));
    assert_eq!(narrow(&tokens, &issuer, "repo-private-* repo-write tokens-manage").await, Ok(()));
    let rotated = |by: &keyfob::Delegation| {
        let rotation = Rotation::with_grace(DAY).within(by);
        let key = child.record.key();
        let tokens = &tokens;
        async move { tokens.rotate(&actor(), &key, rotation).await.map(drop).map_err(|error| error.kind()) }
    };
    assert_eq!(rotated(&by).await, Ok(()));
    // After this change, the issuer covers the scopes of the child no longer.
    let issuer = issue(&tokens, "repo-* tokens-*").await;
    let by = verified(&tokens, &issuer, &[]).await.unwrap().delegate(&scope("tokens-manage")).unwrap();
    let child = issue_within(&tokens, &by, "repo-a-*").await.unwrap();
    assert_eq!(narrow(&tokens, &issuer, "repo-a-b-* tokens-*").await, Ok(()));
    let rotation = Rotation::with_grace(DAY).within(&by);
    let refused = tokens.rotate(&actor(), &child.record.key(), rotation).await.map(drop);
    assert_eq!(refused.map_err(|error| error.kind()), Err(OUTSIDE));
    assert_eq!(narrow(&tokens, &issuer, "repo-a-b-*").await, Ok(()));
    let refused = issue_within(&tokens, &by, "repo-a-b-c").await.err();
    assert_eq!(refused, Some(ErrorKind::IssuerEnded(Rejection::Scope)), "it may no longer issue tokens");
}

#[tokio::test]
async fn the_limits_of_a_chain_use_the_matcher() {
    let tokens = with_dashes();
    let issuer = issue(&tokens, "repo-* tokens-* team:*").await;
    let by = verified(&tokens, &issuer, &[]).await.unwrap().delegate(&scope("tokens-manage")).unwrap();
    let child = issue_within(&tokens, &by, "repo-* team:*").await.unwrap();
    assert_eq!(verified(&tokens, &child, &[]).await.unwrap().scopes().as_str(), "repo-* team:*");
    assert_eq!(narrow(&tokens, &issuer, "repo-read repo-x-* tokens-*").await, Ok(()));
    let narrowed = verified(&tokens, &child, &[]).await.unwrap();
    assert_eq!(narrowed.scopes().as_str(), "repo-read repo-x-*");
    for (needed, allowed) in [("repo-read", true), ("repo-x-y", true), ("repo-write", false), ("team:*", false)] {
        assert_eq!(narrowed.allows(&scope(needed)), allowed, "{needed}");
        let rejection = (!allowed).then_some(Some(Rejection::Scope));
        assert_eq!(verified(&tokens, &child, &[scope(needed)]).await.err(), rejection, "{needed}");
    }
}

#[tokio::test]
async fn a_wrong_covers_gives_no_right_to_a_bound_token() {
    let tokens = service(Policy::default().with_scope_matcher(&CoversAll));
    let issuer = issue(&tokens, "deputy tokens-*").await;
    let by = verified(&tokens, &issuer, &[]).await.unwrap().delegate(&scope("tokens-manage")).unwrap();
    // A scope that the issuer does not allow is refused, although the matcher covers it.
    assert_eq!(issue_within(&tokens, &by, "vault").await.err(), Some(OUTSIDE));
    assert_eq!(narrow(&tokens, &issuer, "vault").await, Err(ErrorKind::Wider));
    // The child gets a scope that allows more than its issuer does, and still may do no more.
    let child = issue_within(&tokens, &by, "head").await.unwrap();
    assert!(verified(&tokens, &child, &[scope("head")]).await.is_ok());
    assert_eq!(verified(&tokens, &child, &[scope("vault")]).await.err(), Some(Some(Rejection::Scope)));
}

#[cfg(feature = "serde")]
#[tokio::test]
async fn a_policy_that_lacks_its_matcher_grants_no_scope() {
    let written = serde_json::to_string(&Policy::default().with_scope_matcher(&Dashes)).unwrap();
    let read: Policy = serde_json::from_str(&written).unwrap();
    let tokens = service(read.clone());
    let token = issue(&tokens, "repo-* * repo-read").await;
    let plain = verified(&tokens, &token, &[]).await.unwrap();
    for needed in ["repo-read", "repo-*", "*", "user"] {
        assert_eq!(verified(&tokens, &token, &[scope(needed)]).await.err(), Some(Some(Rejection::Scope)), "{needed}");
        assert!(!plain.allows(&scope(needed)) && plain.delegate(&scope(needed)).is_err(), "{needed}");
        assert_eq!(narrow(&tokens, &token, needed).await, Err(ErrorKind::Wider), "{needed}");
    }
    // What concerns no scope still works.
    let earlier = Narrowing { expires_at: now().checked_add(DAY), ..Narrowing::default() };
    assert!(tokens.narrow(&actor(), &token.record.key(), earlier).await.is_ok());
    let tokens = tokens.with_policy(read.with_scope_matcher(&Dashes));
    assert!(verified(&tokens, &token, &[scope("repo-write")]).await.is_ok());
}
