//! `elitea.xml` and `alita.xml` of the plug-in for JetBrains' editors. They never hold the token.

use super::Connection;

/// *ELITEA Code*.
pub(super) fn current(connection: &Connection<'_>) -> String {
    component(connection, "EliteASettings", "ELITEA_EYE")
}

/// *Alita Code*, the older one.
pub(super) fn alita(connection: &Connection<'_>) -> String {
    component(connection, "AlitaSettings", "ALITA_EYE")
}

fn component(connection: &Connection<'_>, name: &str, provider: &str) -> String {
    let options = [
        ("displayType", "SPLIT"),
        ("integrationName", &format!("Project {}", connection.model_project)),
        ("integrationUid", &connection.integration_uid()),
        ("llmCustomModelEnabled", "true"),
        ("llmCustomModelName", connection.model),
        ("llmServerUrl", connection.server),
        ("projectId", &connection.project.to_string()),
        ("provider", provider),
    ]
    .map(|(name, value)| format!("    <option name=\"{name}\" value=\"{}\" />\n", escaped(value)));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<project version=\"4\">\n  <component name=\"{name}\">\n{}  \
         </component>\n</project>\n",
        options.concat()
    )
}

/// As the value of an attribute in double quotes (XML 1.0 section 2.3). Line ends and tabs stand as references, which
/// normalisation leaves alone (section 3.3.3); characters that XML cannot hold at all (section 2.2) become U+FFFD.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' => escaped.push_str("&#9;"),
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            '\0'..' ' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}
