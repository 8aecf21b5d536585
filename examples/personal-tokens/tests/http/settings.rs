//! Tests the settings files that the page offers for tools. The preview must equal the downloaded
//! file. The file must contain exactly the chosen values. A client with these settings must be able
//! to use the service.

use std::net::SocketAddr;
use std::process::Command;

use keyfob::PlaintextToken;
use personal_tokens::connect::{PLACEHOLDER, Tool};
use serde_json::{Value, json};

use crate::support::upstream::Upstream;
use crate::support::{Answer, Host, Person, WHOAMI};

const PAGE: &str = "/settings/tokens";
/// Names of models with special characters.
const ODD: [&str; 3] = ["a & b < c > \"d\" 'e' \\ / ]]>", "模型 Модель Ünï 🙂", " ${x} %41 + =&amp; "];

/// The pop-up that shows a new token and offers settings files for it.
pub struct Popup {
    csrf: String,
    /// The path to which the form for the settings is sent.
    action: String,
    /// The text of the new token.
    token: String,
}

impl Popup {
    pub async fn make(ada: &Person<'_>, project: i64) -> Self {
        let page = ada.get(&format!("{PAGE}?project={project}&new=1")).await.is(200);
        let (csrf, form) = (page.field("csrf"), page.field("form"));
        let fields = format!("csrf={csrf}&form={form}&project={project}&name=Editor&amount=30&unit=days");
        let shown = ada.post_form(PAGE, &format!("{fields}&scope=models%3Ause")).await.is(200);
        Self::shown(csrf, &shown)
    }

    fn shown(csrf: String, page: &Answer) -> Self {
        let action = page.body.split("id=\"pane\"").next().unwrap().rsplit("action=\"").next().unwrap();
        Self { csrf, action: action.split('"').next().unwrap().into(), token: page.field("token") }
    }

    pub fn uuid(&self) -> &str {
        self.action.split('/').nth(3).unwrap()
    }

    async fn send(&self, ada: &Person<'_>, wanted: &str, tool: Tool, integration: &str, token: &str) -> Answer {
        let fields = [
            ("csrf", self.csrf.as_str()),
            ("integration", integration),
            ("tool", tool.as_str()),
            ("token", token),
            ("do", wanted),
        ];
        ada.post_form(&self.action, &serde_urlencoded::to_string(fields).unwrap()).await
    }

    pub async fn download(&self, ada: &Person<'_>, tool: Tool, integration: &str) -> String {
        let file = self.send(ada, "download", tool, integration, &self.token).await.is(200);
        let named = format!("attachment; filename=\"{}\"", tool.file_name());
        assert_eq!((file.header("content-disposition"), file.header("content-type")), (&*named, tool.content_type()));
        file.body
    }
}

/// Returns the text of the preview of a settings file on the page.
fn preview(page: &str) -> String {
    let text = page.split("aria-label=\"Preview\">").nth(1).unwrap().split("</pre>").next().unwrap();
    roxmltree::Document::parse(&format!("<pre>{text}</pre>")).unwrap().root_element().text().unwrap_or_default().into()
}

#[tokio::test]
async fn preview_equals_the_download() {
    let upstream = Upstream::start().await;
    let host = Host::start_configured(upstream.config(&[(1, ODD[0]), (1, ODD[1])])).await;
    let ada = host.ada().await;
    let popup = Popup::make(&ada, 1).await;
    for name in [ODD[0], ODD[1]] {
        let integration = format!("1_{name}");
        let query = serde_urlencoded::to_string([("integration", &integration)]).unwrap();
        for tool in Tool::ALL {
            let file = popup.download(&ada, tool, &integration).await;
            let shown = popup.send(&ada, "show", tool, &integration, &popup.token).await.is(200);
            assert_eq!(preview(&shown.body), file, "{tool:?}");
            assert_eq!(file.contains(&popup.token), tool.holds_token(), "{tool:?}");
            assert!(!file.contains(PLACEHOLDER), "{tool:?}");

            // After the pop-up is closed, the service no longer knows the text of the token. So a
            // file for a tool that needs the token contains a placeholder.
            let uuid = popup.uuid();
            let file = ada.get(&format!("{PAGE}/{uuid}/connect/{}?{query}", tool.as_str())).await.is(200).body;
            let page = ada.get(&format!("{PAGE}?settings={uuid}&tool={}&{query}", tool.as_str())).await.is(200);
            assert_eq!(preview(&page.body), file, "{tool:?}");
            let posted = popup.send(&ada, "download", tool, &integration, "").await.is(200).body;
            assert_eq!(posted, file, "{tool:?}");
            assert_eq!(file.contains(PLACEHOLDER), tool.holds_token(), "{tool:?}");
            crate::support::assert_holds_no_part(&file, &popup.token);
            crate::support::assert_holds_no_part(&page.body, &popup.token);
        }
    }
}

