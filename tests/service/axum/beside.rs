//! Guards beside another authentication: which requests they pass on to it, and which they judge.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get as on_get;
use axum::{Router, http};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyfob::access::OwnProject;
use keyfob::axum::{Axum, Guard};
use keyfob::http::{Caller, CredentialPlaces, Refusal, RouteGuard};
use keyfob::record::RevocationReason;
use keyfob::{MemoryStore, Tokens};

use crate::axum::world::{Answer, HOUR, Made, World, bearer, get, in_project, own_project, request, send};
use crate::support::old_tokens::{old_text, shape};
use crate::support::{actor, keyring, new_token, project, with_checksum};

const SESSION: (&str, &str) = ("cookie", "session=grace");

/// Returns the user of the other authentication: of the session cookie, or of a foreign
/// `Authorization`.
fn other_user(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    let (cookies, authorizations): (Vec<_>, Vec<_>) = (text(header::COOKIE), text(header::AUTHORIZATION));
    if cookies.iter().flat_map(|cookies| cookies.split("; ")).any(|cookie| cookie == "session=grace") {
        return Some("grace by session".into());
    }
    let signed = authorizations.iter().any(|value| value.starts_with("Bearer eyJ"));
    signed.then(|| "grace by signature".into())
}

/// Handles callers of both kinds.
async fn user(caller: Caller, headers: HeaderMap) -> Result<String, Refusal> {
    match caller {
        Caller::Token(token) => Ok(format!("{} by token", token.owner())),
        Caller::Other(other) => other_user(&headers).ok_or_else(|| other.refusal()),
    }
}

async fn user_of_own(caller: Caller<OwnProject>, headers: HeaderMap) -> Result<String, Refusal> {
    match caller {
        Caller::Token(token) => Ok(format!("{} by token", token.owner())),
        Caller::Other(other) => other_user(&headers).ok_or_else(|| other.refusal()),
    }
}

fn in_145(guard: &Guard) -> RouteGuard<Axum> {
    guard.project(project("145"), "repo:read").unwrap()
}

/// Returns an app with one route, `/`, for tokens and sessions.
fn beside(guard: &Guard) -> Router {
    Router::new().route("/", on_get(user).layer(in_145(guard).or_other()))
}

/// Returns places with a scheme, a bare token and a header, besides the default places.
fn places() -> CredentialPlaces {
    CredentialPlaces::new().with_scheme("token").unwrap().with_bare_token().with_header("x-api-key").unwrap()
}

/// Returns a guard that reads the token from each kind of place. One is a function that reads the
/// query.
fn everywhere(guard: &Guard) -> Guard {
    guard.clone().with_places(places()).with_credential(|parts| parts.uri.query()?.strip_prefix("token="))
}

fn basic(pair: &[u8]) -> Vec<u8> {
    format!("Basic {}", STANDARD.encode(pair)).into_bytes()
}

/// Returns every way to send a text as a credential: a name, and the header with its value.
fn ways(text: &[u8]) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let after = |before: &[u8]| [before, text].concat();
    vec![
        ("Bearer", "authorization", after(b"Bearer ")),
        ("bearer", "authorization", after(b"bearer \t ")),
        ("a quoted header", "authorization", [b"\"Bearer ", text, b"\""].concat()),
        ("a no-break space", "authorization", after("Bearer\u{a0}".as_bytes())),
        ("token", "authorization", after(b"Token ")),
        ("bare", "authorization", text.to_vec()),
        ("bare with a quote", "authorization", after(b"' ")),
        ("a header", "x-api-key", text.to_vec()),
        ("user name", "authorization", basic(&[text, b":x"].concat())),
        ("password", "authorization", basic(&after(b"ada:"))),
        ("no colon", "authorization", basic(text)),
        ("cut base64", "authorization", {
            let mut value = basic(&[text, b":x"].concat());
            while value.last() == Some(&b'=') {
                value.pop();
            }
            // A length of 4n + 1 is the length of no base64 text.
            while (value.len() - "Basic ".len()) % 4 != 1 {
                value.pop();
            }
            value
        }),
    ]
}

/// Sends a request with the header, and with the cookie of a good session.
async fn with_session(app: &Router, path: &str, name: &str, value: &[u8]) -> Answer {
    let mut request = request(Method::GET, path, &[SESSION]);
    let name = http::HeaderName::try_from(name).unwrap();
    request.headers_mut().append(name, HeaderValue::from_bytes(value).unwrap());
    send(app, request).await
}

