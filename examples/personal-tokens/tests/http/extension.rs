//! Tests the routes of the VS Code extension: the question that reaches the model, the answer, the
//! lists, and the callers that are refused.

use axum::http::Request;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::support::upstream::Upstream;
use crate::support::{Answer, Host, TOKENS, assert_holds_no_part};

const PREDICT: &str = "/api/v1/prompt_lib/predict/prompt_lib/1";
/// The routes of the lists, without the project.
const LISTS: [&str; 4] = [
    "/api/v1/prompt_lib/tags/prompt_lib/",
    "/api/v1/prompt_lib/prompts/prompt_lib/",
    "/api/v1/datasources/datasources/prompt_lib/",
    "/api/v1/applications/applications/prompt_lib/",
];
const INTEGRATIONS: &str = "/api/v1/integrations/integrations/default/";

async fn ask(host: &Host, token: &str, path: &str, body: &Value) -> Answer {
    let request = Request::post(path)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    host.send(request.body(body.to_string().into()).unwrap()).await
}

/// Returns a token of ada for a project.
async fn token_of(host: &Host, project: i64) -> String {
    host.ada().await.make("VS Code", Some(project)).await["token"].as_str().unwrap().to_owned()
}

#[track_caller]
fn code(answer: &Answer) -> String {
    answer.json()["error"]["code"].as_str().unwrap().into()
}

/// Returns a question as the extension sends it.
fn question() -> Value {
    json!({
        "project_id": 1,
        "model_settings": {
            "model": {"model_name": "m", "integration_uid": "1_m"},
            "temperature": 0.3, "max_tokens": 100, "top_p": 0.5, "top_k": 40, "stream": true,
        },
        "context": "Write {{language}}. {{unknown}}",
        "user_input": "Say {{language}}",
        "variables": [{"name": "language", "value": "Rust"}],
        "chat_history": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello", "extra": 1}],
    })
}

#[tokio::test]
async fn question_of_the_extension_reaches_the_model_and_is_answered_in_one_piece() {
    let upstream = Upstream::start().await;
    let host = Host::start_configured(upstream.config(&[(1, "m")])).await;
    let token = token_of(&host, 1).await;
    for path in [PREDICT.to_owned(), format!("{PREDICT}/17")] {
        let answer = ask(&host, &token, &path, &question()).await.is(200).json();
        let text = "Rain, says m";
        assert_eq!(answer, json!({"response": text, "messages": [{"role": "assistant", "content": text}]}));
        let asked = upstream.asked().remove(0);
        assert_eq!(
            asked.json(),
            json!({
                "model": "m",
                "messages": [
                    {"role": "system", "content": "Write Rust. {{unknown}}"},
                    {"role": "user", "content": "Hi"},
                    {"role": "assistant", "content": "Hello"},
                    {"role": "user", "content": "Say {{language}}"},
                ],
                "temperature": 0.3, "max_tokens": 100, "top_p": 0.5,
            })
        );
        assert_eq!(asked.headers["authorization"], "Bearer credential-of-1");
        let told = format!("{:?} {} {}", asked.headers, asked.uri, String::from_utf8_lossy(&asked.body));
        assert_holds_no_part(&told, &token);
    }
    // Only the question is required.
    ask(&host, &token, PREDICT, &json!({"user_input": "Hi"})).await.is(200);
    assert_eq!(upstream.asked()[0].json(), json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}));
    for none in ["0", "x", "01", "%ff", "1/2"] {
        ask(&host, &token, &format!("{PREDICT}/{none}"), &question()).await.is_problem(404, "not_found");
    }
}

