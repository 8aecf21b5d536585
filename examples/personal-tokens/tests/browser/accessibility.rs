//! Finds violations of the rules for accessible pages with axe-core. The tests of the layout run it
//! on each page and dialog.
//!
//! The tests need the file `axe.min.js` of the npm package axe-core. The environment variable
//! `AXE_CORE` can name the path of this file. If the variable is not set, the tests look for the
//! file where `.ci/run` installs axe-core. If the file is missing, the tests are skipped. If the
//! environment variable `CI` is `true`, they fail instead.

use std::path::PathBuf;

use crate::driver::{Browser, Driver, Scheme, open};
use crate::support::Host;

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