#[tokio::test]
async fn a_token_wins_over_a_session_and_neither_is_refused() {
    let world = World::new();
    let (app, made) = (beside(&world.guard), world.usual().await);
    let bearer = bearer(&made);
    let token = ("authorization", bearer.as_str());
    get(&app, "/", &[token]).await.passed("ada by token");
    get(&app, "/", &[SESSION]).await.passed("grace by session");
    get(&app, "/", &[token, SESSION]).await.passed("ada by token");
    let neither = get(&app, "/", &[]).await;
    neither.refused(401, "missing_token");
    assert_eq!(neither.challenge(), Some(r#"Bearer realm="acme", scope="repo:read""#));
}

/// A request with a bad token gets the refusal of the token, and not the rights of its session.
#[tokio::test]
async fn a_bad_token_never_becomes_a_session() {
    let world = World::new();
    let app = beside(&world.guard);
    let refused = async |made: &Made, status, reason: &str| {
        with_session(&app, "/", "authorization", bearer(made).as_bytes()).await.refused(status, reason);
    };
    refused(&world.issue(new_token()).await, 403, "insufficient_scope").await;
    let elsewhere = keyfob::NewToken::new(project("146"), "ada".parse().unwrap(), "CI".parse().unwrap());
    refused(&world.issue(elsewhere).await, 403, "wrong_project").await;
    let revoked = world.usual().await;
    world.tokens.revoke(&actor(), &revoked.record.key(), RevocationReason::KeyCompromise).await.unwrap();
    refused(&revoked, 401, "revoked").await;
    let disabled = world.usual().await;
    world.tokens.disable(&actor(), &disabled.record.key()).await.unwrap();
    refused(&disabled, 401, "disabled").await;
    let expired = world.usual().await;
    world.clock.advance(HOUR);
    refused(&expired, 401, "expired").await;
}

/// The text that begins with the prefix may be cut, forged, too long, or contain bytes that no
/// token contains. It is never passed on, in no place.
#[tokio::test]
async fn a_malformed_token_is_passed_on_in_no_place() {
    let world = World::new();
    let (app, made) = (beside(&everywhere(&world.guard)), world.usual().await);
    let good = made.token.expose_secret();
    let texts: Vec<Vec<u8>> = vec![
        b"acme_pat_".to_vec(),
        b"acme_pat_145".to_vec(),
        good.as_bytes()[..good.len() - 1].to_vec(),
        with_checksum(&good.replace("_145_", "_146_")).into_bytes(),
        format!("{good} {good}").into_bytes(),
        format!("{good},{good}").into_bytes(),
        good.replace("_145_", "_145 _").into_bytes(),
        good.replace("_145_", "_1\u{e9}5_").into_bytes(),
        [good.as_bytes(), b"\xff\x80"].concat(),
        format!("acme_pat_{}", "a".repeat(5000)).into_bytes(),
        format!("acme_pat_{}", "a".repeat(9000)).into_bytes(),
    ];
    for text in &texts {
        let shown = String::from_utf8_lossy(&text[..text.len().min(120)]);
        for (way, name, value) in ways(text) {
            let answer = with_session(&app, "/", name, &value).await;
            assert!(matches!(answer.status.as_u16(), 400 | 401), "{way}, {shown}: {} {}", answer.status, answer.body);
            // The other authentication does not get the text either.
            assert!(matches!(answer.reason().as_str(), "invalid_token" | "malformed_header"), "{way}, {shown}");
        }
    }
    let answer = with_session(&app, "/?token=acme_pat_145", "accept", b"*/*").await;
    answer.refused(401, "invalid_token");
    for (way, name, value) in ways(good.as_bytes()) {
        let answer = with_session(&app, "/", name, &value).await;
        match way {
            "no colon" | "cut base64" => answer.refused(400, "malformed_header"),
            _ => assert_eq!((way, answer.body.as_str()), (way, "ada by token")),
        }
    }
}

#[tokio::test]
async fn a_second_credential_is_refused() {
    let world = World::new();
    let (app, made) = (beside(&everywhere(&world.guard)), world.usual().await);
    let bearer = bearer(&made);
    let token = ("authorization", bearer.as_str());
    let foreign = ("authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln");
    let key = ("x-api-key", made.token.expose_secret());
    let both = String::from_utf8(basic(format!("{0}:{0}", made.token.expose_secret()).as_bytes())).unwrap();
    for headers in [
        &[token, token][..],
        &[token, foreign],
        &[foreign, token],
        &[foreign, foreign, token],
        &[token, key],
        &[foreign, key],
        &[key, key],
        &[("x-api-key", "other"), token],
        &[("authorization", "Bearer acme_pat_145"), foreign],
        &[("authorization", "Basic %%%"), foreign],
        &[("authorization", &both)],
    ] {
        let headers = [headers, &[SESSION]].concat();
        get(&app, "/", &headers).await.refused(400, "repeated_token");
    }
    let query = format!("/?token={}", made.token.expose_secret());
    get(&app, &query, &[SESSION]).await.passed("ada by token");
    get(&app, &query, &[foreign, SESSION]).await.refused(400, "repeated_token");
    // Two foreign values are not this guard's concern.
    get(&app, "/", &[foreign, foreign]).await.passed("grace by signature");
    get(&app, "/", &[foreign, ("x-api-key", "other"), SESSION]).await.passed("grace by session");
}

#[tokio::test]
async fn what_is_no_credential_is_passed_on() {
    let world = World::new();
    let (app, made) = (beside(&world.guard), world.usual().await);
    let text = made.token.expose_secret();
    let (upper, pair) = (format!("Bearer {}", text.to_uppercase()), format!("grace:{}", "p".repeat(40)));
    let pair = String::from_utf8(basic(pair.as_bytes())).unwrap();
    for value in [
        "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
        "Digest username=\"grace\"",
        &pair,
        &upper,
        "Bearer",
        "Bearer acme_pat",
        "x",
    ] {
        get(&app, "/", &[("authorization", value), SESSION]).await.passed("grace by session");
    }
    let signed = ("authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln");
    get(&app, "/", &[signed]).await.passed("grace by signature");
    // Neither authentication accepts these.
    get(&app, "/", &[("authorization", "Digest x")]).await.refused(401, "wrong_scheme");
    get(&app, "/", &[("authorization", &pair)]).await.refused(401, "invalid_token");
    get(&app, "/", &[("authorization", &upper)]).await.refused(401, "invalid_token");
    get(&app, "/", &[("authorization", "Bearer")]).await.refused(400, "malformed_header");
    // A cookie and a header that is no place of the guard hold no credential.
    let cookie = format!("token={text}; session=grace");
    get(&app, "/", &[("cookie", &cookie)]).await.passed("grace by session");
    get(&app, "/", &[("cookie", text)]).await.refused(401, "missing_token");
    get(&app, "/", &[("x-api-key", text), SESSION]).await.passed("grace by session");
}

#[tokio::test]
async fn imported_tokens_are_judged_and_not_passed_on() {
    let tokens = Tokens::new(keyring(), MemoryStore::new()).with_imports([shape()]);
    let app = beside(&everywhere(&Guard::new(tokens)));
    let unknown = old_text(7);
    for (way, name, value) in ways(unknown.as_bytes()) {
        let answer = with_session(&app, "/", name, &value).await;
        assert!(matches!(answer.status.as_u16(), 400 | 401), "{way}: {} {}", answer.status, answer.body);
    }
    // A text without the shape is not a credential.
    let answer = with_session(&app, "/", "authorization", format!("Bearer {unknown}!").as_bytes()).await;
    answer.passed("grace by session");
}

#[tokio::test]
async fn a_handler_for_tokens_only_refuses_a_session() {
    let world = World::new();
    let (route, made) = (in_145(&world.guard).or_other(), world.usual().await);
    let app = Router::new().route("/", on_get(in_project).layer(route));
    let authorization = bearer(&made);
    get(&app, "/", &[("authorization", &authorization), SESSION]).await.passed("ada in 145");
    let session = get(&app, "/", &[SESSION]).await;
    session.refused(401, "missing_token");
    assert_eq!(session.challenge(), Some(r#"Bearer realm="acme", scope="repo:read""#));
    get(&app, "/", &[("authorization", "Digest x")]).await.refused(401, "wrong_scheme");
}

#[tokio::test]
async fn a_route_without_a_guard_accepts_neither_tokens_nor_sessions() {
    let world = World::new();
    let made = world.usual().await;
    let app = Router::new()
        .route("/none", on_get(user))
        .route("/other", on_get(user_of_own).layer(in_145(&world.guard).or_other()));
    let authorization = bearer(&made);
    for path in ["/none", "/other"] {
        for headers in [&[][..], &[SESSION], &[("authorization", authorization.as_str()), SESSION]] {
            get(&app, path, headers).await.refused(500, "unguarded");
        }
    }
}

#[tokio::test]
async fn the_strictest_of_nested_guards_decides() {
    let world = World::new();
    let made = world.usual().await;
    let (strict, passes) = (|| in_145(&world.guard), || in_145(&world.guard).or_other());
    let app = Router::new()
        .route("/strict/passes", on_get(user).route_layer(passes()).layer(strict()))
        .route("/passes/strict", on_get(user).route_layer(strict()).layer(passes()))
        .route("/passes/passes", on_get(user).route_layer(passes()).layer(passes()));
    let authorization = bearer(&made);
    for path in ["/strict/passes", "/passes/strict"] {
        get(&app, path, &[("authorization", &authorization), SESSION]).await.passed("ada by token");
        get(&app, path, &[SESSION]).await.refused(401, "missing_token");
    }
    get(&app, "/passes/passes", &[SESSION]).await.passed("grace by session");
    get(&app, "/passes/passes", &[("authorization", &authorization), SESSION]).await.passed("ada by token");
}

/// If nested guards read different places, one may verify a token that the other does not see. The
/// request then has a token, so it is not left to the session.
#[tokio::test]
async fn a_token_that_only_one_of_nested_guards_reads_is_not_left_to_a_session() {
    let world = World::new();
    let made = world.usual().await;
    let wide = world.guard.clone().with_places(places());
    let narrow = &world.guard;
    let app = Router::new()
        .route("/a", on_get(user).route_layer(in_145(narrow).or_other()).layer(in_145(&wide)))
        .route("/b", on_get(user).route_layer(in_145(narrow).or_other()).layer(in_145(&wide).or_other()))
        .route("/c", on_get(user).route_layer(in_145(narrow).or_other()).layer(wide.own_project("").unwrap()))
        .route("/d", on_get(user_of_own).route_layer(in_145(&wide)).layer(narrow.own_project("").unwrap().or_other()));
    let key = ("x-api-key", made.token.expose_secret());
    for path in ["/a", "/b", "/c"] {
        get(&app, path, &[key, SESSION]).await.refused(401, "missing_token");
    }
    // The outer guard has passed the request on, so a layer between the two may have accepted the
    // session.
    get(&app, "/d", &[key, SESSION]).await.refused(400, "repeated_token");
    let authorization = bearer(&made);
    for path in ["/a", "/b", "/c"] {
        get(&app, path, &[("authorization", &authorization), SESSION]).await.passed("ada by token");
    }
}

/// Two guards that read different headers must not verify two tokens of one request: a handler
/// would act for one owner, and a layer between the guards for another.
#[tokio::test]
async fn nested_guards_accept_only_one_token() {
    let world = World::new();
    let bob = keyfob::NewToken::new(project("145"), "bob".parse().unwrap(), "CI".parse().unwrap());
    let (ada, bob) = (world.issue(new_token()).await, world.issue(bob).await);
    let reads = |header| {
        let places = CredentialPlaces::new().with_header(header).unwrap();
        world.guard.clone().with_places(places).project(project("145"), "").unwrap()
    };
    let own = world.guard.clone().with_places(CredentialPlaces::new().with_header("x-outer").unwrap());
    let app = Router::new()
        .route("/", on_get(in_project).route_layer(reads("x-inner")).layer(reads("x-outer")))
        .route("/own", on_get(in_project).route_layer(reads("x-inner")).layer(own.own_project("").unwrap()))
        .route("/three", on_get(own_project).route_layer(own.own_project("").unwrap()).layer(reads("x-outer")));
    let (ada, bob) = (ada.token.expose_secret(), bob.token.expose_secret());
    for path in ["/", "/own"] {
        get(&app, path, &[("x-outer", ada), ("x-inner", ada)]).await.passed("ada in 145");
        get(&app, path, &[("x-outer", ada), ("x-inner", bob)]).await.refused(400, "repeated_token");
    }
    get(&app, "/three", &[("x-outer", ada)]).await.passed("ada of 145");
}

/// A layer between the guard and the handler sees the same caller as the handler.
#[tokio::test]
async fn a_middleware_beside_sessions_receives_the_caller_too() {
    async fn note(caller: Caller, request: Request<Body>, next: Next) -> Response {
        let kind = match &caller {
            Caller::Token(token) => format!("token of {}", token.owner()),
            Caller::Other(_) => "other".into(),
        };
        let mut response = next.run(request).await;
        response.headers_mut().insert("x-caller", kind.parse().unwrap());
        response
    }
    let world = World::new();
    let made = world.usual().await;
    let route = in_145(&world.guard).or_other();
    let app = Router::new().route("/", on_get(user).route_layer(from_fn(note)).layer(route));
    let authorization = bearer(&made);
    let kind = async |headers: &[(&str, &str)]| get(&app, "/", headers).await.headers["x-caller"].clone();
    assert_eq!(kind(&[("authorization", &authorization), SESSION]).await, "token of ada");
    assert_eq!(kind(&[SESSION]).await, "other");
}

/// Neither the caller nor its refusal shows the foreign credential.
#[tokio::test]
async fn another_caller_shows_no_credential() {
    async fn show(caller: Caller) -> String {
        format!("{caller:?}")
    }
    let world = World::new();
    let app = Router::new().route("/", on_get(show).layer(in_145(&world.guard).or_other()));
    let foreign = ("authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln");
    get(&app, "/", &[foreign]).await.passed("Other(OtherCaller(\"invalid_token\"))");
    get(&app, "/", &[]).await.passed("Other(OtherCaller(\"missing_token\"))");
}
