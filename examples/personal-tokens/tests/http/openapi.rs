//! Compares the API with its OpenAPI document. For this, the program schemathesis sends thousands
//! of valid and invalid requests over the network, and checks the responses.
//!
//! The program comes from PyPI (`pip install schemathesis`). The variable `SCHEMATHESIS` can name
//! its file. If it does not, the test looks for the program in `target/ci-tools/bin`, and then in
//! the folders of `PATH`. Each run prints its seed. To repeat a run, set the variable
//! `SCHEMATHESIS_SEED` to its seed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::document::template;
use crate::support::{Host, TOKENS as TOKENS_PATH, size};

/// Returns the maximum number of requests that schemathesis generates for each operation in one
/// phase, as text.
fn most_examples() -> &'static str {
    if size::is_full() { "150" } else { "40" }
}

/// The number of tokens that the test creates before the first request.
const TOKENS: u32 = 160;

/// Returns the path of schemathesis, if it is installed.
fn schemathesis() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("SCHEMATHESIS") {
        return Some(path.into());
    }
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/ci-tools/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(tools).chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join("schemathesis")).find(|file| file.is_file())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_matches_its_document() {
    let Some(program) = schemathesis() else {
        test_summary::missing("schemathesis is not installed");
        return;
    };
    // The run creates more live tokens than the default policy allows for an owner. Other tests
    // cover this limit.
    let policy = json!({"policy": {"human": {"never_expiring": true}, "most_live_per_owner": 1_000_000}});
    let host = Host::start_configured(policy).await;
    // The requests use the session of eve, so they revoke her tokens. The token that they present
    // belongs to ada, so it stays valid.
    let (ada, eve) = (host.ada().await, host.eve().await);
    let token = ada.post(json!({"name": "n", "scopes": "models:use notes:read tokens:manage"})).await.is(200).json();
    let mut uuids = String::new();
    for number in 0..TOKENS {
        let owner = if number % 8 == 0 { &ada } else { &eve };
        let uuid = owner.make("n", None).await["uuid"].as_str().unwrap().to_owned();
        // The grace period of a token can be ended only if the token is rotated.
        if number % 5 == 0 {
            owner.post_to(&format!("{TOKENS_PATH}{uuid}/rotate"), "").await.is(200);
        }
        uuids += &format!("\"{uuid}\"\n");
    }
    // schemathesis reads these two files from its working directory, and also writes files there.
    std::fs::write(host.dir().join("uuids.txt"), uuids).unwrap();
    std::fs::write(host.dir().join("schemathesis.toml"), include_str!("../schemathesis.toml")).unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/v2/openapi.json", listener.local_addr().unwrap());
    let seen = Seen { document: Arc::new(host.document.clone()), count: Arc::default() };
    let router = host.router.clone().layer(from_fn_with_state(seen.clone(), note));
    let server = tokio::spawn(axum::serve(listener, router).into_future());

    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seed = std::env::var("SCHEMATHESIS_SEED").unwrap_or_else(|_| now.to_string());
    println!("SCHEMATHESIS_SEED={seed}");
    // The operation that revokes all tokens runs last, because it would end the tokens that the
    // other operations use. The document has no links for this operation, so the second run leaves
    // out the phase "stateful", which follows links.
    let runs = [("exclude", "examples,coverage,fuzzing,stateful"), ("include", "examples,coverage,fuzzing")];
    for (which, phases) in runs {
        let mut command = Command::new(&program);
        command
            .args(["run", &url, "--seed", &seed, "--max-examples", most_examples(), "--no-color"])
            .args(["--phases", phases, &format!("--{which}-operation-id"), "revokeAll"])
            .current_dir(host.dir())
            .env("SESSION", eve.cookie.trim_start_matches("session="))
            .env("TOKEN", token["token"].as_str().unwrap());
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        println!("{}", String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success(), "seed {seed}: {}", String::from_utf8_lossy(&output.stderr));
    }
    server.abort();

    // If the service refused all requests for an operation, the run would prove nothing about the
    // operation. So each success status in the document must have been returned at least once.
    let seen = seen.count.lock().unwrap();
    for (answer, count) in seen.iter() {
        println!("{count:6} {answer}");
    }
    for (path, operations) in host.document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap().iter().filter(|(key, _)| *key != "parameters") {
            for status in operation["responses"].as_object().unwrap().keys().filter(|status| status.starts_with('2')) {
                let answer = format!("{} {path} {status}", method.to_uppercase());
                // schemathesis cannot sign reports as GitHub does. The tests in `leaks.rs` cover
                // this route.
                if path == "/api/v2/leaks/github" {
                    continue;
                }
                assert!(seen.contains_key(&answer), "never seen: {answer}");
            }
        }
    }
}

/// A counter of the responses, by operation and by status.
#[derive(Clone)]
struct Seen {
    document: Arc<Value>,
    count: Arc<Mutex<BTreeMap<String, u32>>>,
}

async fn note(State(seen): State<Seen>, request: Request, next: Next) -> Response {
    let path = template(&seen.document, request.uri().path()).unwrap_or("elsewhere");
    let method = request.method().clone();
    let response = next.run(request).await;
    let answer = format!("{method} {path} {}", response.status().as_u16());
    *seen.count.lock().unwrap().entry(answer).or_default() += 1;
    response
}
