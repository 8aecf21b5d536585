//! Tests the endpoint for clients of the Model Context Protocol.
//!
//! One test uses the client library of the protocol for Python (`pip install mcp`). The test tries
//! three Python interpreters until one has the library: the path in the variable `MCP_PYTHON`, the
//! interpreter in `target/ci-tools`, and `python3` on the path.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use axum::http::Request;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::support::upstream::Upstream;
use crate::support::{Answer, Host, TOKENS};

struct Client {
    host: Host,
    token: String,
}

impl Client {
    async fn start() -> Self {
        let host = Host::start().await;
        let token = host.ada().await.make("MCP", None).await["token"].as_str().unwrap().to_owned();
        Self { host, token }
    }

    async fn send(&self, body: &str) -> Answer {
        let request = Request::post("/mcp").header("authorization", format!("Bearer {}", self.token));
        self.host.send(request.body(body.to_owned().into()).unwrap()).await
    }

    async fn ask(&self, method: &str, params: Value) -> Value {
        let message = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        let answer = self.send(&message.to_string()).await.is(200).json();
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(7)));
        answer
    }
}

#[tokio::test]
async fn client_gets_a_protocol_version_that_both_support() {
    let client = Client::start().await;
    for (asked, spoken) in [("2024-11-05", "2024-11-05"), ("2025-06-18", "2025-06-18"), ("1999-01-01", "2025-06-18")] {
        let answer = client.ask("initialize", json!({ "protocolVersion": asked })).await;
        assert_eq!(answer["result"]["protocolVersion"], spoken);
        assert_eq!(answer["result"]["capabilities"], json!({ "tools": {} }));
    }
    let silent = client.send(r#"{"jsonrpc": "2.0", "method": "notifications/initialized"}"#).await.is(202);
    assert_eq!(silent.body, "");
    assert_eq!(client.ask("ping", json!({})).await["result"], json!({}));
}

#[tokio::test]
async fn its_tools_list_the_models_and_ask_one() {
    let client = Client::start().await;
    let tools = client.ask("tools/list", json!({})).await;
    let names: Vec<_> = tools["result"]["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["list_models", "ask_model"]);
    let told = async |name: &str, arguments: Value| {
        let answer = client.ask("tools/call", json!({ "name": name, "arguments": arguments })).await;
        let result = &answer["result"];
        (result["content"][0]["text"].as_str().unwrap().to_owned(), result["isError"].as_bool().unwrap())
    };
    assert_eq!(told("list_models", json!({})).await, ("echo".into(), false));
    assert_eq!(told("ask_model", json!({ "model": "echo", "prompt": "Hello" })).await, ("Hello".into(), false));
    let (text, failed) = told("ask_model", json!({ "model": "other", "prompt": "Hello" })).await;
    assert_eq!((text.as_str(), failed), ("the token's project has no such model", true));
}

#[tokio::test]
async fn failures_of_the_model_are_results_for_the_caller() {
    for (status, body, words) in [
        (429, json!({}), "the model's provider refuses the question with status 429 Too Many Requests"),
        (500, json!({}), "the model's provider cannot be reached or failed"),
        (200, json!({"choices": []}), "the model's provider cannot be reached or failed"),
    ] {
        let upstream = Upstream::answering(move |_| {
            let mut response = axum::Json(body.clone()).into_response();
            *response.status_mut() = status.try_into().unwrap();
            response
        })
        .await;
        let host = Host::start_configured(upstream.config(&[(1, "m")])).await;
        let token = host.ada().await.make("MCP", None).await["token"].as_str().unwrap().to_owned();
        let client = Client { host, token };
        let call = json!({ "name": "ask_model", "arguments": { "model": "m", "prompt": "Hello" } });
        let answer = client.ask("tools/call", call).await;
        assert_eq!(
            (&answer["result"]["content"][0]["text"], &answer["result"]["isError"]),
            (&json!(words), &json!(true))
        );
    }
}

#[tokio::test]
async fn invalid_messages_and_tokens_are_refused() {
    let mut client = Client::start().await;
    for body in [
        "no",
        "",
        "{}",
        r#"{"jsonrpc": "1.0", "id": 1, "method": "ping"}"#,
        r#"{"jsonrpc": "2.0", "id": null, "method": "ping"}"#,
    ] {
        assert_eq!(client.send(body).await.is(400).json()["error"]["code"], -32600, "{body}");
    }
    assert_eq!(client.ask("tools/steal", json!({})).await["error"]["code"], -32601);
    assert_eq!(client.ask("tools/call", json!({ "name": "rm" })).await["error"]["code"], -32602);
    let call = json!({ "name": "ask_model", "arguments": { "model": 1 } });
    assert_eq!(client.ask("tools/call", call).await["error"]["code"], -32602);
    client.token.push('x');
    client.send("{}").await.is_problem(401, "invalid_token");
}

#[tokio::test]
async fn its_tools_are_those_that_the_token_has_the_scopes_for() {
    let host = Host::start().await;
    let ada = host.ada().await;
    for (scopes, tools) in [
        ("", &[][..]),
        ("notes:read", &["list_notes"]),
        ("models:use", &["list_models", "ask_model"]),
        ("models:use notes:read", &["list_models", "ask_model", "list_notes"]),
    ] {
        let token = ada.post(json!({"name": "n", "scopes": scopes})).await.is(200).json();
        let token = token["token"].as_str().unwrap().to_owned();
        let send = async |message: Value| {
            let request = Request::post("/mcp").header("authorization", format!("Bearer {token}"));
            host.send(request.header("host", "tokens.example").body(message.to_string().into()).unwrap()).await
        };
        let listed = send(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).await.is(200).json();
        let names: Vec<_> = listed["result"]["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
        assert_eq!(names, tools);
        let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "list_notes"}});
        let answer = send(call).await;
        if tools.contains(&"list_notes") {
            let text = answer.is(200).json()["result"]["content"][0]["text"].clone();
            assert_eq!(text, "Personal (ada) has no notes.");
        } else {
            // The challenge names the scopes that the client's token needs.
            let challenge = answer.header("www-authenticate").to_owned();
            assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
            let rest = "scope=\"notes:read\", \
                        resource_metadata=\"http://tokens.example/.well-known/oauth-protected-resource/mcp\"";
            assert!(challenge.ends_with(rest), "{challenge}");
            answer.is_problem(403, "insufficient_scope");
        }
    }
}

