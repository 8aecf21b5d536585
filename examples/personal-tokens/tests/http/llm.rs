//! Tests the routes for models: which requests reach the provider of a model, which responses come
//! back, and which tokens may use the models.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Request;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use personal_tokens::first;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::support::upstream::Upstream;
use crate::support::{Answer, Host, Person, REVOKE_ALL, TOKENS, assert_holds_no_part, until};

/// A chat question to the model `m`.
const QUESTION: &str = r#"{"model": "m", "messages": []}"#;

/// Starts a host that has the model `m` in the personal project of its first person. Returns the
/// host and a token for this project.
async fn host_of(upstream: &Upstream) -> (Host, String) {
    let host = Host::start_configured(upstream.config(&[(1, "m")])).await;
    let token = host.ada().await.make("n", None).await["token"].as_str().unwrap().to_owned();
    (host, token)
}

/// Returns the error code in a response that has the form of an error of OpenAI's API.
#[track_caller]
fn code(answer: &Answer) -> String {
    let error = answer.json()["error"].clone();
    assert!(error["message"].as_str().unwrap().len() > 10);
    error["code"].as_str().unwrap().into()
}

#[tokio::test]
async fn question_carries_the_projects_credential_and_nothing_of_the_callers() {
    let upstream = Upstream::start().await;
    let (host, token) = host_of(&upstream).await;
    let question =
        r#"{"model":"m",  "messages":[{"role":"user","content":"é"}],"temperature":0.30,"unknown":{"b":1,"a":2}}"#;
    for credential in [("authorization", format!("Bearer {token}")), ("x-api-key", token.clone())] {
        let request = Request::post("/llm/v1/chat/completions")
            .header(credential.0, &credential.1)
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .header("cookie", "session=secret-cookie")
            .header("x-forwarded-for", "10.1.2.3")
            .header("openai-organization", "callers-own")
            .header("user-agent", "callers-agent");
        host.send(request.body(question.into()).unwrap()).await.is(200);
        let asked = upstream.asked().remove(0);
        assert_eq!((asked.method.as_str(), asked.uri.path()), ("POST", "/v1/chat/completions"));
        assert_eq!(asked.headers["authorization"], "Bearer credential-of-1");
        assert_eq!(asked.body, question, "byte for byte");
        let told = format!("{:?} {} {}", asked.headers, asked.uri, String::from_utf8_lossy(&asked.body));
        assert_holds_no_part(&told, &token);
        for own in ["secret-cookie", "10.1.2.3", "callers-own", "callers-agent", "x-api-key"] {
            assert!(!told.contains(own), "{own}: {told}");
        }
    }
}