#[tokio::test]
async fn model_is_the_named_one_or_the_suggested_one() {
    let upstream = Upstream::start().await;
    let mut config = upstream.config(&[(1, "first"), (1, "best"), (4, "best"), (2, "other")]);
    config["models"][1]["default"] = json!(true);
    config["models"][1]["upstream_model"] = json!("provider/best");
    let host = Host::start_configured(config).await;
    let token = token_of(&host, 1).await;
    let named = async |name: &str, integration: &str| {
        let model = json!({"model_name": name, "integration_uid": integration});
        ask(&host, &token, PREDICT, &json!({"user_input": "Hi", "model_settings": {"model": model}})).await
    };
    for (name, integration, project, model) in [
        ("first", "1_first", 1, "first"),
        ("best", "1_best", 1, "provider/best"),
        ("best", "", 1, "provider/best"),
        ("best", "4_best", 4, "best"),
        ("", "4_best", 4, "best"),
        ("", "", 1, "provider/best"),
    ] {
        named(name, integration).await.is(200);
        let asked = upstream.asked().remove(0);
        assert_eq!(asked.headers["authorization"], *format!("Bearer credential-of-{project}"), "{name} {integration}");
        assert_eq!(asked.json()["model"], model);
    }
    // No other model answers in place of a model that the project may not use.
    for (name, integration) in [
        ("other", "2_other"),
        ("", "2_other"),
        ("other", ""),
        ("best", "1_first"),
        ("first", "4_best"),
        ("x", "1_first"),
    ] {
        assert_eq!(code(&named(name, integration).await.is(404)), "model_not_found", "{name} {integration}");
    }
    // A public project suggests no model.
    let public = token_of(&host, 4).await;
    let path = PREDICT.replace("/1", "/4");
    let refused = ask(&host, &public, &path, &json!({"user_input": "Hi"})).await.is(404);
    assert_eq!(code(&refused), "model_not_found");
    assert_eq!(upstream.asked().len(), 0);
}

#[tokio::test]
async fn malformed_questions_are_refused() {
    let upstream = Upstream::start().await;
    let host = Host::start_configured(upstream.config(&[(1, "m")])).await;
    let token = token_of(&host, 1).await;
    for body in [
        json!({}),
        json!([]),
        json!("Hi"),
        json!([{"model": {}}, "", "Hi", [], []]),
        json!({"user_input": ""}),
        json!({"user_input": 1}),
        json!({"user_input": "Hi", "context": null}),
        json!({"user_input": "Hi", "chat_history": [{"role": "robot", "content": "Hi"}]}),
        json!({"user_input": "Hi", "chat_history": [{"role": "user"}]}),
        json!({"user_input": "Hi", "variables": {"a": "b"}}),
        json!({"user_input": "Hi", "model_settings": {"temperature": "hot"}}),
        json!({"user_input": "Hi", "model_settings": {"model": "m"}}),
    ] {
        assert_eq!(code(&ask(&host, &token, PREDICT, &body).await.is(400)), "invalid_body", "{body}");
    }
    // A short question with many references to a long value does not fill the memory.
    let variables = json!([{"name": "a", "value": "x".repeat(1024 * 1024)}]);
    let bomb = json!({"user_input": "Hi", "context": "{{a}}".repeat(100_000), "variables": variables});
    assert_eq!(code(&ask(&host, &token, PREDICT, &bomb).await.is(413)), "too_large");
    let large = json!({"user_input": "x".repeat(4 * 1024 * 1024)});
    assert_eq!(code(&ask(&host, &token, PREDICT, &large).await.is(413)), "too_large");
    assert_eq!(upstream.asked().len(), 0);
}

#[tokio::test]
async fn failures_of_the_model_are_answered() {
    for (status, body, expected) in [
        (200, json!({"choices": []}), (502, "upstream_failed")),
        (200, json!({"choices": [{"message": {"content": null}}]}), (502, "upstream_failed")),
        (200, json!({"choices": [{"message": {"content": "x".repeat(1024 * 1024)}}]}), (502, "upstream_failed")),
        (401, json!({}), (502, "upstream_refused")),
        (500, json!({}), (502, "upstream_failed")),
        (
            429,
            json!({"error": {"message": "slow down", "type": "t", "param": null, "code": "theirs"}}),
            (429, "theirs"),
        ),
        (400, json!({"error": {"message": "too long", "type": "t", "param": null, "code": "theirs"}}), (400, "theirs")),
    ] {
        let upstream = Upstream::answering(move |_| {
            let mut response = ([("retry-after", "7")], axum::Json(body.clone())).into_response();
            *response.status_mut() = status.try_into().unwrap();
            response
        })
        .await;
        let host = Host::start_configured(upstream.config(&[(1, "m")])).await;
        let answer = ask(&host, &token_of(&host, 1).await, PREDICT, &question()).await;
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), expected);
        assert_eq!(answer.headers.contains_key("retry-after"), expected.1 == "theirs");
    }
}

