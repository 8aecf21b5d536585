//! The settings files for editors, in the exact format that the extensions of the editors read.

use serde_json::Value;

use super::quote::attribute;
use super::{Connection, Generation, NamedModel};

/// Returns the text of the file `settings.json` of VS Code. The names of the settings depend on the
/// [generation](Generation) of the VS Code extension.
pub(super) fn vs_code(generation: Generation, connection: &Connection<'_>, named: NamedModel<'_>) -> String {
    let server = || Value::from(connection.server);
    let model = || Value::from(named.name);
    let token = || Value::from(connection.token_text());
    let project = || Value::from(connection.project);
    let integration = || Value::from(named.integration());
    let verify_ssl = || Value::from(connection.verify_ssl);
    match generation {
        Generation::Elitea => object(&[
            ("eliteacode.providerServerURL", server()),
            ("eliteacode.LLMServerUrl", server()),
            ("eliteacode.modelName", model()),
            ("eliteacode.LLMModelName", model()),
            ("eliteacode.authToken", token()),
            ("eliteacode.LLMAuthToken", token()),
            ("eliteacode.projectId", project()),
            ("eliteacode.integrationUid", integration()),
            ("eliteacode.defaultViewMode", "split".into()),
            ("eliteacode.verifySsl", verify_ssl()),
            ("eliteacode.displayType", "split".into()),
            ("eliteacode.debug", false.into()),
        ]),
        Generation::Alita => object(&[
            ("alitacode.providerServerURL", server()),
            ("alitacode.LLMServerUrl", server()),
            ("alitacode.modelName", model()),
            ("alitacode.LLMModelName", model()),
            ("alitacode.authToken", token()),
            ("alitacode.LLMAuthToken", token()),
            ("alitacode.projectId", project()),
            ("alitacode.integrationUid", integration()),
            ("alitacode.defaultViewMode", "split".into()),
            ("alitacode.verifySsl", verify_ssl()),
            ("eliteacode.LLMServerUrl", server()),
            ("eliteacode.LLMModelName", model()),
            ("eliteacode.LLMAuthToken", token()),
            ("eliteacode.projectId", project()),
            ("eliteacode.integrationUid", integration()),
            ("eliteacode.displayType", "split".into()),
            ("eliteacode.verifySsl", verify_ssl()),
            ("eliteacode.debug", false.into()),
        ]),
    }
}

