//! What people paste: shell variables, `curl`, `.netrc`, an MCP client's JSON, Python.

use serde_json::json;

use super::Connection;

/// OpenAI's tools read the first two.
pub(super) fn environment(connection: &Connection<'_>) -> String {
    let Connection { server, model, project, .. } = connection;
    format!(
        "export OPENAI_BASE_URL={}\nexport OPENAI_API_KEY={}\nexport OPENAI_MODEL={}\nexport PROJECT_ID={project}\n",
        quoted(&format!("{server}/llm/v1")),
        quoted(connection.token()),
        quoted(model),
    )
}

pub(super) fn curl(connection: &Connection<'_>) -> String {
    let Connection { server, model, .. } = connection;
    let question = json!({ "model": model, "messages": [{ "role": "user", "content": "Hello" }] }).to_string();
    format!(
        "#!/bin/sh\nTOKEN={}\n\
         # The header by standard input: what stands in a command line, every user of the machine can read.\n\
         ask() {{ printf 'header = \"Authorization: Bearer %s\"\\n' \"$TOKEN\" | curl --fail-with-body --config - \"$@\"; }}\n\
         ask {}\n\
         ask {} --header 'Content-Type: application/json' --data {}\n",
        quoted(connection.token()),
        quoted(&format!("{server}/llm/v1/models")),
        quoted(&format!("{server}/llm/v1/chat/completions")),
        quoted(&question),
    )
}

/// The token as user name, for which any password will do. The file knows hosts and no ports.
pub(super) fn netrc(connection: &Connection<'_>) -> String {
    format!("machine {}\nlogin {}\npassword x\n", host(connection.server), connection.token())
}

/// The host of an origin: without scheme and port.
fn host(origin: &str) -> &str {
    let authority = origin.split_once("://").map_or(origin, |(_, authority)| authority);
    match authority.rsplit_once(':') {
        // Not a colon inside an IPv6 address.
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

pub(super) fn mcp(connection: &Connection<'_>) -> String {
    let server = connection.server;
    // Values by the environment and not by the command line, which every user of the machine can read.
    format!(
        "{{\n  \"mcpServers\": {{\n    \"personal-tokens\": {{\n      \"command\": \"npx\",\n      \
         \"args\": [\"-y\", \"@ivotoby/openapi-mcp-server\"],\n      \"env\": {{\n        \"API_BASE_URL\": {},\n        \
         \"OPENAPI_SPEC_PATH\": {},\n        \"API_HEADERS\": {}\n      }}\n    }}\n  }}\n}}\n",
        json!(server),
        json!(format!("{server}/api/v2/openapi.json")),
        json!(format!("Authorization:Bearer {}", connection.token())),
    )
}

pub(super) fn python(connection: &Connection<'_>) -> String {
    let Connection { server, model, .. } = connection;
    // A JSON string is a Python string too: serde_json leaves no character outside the basic plane escaped.
    format!(
        "from openai import OpenAI\n\n\
         client = OpenAI(base_url={}, api_key={})\n\
         for model in client.models.list():\n    print(model.id)\n\
         answer = client.chat.completions.create(\n    model={},\n    \
         messages=[{{\"role\": \"user\", \"content\": \"Hello\"}}],\n)\n\
         print(answer.choices[0].message.content)\n",
        json!(format!("{server}/llm/v1")),
        json!(connection.token()),
        json!(model),
    )
}

/// As one word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