#[tokio::test]
async fn files_hold_the_chosen_values_byte_for_byte_and_open_the_service() {
    let upstream = Upstream::start().await;
    let host = Host::start_configured(upstream.config(&ODD.map(|name| (2, name)))).await;
    let ada = host.ada().await;
    let popup = Popup::make(&ada, 2).await;
    for name in ODD {
        let integration = format!("2_{name}");
        for (tool, first) in [(Tool::VsCode, "eliteacode"), (Tool::VsCodeAlita, "alitacode")] {
            let settings: Value = serde_json::from_str(&popup.download(&ada, tool, &integration).await).unwrap();
            for (key, value) in [
                (format!("{first}.providerServerURL"), json!("http://tokens.example")),
                (format!("{first}.LLMServerUrl"), json!("http://tokens.example")),
                (format!("{first}.modelName"), json!(name)),
                (format!("{first}.LLMModelName"), json!(name)),
                (format!("{first}.authToken"), json!(popup.token)),
                (format!("{first}.projectId"), json!(2)),
                (format!("{first}.integrationUid"), json!(integration)),
                (format!("{first}.verifySsl"), json!(true)),
                ("eliteacode.LLMModelName".into(), json!(name)),
                ("eliteacode.LLMAuthToken".into(), json!(popup.token)),
            ] {
                assert_eq!(settings[&key], value, "{key}");
            }
            let held = settings["eliteacode.LLMAuthToken"].as_str().unwrap();
            host.with_token(WHOAMI, held).await.is(200);
            let question = json!({ "model": settings["eliteacode.LLMModelName"], "messages": [] });
            let answer = host.ask(held, &question.to_string()).await.is(200).json();
            assert_eq!(answer["choices"][0]["message"]["content"], format!("Rain, says {name}"));
        }
        for (tool, component, provider) in
            [(Tool::JetBrains, "EliteASettings", "ELITEA_EYE"), (Tool::JetBrainsAlita, "AlitaSettings", "ALITA_EYE")]
        {
            let file = popup.download(&ada, tool, &integration).await;
            let xml = roxmltree::Document::parse(&file).unwrap();
            let found = xml.descendants().find(|node| node.has_tag_name("component")).unwrap();
            assert_eq!(found.attribute("name"), Some(component));
            let option = |name| {
                let mut options = found.children().filter(|node| node.attribute("name") == Some(name));
                options.next().unwrap().attribute("value").unwrap().to_owned()
            };
            assert_eq!(option("llmCustomModelName"), name);
            assert_eq!(option("integrationUid"), integration);
            assert_eq!(option("integrationName"), "Project 2");
            assert_eq!((option("projectId"), option("provider")), ("2".into(), provider.into()));
        }
    }
}

#[tokio::test]
async fn settings_use_the_configured_address_and_tls_check() {
    let upstream = Upstream::start().await;
    let mut config = upstream.config(&[(1, "m")]);
    config["public_url"] = json!("https://tokens.example:8443");
    config["verify_ssl"] = json!(false);
    let host = Host::start_configured(config).await;
    let ada = host.ada().await;
    let popup = Popup::make(&ada, 1).await;
    let settings: Value = serde_json::from_str(&popup.download(&ada, Tool::VsCode, "1_m").await).unwrap();
    assert_eq!(settings["eliteacode.LLMServerUrl"], "https://tokens.example:8443");
    assert_eq!(settings["eliteacode.verifySsl"], false);
}

