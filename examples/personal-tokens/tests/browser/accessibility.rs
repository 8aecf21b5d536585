//! Checks the accessibility of each page and dialog with axe-core. Each check runs with light and
//! dark colours, and with a wide and a narrow window.
//!
//! The tests need the file `axe.min.js` of the npm package axe-core. The environment variable
//! `AXE_CORE` can name the path of this file. If the variable is not set, the tests look for the
//! file where `.ci/run` installs axe-core. If the file is missing, the tests are skipped. If the
//! environment variable `CI` is `true`, they fail instead.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::driver::{Browser, Driver, Scheme, open};
use crate::support::{Host, TOKENS, WHOAMI};

/// The width and the height of a wide window, in pixels.
const WIDE: (u32, u32) = (1280, 900);
/// The width and the height of a narrow window, in pixels.
const NARROW: (u32, u32) = (400, 800);

#[tokio::test(flavor = "multi_thread")]
async fn no_violation_in_light() {
    in_scheme(Scheme::Light).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_violation_in_dark() {
    in_scheme(Scheme::Dark).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_label_is_found() {
    let (Some(axe), Some(driver)) = (axe(), Driver::start()) else { return };
    let host = Host::start().await;
    let browser = open(&driver, &host, Scheme::Light).await;
    browser.goto("/sign-in").await;
    browser
        .client
        .execute("document.querySelectorAll('label').forEach(label => label.remove())", vec![])
        .await
        .unwrap();
    let found = browser.violations(&axe).await;
    assert!(found.iter().any(|one| one.starts_with("label")), "{found:?}");
    browser.client.close().await.unwrap();
}

/// Checks all pages and dialogs in one colour scheme.
async fn in_scheme(scheme: Scheme) {
    let (Some(axe), Some(driver)) = (axe(), Driver::start()) else { return };
    let host = Host::start_configured(json!({
        "upstreams": { "main": { "url": "http://127.0.0.1:9/v1", "credentials": { "1": "c" } } },
        "models": [{ "project_id": 1, "name": "gpt", "upstream": "main", "default": true }],
    }))
    .await;
    let ada = host.ada().await;
    let day = std::time::Duration::from_secs(24 * 60 * 60);
    // The list has one token for each colour of a status badge: a token that has expired, is about
    // to expire, was replaced, is disabled or is active.
    ada.make("Ended", None).await;
    host.clock.advance(10 * day);
    ada.make("About to end", None).await;
    host.clock.advance(23 * day);
    let uuid = |made: Value| made["uuid"].as_str().unwrap().to_owned();
    let (well, replaced) = (uuid(ada.make("Well", None).await), uuid(ada.make("Replaced", None).await));
    let agent = json!({"name": "Agent", "scopes": "models:use"}).to_string();
    let agent = ada.post_to(&format!("{TOKENS}{well}/delegate"), &agent).await.is(200).json();
    host.with_token(WHOAMI, agent["token"].as_str().unwrap()).await.is(200);
    let disabled = uuid(ada.make("Disabled", None).await);
    let csrf = ada.get("/settings/tokens").await.field("csrf");
    let page = ada.get(&format!("/settings/tokens?rotate={replaced}")).await;
    let form = format!("csrf={csrf}&form={}&grace=24", page.field("form"));
    ada.post_form(&format!("/settings/tokens/{replaced}/rotate"), &form).await.is(200);
    ada.post_form(&format!("/settings/tokens/{disabled}/disable"), &format!("csrf={csrf}")).await.is(303);

    let browser = open(&driver, &host, scheme).await;
    let dark = browser.client.execute("return matchMedia('(prefers-color-scheme: dark)').matches", vec![]).await;
    assert_eq!(dark.unwrap(), scheme == Scheme::Dark);
    let check = async |name: &str| {
        for (width, height) in [WIDE, NARROW] {
            browser.client.set_window_size(width, height).await.unwrap();
            let found = browser.violations(&axe).await;
            assert!(found.is_empty(), "{name}, {scheme:?}, {width} wide: {found:#?}");
            browser.keep(&format!("{name}-{scheme:?}-{width}").to_lowercase()).await;
        }
        browser.client.set_window_size(WIDE.0, WIDE.1).await.unwrap();
    };
    browser.goto("/sign-in").await;
    check("sign-in").await;
    browser.sign_in(&host).await;
    check("list").await;
    browser.goto("/settings/tokens?q=nothing").await;
    check("no-hits").await;
    browser.goto(&format!("/settings/tokens?project={}", ada.project("Weather station").await)).await;
    check("empty").await;
    for (dialog, ready) in [
        ("new=1".into(), "#token-name"),
        (format!("rotate={well}"), "#grace"),
        (format!("agent={well}"), "#token-name"),
        (format!("rename={well}"), "#new-name"),
        (format!("narrow={well}"), "#addresses"),
        (format!("delete={well}"), "#typed"),
        (format!("settings={well}"), "#preview"),
    ] {
        browser.goto(&format!("/settings/tokens?{dialog}")).await;
        browser.find(ready).await;
        assert!(browser.is_modal().await, "{dialog}");
        check(dialog.split('=').next().unwrap()).await;
    }
    browser.ask_for_a_long_grace(&well).await;
    check("rotate-too-long").await;
    browser.goto("/settings/tokens").await;
    browser.make("With its token", "30", "Days").await;
    check("issued").await;
    browser.goto("/settings/tokens").await;
    browser.follow("#new").await;
    browser.fill("#token-name", "Too long").await;
    browser.choose_lifetime("4000", "Days").await;
    browser.follow("#generate").await;
    browser.find("#expiry-error").await;
    check("refused").await;
    for (path, name) in [
        (format!("/settings/tokens/{well}"), "history"),
        (format!("/settings/tokens/{}", uuid(agent)), "history-of-agent"),
        ("/settings/password".into(), "password"),
        ("/admin".into(), "admin"),
        ("/admin/projects/1".into(), "admin-project"),
        ("/admin/people/1".into(), "admin-person"),
        ("/admin/models".into(), "models"),
        ("/nowhere".into(), "not-found"),
    ] {
        browser.goto(&path).await;
        check(name).await;
    }
    browser.client.close().await.unwrap();
}

impl Browser {
    /// Returns the violations that axe-core finds on the page. Each line names the violated rule
    /// and the elements that violate it. `axe` is the script of axe-core.
    pub async fn violations(&self, axe: &str) -> Vec<String> {
        // The page already has the script if only the size of the window has changed.
        if self.client.execute("return !window.axe", vec![]).await.unwrap() == true {
            self.client.execute(axe, vec![]).await.unwrap();
        }
        let script = "const done = arguments[arguments.length - 1];
            axe.run().then(
                (found) => done(found.violations.map((one) =>
                    `${one.id}: ${one.nodes.map((node) => `${node.target} (${node.failureSummary})`).join('; ')}`)),
                (error) => done([`axe failed: ${error}`]))";
        let found = self.client.execute_async(script, vec![]).await.unwrap();
        serde_json::from_value(found).unwrap()
    }
}

/// Returns the script of axe-core, or `None` if it is not installed.
pub fn axe() -> Option<String> {
    let installed = "../../target/ci-tools/node_modules/axe-core/axe.min.js";
    let path = std::env::var_os("AXE_CORE")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(installed), PathBuf::from);
    match std::fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(_) => {
            test_summary::missing("axe-core is not installed");
            None
        }
    }
}