#[tokio::test]
async fn model_can_have_another_name_at_its_provider() {
    let upstream = Upstream::start().await;
    let mut config = upstream.config(&[(1, "m")]);
    config["models"][0]["upstream_model"] = json!("provider/m-2026");
    let host = Host::start_configured(config).await;
    let token = host.ada().await.make("n", None).await["token"].as_str().unwrap().to_owned();
    host.ask(&token, r#"{"model": "m", "messages": [1], "seed": 7}"#).await.is(200);
    let asked = upstream.asked()[0].json();
    assert_eq!(asked, json!({"model": "provider/m-2026", "messages": [1], "seed": 7}));
}

/// Some JSON parsers ignore the case of a key, and some use the last of two equal keys. So one body
/// could name two models: an allowed one to the service, and another one to the provider.
#[tokio::test]
async fn question_with_two_model_keys_is_refused() {
    let upstream = Upstream::start().await;
    for upstream_model in [None, Some("provider/m-2026")] {
        let mut config = upstream.config(&[(1, "m")]);
        config["models"][0]["upstream_model"] = json!(upstream_model);
        let host = Host::start_configured(config).await;
        let token = host.ada().await.make("n", None).await["token"].as_str().unwrap().to_owned();
        for question in [
            r#"{"model": "m", "Model": "other", "messages": []}"#,
            r#"{"MODEL": "other", "model": "m", "messages": []}"#,
            r#"{"model": "m", "mode\u004c": "other", "messages": []}"#,
            r#"{"model": "m", "model": "other", "messages": []}"#,
            r#"{"model": "m", "\u006dodel": "m", "messages": []}"#,
            r#"{"Model": "m", "messages": []}"#,
            r#"["m"]"#,
        ] {
            assert_eq!(code(&host.ask(&token, question).await.is(400)), "invalid_body", "{question}");
        }
        assert!(upstream.asked().is_empty());
        // Only a key of the body itself names the model.
        let question = r#"{"model": "m", "modes": 1, "messages": [{"Model": "other"}]}"#;
        host.ask(&token, question).await.is(200);
        assert_eq!(upstream.asked()[0].json()["messages"], json!([{"Model": "other"}]));
    }
}

/// Some providers answer with another model of these keys if the first model fails. The project may
/// not have the other model.
#[tokio::test]
async fn question_with_fallback_models_is_refused() {
    let upstream = Upstream::start().await;
    let (host, token) = host_of(&upstream).await;
    for question in [
        r#"{"model": "m", "models": ["other"], "messages": []}"#,
        r#"{"Models": ["other"], "model": "m", "messages": []}"#,
        r#"{"model": "m", "fallbacks": ["other"], "messages": []}"#,
        r#"{"model": "m", "FALLBACKS": null, "messages": []}"#,
        r#"{"model": "m", "route": "fallback", "messages": []}"#,
        r#"{"model": "m", "rout\u0065": "fallback", "messages": []}"#,
    ] {
        assert_eq!(code(&host.ask(&token, question).await.is(400)), "invalid_body", "{question}");
    }
    assert!(upstream.asked().is_empty());
    // Only a key of the body itself is refused.
    host.ask(&token, r#"{"model": "m", "messages": [{"route": "x", "models": []}]}"#).await.is(200);
}

#[tokio::test]
async fn only_status_body_type_and_retry_time_of_an_answer_pass() {
    for (status, passes) in
        [(200, true), (400, true), (404, true), (422, true), (429, true), (401, false), (403, false), (500, false)]
    {
        let upstream = Upstream::answering(move |_| {
            let headers = [
                ("content-type", "application/json"),
                ("retry-after", "7"),
                ("set-cookie", "theirs=1"),
                ("x-request-id", "theirs"),
                ("www-authenticate", "Bearer realm=\"theirs\""),
            ];
            let body = json!({"error": {"message": "the key credential-of-1 is theirs", "type": "server_error",
                "param": null, "code": "theirs"}});
            let mut response = (headers, axum::Json(body)).into_response();
            *response.status_mut() = status.try_into().unwrap();
            response
        })
        .await;
        let (host, token) = host_of(&upstream).await;
        let answer = host.ask(&token, QUESTION).await;
        let told = format!("{:?} {}", answer.headers, answer.body);
        for own in ["set-cookie", "x-request-id", "realm"] {
            assert!(!told.contains(own), "{status}: {told}");
        }
        if passes {
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("retry-after"), "7");
            assert_eq!(answer.json()["error"]["code"], "theirs");
        } else {
            assert_eq!(answer.status, 502);
            assert!(!told.contains("theirs"), "{told}");
            assert_eq!(code(&answer), if status == 500 { "upstream_failed" } else { "upstream_refused" });
        }
    }
}

#[tokio::test]
async fn answer_of_an_unexpected_content_type_does_not_pass() {
    for content_type in ["text/html", "application/json-patch", ""] {
        let upstream =
            Upstream::answering(move |_| ([("content-type", content_type)], "<script>").into_response()).await;
        let (host, token) = host_of(&upstream).await;
        assert_eq!(code(&host.ask(&token, QUESTION).await.is(502)), "upstream_failed");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Upstream::start().await;
    let to = format!("http://{}/", elsewhere.address);
    let upstream = Upstream::answering(move |_| axum::response::Redirect::temporary(&to).into_response()).await;
    let (host, token) = host_of(&upstream).await;
    assert_eq!(code(&host.ask(&token, QUESTION).await.is(502)), "upstream_failed");
    assert_eq!((upstream.asked().len(), elsewhere.asked().len()), (1, 0));
}

#[tokio::test]
async fn unreachable_provider_is_answered_502() {
    // No server listens on the port of the provider.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut upstream = Upstream::start().await;
    upstream.address = listener.local_addr().unwrap();
    let (host, token) = host_of(&upstream).await;
    drop(listener);
    assert_eq!(code(&host.ask(&token, QUESTION).await.is(502)), "upstream_failed");

    // The provider closes the connection in the middle of the response headers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    upstream.address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-").await.unwrap();
        }
    });
    let (host, token) = host_of(&upstream).await;
    assert_eq!(code(&host.ask(&token, QUESTION).await.is(502)), "upstream_failed");
}

