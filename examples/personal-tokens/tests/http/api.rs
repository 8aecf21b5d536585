//! Tests the JSON API: the form and the status code of every response, on the routes for sessions
//! and on the routes for tokens.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use personal_tokens::db::query;
use personal_tokens::people::changes;
use personal_tokens::setup::Settings;
use serde_json::{Value, json};

use crate::support::{Host, REVOKE_ALL, TOKENS, WHOAMI};

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn token_is_shown_once_and_masked_afterwards() {
    let host = Host::start().await;
    let ada = host.ada().await;
    assert_eq!(ada.get(TOKENS).await.is(200).json(), json!([]));

    let made = ada.make("VSCode Integration", None).await;
    assert_eq!(made.as_object().unwrap().len(), 18);
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("demo_pat_1_"));
    assert_eq!((&made["user_id"], &made["name"]), (&json!(1), &json!("VSCode Integration")));
    assert!(made["id"].is_i64());
    assert_eq!(made["uuid"].as_str().unwrap().len(), 36);
    let expires: keyfob::Timestamp = made["expires"].as_str().unwrap().parse().unwrap();
    assert_eq!(expires.saturating_since(host.app.tokens.now()), Duration::from_secs(30 * 86_400));

    let mut masked = made.clone();
    // The last four characters are those of the public id, which a list can show.
    let id = token.split('_').nth(3).unwrap();
    assert_eq!(made["public_id"], id);
    masked["token"] = format!("demo_pat_1_{}****{}", &id[..4], &id[12..]).into();
    assert!(masked["token"].as_str().unwrap().parse::<keyfob::PlaintextToken>().is_err());
    assert!(host.app.finder.find_in(masked["token"].as_str().unwrap().as_bytes()).is_empty());
    assert_eq!(ada.get(TOKENS).await.is(200).json(), json!([masked]));
    let path = format!("{TOKENS}{}", made["uuid"].as_str().unwrap());
    assert_eq!(ada.get(&path).await.is(200).json(), masked);

    assert_eq!(ada.delete(&path).await.is(204).body, "");
    ada.get(&path).await.is(404);
    assert_eq!(ada.delete(&path).await.is(400).json(), json!({"error": "the token was not found"}));
    assert_eq!(ada.get(TOKENS).await.is(200).json(), json!([]));
}

/// The response to the creation of a token is a JSON object. The first six fields of the object
/// must keep their order, because existing clients depend on it.
#[tokio::test]
async fn fields_keep_their_order() {
    let host = Host::start().await;
    let body = host.ada().await.post(json!({"name": "n"})).await.is(200).body;
    let fields = [
        "id",
        "uuid",
        "user_id",
        "name",
        "expires",
        "token",
        "project_id",
        "status",
        "created_at",
        "last_used_at",
        "scopes",
        "kind",
        "issuer",
        "last_used_from",
        "addresses",
        "confirm_by",
        "grace_until",
        "public_id",
    ];
    let at: Vec<_> = fields.iter().map(|field| body.find(&format!("\"{field}\":")).unwrap()).collect();
    assert!(at.is_sorted(), "{body}");
}

