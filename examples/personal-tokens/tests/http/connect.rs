//! Tests the settings and snippets that the service offers for tools. The tests read them with the
//! parsers that the tools use.

use std::io::Write;
use std::process::{Command, Stdio};

use keyfob::PlaintextToken;
use personal_tokens::connect::{Connection, Group, NamedModel, PLACEHOLDER, Tool};
use proptest::prelude::*;
use serde_json::Value;

/// The address of the service that the settings for the tools must contain.
const SERVER: &str = "https://tokens.example:8443";

fn token() -> PlaintextToken {
    "acme_pat_145_00123456789ABCDE_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o".parse().unwrap()
}

fn connection<'a>(model: &'a str, token: Option<&'a PlaintextToken>) -> Connection<'a> {
    let model = Some(NamedModel { project: 7, name: model });
    Connection { server: SERVER, project: 123, model, token, verify_ssl: true }
}

/// Returns the connection of a project without models.
fn unnamed() -> Connection<'static> {
    Connection { model: None, ..connection("m", None) }
}

#[track_caller]
fn text(tool: Tool, connection: &Connection<'_>) -> String {
    tool.text(connection).unwrap()
}

/// Returns names with special characters. If the service forgot to escape one of these characters
/// in a file, at least one of the names would break the file.
fn hostile() -> Vec<String> {
    let mut names: Vec<String> = [
        "& < > \" '",
        "it's",
        "''",
        "\"; rm -rf ~; \"",
        "'; exit 9; '",
        "$(exit 9)`exit 9`",
        "${x}",
        "$TOKEN",
        "%s %n %%",
        "!!",
        "@file",
        "-flag",
        "back\\slash\\",
        "\\'\\\"\\n\\u0041",
        "new\nline",
        "tab\tand\rreturn\r\n",
        "]]>",
        "<!-- -->",
        "&amp;&#65;",
        "{x} {{y}}",
        "\"\"\" ''' #",
        "TOKEN",
        PLACEHOLDER,
        "模型",
        "Модель",
        "نموذج \u{202E}txt",
        "🦀👩‍💻",
        "e\u{301} \u{E9}",
        "\u{85}\u{2028}\u{2029}\u{FEFF}",
        "\u{7F}",
        " blanks around ",
        "trailing ",
        "",
    ]
    .map(String::from)
    .into();
    names.push("ы".repeat(255));
    names
}

/// Returns the text with U+FFFD in place of each character that XML 1.0 forbids.
fn as_xml_holds_it(text: &str) -> String {
    let unheld =
        |char| matches!(char, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}');
    text.replace(unheld, "\u{FFFD}")
}

#[track_caller]
fn check_vs_code(tool: Tool, connection: &Connection<'_>) {
    let read: Value = serde_json::from_str(&text(tool, connection)).unwrap();
    let entries = read.as_object().unwrap();
    let model = connection.model.unwrap();
    let integration = format!("{}_{}", model.project, model.name);
    assert_eq!(entries.len(), if tool == Tool::VsCode { 12 } else { 18 });
    for (key, value) in entries {
        let expected: Value = match key.split_once('.').unwrap().1 {
            "providerServerURL" | "LLMServerUrl" => connection.server.into(),
            "modelName" | "LLMModelName" => model.name.into(),
            "authToken" | "LLMAuthToken" => connection.token.map_or(PLACEHOLDER, |token| token.expose_secret()).into(),
            "projectId" => connection.project.into(),
            "integrationUid" => integration.clone().into(),
            "defaultViewMode" | "displayType" => "split".into(),
            "verifySsl" => connection.verify_ssl.into(),
            "debug" => false.into(),
            _ => panic!("{key}"),
        };
        assert_eq!(*value, expected, "{key}");
    }
}

#[track_caller]
fn check_jet_brains(tool: Tool, connection: &Connection<'_>) {
    let text = text(tool, connection);
    let read = roxmltree::Document::parse(&text).unwrap();
    let options: Vec<(&str, &str)> = read
        .descendants()
        .filter(|node| node.has_tag_name("option"))
        .map(|node| (node.attribute("name").unwrap(), node.attribute("value").unwrap()))
        .collect();
    let model = as_xml_holds_it(connection.model.unwrap().name);
    assert_eq!(
        options,
        [
            ("displayType", "SPLIT"),
            ("integrationName", "Project 7"),
            ("integrationUid", &format!("7_{model}")),
            ("llmCustomModelEnabled", "true"),
            ("llmCustomModelName", &model),
            ("llmServerUrl", connection.server),
            ("projectId", "123"),
            ("provider", if tool == Tool::JetBrains { "ELITEA_EYE" } else { "ALITA_EYE" }),
        ]
    );
}