/// Returns a flat JSON object with the keys in the order of `entries`. The map of `serde_json`
/// would sort the keys.
fn object(entries: &[(&str, Value)]) -> String {
    let lines: Vec<_> = entries.iter().map(|(key, value)| format!("  \"{key}\": {value}")).collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

/// Returns the settings file of JetBrains editors for this generation of the plug-in. The file
/// belongs in the folder `.idea`. It never contains the token, because version control may
/// include the file.
pub(super) fn jet_brains(generation: Generation, connection: &Connection<'_>, named: NamedModel<'_>) -> String {
    let (component, provider) = match generation {
        Generation::Elitea => ("EliteASettings", "ELITEA_EYE"),
        Generation::Alita => ("AlitaSettings", "ALITA_EYE"),
    };
    let options: String = [
        ("displayType", "SPLIT"),
        ("integrationName", &format!("Project {}", named.project)),
        ("integrationUid", &named.integration()),
        ("llmCustomModelEnabled", "true"),
        ("llmCustomModelName", named.name),
        ("llmServerUrl", connection.server),
        ("projectId", &connection.project.to_string()),
        ("provider", provider),
    ]
    .map(|(name, value)| format!("    <option name=\"{name}\" value=\"{}\" />\n", attribute(value)))
    .concat();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<project version=\"4\">\n  <component name=\"{component}\">\n\
         {options}  </component>\n</project>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::{connection, token};
    use super::super::{PLACEHOLDER, Tool};
    use super::*;

    const VS_CODE: &str = r#"{
  "eliteacode.providerServerURL": "https://tokens.example",
  "eliteacode.LLMServerUrl": "https://tokens.example",
  "eliteacode.modelName": "gpt-4o",
  "eliteacode.LLMModelName": "gpt-4o",
  "eliteacode.authToken": "TOKEN",
  "eliteacode.LLMAuthToken": "TOKEN",
  "eliteacode.projectId": 123,
  "eliteacode.integrationUid": "1_gpt-4o",
  "eliteacode.defaultViewMode": "split",
  "eliteacode.verifySsl": true,
  "eliteacode.displayType": "split",
  "eliteacode.debug": false
}
"#;

    const VS_CODE_ALITA: &str = r#"{
  "alitacode.providerServerURL": "https://tokens.example",
  "alitacode.LLMServerUrl": "https://tokens.example",
  "alitacode.modelName": "gpt-4o",
  "alitacode.LLMModelName": "gpt-4o",
  "alitacode.authToken": "TOKEN",
  "alitacode.LLMAuthToken": "TOKEN",
  "alitacode.projectId": 123,
  "alitacode.integrationUid": "1_gpt-4o",
  "alitacode.defaultViewMode": "split",
  "alitacode.verifySsl": true,
  "eliteacode.LLMServerUrl": "https://tokens.example",
  "eliteacode.LLMModelName": "gpt-4o",
  "eliteacode.LLMAuthToken": "TOKEN",
  "eliteacode.projectId": 123,
  "eliteacode.integrationUid": "1_gpt-4o",
  "eliteacode.displayType": "split",
  "eliteacode.verifySsl": true,
  "eliteacode.debug": false
}
"#;

    const JET_BRAINS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<project version="4">
  <component name="EliteASettings">
    <option name="displayType" value="SPLIT" />
    <option name="integrationName" value="Project 1" />
    <option name="integrationUid" value="1_gpt-4o" />
    <option name="llmCustomModelEnabled" value="true" />
    <option name="llmCustomModelName" value="gpt-4o" />
    <option name="llmServerUrl" value="https://tokens.example" />
    <option name="projectId" value="123" />
    <option name="provider" value="ELITEA_EYE" />
  </component>
</project>
"#;

    const JET_BRAINS_ALITA: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<project version="4">
  <component name="AlitaSettings">
    <option name="displayType" value="SPLIT" />
    <option name="integrationName" value="Project 1" />
    <option name="integrationUid" value="1_gpt-4o" />
    <option name="llmCustomModelEnabled" value="true" />
    <option name="llmCustomModelName" value="gpt-4o" />
    <option name="llmServerUrl" value="https://tokens.example" />
    <option name="projectId" value="123" />
    <option name="provider" value="ALITA_EYE" />
  </component>
</project>
"#;

    #[test]
    fn the_four_files_are_exact() {
        let token = token();
        for (tool, text) in [
            (Tool::VsCode, VS_CODE),
            (Tool::VsCodeAlita, VS_CODE_ALITA),
            (Tool::JetBrains, JET_BRAINS),
            (Tool::JetBrainsAlita, JET_BRAINS_ALITA),
        ] {
            assert_eq!(tool.text(&connection(Some(&token))), Some(text.replace("TOKEN", token.expose_secret())));
            assert_eq!(tool.text(&connection(None)), Some(text.replace("TOKEN", PLACEHOLDER)));
        }
    }

    #[test]
    fn certificate_is_verified_unless_the_administrator_turns_it_off() {
        for (tool, text) in [(Tool::VsCode, VS_CODE), (Tool::VsCodeAlita, VS_CODE_ALITA)] {
            let unverified = Connection { verify_ssl: false, ..connection(None) };
            let text = text.replace("TOKEN", PLACEHOLDER).replace("verifySsl\": true", "verifySsl\": false");
            assert_eq!(tool.text(&unverified), Some(text));
        }
    }
}