/// Returns a channel and a function that creates a response. Each text sent to the channel becomes
/// the next piece of the response's body, as a model sends its text piece by piece.
fn streaming() -> (mpsc::Sender<&'static str>, impl Fn() -> Response + Clone) {
    let (sender, pieces) = mpsc::channel(1);
    let pieces = std::sync::Arc::new(std::sync::Mutex::new(Some(pieces)));
    let answer = move || {
        let pieces = pieces.lock().unwrap().take();
        let stream = futures_util::stream::unfold(pieces, async |pieces| {
            let mut pieces: mpsc::Receiver<&'static str> = pieces?;
            let piece = pieces.recv().await?;
            Some((Ok::<_, Infallible>(Bytes::from(piece)), Some(pieces)))
        });
        ([("content-type", "text/event-stream")], Body::from_stream(stream)).into_response()
    };
    (sender, answer)
}

async fn raw(host: &Host, token: &str) -> Response {
    let request = Request::post("/llm/v1/chat/completions").header("authorization", format!("Bearer {token}"));
    host.router.clone().oneshot(request.body(Body::from(QUESTION)).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_streamed_answer_comes_piece_by_piece() {
    let (sender, answer) = streaming();
    let upstream = Upstream::answering(move |_| answer()).await;
    let (host, token) = host_of(&upstream).await;
    sender.send("data: one\n\n").await.unwrap();
    let response = raw(&host, &token).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    // The test sends the second piece only after the first piece has arrived at the client.
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "data: one\n\n");
    sender.send("data: [DONE]\n\n").await.unwrap();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "data: [DONE]\n\n");
    drop(sender);
    assert!(body.frame().await.is_none());
}

/// Revokes ada's only token.
async fn revoke(host: &Host) {
    assert_eq!(host.ada().await.post_to(REVOKE_ALL, "").await.is(200).json(), json!({"revoked": 1}));
}