/// Runs a program with this standard input, checks that it succeeds, and returns its output.
#[track_caller]
fn run(program: &str, args: &[&str], input: &str) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", "/nonexistent");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}\n{input}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(String::from_utf8_lossy(&done.stderr), "", "{input}");
    done.stdout
}

/// Runs the snippet for curl in a shell, with a stub instead of curl. Returns one list for each
/// call of curl, with the standard input of the call and then its arguments.
#[track_caller]
fn curl_calls(connection: &Connection<'_>) -> Vec<Vec<String>> {
    let stub = r#"curl() { printf '%s\0' "$(cat)" "$@"; printf '\n\0'; }"#;
    let script = format!("{stub}\nTOKEN=tokentoken\n{}", text(Tool::Curl, connection));
    let out = String::from_utf8(run("sh", &["-s"], &script)).unwrap();
    let mut calls: Vec<Vec<String>> = vec![vec![]];
    for word in out.split_terminator('\0') {
        match word {
            "\n" => calls.push(vec![]),
            word => calls.last_mut().unwrap().push(word.into()),
        }
    }
    assert_eq!(calls.pop(), Some(vec![]));
    calls
}

#[track_caller]
fn check_curl(connection: &Connection<'_>) {
    let calls = curl_calls(connection);
    let [list, ask] = calls.as_slice() else { panic!("{calls:?}") };
    let server = connection.server;
    let models = format!("{server}/llm/v1/models");
    assert_eq!(*list, ["Authorization: Bearer tokentoken", "-sS", "-w", "\\n", "-H", "@-", &models]);
    let completions = format!("{server}/llm/v1/chat/completions");
    let [head @ .., body, url] = ask.as_slice() else { panic!("{ask:?}") };
    let json = "Content-Type: application/json";
    assert_eq!(
        *head,
        ["Authorization: Bearer tokentoken", "-sS", "-w", "\\n", "-H", "@-", "-H", json, "--data"].map(String::from)
    );
    assert_eq!(*url, completions);
    let body: Value = serde_json::from_str(body).unwrap();
    let question = serde_json::json!([{ "role": "user", "content": "Hello" }]);
    assert_eq!(body, serde_json::json!({ "model": connection.model.unwrap().name, "messages": question }));
}

#[test]
fn curl_without_a_model_shows_the_caller_and_lists_the_models() {
    let calls = curl_calls(&unnamed());
    let call = |path: &str| {
        let words = ["Authorization: Bearer tokentoken", "-sS", "-w", "\\n", "-H", "@-", &format!("{SERVER}{path}")];
        words.map(String::from).to_vec()
    };
    assert_eq!(calls, [call("/api/v2/auth/whoami"), call("/llm/v1/models")]);
}

#[test]
fn hostile_names_survive_the_editors_files() {
    let token = token();
    for name in hostile() {
        for tool in [Tool::VsCode, Tool::VsCodeAlita] {
            check_vs_code(tool, &connection(&name, Some(&token)));
            check_vs_code(tool, &Connection { verify_ssl: false, ..connection(&name, None) });
        }
        for tool in [Tool::JetBrains, Tool::JetBrainsAlita] {
            check_jet_brains(tool, &connection(&name, Some(&token)));
        }
    }
}

proptest! {
    #[test]
    fn any_name_survives_the_editors_files(name in any::<String>()) {
        for tool in Group::VsCode.tools() {
            check_vs_code(tool, &connection(&name, None));
        }
        for tool in Group::JetBrains.tools() {
            check_jet_brains(tool, &connection(&name, None));
        }
    }
}

#[test]
fn names_that_are_not_latin_stay_readable() {
    for tool in [Tool::VsCode, Tool::VsCodeAlita, Tool::JetBrains, Tool::JetBrainsAlita, Tool::Curl, Tool::Python] {
        assert!(text(tool, &connection("模型 Модель 🦀", None)).contains("模型 Модель 🦀"), "{tool:?}");
    }
}

#[test]
fn characters_that_xml_forbids_leave_the_file_well_formed() {
    for char in ('\0'..' ').chain(['\u{FFFE}', '\u{FFFF}', '\u{FDD0}', '\u{10FFFF}']) {
        let name = format!("a{char}b");
        check_jet_brains(Tool::JetBrains, &connection(&name, None));
        check_vs_code(Tool::VsCode, &connection(&name, None));
    }
}

