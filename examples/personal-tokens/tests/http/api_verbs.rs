//! Tests the operations rotate, disable, enable and revoke-all in the JSON API, and the OpenAPI
//! document that describes the API.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use personal_tokens::api::{guard, routes};
use serde_json::{Value, json};

use crate::support::{Host, REVOKE_ALL, TOKENS, WHOAMI};

fn path_of(token: &Value, verb: &str) -> String {
    format!("{TOKENS}{}{verb}", token["uuid"].as_str().unwrap())
}

fn text_of(token: &Value) -> &str {
    token["token"].as_str().unwrap()
}

#[tokio::test]
async fn a_successor_takes_over() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let station = ada.project("Weather station").await;
    let body = json!({"name": "n", "project_id": station, "scopes": "notes:write notes:read"});
    let old = ada.post(body).await.is(200).json();
    assert_eq!((&old["scopes"], &old["project_id"]), (&json!("notes:read notes:write"), &json!(station)));
    let new = ada.post_to(&path_of(&old, "/rotate"), "").await.is(200).json();
    for field in ["name", "user_id", "project_id", "scopes", "status", "expires"] {
        assert_eq!(new[field], old[field], "{field}");
    }
    for field in ["id", "uuid", "token"] {
        assert_ne!(new[field], old[field], "{field}");
    }
    host.with_token(&format!("/api/v2/projects/{station}/notes"), text_of(&new)).await.is(200);
    let shown = ada.get(&path_of(&new, "")).await.is(200).json();
    assert_eq!(shown["last_used_at"], json!(host.app.tokens.now().to_string()));

    // A token can be rotated only once.
    let again = ada.post_to(&path_of(&old, "/rotate"), "").await.is(409).json();
    assert_eq!(again, json!({"error": "the token was rotated already"}));
    assert_eq!(ada.get(TOKENS).await.json().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn grace_period_ends_at_the_requested_time() {
    const DAY: u64 = 86_400;
    let host = Host::start().await;
    let ada = host.ada().await;
    for (body, seconds) in [
        ("", DAY),
        ("{}", DAY),
        ("{\"grace\": {\"measure\": \"seconds\", \"value\": 1}}", 1),
        ("{\"grace\": {\"measure\": \"days\", \"value\": 30}}", 30 * DAY),
    ] {
        let old = ada.post(json!({"name": "n", "expires": null})).await.is(200).json();
        ada.post_to(&path_of(&old, "/rotate"), body).await.is(200);
        let end = host.app.tokens.now().saturating_add(Duration::from_secs(seconds));
        host.clock.set(end.saturating_sub(Duration::from_millis(1)));
        host.with_token(WHOAMI, text_of(&old)).await.is(200);
        host.clock.set(end);
        host.with_token(WHOAMI, text_of(&old)).await.is_problem(401, "rotated");
        assert_eq!(ada.get(&path_of(&old, "")).await.is(200).json()["status"], "rotated");
    }
    let old = ada.make("n", None).await;
    ada.post_to(&path_of(&old, "/rotate"), "{\"grace\": null}").await.is(200);
    host.with_token(WHOAMI, text_of(&old)).await.is_problem(401, "rotated");
}

#[tokio::test]
async fn policy_bounds_the_grace_period() {
    let host = Host::start_configured(json!({ "policy": { "max_grace_seconds": 7200 } })).await;
    let ada = host.ada().await;
    let old = ada.make("n", None).await;
    let rotate = path_of(&old, "/rotate");
    let span = |value: u64| json!({ "grace": { "measure": "seconds", "value": value } }).to_string();
    for value in [7_201, u64::from(u32::MAX), i64::MAX as u64, u64::MAX] {
        let refused = ada.post_to(&rotate, &span(value)).await.is(400);
        assert_eq!(refused.json(), json!({"error": "grace: must be at most 2 hours"}), "{value}");
    }
    ada.post_to(&rotate, &span(7_200)).await.is(200);
    // If the request names no grace period, it is one day, or the policy's maximum if the maximum
    // is shorter.
    let old = ada.make("n", None).await;
    let new = ada.post_to(&path_of(&old, "/rotate"), "").await.is(200).json();
    let end = host.app.tokens.now().saturating_add(Duration::from_secs(7_200));
    host.clock.set(end.saturating_sub(Duration::from_millis(1)));
    host.with_token(WHOAMI, text_of(&old)).await.is(200);
    // At most two tokens of a chain of rotations work at the same time.
    let refused = ada.post_to(&path_of(&new, "/rotate"), "").await.is(409).json();
    let words = format!("the token that this one replaced works until {end}; end its grace period first");
    assert_eq!(refused, json!({ "error": words }));
    host.clock.set(end);
    host.with_token(WHOAMI, text_of(&old)).await.is_problem(401, "rotated");
    ada.post_to(&path_of(&new, "/rotate"), "").await.is(200);
}

#[tokio::test]
async fn invalid_rotations_are_refused() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let old = ada.make("n", None).await;
    let rotate = path_of(&old, "/rotate");
    for body in [
        "null",
        "[]",
        "[null]",
        "\"\"",
        "{",
        "{\"grace\": 24}",
        "{\"grace\": {\"measure\": \"days\", \"value\": 0}}",
        "{\"grace\": {\"measure\": \"days\", \"value\": 31}}",
        "{\"grace\": {\"measure\": \"seconds\", \"value\": 2592001}}",
        "{\"grace\": {\"measure\": \"years\", \"value\": 1}}",
        "{\"grace\": null, \"owner\": 2}",
        "{\"project_id\": 2}",
    ] {
        assert!(ada.post_to(&rotate, body).await.is(400).json()["error"].is_string(), "{body}");
    }
    let too_long = ada.post_to(&rotate, "{\"grace\": {\"measure\": \"weeks\", \"value\": 5}}").await.is(400);
    assert_eq!(too_long.json(), json!({"error": "grace: must be at most 30 days"}));
    ada.post_to(&rotate, &format!("{{\"grace\": \"{}\"}}", "x".repeat(20_000))).await.is(413);
    let plain = ada.request("POST", &rotate).header("content-type", "text/plain");
    host.send(plain.body("{}".into()).unwrap()).await.is(415);
    host.send(ada.request("POST", &rotate).body("{}".into()).unwrap()).await.is(415);
    assert_eq!(ada.get(TOKENS).await.json().as_array().unwrap().len(), 1);
    // An empty body counts as no body, even if the request names a content type.
    let nothing = ada.request("POST", &rotate).header("content-type", "application/json");
    host.send(nothing.body(Body::empty()).unwrap()).await.is(200);
}

