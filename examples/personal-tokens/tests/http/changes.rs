//! Tests the operations that change a token in the JSON API: rename, narrow, confirm and end-grace.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::support::{Answer, Host, Person, TOKENS, WHOAMI};

async fn change(ada: &Person<'_>, token: &Value, verb: &str, body: Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    ada.post_to(&format!("{TOKENS}{}/{verb}", token["uuid"].as_str().unwrap()), &body).await
}

fn text_of(token: &Value) -> &str {
    token["token"].as_str().unwrap()
}

/// Returns the response to a request with this token that comes through a proxy from this address.
async fn from_address(host: &Host, token: &str, address: &str) -> Answer {
    let request = Request::get(WHOAMI).header("authorization", format!("Bearer {token}"));
    host.send(request.header("x-forwarded-for", address).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn renamed_token_keeps_working_under_its_new_name() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.make("old", None).await;
    let renamed = change(&ada, &made, "rename", json!({"name": " VS Code on my laptop "})).await.is(200).json();
    assert_eq!((&renamed["name"], &renamed["uuid"]), (&json!("VS Code on my laptop"), &made["uuid"]));
    assert_eq!(host.with_token(WHOAMI, text_of(&made)).await.is(200).json()["token"]["name"], "VS Code on my laptop");
    for body in [json!({}), json!({"name": ""}), json!({"name": "a\u{0}b"}), json!({"name": 1}), json!({"name": null})]
    {
        assert!(change(&ada, &made, "rename", body).await.is(400).json()["error"].is_string());
    }
    change(&ada, &made, "rename", json!({"name": "n".repeat(256)})).await.is(400);
    change(&ada, &made, "rename", json!({"name": "n", "scopes": ""})).await.is(400);
    change(&ada, &made, "rename", Value::Null).await.is(415);
    host.clock.advance(Duration::from_secs(30 * 86_400));
    let refused = change(&ada, &made, "rename", json!({"name": "n"})).await.is(409).json();
    assert_eq!(refused, json!({"error": "a token that is expired cannot be changed"}));
}

#[tokio::test]
async fn narrowed_token_loses_scopes_and_never_gets_them_back() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.post(json!({"name": "n", "scopes": "models:use notes:read"})).await.is(200).json();
    let token = text_of(&made);
    host.with_token("/api/v2/projects/1/notes", token).await.is(200);
    let narrowed = change(&ada, &made, "narrow", json!({"scopes": "models:use"})).await.is(200).json();
    assert_eq!((&narrowed["scopes"], &narrowed["addresses"]), (&json!("models:use"), &json!("")));
    host.with_token("/api/v2/projects/1/notes", token).await.is_problem(403, "insufficient_scope");
    host.with_token("/llm/v1/models", token).await.is(200);
    // Repeating the request changes nothing.
    change(&ada, &made, "narrow", json!({"scopes": "models:use"})).await.is(200);

    for wider in [json!({"scopes": "models:use notes:read"}), json!({"scopes": "tokens:manage"})] {
        let refused = change(&ada, &made, "narrow", wider).await.is(400).json();
        assert_eq!(refused, json!({"error": "a token can only be narrowed"}));
    }
    for body in [
        json!({}),
        json!({"scopes": null}),
        json!({"addresses": null}),
        json!({"scopes": ["models:use"]}),
        json!({"scopes": "\u{e9}"}),
        json!({"addresses": "nowhere"}),
        json!({"expires": null}),
    ] {
        assert!(change(&ada, &made, "narrow", body.clone()).await.is(400).json()["error"].is_string(), "{body}");
    }
    let bare = change(&ada, &made, "narrow", json!({"scopes": ""})).await.is(200).json();
    assert_eq!(bare["scopes"], "");
    host.with_token("/llm/v1/models", token).await.is_problem(403, "insufficient_scope");
    host.with_token(WHOAMI, token).await.is(200);
}