/// A model may answer for minutes. A token that is revoked in this time must not get the rest.
#[tokio::test]
async fn revoked_token_loses_an_answer_that_is_in_progress() {
    let (sender, answer) = streaming();
    let upstream = Upstream::answering(move |_| answer()).await;
    let (host, token) = host_of(&upstream).await;
    sender.send("data: 0\n\n").await.unwrap();
    let mut body = raw(&host, &token).await.into_body();
    let more = async || while sender.send("data: 1\n\n").await.is_ok() {};
    // While the token is live, its holder gets pieces for longer than the time between two checks.
    let live = async {
        for _ in 0..60 {
            body.frame().await.unwrap().unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = live => {}
        () = more() => panic!("the provider lost its reader"),
    }
    revoke(&host).await;
    // The model would continue indefinitely.
    let read = async {
        loop {
            match body.frame().await {
                Some(piece) => drop(piece?),
                None => panic!("the body looks complete"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // After the body is interrupted, the provider has lost its reader too, and the model stops.
    let ended = async { tokio::join!(more(), read) };
    let ended = tokio::time::timeout(Duration::from_secs(60), ended).await;
    let ((), broken): ((), Result<(), axum::Error>) = ended.expect("the model still answers");
    let error = broken.unwrap_err().to_string();
    assert!(error.contains("revoked"), "{error}");
}

#[tokio::test]
async fn revoked_token_stops_waiting_for_a_slow_model() {
    let upstream = Upstream::answering(|_| {
        let silent = futures_util::stream::pending::<Result<Bytes, Infallible>>();
        ([("content-type", "application/json")], Body::from_stream(silent)).into_response()
    })
    .await;
    let (host, token) = host_of(&upstream).await;
    let request = |path: &str, body: Value| {
        let request = Request::post(path).header("authorization", format!("Bearer {token}"));
        request.body(Body::from(body.to_string())).unwrap()
    };
    let predict = request("/api/v1/prompt_lib/predict/prompt_lib/1", json!({"user_input": "Hi"}));
    let ask_model = json!({"name": "ask_model", "arguments": {"model": "m", "prompt": "Hi"}});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": ask_model});
    let revoking = async {
        let mut seen = 0;
        let is_asked = async || {
            seen += upstream.asked().len();
            seen == 2
        };
        until("both questions are in progress", is_asked).await;
        revoke(&host).await;
    };
    let waiting = async { tokio::join!(host.send(predict), host.send(request("/mcp", call)), revoking) };
    let waiting = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    let (predicted, called, ()) = waiting.expect("the callers still wait");
    predicted.is_problem(401, "revoked");
    called.is_problem(401, "revoked");
}

#[tokio::test]
async fn concurrent_answers_are_bounded_and_a_lost_client_frees_its_place() {
    let upstream = Upstream::answering(|_| {
        let silent = futures_util::stream::pending::<Result<Bytes, Infallible>>();
        ([("content-type", "text/event-stream")], Body::from_stream(silent)).into_response()
    })
    .await;
    let host = Host::start_configured(upstream.config(&[(4, "m")])).await;
    let make = async |person: Person<'_>| person.make("n", Some(4)).await["token"].as_str().unwrap().to_owned();
    let mut tokens = Vec::new();
    for name in ["bob", "eve", "kim", "lin", "sam"] {
        first::add_user(&host.app.db, name, "a-password").await.unwrap();
        tokens.push(make(host.sign_in(name, "a-password").await).await);
    }
    let last = tokens.pop().unwrap();
    let is_busy = async |token: &str| {
        let busy = host.ask(token, QUESTION).await.is(503);
        assert_eq!((code(&busy).as_str(), busy.header("retry-after")), ("busy", "1"));
    };
    let mut open = Vec::new();
    for token in &tokens {
        // One person leaves room for others.
        for _ in 0..16 {
            let response = raw(&host, token).await;
            assert_eq!(response.status(), 200);
            open.push(response);
        }
        is_busy(token).await;
    }
    is_busy(&last).await;
    drop(open.pop());
    let _held = raw(&host, &last).await;
    is_busy(&last).await;
    is_busy(&tokens[3]).await;
    drop(open.pop());
    assert_eq!(raw(&host, &tokens[3]).await.status(), 200);
}

#[tokio::test]
async fn models_are_open_to_live_tokens_of_their_project_with_the_scope() {
    let upstream = Upstream::start().await;
    let host = Host::start_configured(upstream.config(&[(1, "own"), (2, "other"), (4, "public"), (4, "own")])).await;
    let ada = host.ada().await;
    let token = ada.make("n", None).await["token"].as_str().unwrap().to_owned();
    let ask = async |model: &str| host.ask(&token, &json!({"model": model, "messages": []}).to_string()).await;
    for (model, project) in [("own", 1), ("public", 4)] {
        ask(model).await.is(200);
        let credential = format!("Bearer credential-of-{project}");
        assert_eq!(upstream.asked()[0].headers["authorization"], *credential);
    }
    for model in ["other", "none", "", "OWN"] {
        assert_eq!(code(&ask(model).await.is(404)), "model_not_found", "{model}");
    }
    let listed = host.with_token("/llm/v1/models", &token).await.is(200).json();
    let ids: Vec<_> = listed["data"].as_array().unwrap().iter().map(|model| &model["id"]).collect();
    assert_eq!(ids, ["own", "public"]);
    for body in ["", "no", "[]", "{}", r#"{"model": 1}"#] {
        assert_eq!(code(&host.ask(&token, body).await.is(400)), "invalid_body", "{body}");
    }

    let without = ada.post(json!({"name": "n", "scopes": ""})).await.is(200).json();
    let refused = host.ask(without["token"].as_str().unwrap(), QUESTION).await;
    refused.is_problem(403, "insufficient_scope");
    assert!(refused.header("www-authenticate").contains("scope=\"models:use\""));
    let made = ada.make("n", None).await;
    ada.delete(&format!("{TOKENS}{}", made["uuid"].as_str().unwrap())).await.is(204);
    host.ask(made["token"].as_str().unwrap(), QUESTION).await.is_problem(401, "revoked");
    host.ask("rubbish", QUESTION).await.is_problem(401, "invalid_token");
    host.clock.advance(Duration::from_secs(30 * 24 * 60 * 60));
    host.ask(&token, QUESTION).await.is_problem(401, "expired");
    assert_eq!(upstream.asked().len(), 0);
}

#[tokio::test]
async fn bodies_are_bounded_and_not_read_without_a_token() {
    let upstream = Upstream::start().await;
    let (host, token) = host_of(&upstream).await;
    let question = |length: usize| {
        let empty = r#"{"model": "m", "messages": ""}"#.len();
        format!(r#"{{"model": "m", "messages": "{}"}}"#, "x".repeat(length - empty))
    };
    host.ask(&token, &question(4 * 1024 * 1024)).await.is(200);
    assert_eq!(code(&host.ask(&token, &question(4 * 1024 * 1024 + 1)).await.is(413)), "too_large");
    // The service refuses a request without a token before it reads the body. The body of this
    // request never ends.
    let endless = Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>());
    host.send(Request::post("/llm/v1/chat/completions").body(endless).unwrap()).await.is_problem(401, "missing_token");
}

#[tokio::test]
async fn endless_questions_of_one_person_leave_room_for_others() {
    let host = Host::start().await;
    let [mine, hers] = [host.ada().await.make("n", None).await, host.eve().await.make("n", None).await];
    let endless = || {
        let request = Request::post("/llm/v1/chat/completions").header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {}", mine["token"].as_str().unwrap()));
        request.body(Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>())).unwrap()
    };
    // The number of questions in progress is limited to sixteen. One person tries to use them all.
    let _held: JoinSet<_> = (0..16).map(|_| host.router.clone().oneshot(endless())).collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let question = r#"{"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}"#;
    // The response comes within four seconds. It would take longer if the question had to wait for
    // the other questions.
    let asking = host.ask(hers["token"].as_str().unwrap(), question);
    tokio::time::timeout(Duration::from_secs(4), asking).await.expect("there is room").is(200);
}

#[tokio::test]
async fn without_configured_models_one_echoes() {
    let host = Host::start().await;
    let token = host.ada().await.make("n", None).await["token"].as_str().unwrap().to_owned();
    let ask = |more: &str| format!(r#"{{"model": "echo", "messages": [{{"role": "user", "content": "Hi"}}]{more}}}"#);
    let answer = host.ask(&token, &ask("")).await.is(200).json();
    assert_eq!(answer["choices"][0]["message"], json!({"role": "assistant", "content": "Hi"}));
    let streamed = host.ask(&token, &ask(", \"stream\": true")).await.is(200);
    assert_eq!(streamed.header("content-type"), "text/event-stream");
    let (chunk, done) = streamed.body.trim_end().split_once("\n\n").unwrap();
    let chunk: Value = serde_json::from_str(chunk.trim_start_matches("data: ")).unwrap();
    assert_eq!((&chunk["choices"][0]["delta"]["content"], done), (&json!("Hi"), "data: [DONE]"));
    assert_eq!(code(&host.ask(&token, r#"{"model": "echo", "messages": []}"#).await.is(400)), "invalid_body");

    let upstream = Upstream::start().await;
    let (host, token) = host_of(&upstream).await;
    assert_eq!(code(&host.ask(&token, &ask("")).await.is(404)), "model_not_found");
}

#[tokio::test]
async fn administrators_form_adds_and_removes_models() {
    let upstream = Upstream::start().await;
    let mut config = upstream.config(&[(1, "fixed")]);
    config["upstreams"]["main"]["credentials"]["2"] = json!("credential-of-2");
    let host = Host::start_configured(config).await;
    let ada = host.ada().await;
    let csrf = ada.get("/admin/models").await.is(200).field("csrf");
    let add = async |fields: &str| ada.post_form("/admin/models", &format!("csrf={csrf}&{fields}")).await;
    for (fields, words) in [
        ("project=1&name=+&upstream=main", "A model's name must have 1 to 255 characters"),
        ("project=1&name=a%00b&upstream=main", "and control characters"),
        ("project=1&name=a%E2%80%AEb&upstream=main", "without invisible"),
        ("project=1&name=%E3%85%A4&upstream=main", "without invisible"),
        ("project=1&name=fixed&upstream=main", "The project already has a model of this name."),
        ("project=99&name=m&upstream=main", "The project does not exist."),
        ("project=3&name=m&upstream=main", "has no credential for this project"),
    ] {
        let answer = add(fields).await.is(400).body;
        assert!(answer.replace("&#39;", "'").contains(words), "{fields}");
    }
    assert!(add("project=1&name=kept+words&upstream=none").await.is(400).body.contains("value=\"kept words\""));
    add("project=1&name=m&upstream=main&owner=2").await.is(422);
    add("project=1&name=one&upstream=main&default=on").await.is(303);
    add("project=1&name=two&default=on&upstream=main&upstream_model=there").await.is(303);
    assert!(add("project=1&name=two&upstream=main").await.is(400).body.contains("already has a model of this name"));

    let page = ada.get("/admin/models").await.is(200).body;
    assert!(!page.contains("credential-of"));
    assert_eq!(page.matches("badge good\">Default").count(), 1, "the second took the place of the first");
    let made = ada.make("n", None).await;
    let token = made["token"].as_str().unwrap().to_owned();
    host.ask(&token, r#"{"model": "two"}"#).await.is(200);
    assert_eq!(upstream.asked()[0].json()["model"], "there");
    let set_up = format!("/settings/tokens?settings={}", made["uuid"].as_str().unwrap());
    assert!(ada.get(&set_up).await.body.contains("<option value=\"1_two\" selected>two</option>"));

    let ask = page.split("href=\"").find(|text| text.starts_with("/admin/models?remove=")).unwrap();
    let dialog = ada.get(ask.split('"').next().unwrap()).await.is(200).body;
    assert!(dialog.contains("Remove one?") || dialog.contains("Remove two?"));
    let remove = dialog.split("action=\"").find(|text| text.contains("/remove\"")).unwrap().split('"').next().unwrap();
    ada.post_form(remove, "csrf=wrong").await.is(403);
    ada.post_form(remove, &format!("csrf={csrf}")).await.is(303);
    ada.post_form(remove, &format!("csrf={csrf}")).await.is(404);
    let eve = host.eve().await;
    let csrf = eve.get("/settings/tokens").await.field("csrf");
    eve.get("/admin/models").await.is(404);
    eve.post_form("/admin/models", &format!("csrf={csrf}&project=1&name=n&upstream=main")).await.is(404);
}

#[tokio::test]
async fn invalid_configuration_stops_the_start() {
    let upstreams = |url: &str| json!({"main": {"url": url, "credentials": {"1": "c"}}});
    let model =
        |project: i64, name: &str, upstream: &str| json!({"project_id": project, "name": name, "upstream": upstream});
    let default = |name: &str| json!({"project_id": 1, "name": name, "upstream": "main", "default": true});
    let with = |models: Value| json!({"upstreams": upstreams("http://a/v1"), "models": models});
    for (config, words) in [
        (json!({"modles": []}), "unknown field `modles`"),
        (json!({"public_url": "https://a/"}), "public_url must be"),
        (json!({"upstreams": upstreams("ftp://a/v1")}), "url must be http:// or https://"),
        (json!({"upstreams": upstreams("https://user:password@a/v1")}), "url must be http:// or https://"),
        (json!({"upstreams": upstreams("https://a/v1?key=1")}), "url must be http:// or https://"),
        (
            json!({"upstreams": {"main": {"url": "http://a", "credentials": {"1": "a\nb"}}}}),
            "contains a character that a header cannot hold",
        ),
        (with(json!([model(99, "m", "main")])), "the project does not exist"),
        (with(json!([model(1, "m", "other")])), "does not define this upstream"),
        (with(json!([model(2, "m", "main")])), "no credential for this project"),
        (with(json!([model(1, "", "main")])), "1 to 255 characters"),
        (with(json!([model(1, &"x".repeat(256), "main")])), "1 to 255 characters"),
        (with(json!([model(1, "\u{ffff}", "main")])), "and control characters"),
        (
            with(json!([{"project_id": 1, "name": "m", "upstream": "main", "upstream_model": "x".repeat(256)}])),
            "at the upstream must have at most 255 characters",
        ),
        // These names contain invisible characters, or characters that change the direction of the
        // text.
        (with(json!([model(1, "gpt\u{202e}o4", "main")])), "without invisible"),
        (with(json!([model(1, "\u{200b}", "main")])), "without invisible"),
        (with(json!([model(1, "\u{3164}", "main")])), "without invisible"),
        (with(json!([model(1, "gpt-4o\u{2060}", "main")])), "without invisible"),
        (with(json!([model(1, "m", "main"), model(1, "m", "main")])), "already has a model of this name"),
        (with(json!([default("a"), default("b")])), "already has a default model"),
    ] {
        let error = Host::refused(&config, 0o600).await;
        assert!(error.contains(words), "{config}: {error}");
        assert!(!error.contains("password"), "{error}");
    }
    // A `config.json` that other users can read is refused only if it contains a credential.
    let error = Host::refused(&with(json!([])), 0o640).await;
    assert!(error.contains("chmod 600"), "{error}");
    assert_eq!(Host::refused(&json!({"verify_ssl": false}), 0o644).await, "");
}
