//! Checks the routes on which users manage their own tokens, with axum and with actix-web.

use std::sync::Arc;

use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, web};
use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, Method, StatusCode, header};
use keyfob::http::{Member, Refusal, TokenApiRequest};
use keyfob::{Access, OwnerId, ProjectId, Rejection, ScopeSet, Timestamp};
use serde_json::{Value, json};

use crate::actix::world as actix;
use crate::axum::world::{Answer, HOUR, MS, World, request, send};
use crate::support::{new_token, project};

const LIST: &str = "/projects/145/tokens";

#[derive(serde::Deserialize)]
struct InProject {
    project: String,
}

/// Returns the member with this user name. Ada is a member of two projects, and bob of one.
fn member_of(user: Option<&str>, path: &InProject) -> Result<Member, Refusal> {
    let user = user.ok_or_else(|| Refusal::new(403_u16, "signed_out", "sign in first"))?;
    if !matches!((user, path.project.as_str()), ("ada", "145" | "146") | ("bob", "145")) {
        return Err(Refusal::new(404_u16, "not_found", "there is no such project"));
    }
    let scopes = ScopeSet::new("repo:* notes:read")?;
    Ok(Member::new(OwnerId::new(user)?, ProjectId::new(&path.project)?, scopes))
}

async fn axum_member((headers, Path(path)): (HeaderMap, Path<InProject>)) -> Result<Member, Refusal> {
    member_of(headers.get("x-user").and_then(|user| user.to_str().ok()), &path)
}

async fn actix_member((request, path): (HttpRequest, web::Path<InProject>)) -> Result<Member, Refusal> {
    member_of(request.headers().get("x-user").and_then(|user| user.to_str().ok()), &path)
}

/// The framework that serves the routes.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Through {
    Axum,
    Actix,
}

const ALL: [Through; 2] = [Through::Axum, Through::Actix];

/// A request to the routes.
struct Call<'c> {
    method: &'c str,
    path: &'c str,
    user: Option<&'c str>,
    content_type: &'c str,
    body: &'c str,
}

impl<'c> Call<'c> {
    /// Creates a request of ada.
    fn new(method: &'c str, path: &'c str) -> Self {
        Self { method, path, user: Some("ada"), content_type: "application/json", body: "" }
    }

    fn of(self, user: Option<&'c str>) -> Self {
        Self { user, ..self }
    }

    fn with(self, body: &'c str) -> Self {
        Self { body, ..self }
    }
}

impl Through {
    async fn send(self, world: &World, call: Call<'_>) -> Answer {
        let tokens = Arc::clone(&world.tokens);
        let headers: Vec<_> = call.user.map(|user| ("x-user", user)).into_iter().collect();
        let method = Method::from_bytes(call.method.as_bytes()).unwrap();
        match self {
            Self::Axum => {
                let app =
                    Router::new().nest("/projects/{project}/tokens", keyfob::axum::token_api(tokens, axum_member));
                let mut request = request(method, call.path, &headers);
                request.headers_mut().insert(header::CONTENT_TYPE, call.content_type.parse().unwrap());
                *request.body_mut() = Body::from(call.body.to_owned());
                send(&app, request).await
            }
            Self::Actix => {
                let routes = keyfob::actix::token_api(tokens, actix_member);
                let app = move |app: &mut ServiceConfig| {
                    app.service(web::scope("/projects/{project}/tokens").configure(routes.clone()));
                };
                let method = actix_web::http::Method::from_bytes(call.method.as_bytes()).unwrap();
                let content_type = ("content-type", call.content_type);
                let request = actix::request(call.path, &headers).method(method).insert_header(content_type);
                actix::send(app, request.set_payload(call.body.to_owned())).await
            }
        }
    }

    /// Issues a token, and returns the members of the answer.
    async fn issue(self, world: &World, path: &str, body: Value) -> Value {
        let answer = self.send(world, Call::new("POST", path).with(&body.to_string())).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        json_of(&answer)
    }

    async fn list(self, world: &World, user: &str, path: &str) -> Value {
        let answer = self.send(world, Call::new("GET", path).of(Some(user))).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        json_of(&answer)
    }
}