#[tokio::test]
async fn addresses_of_a_token_are_limited_at_issue_and_by_narrowing() {
    let settings = personal_tokens::setup::Settings { behind_tls: true, ..Default::default() };
    let host = Host::start_with(settings).await;
    let ada = host.ada().await;
    let made = ada.post(json!({"name": "n", "addresses": "198.51.100.7, 192.0.2.0/24"})).await.is(200).json();
    assert_eq!(made["addresses"], "192.0.2.0/24 198.51.100.7/32");
    let token = text_of(&made);
    for (address, status) in [("192.0.2.9", 200), ("198.51.100.7", 200), ("198.51.100.8", 403)] {
        assert_eq!(from_address(&host, token, address).await.status, status, "{address}");
    }
    let narrowed = change(&ada, &made, "narrow", json!({"addresses": "192.0.2.0/28"})).await.is(200).json();
    assert_eq!(narrowed["addresses"], "192.0.2.0/28");
    for (address, status) in [("192.0.2.9", 200), ("192.0.2.16", 403), ("198.51.100.7", 403)] {
        assert_eq!(from_address(&host, token, address).await.status, status, "{address}");
    }
    for wider in ["", "192.0.2.0/24"] {
        change(&ada, &made, "narrow", json!({"addresses": wider})).await.is(400);
    }
    for addresses in [json!("192.0.2.0/33"), json!("example.com"), json!(["192.0.2.1"]), json!(null)] {
        ada.post(json!({"name": "n", "addresses": addresses})).await.is(400);
    }
}

#[tokio::test]
async fn pending_token_works_only_after_it_is_confirmed_in_time() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let make = async || {
        let body = json!({"name": "n", "confirm_within": {"measure": "minutes", "value": "5"}});
        ada.post(body).await.is(200).json()
    };
    let (made, late) = (make().await, make().await);
    assert_eq!(made["status"], "pending");
    let end = host.app.tokens.now().saturating_add(Duration::from_secs(300));
    assert_eq!(made["confirm_by"], json!(end.to_string()));
    host.with_token(WHOAMI, text_of(&made)).await.is_problem(401, "pending");
    host.clock.set(end.saturating_sub(Duration::from_millis(1)));
    for _ in 0..2 {
        let confirmed = change(&ada, &made, "confirm", Value::Null).await.is(200).json();
        assert_eq!((&confirmed["status"], &confirmed["confirm_by"]), (&json!("active"), &Value::Null));
    }
    host.clock.set(end);
    host.with_token(WHOAMI, text_of(&made)).await.is(200);
    change(&ada, &late, "confirm", Value::Null).await.is(409);
    assert_eq!(host.with_token(WHOAMI, text_of(&late)).await.status, 401);

    for within in
        [json!(5), json!("5"), json!({"measure": "minutes", "value": 0}), json!({"measure": "years", "value": 1})]
    {
        let refused = ada.post(json!({"name": "n", "confirm_within": within})).await.is(400).json();
        assert!(refused["error"].as_str().unwrap().starts_with("confirm_within: "), "{refused}");
    }
    let endless = json!({"measure": "weeks", "value": i64::MAX});
    ada.post(json!({"name": "n", "confirm_within": endless})).await.is(400);
    assert_eq!(ada.post(json!({"name": "n", "confirm_within": null})).await.is(200).json()["status"], "active");
}

#[tokio::test]
async fn grace_period_can_be_ended_and_the_token_stays_in_the_list() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let old = ada.make("n", None).await;
    let refused = change(&ada, &old, "end-grace", Value::Null).await.is(409).json();
    assert_eq!(refused, json!({"error": "the token was not rotated"}));
    let new = change(&ada, &old, "rotate", Value::Null).await.is(200).json();
    host.with_token(WHOAMI, text_of(&old)).await.is(200);
    for _ in 0..2 {
        let ended = change(&ada, &old, "end-grace", Value::Null).await.is(200).json();
        assert_eq!((&ended["status"], &ended["uuid"]), (&json!("rotated"), &old["uuid"]));
        assert_eq!(ended["grace_until"], json!(host.app.tokens.now().to_string()));
    }
    host.with_token(WHOAMI, text_of(&old)).await.is_problem(401, "rotated");
    host.with_token(WHOAMI, text_of(&new)).await.is(200);
    assert_eq!(ada.get(TOKENS).await.json().as_array().unwrap().len(), 2);
}
