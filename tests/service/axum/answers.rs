//! The responses of guarded routes: which requests the guard refuses, and what its responses
//! contain.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get as on_get;
use base64::Engine;
use keyfob::{
    Keyring, MemoryStore, Policy, Rejection, TokenKey, TokenRecord, TokenStore, Tokens,
    axum::Guard,
    clock::FixedClock,
    error::HeaderError,
    http::{Authenticated, Caller, CredentialPlaces, Refusal},
    mint,
    owners::OwnerState,
    record::RevocationReason,
    rotation::Rotation,
    store::{ReadResult, StoreError, StoreErrorKind},
};
use tower::ServiceExt;

use crate::axum::world::{HOUR, MS, World, app, bearer, get, in_project, own_project, request, send, with};
use crate::support::{actor, keyring, new_token, now, prefix, project, with_checksum};

fn guarded(guard: &Guard) -> Router {
    app("/projects/{project}/repo", on_get(in_project).layer(guard.project_in_path("project", "repo:read").unwrap()))
}

const REPO: &str = "/projects/145/repo";

/// A caller that has not proven that it holds a token always gets the same response, so that the
/// response does not show which check failed.
#[tokio::test]
async fn before_proof_all_are_told_the_same() {
    let world = World::new();
    let (app, made) = (guarded(&world.guard), world.usual().await);
    let text = made.token.expose_secret();
    let unkeyed = mint(&Keyring::unkeyed(prefix()), &Policy::default(), new_token(), &actor(), now()).unwrap();
    let unknown = mint(&keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap();
    let mut said = Vec::new();
    for refused in [
        "nonsense",
        &text[..text.len() - 1],
        &text.replace("acme_pat", "acme_pet"),
        &with_checksum(&text.replace("_145_", "_146_")),
        &text.replace("_145_", "_146_"),
        unkeyed.token.expose_secret(),
        unknown.token.expose_secret(),
    ] {
        let answer = get(&app, REPO, &[("authorization", &format!("Bearer {refused}"))]).await;
        answer.refused(401, "invalid_token");
        said.push((answer.body.clone(), answer.challenge().unwrap().to_owned()));
    }
    assert!(said.iter().all(|one| *one == said[0]), "{said:?}");
    let expected =
        r#"Bearer realm="acme", error="invalid_token", error_description="the token is not valid", scope="repo:read""#;
    assert_eq!(said[0].1, expected);
    let body = r#"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"the token is not valid","reason":"invalid_token"}"#;
    assert_eq!(said[0].0, body);
}

#[tokio::test]
async fn after_proof_the_holder_is_told_what_ended_the_token() {
    let world = World::new();
    let app = guarded(&world.guard);
    let ended = async |made: &crate::axum::world::Made, status, reason: &str| {
        let answer = with(&app, REPO, made).await;
        answer.refused(status, reason);
        let error = if status == 401 { "invalid_token" } else { "insufficient_scope" };
        assert!(answer.challenge().unwrap().starts_with(&format!("Bearer realm=\"acme\", error=\"{error}\"")));
    };
    let made = world.usual().await;
    world.clock.advance(HOUR - MS);
    with(&app, REPO, &made).await.passed("ada in 145");
    world.clock.advance(MS);
    ended(&made, 401, "expired").await;

    let made = world.usual().await;
    let key = made.record.key();
    for (state, status, reason) in
        [(OwnerState::Suspended, 401, "owner_suspended"), (OwnerState::OutsideProject, 403, "owner_outside_project")]
    {
        *world.directory.0.lock().unwrap() = state;
        ended(&made, status, reason).await;
    }
    *world.directory.0.lock().unwrap() = OwnerState::Active;
    world.tokens.disable(&actor(), &key).await.unwrap();
    ended(&made, 401, "disabled").await;
    world.tokens.enable(&actor(), &key).await.unwrap();
    with(&app, REPO, &made).await.passed("ada in 145");
    world.tokens.rotate(&actor(), &key, Rotation::with_grace(MS)).await.unwrap();
    world.clock.advance(MS);
    ended(&made, 401, "rotated").await;
    world.tokens.revoke(&actor(), &key, RevocationReason::KeyCompromise).await.unwrap();
    ended(&made, 401, "revoked").await;
    let waits = world.issue(new_token().with_confirm_within(HOUR)).await;
    ended(&waits, 401, "pending").await;
    world.clock.advance(HOUR);
    ended(&waits, 401, "lapsed").await;
}

#[tokio::test]
async fn only_the_missing_scope_is_named() {
    let world = World::new();
    let layer = world.guard.project_in_path("project", "repo:write repo:read").unwrap();
    let app = app("/projects/{project}/repo", on_get(in_project).layer(layer));
    let made = world.usual().await;
    let answer = with(&app, REPO, &made).await;
    answer.refused(403, "insufficient_scope");
    assert!(answer.challenge().unwrap().ends_with(r#", scope="repo:write repo:read""#), "{:?}", answer.challenge());
    let answer = with(&app, "/projects/146/repo", &made).await;
    answer.refused(403, "wrong_project");
    assert!(!answer.challenge().unwrap().contains("scope=\"repo"));
}

#[tokio::test]
async fn credentials_are_read_from_the_headers() {
    let world = World::new();
    let (app, made) = (guarded(&world.guard), world.usual().await);
    let text = made.token.expose_secret();
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{text}:x"));
    let (bearer, basic) = (bearer(&made), format!("basic {basic}"));
    get(&app, REPO, &[("authorization", &basic)]).await.passed("ada in 145");
    let nothing = get(&app, REPO, &[]).await;
    nothing.refused(401, "missing_token");
    assert_eq!(nothing.challenge(), Some(r#"Bearer realm="acme", scope="repo:read""#));
    get(&app, REPO, &[("authorization", "Digest x")]).await.refused(401, "wrong_scheme");
    let twice = get(&app, REPO, &[("authorization", &bearer), ("authorization", &bearer)]).await;
    twice.refused(400, "repeated_token");
    assert!(twice.challenge().unwrap().contains("error=\"invalid_request\""));
    get(&app, REPO, &[("authorization", "Bearer")]).await.refused(400, "malformed_header");
    // The guard does not accept API keys in this header, so it ignores the header.
    get(&app, REPO, &[("x-api-key", text)]).await.refused(401, "missing_token");
    get(&app, REPO, &[("authorization", &bearer), ("x-api-key", "x")]).await.passed("ada in 145");

    let app = guarded(&world.guard.clone().with_places(CredentialPlaces::new().with_header("x-api-key").unwrap()));
    get(&app, REPO, &[("x-api-key", text)]).await.passed("ada in 145");
    get(&app, REPO, &[("authorization", &bearer)]).await.passed("ada in 145");
    get(&app, REPO, &[("x-api-key", text), ("x-api-key", text)]).await.refused(400, "repeated_token");
    get(&app, REPO, &[("authorization", &bearer), ("x-api-key", "x")]).await.refused(400, "repeated_token");
    get(&app, REPO, &[]).await.refused(401, "missing_token");
}

#[tokio::test]
async fn the_realm_is_the_prefix_until_it_is_named() {
    let tokens = Tokens::new(keyring(), MemoryStore::new());
    let answer = get(&guarded(&Guard::new(tokens)), REPO, &[]).await;
    assert_eq!(answer.challenge(), Some(r#"Bearer realm="acme_pat", scope="repo:read""#));
}

#[tokio::test]
async fn every_method_needs_a_token() {
    let world = World::new();
    let (app, made) = (guarded(&world.guard), world.usual().await);
    let authorization = bearer(&made);
    for (method, status) in [
        (Method::GET, 200),
        (Method::HEAD, 200),
        (Method::OPTIONS, 405),
        (Method::POST, 405),
        (Method::from_bytes(b"BREW").unwrap(), 405),
    ] {
        let answer = send(&app, request(method.clone(), REPO, &[])).await;
        assert_eq!(answer.status, 401, "{method}");
        let answer = send(&app, request(method.clone(), REPO, &[("authorization", &authorization)])).await;
        assert_eq!(answer.status, status, "{method}");
    }
}

#[tokio::test]
async fn a_route_without_its_guard_lets_nobody_pass() {
    let world = World::new();
    let made = world.usual().await;
    let in_own = world.guard.own_project("").unwrap();
    let in_145 = world.guard.project(project("145"), "").unwrap();
    let app = Router::new()
        .route("/none", on_get(in_project))
        .route("/none/own", on_get(own_project))
        .route("/other", on_get(in_project).layer(in_own.clone()))
        .route("/other/own", on_get(own_project).layer(in_145.clone()))
        .route("/both", on_get(in_project).route_layer(in_own).layer(in_145));
    for path in ["/none", "/none/own", "/other", "/other/own"] {
        with(&app, path, &made).await.refused(500, "unguarded");
    }
    with(&app, "/both", &made).await.passed("ada in 145");
}

/// A store whose look-ups fail as if its database were down.
struct Away {
    store: MemoryStore,
}

impl TokenStore for Away {
    async fn find(&self, _: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        Err(StoreError::with_source(StoreErrorKind::Unavailable, "connection refused"))
    }

    async fn find_recent(&self, key: &TokenKey) -> Result<ReadResult, StoreError> {
        self.find(key).await.map(ReadResult::now)
    }

    handed_on!(store: insert, list, count, update, revoke, revoke_owner, revoke_family, revoke_issued_by, revoke_batch, rotate, touch_many);
}

async fn keep_the_cause(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let cause = response.extensions().get::<Refusal>().and_then(Refusal::cause);
    let cause = cause.map(|cause| cause.source().map(|source| format!("{:?}", source)).unwrap_or_default());
    if let Some(cause) = cause {
        response.headers_mut().insert("x-cause", cause.parse().unwrap());
    }
    response
}

#[tokio::test]
async fn a_store_that_fails_is_a_503_without_a_challenge_and_the_host_can_log_why() {
    let tokens = Tokens::new(keyring(), Away { store: MemoryStore::new() }).with_clock(FixedClock::new(now()));
    let made = tokens.issue(&actor(), new_token()).await.unwrap();
    let app = guarded(&Guard::new(tokens)).layer(from_fn(keep_the_cause));
    let answer = with(&app, REPO, &made).await;
    answer.refused(503, "unavailable");
    assert_eq!(answer.challenge(), None);
    assert!(!answer.body.contains("connection"));
    assert!(answer.headers["x-cause"].to_str().unwrap().contains("connection refused"));
    let unproved = get(&app, REPO, &[("authorization", "Bearer x")]).await;
    unproved.refused(401, "invalid_token");
    assert!(get(&app, REPO, &[]).await.headers.get("x-cause").is_none());
}

#[tokio::test]
async fn a_host_refuses_requests_in_the_same_format() {
    let world = World::new();
    let made = world.usual().await;
    async fn mine(caller: Authenticated) -> Result<(), Refusal> {
        let detail = format!("{} has no \"note\"", caller.owner());
        Err(Refusal::new(StatusCode::NOT_FOUND, "no_note", detail))
    }
    async fn more(caller: Authenticated) -> Result<(), Refusal> {
        Err(caller.refuse(Rejection::Scope))
    }
    let guard = world.guard.project(project("145"), "").unwrap();
    let app = Router::new().route("/mine", on_get(mine)).route("/more", on_get(more)).route_layer(guard);
    let answer = with(&app, "/mine", &made).await;
    answer.refused(404, "no_note");
    assert!(answer.body.contains(r#""detail":"ada has no \"note\"""#), "{}", answer.body);
    let answer = with(&app, "/more", &made).await;
    answer.refused(403, "insufficient_scope");
    assert!(answer.challenge().unwrap().starts_with("Bearer realm=\"acme\", error=\"insufficient_scope\""));

    let refusal = Refusal::challenge(HeaderError::Missing, "r\u{e9}a\"lm\n");
    assert_eq!((refusal.status(), refusal.reason()), (401, "missing_token"));
    assert_eq!(refusal.to_string(), refusal.detail());
    assert!(refusal.cause().is_none() && refusal.source().is_none());
}

/// The guard wraps a tower service. It does not call this service for a refused request, and it
/// does not change the service's error type.
#[tokio::test]
async fn a_plain_tower_service_is_guarded() {
    use axum::body::Body;
    use axum::http::{Request, Response};
    use tower::Layer;

    let world = World::new();
    let made = world.usual().await;
    let inner = tower::service_fn(|request: Request<String>| async move {
        let Some(Caller::Token(caller)) = request.extensions().get::<Caller>() else { panic!("not guarded") };
        Ok::<_, Infallible>(Response::new(Body::from(format!("{} by {}", request.body(), caller.owner()))))
    });
    let request = |token: bool| {
        let builder = Request::builder().uri(REPO);
        let builder = if token { builder.header("authorization", bearer(&made)) } else { builder };
        builder.body("deleted".to_owned()).unwrap()
    };
    let service = world.guard.project(project("145"), "repo:read").unwrap().layer(inner);
    let response = service.clone().oneshot(request(true)).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 99).await.unwrap();
    assert_eq!(body, "deleted by ada");
    assert_eq!(service.oneshot(request(false)).await.unwrap().status(), 401);
    // Without the router of axum, a request has no path parameters.
    let service = world.guard.project_in_path("project", "").unwrap().layer(inner);
    for token in [true, false] {
        let refused = service.clone().oneshot(request(token)).await.unwrap();
        assert_eq!(refused.status(), 500);
        assert_eq!(refused.extensions().get::<Refusal>().unwrap().reason(), "misplaced_guard");
    }
}