#[tokio::test]
async fn a_file_never_carries_another_token() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let popup = Popup::make(&ada, 1).await;
    let other = Popup::make(&ada, 1).await;
    let hers = eve.make("n", None).await["token"].as_str().unwrap().to_owned();
    let mut typo = popup.token.clone();
    let last = if typo.ends_with('0') { '1' } else { '0' };
    typo.replace_range(typo.len() - 1.., &last.to_string());
    for wrong in [other.token.as_str(), &hers, &typo, "rubbish", &format!("{} ", popup.token)] {
        let answer = popup.send(&ada, "download", Tool::VsCode, "4_echo", wrong).await.is(400);
        assert!(answer.headers.get("content-disposition").is_none());
        crate::support::assert_holds_no_part(&answer.body, &popup.token);
    }
    popup.send(&ada, "download", Tool::VsCode, "4_echo", &popup.token).await.is(200);
    // If the requested model does not exist, the service returns no file with another model.
    popup.send(&ada, "download", Tool::VsCode, "4_none", &popup.token).await.is(400);
    ada.get(&format!("{PAGE}/{}/connect/vscode?integration=4_none", popup.uuid())).await.is(400);
    // A preview or a download of the file does not count as a use of the token.
    assert!(ada.get(&format!("{PAGE}?project=1")).await.body.contains("<span class=\"pale\">Never used</span>"));
    let uuid = popup.uuid();
    let delete = format!("csrf={}&typed=Editor", popup.csrf);
    ada.post_form(&format!("{PAGE}/{uuid}/delete"), &delete).await.is(303);
    popup.send(&ada, "download", Tool::VsCode, "4_echo", &popup.token).await.is(404);
}

/// A page whose project has no models. Its tools that need no model are offered with the same text
/// as in other projects.
#[tokio::test]
async fn project_without_models_offers_the_tools_that_need_none() {
    let upstream = Upstream::start().await;
    let host = Host::start_configured(upstream.config(&[(2, "m")])).await;
    let ada = host.ada().await;
    let page = ada.get(&format!("{PAGE}?project=1&new=1")).await.is(200);
    let (csrf, form) = (page.field("csrf"), page.field("form"));
    let fields = format!("csrf={csrf}&form={form}&project=1&name=CI&amount=30&unit=days&scope=models%3Ause");
    let shown = ada.post_form(PAGE, &fields).await.is(200);
    let popup = Popup::shown(csrf, &shown);
    assert!(shown.body.contains("This project has no models yet, so it has no settings for editors."));
    assert!(!shown.body.contains("id=\"pane-integration\""));
    // While the page shows the token, it shows no settings until the person chooses a tool.
    assert_eq!(preview(&shown.body), "");
    let environment = popup.download(&ada, Tool::Environment, "").await;
    assert!(environment.contains(&popup.token));
    // After the pop-up is closed, the pane shows the first tool that works.
    let later = ada.get(&format!("{PAGE}?project=1&settings={}", popup.uuid())).await.is(200).body;
    assert_eq!(preview(&later), environment.replace(&popup.token, PLACEHOLDER));
    for tool in Tool::ALL {
        let radio = shown.body.split(&format!("value=\"{}\" data-hint", tool.as_str())).nth(1).unwrap();
        let radio = radio.split('>').next().unwrap();
        assert_eq!(radio.contains(" disabled"), tool.needs_model(), "{tool:?}");
        let answer = popup.send(&ada, "download", tool, "", &popup.token).await;
        if tool.needs_model() {
            let words = format!("The settings for {} name a model; choose an integration first.", tool.label());
            assert!(answer.is(400).body.contains(&words), "{tool:?}");
            let shown = popup.send(&ada, "show", tool, "", &popup.token).await.is(200);
            assert_eq!(preview(&shown.body), "", "{tool:?}");
        } else {
            assert_eq!(answer.is(200).body.contains(&popup.token), tool.holds_token(), "{tool:?}");
        }
        // The same holds after the pop-up is closed.
        let later = ada.get(&format!("{PAGE}/{}/connect/{}", popup.uuid(), tool.as_str())).await;
        assert_eq!(later.status, if tool.needs_model() { 400 } else { 200 }, "{tool:?}");
    }
    let list = ada.get(&format!("{PAGE}?project=1")).await.is(200).body;
    assert!(list.contains(&format!("settings={}", popup.uuid())), "the row leads to the settings");
    // An integration that does not exist is not ignored.
    popup.send(&ada, "download", Tool::Curl, "2_m", &popup.token).await.is(400);
}

#[tokio::test]
async fn public_project_suggests_no_model_until_one_is_chosen() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let popup = Popup::make(&ada, 4).await;
    let at = |query: &str| format!("{PAGE}?project=4&settings={}{query}", popup.uuid());
    let page = ada.get(&at("")).await.is(200).body;
    assert!(page.contains("<option value=\"\" selected>Choose one</option>"));
    assert!(preview(&page).starts_with("export SERVER="));
    assert!(!page.contains(" disabled> <span>VS Code"), "an editor can be chosen together with a model");
    let words = "Choose an integration option first. An editor has to know which model to use.</p>";
    assert!(!page.contains(words));
    let page = ada.get(&at("&tool=vscode")).await.is(200).body;
    assert!(page.contains(words) && preview(&page).is_empty());
    let page = ada.get(&at("&tool=vscode&integration=4_echo")).await.is(200).body;
    assert!(!page.contains(words) && preview(&page).contains("\"eliteacode.integrationUid\": \"4_echo\""));
    let curl = popup.download(&ada, Tool::Curl, "").await;
    assert!(curl.contains("/api/v2/auth/whoami") && !curl.contains("completions"));
    assert!(popup.download(&ada, Tool::Curl, "4_echo").await.contains("completions"));
}