#[test]
fn hostile_server_address_breaks_no_file() {
    let server = r#"https://a"b'c<d>&e$(exit)`f`;g]]>"#;
    let connection = Connection { server, ..connection("m", None) };
    check_vs_code(Tool::VsCode, &connection);
    check_jet_brains(Tool::JetBrains, &connection);
    check_curl(&connection);
    let mcp: Value = serde_json::from_str(&text(Tool::Mcp, &connection)).unwrap();
    assert_eq!(mcp["mcpServers"]["tokens"]["url"], format!("{server}/mcp"));
}

#[test]
fn shell_passes_hostile_names_to_curl_unchanged() {
    for name in hostile() {
        check_curl(&connection(&name, None));
    }
}

proptest! {
    // There are only a few cases, because each case starts a shell.
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn shell_passes_any_name_to_curl_unchanged(name in any::<String>()) {
        check_curl(&connection(&name, None));
    }
}

#[test]
fn without_a_token_in_the_environment_nothing_is_sent() {
    let script = format!("curl() {{ echo called; }}\n{}", text(Tool::Curl, &connection("m", None)));
    let done = Command::new("sh").args(["-c", &script]).env_remove("TOKEN").output().unwrap();
    assert!(!done.status.success());
    assert_eq!(done.stdout, b"");
    assert!(String::from_utf8(done.stderr).unwrap().contains("TOKEN"));
}

#[test]
fn shell_exports_the_environment_as_written() {
    let token = token();
    let server = "https://it's.example";
    let connection = Connection { server, ..connection("m", Some(&token)) };
    let text = text(Tool::Environment, &connection);
    let script = format!(r#"{text}exec sh -c 'printf "%s\n" "$SERVER" "$TOKEN" "$OPENAI_BASE_URL" "$OPENAI_API_KEY"'"#);
    let out = String::from_utf8(run("sh", &["-s"], &script)).unwrap();
    let secret = token.expose_secret();
    assert_eq!(out.lines().collect::<Vec<_>>(), [server, secret, &format!("{server}/llm/v1"), secret]);
}

#[test]
fn python_reads_the_model_and_the_address_unchanged() {
    const READ: &str = r"
import ast, json, sys
said = {}
for node in ast.walk(ast.parse(sys.stdin.buffer.read())):
    if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
        said[node.arg] = node.value.value
print(json.dumps(said))
";
    for name in hostile() {
        let out = run("python3", &["-c", READ], &text(Tool::Python, &connection(&name, None)));
        let read: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(read, serde_json::json!({ "base_url": format!("{SERVER}/llm/v1"), "model": name }));
    }
}

#[test]
fn python_snippet_calls_the_openai_package() {
    // A stub replaces the package `openai`, so the package does not have to be installed.
    const STUB: &str = r#"
import os, sys, types
class OpenAI:
    def __init__(self, *, base_url, api_key):
        print(base_url, api_key)
        self.chat = types.SimpleNamespace(completions=self)
    def create(self, *, model, messages):
        print(model, messages)
        message = types.SimpleNamespace(content="Hello yourself")
        return types.SimpleNamespace(choices=[types.SimpleNamespace(message=message)])
sys.modules["openai"] = types.SimpleNamespace(OpenAI=OpenAI)
os.environ["OPENAI_API_KEY"] = "key"
exec(sys.stdin.read())
"#;
    let out = run("python3", &["-c", STUB], &text(Tool::Python, &connection("m", None)));
    let expected = format!("{SERVER}/llm/v1 key\nm [{{'role': 'user', 'content': 'Hello'}}]\nHello yourself\n");
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn python_without_a_model_lists_the_models() {
    const STUB: &str = r#"
import os, sys, types
class OpenAI:
    def __init__(self, *, base_url, api_key):
        print(base_url, api_key)
        self.models = types.SimpleNamespace(list=lambda: [types.SimpleNamespace(id="one"), types.SimpleNamespace(id="two")])
sys.modules["openai"] = types.SimpleNamespace(OpenAI=OpenAI)
os.environ["OPENAI_API_KEY"] = "key"
exec(sys.stdin.read())
"#;
    let out = run("python3", &["-c", STUB], &text(Tool::Python, &unnamed()));
    assert_eq!(String::from_utf8(out).unwrap(), format!("{SERVER}/llm/v1 key\none\ntwo\n"));
}

#[test]
fn netrc_names_the_host_and_not_the_port() {
    const READ: &str = r"
import netrc, sys
print(*netrc.netrc('/dev/stdin').hosts.items())
";
    let token = token();
    let out = run("python3", &["-c", READ], &text(Tool::Netrc, &connection("m", Some(&token))));
    let expected = format!("('tokens.example', ('{}', '', 'x'))\n", token.expose_secret());
    assert_eq!(String::from_utf8(out).unwrap().replace("None", "''"), expected);
}