#[tokio::test]
async fn built_in_model_answers_the_extension() {
    let host = Host::start().await;
    let token = token_of(&host, 1).await;
    let settings = json!({"model": {"model_name": "echo", "integration_uid": "4_echo"}});
    let answer = ask(&host, &token, PREDICT, &json!({"user_input": "Hi", "model_settings": settings})).await.is(200);
    assert_eq!(answer.json()["response"], "Hi");
    let history = json!([{"role": "assistant", "content": "Hi"}]);
    assert_eq!(code(&ask(&host, &token, PREDICT, &json!({"chat_history": history})).await.is(400)), "invalid_body");
}

#[tokio::test]
async fn lists_have_the_models_and_are_else_empty() {
    let upstream = Upstream::start().await;
    let host = Host::start_configured(upstream.config(&[(4, "shared"), (1, "own"), (2, "other")])).await;
    let token = token_of(&host, 1).await;
    let integration = |project: i64, name: &str| {
        json!({
            "uid": format!("{project}_{name}"),
            "name": name,
            "config": {"name": name},
            "settings": {"models": [{"name": name}]},
        })
    };
    for query in ["", "?section=ai", "?section=ai&offset=0"] {
        let listed = host.with_token(&format!("{INTEGRATIONS}1{query}"), &token).await.is(200).json();
        assert_eq!(listed, json!([integration(1, "own"), integration(4, "shared")]), "{query}");
    }
    for query in ["?section=storage", "?section=", "?section=ai&section=ai"] {
        assert_eq!(host.with_token(&format!("{INTEGRATIONS}1{query}"), &token).await.is(200).json(), json!([]));
    }
    for list in LISTS {
        for query in ["", "?query=code&offset=0&limit=1000", "?offset=0&limit=1000"] {
            let listed = host.with_token(&format!("{list}1{query}"), &token).await.is(200).json();
            assert_eq!(listed, json!({"total": 0, "rows": []}), "{list}{query}");
        }
    }
}

#[tokio::test]
async fn extension_needs_a_live_token_of_the_project_with_the_scope() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.make("n", None).await;
    let token = made["token"].as_str().unwrap();
    let without = ada.post(json!({"name": "n", "scopes": "notes:read"})).await.is(200).json();
    let without = without["token"].as_str().unwrap();
    let get: Vec<String> = LISTS.iter().chain([&INTEGRATIONS]).map(|list| (*list).to_owned()).collect();
    for path in &get {
        host.with_token(&format!("{path}2"), token).await.is_problem(403, "wrong_project");
        host.with_token(&format!("{path}A"), token).await.is_problem(404, "not_found");
        host.with_token(&format!("{path}1"), without).await.is_problem(403, "insufficient_scope");
        // A session is not accepted, because only the extension calls these routes.
        ada.get(&format!("{path}1")).await.is_problem(401, "missing_token");
    }
    for path in [PREDICT.to_owned(), format!("{PREDICT}/1")] {
        let elsewhere = path.replace("prompt_lib/1", "prompt_lib/2");
        ask(&host, token, &elsewhere, &question()).await.is_problem(403, "wrong_project");
        ask(&host, without, &path, &question()).await.is_problem(403, "insufficient_scope");
        ask(&host, "rubbish", &path, &question()).await.is_problem(401, "invalid_token");
        ada.post_to(&path, "{}").await.is_problem(401, "missing_token");
    }
    ada.delete(&format!("{TOKENS}{}", made["uuid"].as_str().unwrap())).await.is(204);
    ask(&host, token, PREDICT, &question()).await.is_problem(401, "revoked");
    for path in &get {
        host.with_token(&format!("{path}1"), token).await.is_problem(401, "revoked");
    }
}