/// Existing clients write the paths both with and without a slash at the end.
#[tokio::test]
async fn paths_are_accepted_with_and_without_a_slash_at_the_end() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let mut made = Vec::new();
    for path in ["/api/v2/auth/token", "/api/v2/auth/token/"] {
        let token = ada.post_to(path, r#"{"name": "n", "scopes": "tokens:manage"}"#).await.is(200).json();
        made.push(token);
    }
    for path in ["/api/v2/auth/token", "/api/v2/auth/token/"] {
        assert_eq!(ada.get(path).await.is(200).json().as_array().unwrap().len(), 2);
        let forged = Request::post(path).header("cookie", &ada.cookie).body("{}".into()).unwrap();
        host.send(forged).await.is_problem(403, "cross_origin");
        host.with_headers(path, &[]).await.is(401);
    }
    for (token, slash) in made.iter().zip(["", "/"]) {
        let at = |verb: &str| format!("{TOKENS}{}{verb}{slash}", token["uuid"].as_str().unwrap());
        assert_eq!(ada.get(&at("")).await.is(200).json()["uuid"], token["uuid"]);
        for verb in ["/disable", "/enable", "/confirm"] {
            ada.post_to(&at(verb), "").await.is(200);
        }
        ada.post_to(&at("/rename"), r#"{"name": "m"}"#).await.is(200);
        ada.post_to(&at("/narrow"), r#"{"scopes": "tokens:manage"}"#).await.is(200);
        ada.post_to(&at("/delegate"), r#"{"name": "agent", "scopes": ""}"#).await.is(200);
        assert_eq!(ada.get(&at("/issued")).await.is(200).json().as_array().unwrap().len(), 1);
        let own = Request::post(format!("{TOKENS}self/delegate{slash}"));
        let own = own.header("authorization", format!("Bearer {}", token["token"].as_str().unwrap()));
        let own = own.header("content-type", "application/json").body(r#"{"name": "agent", "scopes": ""}"#.into());
        host.send(own.unwrap()).await.is(200);
        ada.post_to(&at("/rotate"), "").await.is(200);
        ada.post_to(&at("/end-grace"), "").await.is(200);
        ada.delete(&at("")).await.is(204);
        ada.get(&at("")).await.is(404);
        let refused = ada.post_to(&at(""), "").await;
        assert_eq!(refused.header("allow"), "GET,HEAD,DELETE");
        refused.is_problem(405, "method_not_allowed");
    }
    ada.post_to(&format!("{REVOKE_ALL}/"), "").await.is(200);
    assert_eq!(ada.get(TOKENS).await.json(), json!([]));
}

#[tokio::test]
async fn list_covers_all_projects() {
    let host = Host::start().await;
    let ada = host.ada().await;
    for (name, project) in [("one", "Personal (ada)"), ("two", "Difference engine"), ("three", "Open library")] {
        ada.make(name, Some(ada.project(project).await)).await;
    }
    let list = ada.get(TOKENS).await.is(200).json();
    let names: Vec<_> = list.as_array().unwrap().iter().map(|token| token["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["one", "two", "three"]);
}

#[tokio::test]
async fn expirations_are_accepted_in_every_unit_within_the_policy() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let make = async |expires: Value| ada.post(json!({"name": "n", "expires": expires})).await;
    for (measure, value, seconds) in [
        ("seconds", 90, 90),
        ("minutes", 5, 300),
        ("hours", 2, 7_200),
        ("days", 366, 31_622_400),
        ("weeks", 4, 2_419_200),
    ] {
        // Some clients send the text of their input field instead of a number.
        for value in [json!(value), json!(value.to_string())] {
            let made = make(json!({"measure": measure, "value": value})).await.is(200).json();
            let expires: keyfob::Timestamp = made["expires"].as_str().unwrap().parse().unwrap();
            assert_eq!(expires.saturating_since(host.app.tokens.now()), Duration::from_secs(seconds));
        }
    }
    assert_eq!(make(Value::Null).await.is(200).json()["expires"], Value::Null);
    let by_default = ada.post(json!({"name": "n"})).await.is(200).json();
    assert!(by_default["expires"].is_string(), "a missing lifetime means the policy's default, not never");

    for value in [
        json!(0),
        json!(-1),
        json!(1.5),
        json!("0"),
        json!("x"),
        json!(null),
        json!(367),
        json!("367"),
        json!(u64::MAX),
    ] {
        let answer = make(json!({"measure": "days", "value": value})).await.is(400);
        assert!(answer.json()["error"].is_string(), "{value}");
    }
    for expires in [json!("never"), json!(1), json!({"measure": "years", "value": 1}), json!({"measure": "days"})] {
        assert!(make(expires).await.is(400).json()["error"].is_string());
    }
}

#[tokio::test]
async fn tokens_without_expiry_need_the_administrators_permission() {
    let host = Host::start_with(Settings { allow_never: false, ..Settings::default() }).await;
    let ada = host.ada().await;
    let refused = ada.post(json!({"name": "n", "expires": null})).await.is(400);
    assert_eq!(refused.json(), json!({"error": "a token must expire"}));
    let page = ada.get("/settings/tokens?new=1").await.is(200);
    assert!(page.body.contains("value=\"weeks\"") && !page.body.contains("value=\"never\""));
}

#[tokio::test]
async fn invalid_bodies_are_refused() {
    let host = Host::start().await;
    let ada = host.ada().await;
    for body in [
        "",
        "[]",
        "{}",
        "{\"name\": 1}",
        "{\"name\": \"n\"",
        "{\"name\": \"\"}",
        "{\"name\": \" \\n\"}",
        "{\"name\": \"a\\u0000b\"}",
        // The owner comes from the session, so the body may not name one.
        "{\"name\": \"n\", \"user_id\": 2}",
        "{\"name\": \"n\", \"owner\": \"2\"}",
        "{\"name\": \"n\", \"owner_id\": 2}",
        "{\"name\": \"n\", \"created_by\": \"2\"}",
        "{\"name\": \"n\", \"kind\": \"service\"}",
        "{\"name\": \"n\", \"id\": 1}",
        "{\"name\": \"n\", \"token\": \"demo_pat_1\"}",
        // One body repeats a field, and another body has fields without their names.
        "{\"name\": \"n\", \"name\": \"m\"}",
        "[\"n\", null, null, \"\"]",
        "{\"name\": \"n\", \"scopes\": [\"notes:read\"]}",
        "{\"name\": \"n\", \"scopes\": \"\\u00e9\"}",
    ] {
        assert!(ada.post_text(body).await.is(400).json()["error"].is_string(), "{body}");
    }
    ada.post(json!({"name": "n".repeat(256)})).await.is(400);
    ada.post(json!({"name": "n".repeat(20_000)})).await.is(413);
    let plain = ada.request("POST", TOKENS).header("content-type", "text/plain");
    host.send(plain.body("{\"name\": \"n\"}".into()).unwrap()).await.is(415);
    assert_eq!(ada.get(TOKENS).await.json(), json!([]));
    // The refused requests also leave no rows in the table that no list shows.
    let (made,): (i64,) = query("SELECT count(*) FROM token_names").fetch_one(&host.app.db).await.unwrap();
    assert_eq!(made, 0);
}

#[tokio::test]
async fn project_errors_have_a_code() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    for project in [json!("1"), json!(0), json!(-1), json!(1.0), json!(true), json!([1]), json!(u64::MAX)] {
        let error = ada.post(json!({"name": "n", "project_id": project})).await.is(400).json()["error"].clone();
        assert_eq!(keys(&error), ["code", "message", "type"]);
        assert_eq!((&error["code"], &error["type"]), (&json!("invalid_project_id"), &json!("invalid_request_error")));
    }
    // If a person names a project without being a member, she gets the same response as for a
    // project that does not exist.
    for project in [ada.project("Difference engine").await, 1, 9_999] {
        let error = eve.post(json!({"name": "n", "project_id": project})).await.is(403).json()["error"].clone();
        assert_eq!((&error["code"], &error["type"]), (&json!("project_forbidden"), &json!("permission_error")));
    }
    let (engine, library) = (ada.project("Difference engine").await, ada.project("Open library").await);
    assert_eq!((eve.get(TOKENS).await.json(), ada.get(TOKENS).await.json()), (json!([]), json!([])));
    eve.make("n", Some(library)).await;
    for project in [json!("1"), json!(0), json!(null)] {
        let body = json!({"project_id": project}).to_string();
        let error = eve.post_to(REVOKE_ALL, &body).await.is(400).json()["error"].clone();
        assert_eq!(error["code"], "invalid_project_id");
    }
    let refused = eve.post_to(REVOKE_ALL, &json!({"project_id": engine}).to_string()).await.is(403);
    assert_eq!(refused.json()["error"]["code"], "project_forbidden");
    assert_eq!(eve.get(TOKENS).await.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn anothers_token_is_refused() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let library = ada.project("Open library").await;
    let made = ada.make("n", Some(library)).await;
    let path = format!("{TOKENS}{}", made["uuid"].as_str().unwrap());
    // The response is the same as for an unknown token. A test in `attacks.rs` compares the two
    // responses byte by byte.
    eve.get(&path).await.is(404);
    eve.delete(&path).await.is(400);
    for verb in ["rotate", "disable", "enable", "confirm", "end-grace"] {
        eve.post_to(&format!("{path}/{verb}"), "").await.is(404);
    }
    assert_eq!(eve.post_to(REVOKE_ALL, "").await.is(200).json(), json!({"revoked": 0}));
    assert_eq!(eve.get(TOKENS).await.json(), json!([]));
    assert!(!eve.get(&format!("/settings/tokens?project={library}")).await.is(200).body.contains("demo_pat"));
    host.with_token(WHOAMI, made["token"].as_str().unwrap()).await.is(200);

    for unknown in ["x", "%ff", "%00", "00000000-0000-4000-8000-000000000000"] {
        ada.get(&format!("{TOKENS}{unknown}")).await.is(404);
        ada.delete(&format!("{TOKENS}{unknown}")).await.is(400);
        for verb in ["rotate", "disable", "enable", "confirm", "end-grace"] {
            ada.post_to(&format!("{TOKENS}{unknown}/{verb}"), "").await.is(404);
        }
    }
}

#[tokio::test]
async fn requests_without_a_session_are_refused() {
    let host = Host::start().await;
    let token = host.ada().await.make("n", None).await["token"].as_str().unwrap().to_owned();
    for headers in [vec![], vec![("authorization", format!("Bearer {token}"))], vec![("cookie", "session=AAAA".into())]]
    {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(host.with_headers(TOKENS, &headers).await.is(401).json(), json!({"error": "sign in first"}));
        assert_eq!(host.with_headers("/settings/tokens", &headers).await.is(303).header("location"), "/sign-in");
    }
    // A token cannot create tokens on the routes for sessions.
    let request = Request::post(TOKENS)
        .header("authorization", format!("Bearer {token}"))
        .header("origin", "http://localhost")
        .header("host", "localhost")
        .header("content-type", "application/json");
    host.send(request.body("{\"name\": \"n\"}".into()).unwrap()).await.is(401);
    for path in [REVOKE_ALL, "/api/v2/auth/token/x/rotate", "/api/v2/auth/token/x/disable"] {
        let request = Request::post(path).header("authorization", format!("Bearer {token}"));
        let request = request.header("sec-fetch-site", "same-origin").body(Body::empty()).unwrap();
        host.send(request).await.is(401);
    }
    host.with_token(WHOAMI, &token).await.is(200);
}

#[tokio::test]
async fn forged_requests_are_refused() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let path = format!("{TOKENS}{}", ada.make("n", None).await["uuid"].as_str().unwrap());
    for headers in [
        vec![],
        vec![("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site")],
        vec![("host", "localhost"), ("origin", "http://evil.example")],
        vec![("host", "localhost"), ("origin", "null")],
    ] {
        let rotate = format!("{path}/rotate");
        for (method, path) in [("DELETE", path.as_str()), ("POST", TOKENS), ("POST", &rotate), ("POST", REVOKE_ALL)] {
            let mut request = Request::builder().method(method).uri(path).header("cookie", &ada.cookie);
            request = request.header("content-type", "application/json");
            for (name, value) in &headers {
                request = request.header(*name, *value);
            }
            host.send(request.body("{\"name\": \"n\"}".into()).unwrap()).await.is_problem(403, "cross_origin");
        }
        let mut request = Request::post("/sign-in").header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let form = format!("name=ada&password={}", host.first.password);
        assert!(host.send(request.body(form.into()).unwrap()).await.is(403).headers.get("set-cookie").is_none());
    }
    assert_eq!(ada.get(TOKENS).await.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn whoami_returns_the_user_the_project_and_the_token() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let station = ada.project("Weather station").await;
    let made = ada.make("VSCode Integration", Some(station)).await;
    let token = made["token"].as_str().unwrap();
    let expected = json!({
        "user": {"id": 1, "name": "ada"},
        "project": {"id": station, "name": "Weather station"},
        "token": {
            "name": "VSCode Integration",
            "public_id": token.split('_').nth(3).unwrap(),
            "expires": made["expires"],
        },
    });
    let (bearer, basic) = (format!("bearer  {token}"), format!("Basic {}", STANDARD.encode(format!("{token}:any"))));
    for header in [("authorization", bearer.as_str()), ("authorization", &basic), ("x-api-key", token)] {
        assert_eq!(host.with_headers(WHOAMI, &[header]).await.is(200).json(), expected);
        let path = format!("/api/v2/projects/{station}/whoami");
        assert_eq!(host.with_headers(&path, &[header]).await.is(200).json(), expected);
    }
    // The page of the project shows the last use of the token.
    assert!(ada.get(&format!("/settings/tokens?project={station}")).await.body.contains(">just now<"));
}

#[tokio::test]
async fn holder_of_a_token_learns_why_it_is_rejected() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let engine = ada.project("Difference engine").await;
    let made = ada.make("n", Some(engine)).await;
    let token = made["token"].as_str().unwrap();

    for other in [ada.project("Weather station").await.to_string(), "9999".into(), "somewhere".into()] {
        let answer = host.with_token(&format!("/api/v2/projects/{other}/whoami"), token).await;
        answer.is_problem(403, "wrong_project");
        assert_eq!(
            answer.header("www-authenticate"),
            "Bearer realm=\"personal-tokens\", error=\"insufficient_scope\", \
             error_description=\"the token is for another project\", \
             resource_metadata=\"http://localhost/.well-known/oauth-protected-resource\""
        );
    }
    for none in ["No-Project", "%ff"] {
        host.with_token(&format!("/api/v2/projects/{none}/whoami"), token).await.is_problem(404, "not_found");
    }

    let end = host.app.tokens.now().saturating_add(Duration::from_secs(30 * 86_400));
    host.clock.set(end.saturating_sub(Duration::from_millis(1)));
    host.with_token(WHOAMI, token).await.is(200);
    host.clock.set(end);
    let answer = host.with_token(WHOAMI, token).await;
    answer.is_problem(401, "expired");
    assert!(answer.header("www-authenticate").contains("error_description=\"the token has expired\""));

    ada.delete(&format!("{TOKENS}{}", made["uuid"].as_str().unwrap())).await.is(204);
    let answer = host.with_token(WHOAMI, token).await;
    answer.is_problem(401, "revoked");
    assert!(answer.header("www-authenticate").contains("error_description=\"the token was revoked\""));
}

#[tokio::test]
async fn caller_without_a_valid_token_learns_nothing() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let token = ada.make("n", None).await["token"].as_str().unwrap().to_owned();
    let other = ada.make("m", None).await["token"].as_str().unwrap().to_owned();

    let answer = host.with_headers(WHOAMI, &[]).await;
    answer.is_problem(401, "missing_token");
    assert!(answer.header("www-authenticate").starts_with("Bearer realm=\"personal-tokens\", resource_metadata=\""));
    host.with_headers(WHOAMI, &[("cookie", &ada.cookie)]).await.is_problem(401, "missing_token");
    host.with_headers(WHOAMI, &[("authorization", "Digest x")]).await.is_problem(401, "wrong_scheme");
    host.with_headers(WHOAMI, &[("authorization", "Bearer")]).await.is_problem(400, "malformed_header");

    let bearer = format!("Bearer {token}");
    for second in [("authorization", bearer.as_str()), ("x-api-key", &token), ("authorization", "Bearer x")] {
        host.with_headers(WHOAMI, &[("authorization", &bearer), second]).await.is_problem(400, "repeated_token");
    }

    // The service returns the same response for every invalid token: for the key of one token with
    // the secret of another, for a token without its last letter, and for another prefix.
    let crossed = format!("{}_{}", token.rsplit_once('_').unwrap().0, other.rsplit_once('_').unwrap().1);
    for text in ["x", &token[..token.len() - 1], &crossed, &token.replace("demo", "demi"), &"A".repeat(4_000)] {
        let answer = host.with_token(WHOAMI, text).await;
        answer.is_problem(401, "invalid_token");
        assert!(answer.header("www-authenticate").contains("error_description=\"the token is not valid\""));
    }
}

#[tokio::test]
async fn suspension_stops_a_persons_tokens_and_sessions_immediately() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let token = ada.make("n", None).await["token"].as_str().unwrap().to_owned();
    host.suspend_ada().await;
    let answer = host.with_token(WHOAMI, &token).await;
    answer.is_problem(401, "owner_suspended");
    assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""));
    ada.get(TOKENS).await.is(401);
    ada.get("/settings/tokens").await.is(303);
    changes::reinstate(&host.app.db, 1).await.unwrap().unwrap();
    host.with_token(WHOAMI, &token).await.is(200);
}