/// Tests the headers `MCP-Protocol-Version` and `Origin` of the HTTP transport (2025-06-18). The
/// service must accept a request without these headers, because the first request of a client has
/// none.
#[tokio::test]
async fn unsupported_version_and_foreign_origin_are_refused() {
    let client = Client::start().await;
    let ping = r#"{"jsonrpc": "2.0", "id": 1, "method": "ping"}"#;
    let send = async |name: &str, value: &str| {
        let request = Request::post("/mcp").header("authorization", format!("Bearer {}", client.token));
        let request = request.header("host", "tokens.example").header(name, value);
        client.host.send(request.body(ping.into()).unwrap()).await
    };
    for version in ["2025-06-18", "2025-03-26", "2024-11-05"] {
        send("mcp-protocol-version", version).await.is(200);
    }
    for version in ["1999-01-01", ""] {
        assert_eq!(send("mcp-protocol-version", version).await.is(400).json()["error"]["code"], -32600, "{version}");
    }
    send("origin", "http://tokens.example").await.is(200);
    for origin in ["https://evil.example", "http://tokens.example:81", "null"] {
        send("origin", origin).await.is_problem(403, "cross_origin");
    }

    // If the administrator has configured the public address, only this address is accepted as the
    // origin.
    let host = Host::start_configured(json!({"public_url": "https://tokens.example"})).await;
    let token = host.ada().await.make("MCP", None).await["token"].as_str().unwrap().to_owned();
    for (origin, status) in [("https://tokens.example", 200), ("https://evil.example", 403)] {
        let request = Request::post("/mcp").header("authorization", format!("Bearer {token}"));
        let request = request.header("host", "evil.example").header("origin", origin);
        host.send(request.body(ping.into()).unwrap()).await.is(status);
    }
}

