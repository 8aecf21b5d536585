//! `settings.json` of the two generations of the extension for VS Code.

use serde_json::{Value, json};

use super::Connection;

/// *ELITEA Code*.
pub(super) fn current(connection: &Connection<'_>) -> String {
    object(&[
        ("eliteacode.providerServerURL", json!(connection.server)),
        ("eliteacode.LLMServerUrl", json!(connection.server)),
        ("eliteacode.modelName", json!(connection.model)),
        ("eliteacode.LLMModelName", json!(connection.model)),
        ("eliteacode.authToken", json!(connection.token())),
        ("eliteacode.LLMAuthToken", json!(connection.token())),
        ("eliteacode.projectId", json!(connection.project)),
        ("eliteacode.integrationUid", json!(connection.integration_uid())),
        ("eliteacode.defaultViewMode", json!("split")),
        ("eliteacode.verifySsl", json!(connection.verify_ssl)),
        ("eliteacode.displayType", json!("split")),
        ("eliteacode.debug", json!(false)),
    ])
}

/// *Alita Code*, the older one; its later versions read the second half.
pub(super) fn alita(connection: &Connection<'_>) -> String {
    object(&[
        ("alitacode.providerServerURL", json!(connection.server)),
        ("alitacode.LLMServerUrl", json!(connection.server)),
        ("alitacode.modelName", json!(connection.model)),
        ("alitacode.LLMModelName", json!(connection.model)),
        ("alitacode.authToken", json!(connection.token())),
        ("alitacode.LLMAuthToken", json!(connection.token())),
        ("alitacode.projectId", json!(connection.project)),
        ("alitacode.integrationUid", json!(connection.integration_uid())),
        ("alitacode.defaultViewMode", json!("split")),
        ("alitacode.verifySsl", json!(connection.verify_ssl)),
        ("eliteacode.LLMServerUrl", json!(connection.server)),
        ("eliteacode.LLMModelName", json!(connection.model)),
        ("eliteacode.LLMAuthToken", json!(connection.token())),
        ("eliteacode.projectId", json!(connection.project)),
        ("eliteacode.integrationUid", json!(connection.integration_uid())),
        ("eliteacode.displayType", json!("split")),
        ("eliteacode.verifySsl", json!(connection.verify_ssl)),
        ("eliteacode.debug", json!(false)),
    ])
}

/// An object with its keys in this order, two spaces deep. A map of serde_json would sort them.
fn object(entries: &[(&str, Value)]) -> String {
    let lines: Vec<String> = entries.iter().map(|(key, value)| format!("  \"{key}\": {value}")).collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}