#[tokio::test]
async fn token_is_rejected_after_its_owner_leaves_the_project() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let engine = ada.project("Difference engine").await;
    let token = ada.make("n", Some(engine)).await["token"].as_str().unwrap().to_owned();
    host.app.projects.leave(engine, 1).await.unwrap();
    host.with_token(WHOAMI, &token).await.is_problem(403, "owner_outside_project");
    host.with_token(&format!("/api/v2/projects/{engine}/whoami"), &token)
        .await
        .is_problem(403, "owner_outside_project");
}

#[tokio::test]
async fn token_without_a_uuid_gets_a_new_one() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.make("n", None).await;
    query("DELETE FROM token_names").execute(&host.app.db).await.unwrap();
    let list = ada.get(TOKENS).await.is(200).json();
    assert_eq!(list[0]["name"], "n");
    assert_ne!(list[0]["uuid"], made["uuid"]);
    ada.delete(&format!("{TOKENS}{}", list[0]["uuid"].as_str().unwrap())).await.is(204);
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_refused() {
    let host = Host::start().await;
    host.with_headers("/api/v2/nothing", &[]).await.is_problem(404, "not_found");
    assert!(host.with_headers("/nothing", &[]).await.is(404).body.contains("This page does not exist."));
    let request = Request::put(TOKENS).header("sec-fetch-site", "same-origin");
    let answer = host.send(request.body(Body::empty()).unwrap()).await;
    answer.is_problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "GET,HEAD,POST");
    for asset in ["style.css", "page.js", "icon.svg"] {
        host.with_headers(&format!("/static/{asset}"), &[]).await.is(200);
    }
}
