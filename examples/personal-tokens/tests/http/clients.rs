//! Tests the service with scripts that speak as its real clients do: the VS Code extension
//! (`node/extension.mjs`) and the web client (`node/web_client.mjs`). The scripts run in Node.

use std::path::Path;
use std::process::Command;

use personal_tokens::connect::Tool;
use serde_json::{Value, json};

use crate::settings::{Popup, reached_at};
use crate::support::upstream::Upstream;
use crate::support::{Host, TOKENS, WHOAMI};

/// Returns whether Node is installed. If it is not, records that the test is skipped.
fn has_node() -> bool {
    let has = Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success());
    if !has {
        test_summary::missing("node is not installed");
    }
    has
}

/// Runs a script, and returns the JSON that it prints.
///
/// # Errors
/// If the script fails, returns the text that it wrote to stderr.
async fn run(script: &str, arguments: &[&str], password: &str) -> Result<Value, String> {
    let mut command = Command::new("node");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node").join(script)).args(arguments);
    command.env("PASSWORD", password);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

/// Runs the extension with this settings file.
async fn extension(host: &Host, settings: &str) -> Result<Value, String> {
    let path = host.dir().join("settings.json");
    std::fs::write(&path, settings).unwrap();
    run("extension.mjs", &[path.to_str().unwrap()], "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn extension_needs_only_the_downloaded_settings() {
    if !has_node() {
        return;
    }
    let upstream = Upstream::start().await;
    let host = Host::start_configured(upstream.config(&[(2, "modèle \"2\""), (4, "public")])).await;
    let address = host.serve().await;
    let ada = host.ada().await;
    let popup = Popup::make(&ada, 2).await;
    for (integration, model) in [("2_modèle \"2\"", "modèle \"2\""), ("4_public", "public")] {
        // The older generation of the file has the same keys for the newer extension.
        for tool in [Tool::VsCode, Tool::VsCodeAlita] {
            let settings = reached_at(address, &popup.download(&ada, tool, integration).await);
            let expected = json!({
                "shown": "ELITEA Code: Invalid LLMAuth JWT token",
                "models": ["modèle \"2\"", "public"],
                "rows": {"tags": 0, "prompts": 0, "datasources": 0, "applications": 0},
                "answer": format!("Rain, says {model}"),
            });
            assert_eq!(extension(&host, &settings).await, Ok(expected));
            let asked = upstream.asked();
            let messages = &asked[0].json()["messages"];
            assert_eq!((asked.len(), &messages[0]["content"]), (1, &json!("You write Rust.")));
        }
    }

    // The extension shows the reason after the token is revoked, and with a file that has no token.
    let settings = reached_at(address, &popup.download(&ada, Tool::VsCode, "4_public").await);
    let later = ada.get(&format!("/settings/tokens/{}/connect/vscode", popup.uuid())).await.is(200).body;
    let refused = extension(&host, &reached_at(address, &later)).await.unwrap_err();
    assert!(refused.starts_with("401 ") && refused.contains("\"invalid_token\""), "{refused}");
    ada.delete(&format!("{TOKENS}{}", popup.uuid())).await.is(204);
    let refused = extension(&host, &settings).await.unwrap_err();
    assert!(refused.starts_with("401 ") && refused.contains("\"revoked\""), "{refused}");
    assert_eq!(upstream.asked().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn extension_works_with_the_built_in_model() {
    if !has_node() {
        return;
    }
    let host = Host::start().await;
    let address = host.serve().await;
    let ada = host.ada().await;
    let popup = Popup::make(&ada, 1).await;
    let settings = reached_at(address, &popup.download(&ada, Tool::VsCode, "4_echo").await);
    let said = extension(&host, &settings).await.unwrap();
    assert_eq!((&said["models"], &said["answer"]), (&json!(["echo"]), &json!("Explain this code.")));
}

#[tokio::test(flavor = "multi_thread")]
async fn web_client_manages_tokens_with_its_session() {
    if !has_node() {
        return;
    }
    let upstream = Upstream::start().await;
    let host = Host::start_configured(upstream.config(&[(2, "own"), (4, "public")])).await;
    let server = format!("http://{}", host.serve().await);
    let client = async |project: &str, password: &str| {
        run("web_client.mjs", &[&server, &host.first.name, project], password).await
    };
    let password = &host.first.password;
    let said = client("2", password).await.unwrap();
    assert_eq!((&said["models"], &said["days"]), (&json!(["own", "public"]), &json!(30)));
    // The script has deleted the token, so the token has stopped working.
    host.with_token(WHOAMI, said["token"].as_str().unwrap()).await.is_problem(401, "revoked");
    assert_eq!(host.ada().await.get(TOKENS).await.json(), json!([]));

    let refused = client("2", "wrong").await.unwrap_err();
    assert!(refused.starts_with("401 sign-in"), "{refused}");
    let refused = client("999", password).await.unwrap_err();
    assert!(refused.starts_with("403 ") && refused.contains("project_forbidden"), "{refused}");
}