/// The address of the page may name another project than that of the token, for instance in a link
/// that a person changed by hand.
#[tokio::test]
async fn settings_are_those_of_the_tokens_project() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let popup = Popup::make(&ada, 2).await;
    for query in ["", "project=1&", "project=2&", "project=4&"] {
        let at = format!("{PAGE}?{query}settings={}&tool=vscode&integration=4_echo", popup.uuid());
        let settings: Value = serde_json::from_str(&preview(&ada.get(&at).await.is(200).body)).unwrap();
        assert_eq!(settings["eliteacode.projectId"], 2, "{query}");
    }
}

#[tokio::test]
async fn pane_explains_what_the_extension_reports_about_the_token() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let popup = Popup::make(&ada, 1).await;
    let page = ada.get(&format!("{PAGE}?project=1&settings={}&tool=vscode", popup.uuid())).await.is(200).body;
    let hint = page.split("id=\"tool-hint\">").nth(1).unwrap().split("</p>").next().unwrap();
    assert!(hint.contains("ELITEA Code: Invalid LLMAuth JWT token") && hint.contains("ignore"), "{hint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn script_needs_only_the_downloaded_file() {
    let upstream = Upstream::start().await;
    let host = Host::start_configured(upstream.config(&[(2, ODD[1]), (4, "public")])).await;
    let address = host.serve().await;
    let ada = host.ada().await;
    let popup = Popup::make(&ada, 2).await;
    let integration = format!("2_{}", ODD[1]);
    let download = async |popup: &Popup| reached_at(address, &popup.download(&ada, Tool::VsCode, &integration).await);

    let lines = ask(&host, &download(&popup).await).await.unwrap();
    assert_eq!(
        lines[0],
        json!([
            {"name": ODD[1], "project_id": 2, "default": false, "integration_uid": integration, "shared": false},
            {"name": "public", "project_id": 4, "default": false, "integration_uid": "4_public", "shared": true},
        ])
    );
    assert_eq!(lines[1], json!([ODD[1], "public"]));
    assert_eq!(lines[2], json!(format!("Rain, says {}", ODD[1])));
    let asked = upstream.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].headers["authorization"], "Bearer credential-of-2");

    // The settings that the page offers for a rotated token also work.
    let uuid = popup.uuid();
    let page = ada.get(&format!("{PAGE}?project=2&rotate={uuid}")).await.is(200);
    let fields = format!("csrf={}&form={}&grace=0", popup.csrf, page.field("form"));
    let shown = ada.post_form(&format!("{PAGE}/{uuid}/rotate"), &fields).await.is(200);
    let rotated = Popup::shown(popup.csrf.clone(), &shown);
    assert!(rotated.token.parse::<PlaintextToken>().is_ok() && rotated.token != popup.token);
    let lines = ask(&host, &download(&rotated).await).await.unwrap();
    assert_eq!(lines[2], json!(format!("Rain, says {}", ODD[1])));

    // A file that is downloaded later contains the placeholder. The service rejects the placeholder
    // as a token.
    let later = ada.get(&format!("{PAGE}/{}/connect/vscode", rotated.uuid())).await.is(200).body;
    let refused = ask(&host, &reached_at(address, &later)).await.unwrap_err();
    assert!(refused.starts_with("401 ") && refused.contains("invalid_token"), "{refused}");
}

/// Returns the text of a settings file, with this address in place of the address of the service.
pub fn reached_at(address: SocketAddr, file: &str) -> String {
    file.replace("http://tokens.example", &format!("http://{address}"))
}

/// Runs the script `ask.py` with these settings, and returns the lines that it prints.
///
/// # Errors
/// If the script fails, returns the text that the script wrote to stderr.
async fn ask(host: &Host, settings: &str) -> Result<Vec<Value>, String> {
    let path = host.dir().join("settings.json");
    std::fs::write(&path, settings).unwrap();
    let mut command = Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/ask.py")).arg(path);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap().lines().map(|line| line.parse().unwrap()).collect()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}