#[tokio::test]
async fn owner_cannot_rotate_in_a_project_that_they_left() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let engine = ada.project("Difference engine").await;
    let old = ada.make("n", Some(engine)).await;
    host.app.projects.leave(engine, 1).await.unwrap();
    let refused = ada.post_to(&path_of(&old, "/rotate"), "").await.is(403).json();
    assert_eq!(refused["error"]["code"], "project_forbidden");
    // The owner can still revoke their tokens in a project that they left.
    assert_eq!(ada.post_to(REVOKE_ALL, "").await.is(200).json(), json!({"revoked": 1}));
}

#[tokio::test]
async fn disabled_token_is_rejected_until_it_is_enabled() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.make("n", None).await;
    for _ in 0..2 {
        let disabled = ada.post_to(&path_of(&made, "/disable"), "").await.is(200).json();
        assert_eq!((&disabled["status"], &disabled["uuid"]), (&json!("disabled"), &made["uuid"]));
        assert!(text_of(&disabled).contains("****"));
        host.with_token(WHOAMI, text_of(&made)).await.is_problem(401, "disabled");
    }
    let refused = ada.post_to(&path_of(&made, "/rotate"), "").await.is(409).json();
    assert_eq!(refused, json!({"error": "only an active token can be rotated; this one is disabled"}));
    for _ in 0..2 {
        assert_eq!(ada.post_to(&path_of(&made, "/enable"), "").await.is(200).json()["status"], "active");
        host.with_token(WHOAMI, text_of(&made)).await.is(200);
    }

    let end = host.app.tokens.now().saturating_add(Duration::from_secs(30 * 86_400));
    host.clock.set(end.saturating_sub(Duration::from_millis(1)));
    ada.post_to(&path_of(&made, "/disable"), "").await.is(200);
    host.clock.set(end);
    for verb in ["/disable", "/enable", "/rotate"] {
        assert!(ada.post_to(&path_of(&made, verb), "").await.is(409).json()["error"].is_string());
    }
    ada.delete(&path_of(&made, "")).await.is(204);
    for verb in ["/disable", "/enable", "/rotate"] {
        ada.post_to(&path_of(&made, verb), "").await.is(404);
    }
}

