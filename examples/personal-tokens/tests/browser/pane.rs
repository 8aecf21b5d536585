//! Tests the pane that sets up a tool, in projects that suggest no model.

use serde_json::json;

use crate::driver::{Driver, Scheme, open, signed_in};
use crate::support::Host;
use crate::support::upstream::Upstream;

#[tokio::test(flavor = "multi_thread")]
async fn editor_waits_for_a_model_and_then_shows_its_settings() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    let ada = host.ada().await;
    let made = ada.make("n", Some(ada.project("Open library").await)).await;
    let uuid = made["uuid"].as_str().unwrap();
    browser.goto(&format!("/settings/tokens?settings={uuid}")).await;
    browser.until("document.querySelector('#preview').textContent.startsWith('export SERVER=')", "#preview").await;
    choose(&browser.client, "vscode").await;
    browser.see("#said", "Choose an integration option first. An editor has to know which model to use.").await;
    browser.until("document.querySelector('#made').hidden", "#made").await;
    browser.find("#pane-integration").await.select_by_label("echo").await.unwrap();
    browser.until("document.querySelector('#preview').textContent.includes('\"4_echo\"')", "#preview").await;
    browser.until("!document.querySelector('#made').hidden", "#made").await;
    browser.see("#said", "").await;
    browser.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn project_without_models_offers_only_the_other_tools() {
    let Some(driver) = Driver::start() else { return };
    let upstream = Upstream::start().await;
    let host = Host::start_configured(upstream.config(&[(2, "m")])).await;
    let browser = open(&driver, &host, Scheme::Light).await;
    browser.sign_in(&host).await;
    let made = host.ada().await.make("n", None).await;
    browser.goto(&format!("/settings/tokens?settings={}", made["uuid"].as_str().unwrap())).await;
    assert_eq!(browser.count("#pane [name=tool]:disabled").await, 4);
    assert_eq!(browser.count("#pane-integration").await, 0);
    for (tool, part) in [("curl", "/api/v2/auth/whoami"), ("python", "client.models.list()"), ("netrc", "machine ")] {
        choose(&browser.client, tool).await;
        let shown = format!("document.querySelector('#preview').textContent.includes({})", json!(part));
        browser.until(&shown, "#preview").await;
    }
    browser.client.close().await.unwrap();
}

/// Chooses a tool of the pane.
async fn choose(client: &fantoccini::Client, tool: &str) {
    let script = "document.querySelector(arguments[0]).click()";
    client.execute(script, vec![json!(format!("[name=tool][value={tool}]"))]).await.unwrap();
}