/// Returns the content of a successful answer.
#[track_caller]
fn json_of(answer: &Answer) -> Value {
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    serde_json::from_str(&answer.body).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

async fn verified(world: &World, token: &str) -> Result<String, Rejection> {
    let verified = world.tokens.verify(token, &Access::to(&project("145"), &[])).await;
    verified.map(|verified| verified.owner().to_string()).map_err(|error| error.rejection().unwrap())
}

#[tokio::test]
async fn a_token_is_shown_once_works_and_is_revoked() {
    for through in ALL {
        let world = World::new();
        let issued = through.issue(&world, LIST, json!({"name": "CI", "scopes": "repo:read"})).await;
        let token = text(&issued["token"]);
        assert_eq!(
            (&issued["name"], &issued["owner"], &issued["scopes"]),
            (&"CI".into(), &"ada".into(), &"repo:read".into())
        );
        assert_eq!((&issued["status"], &issued["project"]), (&"active".into(), &"145".into()));
        assert_eq!(verified(&world, token).await, Ok("ada".into()));

        let listed = through.list(&world, "ada", LIST).await;
        let [row] = listed["tokens"].as_array().unwrap().as_slice() else { panic!("{listed}") };
        let mut expected = issued.clone();
        expected.as_object_mut().unwrap().remove("token");
        assert_eq!((row, &listed["next"]), (&expected, &Value::Null), "{through:?}");
        let secret = token.rsplit('_').next().unwrap();
        assert!(!listed.to_string().contains(secret));

        let path = format!("{LIST}/{}", text(&issued["id"]));
        let revoked = through.send(&world, Call::new("DELETE", &path)).await;
        assert_eq!((revoked.status, revoked.body.as_str()), (StatusCode::NO_CONTENT, ""));
        assert_eq!(revoked.headers.get(header::CONTENT_TYPE), None);
        assert_eq!(verified(&world, token).await, Err(Rejection::Revoked));
        assert_eq!(through.list(&world, "ada", LIST).await["tokens"][0]["status"], "revoked");
        // A second revocation changes nothing and is no error.
        let again = through.send(&world, Call::new("DELETE", &path)).await;
        assert_eq!(again.status, StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn a_user_reaches_only_their_own_tokens_of_this_project() {
    for through in ALL {
        let world = World::new();
        let issued = through.issue(&world, LIST, json!({"name": "CI"})).await;
        let id = text(&issued["id"]);
        let own = format!("{LIST}/{id}");
        let (elsewhere, malformed) = (format!("/projects/146/tokens/{id}"), format!("{LIST}/no-id"));
        let refused = [
            (Call::new("DELETE", &own).of(Some("bob")), 404, "not_found"),
            (Call::new("DELETE", &elsewhere), 404, "not_found"),
            (Call::new("DELETE", &malformed), 404, "not_found"),
            (Call::new("GET", LIST).of(None), 403, "signed_out"),
            (Call::new("GET", "/projects/146/tokens").of(Some("bob")), 404, "not_found"),
            // A request without a session learns nothing from its body.
            (Call::new("POST", LIST).of(None).with("{"), 403, "signed_out"),
            (Call::new("DELETE", &own).of(None), 403, "signed_out"),
        ];
        for (call, status, reason) in refused {
            through.send(&world, call).await.refused(status, reason);
        }
        assert_eq!(through.list(&world, "bob", LIST).await["tokens"], json!([]));
        assert_eq!(through.list(&world, "ada", "/projects/146/tokens").await["tokens"], json!([]));
        assert_eq!(verified(&world, text(&issued["token"])).await, Ok("ada".into()));
    }
}

#[tokio::test]
async fn a_token_has_only_scopes_that_its_owner_may_give() {
    for through in ALL {
        let world = World::new();
        for scopes in ["", "repo:read", "repo:*", "notes:read", " repo:write  repo:read "] {
            through.issue(&world, LIST, json!({"name": "CI", "scopes": scopes})).await;
        }
        for scopes in ["*", "notes:write", "notes:*", "repo:read admin", "repo"] {
            let body = json!({"name": "CI", "scopes": scopes}).to_string();
            let answer = through.send(&world, Call::new("POST", LIST).with(&body)).await;
            answer.refused(422, "scopes_not_offered");
        }
        assert_eq!(through.list(&world, "ada", LIST).await["tokens"].as_array().unwrap().len(), 5);
    }
}

#[tokio::test]
async fn the_policy_decides_on_the_end_of_a_token() {
    let end = "2026-12-24T18:00:00.000Z";
    for through in ALL {
        let world = World::new();
        let issued = through.issue(&world, LIST, json!({"name": "CI", "expires_at": end})).await;
        assert_eq!(issued["expires_at"], end);
        // The default lifetime is 30 days.
        let issued = through.issue(&world, LIST, json!({"name": "CI"})).await;
        assert_eq!(text(&issued["expires_at"]).parse(), Ok(world.tokens.now().saturating_add(30 * 24 * HOUR)));

        let past = world.tokens.now().saturating_sub(MS).to_string();
        for end in [Value::Null, past.into(), Timestamp::MAX.to_string().into()] {
            let body = json!({"name": "CI", "expires_at": end}).to_string();
            through.send(&world, Call::new("POST", LIST).with(&body)).await.refused(422, "policy");
        }
    }
}

#[tokio::test]
async fn a_body_that_is_no_new_token_is_refused() {
    let long = format!(r#"{{"name":"CI","scopes":"{}"}}"#, " ".repeat(TokenApiRequest::MAX_BODY));
    let owner = r#"{"name":"CI","owner":"bob"}"#;
    let json = "application/json";
    let rows = [
        (json, "", 400, "invalid_body"),
        (json, "{", 400, "invalid_body"),
        (json, "[]", 400, "invalid_body"),
        (json, r#"["CI","",null]"#, 400, "invalid_body"),
        (json, "{}", 400, "invalid_body"),
        (json, r#"{"name":7}"#, 400, "invalid_body"),
        (json, r#"{"name":"CI","name":"CI"}"#, 400, "invalid_body"),
        (json, r#"{"name":"CI","scopes":["repo:read"]}"#, 400, "invalid_body"),
        (json, r#"{"name":"CI","expires_at":7}"#, 400, "invalid_body"),
        (json, owner, 400, "invalid_body"),
        (json, "{\"name\":\"\u{202e}\"}", 400, "invalid"),
        (json, r#"{"name":""}"#, 400, "invalid"),
        (json, r#"{"name":"CI","scopes":"é"}"#, 400, "invalid"),
        (json, r#"{"name":"CI","expires_at":"tomorrow"}"#, 400, "invalid"),
        (json, &long, 413, "body_too_long"),
        ("text/plain", r#"{"name":"CI"}"#, 415, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", "name=CI", 415, "unsupported_media_type"),
        ("application/json-seq", r#"{"name":"CI"}"#, 415, "unsupported_media_type"),
    ];
    for through in ALL {
        let world = World::new();
        for (content_type, body, status, reason) in rows {
            let call = Call { content_type, ..Call::new("POST", LIST).with(body) };
            let answer = through.send(&world, call).await;
            assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (status, reason), "{through:?} {body:.60}");
        }
        assert_eq!(through.list(&world, "ada", LIST).await["tokens"], json!([]));
        let call = Call { content_type: "Application/JSON ; charset=utf-8", ..Call::new("POST", LIST) };
        let answer = through.send(&world, call.with(r#"{"name":"CI"}"#)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    }
}

#[tokio::test]
async fn other_methods_do_nothing() {
    for through in ALL {
        let world = World::new();
        let issued = through.issue(&world, LIST, json!({"name": "CI"})).await;
        let one = format!("{LIST}/{}", text(&issued["id"]));
        for (method, path) in [("PUT", LIST), ("DELETE", LIST), ("GET", &one), ("POST", &one), ("PATCH", &one)] {
            let status = through.send(&world, Call::new(method, path)).await.status;
            assert!(matches!(status.as_u16(), 404 | 405), "{through:?} {method} {path}: {status}");
        }
        let head = through.send(&world, Call::new("HEAD", LIST)).await;
        assert_eq!(head.status, StatusCode::OK);
        assert_eq!(verified(&world, text(&issued["token"])).await, Ok("ada".into()));
    }
}

/// The frameworks refuse these requests before they are read.
#[tokio::test]
async fn a_request_without_a_framework_is_checked_too() {
    let world = World::new();
    let member = member_of(Some("ada"), &InProject { project: "145".into() }).unwrap();
    let long = format!(r#"{{"name":"CI"{}}}"#, " ".repeat(TokenApiRequest::MAX_BODY));
    let rows = [
        ("PUT", None, "", 405, "method_not_allowed"),
        ("GET", Some("0"), "", 405, "method_not_allowed"),
        ("POST", None, long.as_str(), 413, "body_too_long"),
    ];
    for (method, token_id, body, status, reason) in rows {
        let content_type = Some(b"application/json".as_slice());
        let request = TokenApiRequest { method, token_id, query: None, content_type, body: body.as_bytes() };
        let refusal = member.respond(&world.tokens, request).await.unwrap_err();
        assert_eq!((refusal.status(), refusal.reason()), (status, reason));
    }
}

#[tokio::test]
async fn a_long_list_has_pages() {
    for through in ALL {
        let world = World::new();
        for _ in 0..101 {
            world.issue(new_token()).await;
        }
        let first = through.list(&world, "ada", LIST).await;
        let next = format!("{LIST}?status=all&after={}", text(&first["next"]));
        let second = through.list(&world, "ada", &next).await;
        assert_eq!((first["tokens"].as_array().unwrap().len(), second["tokens"].as_array().unwrap().len()), (100, 1));
        assert_eq!(second["next"], Value::Null);
        through.send(&world, Call::new("GET", &format!("{LIST}?after=x"))).await.refused(400, "invalid");
    }
}

#[tokio::test]
async fn the_debug_text_of_a_response_has_no_token() {
    let world = World::new();
    let member = member_of(Some("ada"), &InProject { project: "145".into() }).unwrap();
    let content_type = Some(b"application/json".as_slice());
    let body = br#"{"name":"CI"}"#;
    let request = TokenApiRequest { method: "POST", token_id: None, query: None, content_type, body };
    let response = member.respond(&world.tokens, request).await.unwrap();
    assert_eq!(format!("{response:?}"), "TokenApiResponse { status: 201, .. }");
    let content: Value = serde_json::from_str(&response.into_body()).unwrap();
    assert_eq!(verified(&world, text(&content["token"])).await, Ok("ada".into()));
}
