//! The settings for tools other than editors, such as shell commands and a script in Python. People
//! paste these texts or save them as files.
//!
//! The texts for shells contain no comments, because an interactive zsh would run them as commands.

use super::Connection;
use super::quote::{json, shell};

/// Returns a script that exports environment variables in a POSIX shell. Programs that use OpenAI's
/// client libraries read these variables too.
pub(super) fn environment(connection: &Connection<'_>) -> String {
    let variables = [
        ("SERVER", connection.server),
        ("TOKEN", connection.token_text()),
        ("OPENAI_BASE_URL", &connection.models_url()),
        ("OPENAI_API_KEY", connection.token_text()),
    ];
    variables.map(|(name, value)| format!("export {name}={}\n", shell(value))).concat()
}

/// Returns shell commands that list the models and send a question to the chosen model. Without a
/// model, the commands show whom the token acts for, and list the models. The commands read the
/// token from the environment.
///
/// The token reaches curl through a pipe from `printf`, which is part of the shell. So the token
/// appears neither in the history nor in the list of processes. `-H @-` needs curl 7.55 (2017).
pub(super) fn curl(connection: &Connection<'_>) -> String {
    let get = |url: String| {
        format!(
            r#"printf 'Authorization: Bearer %s\n' "$TOKEN" |
  curl -sS -w '\n' -H @- {}
"#,
            shell(&url)
        )
    };
    let models = get(format!("{}/models", connection.models_url()));
    let check = r#": "${TOKEN:?is not set}""#;
    let Some(model) = connection.model else {
        let whoami = get(format!("{}/api/v2/auth/whoami", connection.server));
        return format!("{check}\n\n{whoami}\n{models}");
    };
    let completions = shell(&format!("{}/chat/completions", connection.models_url()));
    let question =
        shell(&format!(r#"{{"model":{},"messages":[{{"role":"user","content":"Hello"}}]}}"#, json(model.name)));
    format!(
        r#"{check}

{models}
printf 'Authorization: Bearer %s\n' "$TOKEN" |
  curl -sS -w '\n' -H @- -H 'Content-Type: application/json' \
    --data {question} \
    {completions}
"#
    )
}

/// Returns an entry of `.netrc`. The service accepts a token as the user name of Basic
/// authentication, with any password.
///
/// An entry names a host but no port, so it applies to every service on this host.
pub(super) fn netrc(connection: &Connection<'_>) -> String {
    format!("machine {}\n  login {}\n  password x\n", connection.host(), connection.token_text())
}

/// Returns the configuration of a client of the Model Context Protocol for this service
/// (`crate::llm::mcp`), in the format that most clients share.
pub(super) fn mcp(connection: &Connection<'_>) -> String {
    let url = json(&format!("{}/mcp", connection.server));
    let authorization = json(&format!("Bearer {}", connection.token_text()));
    format!(
        r#"{{
  "mcpServers": {{
    "tokens": {{
      "type": "http",
      "url": {url},
      "headers": {{
        "Authorization": {authorization}
      }}
    }}
  }}
}}
"#
    )
}

/// Returns a Python program that sends a question to the chosen model. Without a model, the program
/// lists the models. The program reads the token from the environment, because people share and
/// commit programs.
pub(super) fn python(connection: &Connection<'_>) -> String {
    let base_url = json(&connection.models_url());
    let ask = match connection.model {
        None => "for model in client.models.list():\n    print(model.id)\n".to_owned(),
        Some(model) => {
            let model = json(model.name);
            format!(
                r#"answer = client.chat.completions.create(
    model={model},
    messages=[{{"role": "user", "content": "Hello"}}],
)
print(answer.choices[0].message.content)
"#
            )
        }
    };
    format!(
        r#"import os

from openai import OpenAI  # pip install openai

client = OpenAI(
    base_url={base_url},
    api_key=os.environ["OPENAI_API_KEY"],
)
{ask}"#
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::{connection, token};
    use super::super::{Connection, PLACEHOLDER, Tool};

    const ENVIRONMENT: &str = "\
export SERVER='https://tokens.example'
export TOKEN='@'
export OPENAI_BASE_URL='https://tokens.example/llm/v1'
export OPENAI_API_KEY='@'
";

    const NETRC: &str = "\
machine tokens.example
  login @
  password x
";

    const MCP: &str = r#"{
  "mcpServers": {
    "tokens": {
      "type": "http",
      "url": "https://tokens.example/mcp",
      "headers": {
        "Authorization": "Bearer @"
      }
    }
  }
}
"#;

    #[test]
    fn texts_with_a_token_are_exact() {
        let token = token();
        for (tool, text) in [(Tool::Environment, ENVIRONMENT), (Tool::Netrc, NETRC), (Tool::Mcp, MCP)] {
            for model in [connection(None).model, None] {
                let with = Connection { model, ..connection(Some(&token)) };
                assert_eq!(tool.text(&with), Some(text.replace('@', token.expose_secret())));
                let without = Connection { model, ..connection(None) };
                assert_eq!(tool.text(&without), Some(text.replace('@', PLACEHOLDER)));
            }
        }
    }

    #[test]
    fn other_texts_do_not_depend_on_the_token() {
        let token = token();
        for tool in [Tool::Curl, Tool::Python] {
            assert_eq!(tool.text(&connection(Some(&token))), tool.text(&connection(None)));
        }
    }
}