/// The challenge must contain the address of metadata that describe the called resource, as RFC
/// 9728 requires.
#[tokio::test]
async fn the_challenge_leads_to_the_metadata_of_the_resource() {
    let host = Host::start().await;
    for (path, resource, scope) in [
        // The challenge of `/mcp` names no scope, because each tool needs another scope.
        ("/mcp", "http://tokens.example/mcp", ""),
        ("/llm/v1/models", "http://tokens.example", "scope=\"models:use\", "),
    ] {
        let method = if path == "/mcp" { "POST" } else { "GET" };
        let request = Request::builder().method(method).uri(path).header("host", "tokens.example");
        let refused = host.send(request.body("".into()).unwrap()).await;
        let challenge = refused.header("www-authenticate").to_owned();
        let start = format!("Bearer realm=\"personal-tokens\", {scope}resource_metadata=");
        assert!(challenge.starts_with(&start), "{challenge}");
        let (_, address) = challenge.split_once("resource_metadata=\"").unwrap();
        let address = address.strip_suffix('"').unwrap().strip_prefix("http://tokens.example").unwrap();
        refused.is_problem(401, "missing_token");
        let metadata = host.with_headers(address, &[("host", "tokens.example")]).await.is(200);
        assert_eq!(
            metadata.json(),
            json!({
                "resource": resource,
                "resource_name": "personal-tokens",
                "bearer_methods_supported": ["header"],
                "scopes_supported": ["models:use", "notes:read", "tokens:manage"],
            })
        );
    }
    // If a public address is configured, the metadata name this address instead of the address in
    // the `Host` header of the request.
    let host = Host::start_configured(json!({"public_url": "https://tokens.example"})).await;
    let metadata = host.with_headers("/.well-known/oauth-protected-resource", &[("host", "evil.example")]).await;
    assert_eq!(metadata.json()["resource"], "https://tokens.example");
    host.with_headers("/.well-known/other", &[]).await.is_problem(404, "not_found");
}

/// Returns the path of a Python interpreter that has the client library, if one is installed.
fn python() -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/ci-tools/bin/python3");
    let named = std::env::var_os("MCP_PYTHON").map(PathBuf::from);
    let has_library = |python: &PathBuf| {
        let mut command = Command::new(python);
        command.args(["-c", "from mcp import Client"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    named.into_iter().chain([tools, "python3".into()]).find(has_library)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_library_sees_the_permitted_tools_and_after_revocation_the_challenge() {
    let Some(python) = python() else {
        test_summary::missing("the client library mcp for Python is not installed");
        return;
    };
    let host = Host::start().await;
    let ada = host.ada().await;
    let address = host.serve().await;
    for (scopes, tools) in [
        ("models:use", json!(["list_models", "ask_model"])),
        ("models:use notes:read", json!(["list_models", "ask_model", "list_notes"])),
    ] {
        let issuer = ada.post(json!({"name": "Laptop", "scopes": "models:use notes:read"})).await.is(200).json();
        let path = format!("{TOKENS}{}", issuer["uuid"].as_str().unwrap());
        let body = json!({"name": "Agent", "scopes": scopes}).to_string();
        let agent = ada.post_to(&format!("{path}/delegate"), &body).await.is(200).json();
        let mut client = LibraryClient::start(&python, &format!("http://{address}/mcp"), &agent);
        assert_eq!(client.said().await, json!({"tools": tools, "models": "echo"}));

        ada.delete(&path).await.is(204);
        client.child.stdin.take().unwrap().write_all(b"revoked\n").unwrap();
        assert_eq!(
            client.said().await,
            json!({
                "status": 401,
                "error": "invalid_token",
                "error_description": "the token that issued this one does not work any more",
                "scope": null,
                "resource": format!("http://{address}/mcp"),
            })
        );
    }
}

/// A Python process that runs the client library. Dropping this value kills the process.
struct LibraryClient {
    child: Child,
    output: Option<BufReader<ChildStdout>>,
}

impl LibraryClient {
    fn start(python: &Path, url: &str, token: &Value) -> Self {
        let mut command = Command::new(python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/mcp_client.py")).arg(url);
        command.env("TOKEN", token["token"].as_str().unwrap()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = child.stdout.take().map(BufReader::new);
        Self { child, output }
    }

    /// Returns the next line that the process prints, as JSON.
    async fn said(&mut self) -> Value {
        let mut output = self.output.take().unwrap();
        let read = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            (output, line)
        });
        let (output, line) = read.await.unwrap();
        self.output = Some(output);
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the client ended: {line:?}"))
    }
}

impl Drop for LibraryClient {
    fn drop(&mut self) {
        // An error is ignored, because the process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