#[tokio::test]
async fn revoke_all_ends_only_the_callers_tokens() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let (station, library) = (ada.project("Weather station").await, ada.project("Open library").await);
    let eves = eve.make("n", Some(library)).await;
    let mut made = Vec::new();
    for project in [None, Some(station), Some(station), Some(library)] {
        made.push(ada.make("n", project).await);
    }
    for body in ["null", "[]", "[1]", "{\"project\": 1}", "{\"user_id\": 2}", "{\"project_id\": null}"] {
        ada.post_to(REVOKE_ALL, body).await.is(400);
    }
    assert_eq!(ada.get(TOKENS).await.json().as_array().unwrap().len(), 4);

    let one = json!({"project_id": station}).to_string();
    assert_eq!(ada.post_to(REVOKE_ALL, &one).await.is(200).json(), json!({"revoked": 2}));
    assert_eq!(ada.post_to(REVOKE_ALL, &one).await.is(200).json(), json!({"revoked": 0}));
    host.with_token(WHOAMI, text_of(&made[1])).await.is_problem(401, "revoked");
    host.with_token(WHOAMI, text_of(&made[0])).await.is(200);

    assert_eq!(ada.post_to(REVOKE_ALL, "{}").await.is(200).json(), json!({"revoked": 2}));
    for token in &made {
        host.with_token(WHOAMI, text_of(token)).await.is_problem(401, "revoked");
    }
    assert_eq!(ada.get(TOKENS).await.json(), json!([]));
    host.with_token(WHOAMI, text_of(&eves)).await.is(200);
}

#[tokio::test]
async fn answers_without_the_database_follow_the_document() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.make("n", None).await;
    host.app.db.close().await;
    ada.get(TOKENS).await.is(503);
    ada.post(json!({"name": "n"})).await.is(503);
    ada.post_to(REVOKE_ALL, "").await.is(503);
    ada.delete(&path_of(&made, "")).await.is(503);
    host.with_token(WHOAMI, text_of(&made)).await.is_problem(503, "unavailable");
}

#[tokio::test]
async fn the_document_has_every_route_and_no_other() {
    let host = Host::start().await;
    // The document can be read without credentials.
    let document = host.with_headers("/api/v2/openapi.json", &[]).await.is(200).json();
    assert_eq!(document, host.document);
    let guard = guard::guard(&host.app);
    let by_token = routes::by_token(&guard).unwrap();
    let by_either = routes::by_token_or_session(&guard).unwrap();
    let routed: BTreeSet<String> = [routes::by_session(), by_token, by_either, routes::by_anybody()]
        .iter()
        .flat_map(|routes| &routes.listed)
        .map(|(method, path)| format!("{method} {path}"))
        .collect();
    let mut described = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            described.insert(format!("{method} {path}"));
        }
    }
    assert_eq!(routed, described);
    // The file `app.rs` adds no route of the API, so the tables above contain all routes.
    let app = include_str!("../../src/app.rs");
    assert!(!app.contains(".route(\"/api"));
}

/// Each example in the OpenAPI document must be valid for its schema, so that readers can rely on
/// it.
#[tokio::test]
async fn examples_fit_their_schemas() {
    let host = Host::start().await;
    let mut found = 0;
    let mut open = vec![&host.document];
    while let Some(value) = open.pop() {
        if let (Some(schema), Some(object)) = (value.get("schema"), value.as_object()) {
            let several = object.get("examples").and_then(Value::as_object);
            let several = several.into_iter().flatten().map(|(_, example)| &example["value"]);
            for example in object.get("example").into_iter().chain(several) {
                found += 1;
                crate::support::document::assert_fits(&host.document, schema, example, "an example");
            }
        }
        match value {
            Value::Object(fields) => open.extend(fields.values()),
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    assert!(found > 20, "{found}");
}

#[tokio::test]
async fn document_names_the_session_cookie() {
    use personal_tokens::setup::Settings;
    for (behind_tls, name) in [(false, "session"), (true, "__Host-session")] {
        let host = Host::start_with(Settings { behind_tls, ..Settings::default() }).await;
        assert!(host.ada().await.cookie.starts_with(&format!("{name}=")));
        assert_eq!(host.document["components"]["securitySchemes"]["session"]["name"], name);
    }
}
