//! Offers the models and the notes as tools of the Model Context Protocol. The transport is the
//! streamable HTTP of the protocol: each message is a POST, and the response is JSON. The server
//! keeps no sessions and sends no messages by itself.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::header::ORIGIN;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use keyfob::{Scope, http::Refusal};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use crate::api::guard::OwnCaller;
use crate::app::App;
use crate::config::origin;
use crate::llm::chat::{self, ChatError};
use crate::llm::live;
use crate::llm::models::Model;
use crate::llm::whole::{self, Whole};
use crate::people::accounts::User;
use crate::tokens::scopes;

/// The supported versions of the protocol, the newest first.
const VERSIONS: [&str; 3] = ["2025-06-18", "2025-03-26", "2024-11-05"];
/// The header in which a client names its version of the protocol, in each message after the first.
const VERSION_HEADER: &str = "mcp-protocol-version";

/// A message of JSON-RPC 2.0.
#[derive(Deserialize)]
struct Message {
    jsonrpc: Version,
    /// The id of a request. `null` is refused. A notification has no id and gets no response.
    #[serde(default, deserialize_with = "present")]
    id: Option<Id>,
    method: String,
    #[serde(default)]
    params: Map<String, Value>,
}

#[derive(Deserialize)]
enum Version {
    #[serde(rename = "2.0")]
    Two,
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Id {
    Number(i64),
    Text(String),
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Id>, D::Error> {
    Id::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct AskModel {
    model: String,
    prompt: String,
}

/// The JSON-RPC error code for a body that is not a valid message (section 5.1).
const NO_MESSAGE: i32 = -32600;
/// The JSON-RPC error code for an unknown method.
const NO_METHOD: i32 = -32601;
/// The JSON-RPC error code for invalid parameters.
const BAD_PARAMS: i32 = -32602;

/// Answers `POST /mcp`. The guard of the route accepts any live token. A call of a tool is refused
/// if the token lacks the scope of the tool.
pub async fn mcp(State(app): State<Arc<App>>, caller: OwnCaller, request: Request) -> Result<Response, ChatError> {
    if is_foreign(&app, request.headers()) {
        let detail = "the header Origin names another site";
        return Ok(Refusal::new(StatusCode::FORBIDDEN, "cross_origin", detail).into_response());
    }
    if !names_known_version(request.headers()) {
        let refused = answer(None, Err((NO_MESSAGE, "the header MCP-Protocol-Version names an unsupported version")));
        return Ok((StatusCode::BAD_REQUEST, refused).into_response());
    }
    let body = Bytes::from_request(request, &app).await.map_err(ChatError::Body)?;
    let Ok(Message { jsonrpc: Version::Two, id, method, params }) = serde_json::from_slice(&body) else {
        let refused = answer(None, Err((NO_MESSAGE, "the body is not a message of JSON-RPC 2.0")));
        return Ok((StatusCode::BAD_REQUEST, refused).into_response());
    };
    let Some(id) = id else { return Ok(StatusCode::ACCEPTED.into_response()) };
    let params = Value::Object(params);
    let result = match method.as_str() {
        "initialize" => Ok(initialized(&params)),
        "ping" => Ok(json!({})),
        "tools/list" => Ok(listed(&caller)),
        "tools/call" => {
            let Some(tool) = params["name"].as_str().and_then(Tool::named) else {
                return Ok(answer(Some(&id), Err((BAD_PARAMS, "this tool does not exist"))));
            };
            if !tool.is_open_to(&caller) {
                return Ok(caller.token.refuse_without(&[tool.scope()]).into_response());
            }
            let models = chat::models_of(&app, &caller.project).await?;
            match live::unless_ended(&caller.token, tool.call(&app, &caller, &models, &params)).await {
                Ok(result) => result,
                Err(refusal) => return Ok(refusal.into_response()),
            }
        }
        _ => Err((NO_METHOD, "this method does not exist")),
    };
    Ok(answer(Some(&id), result))
}

/// Returns whether a page of another site sent the request. Clients that are not browsers send no
/// `Origin`, so for them the result is `false`.
fn is_foreign(app: &App, headers: &HeaderMap) -> bool {
    let own = origin(app.config.public_url.as_deref(), app.behind_tls, headers);
    headers.get_all(ORIGIN).iter().any(|origin| !origin.as_bytes().eq_ignore_ascii_case(own.as_bytes()))
}

/// Returns whether the request names a protocol version that this endpoint supports, or names no
/// version.
fn names_known_version(headers: &HeaderMap) -> bool {
    headers.get_all(VERSION_HEADER).iter().all(|version| VERSIONS.iter().any(|known| version == known))
}

fn answer(id: Option<&Id>, result: Result<Value, (i32, &str)>) -> Response {
    Json(match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err((code, message)) => json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } }),
    })
    .into_response()
}

/// Returns the result of `initialize`, with the version of the protocol that the client names. If
/// that version is not supported, the result names the newest supported version.
fn initialized(params: &Value) -> Value {
    let asked = params["protocolVersion"].as_str().unwrap_or_default();
    let version = VERSIONS.into_iter().find(|version| *version == asked).unwrap_or(VERSIONS[0]);
    json!({
        "protocolVersion": version,
        "capabilities": { "tools": {} },
        "serverInfo": { "name": "personal-tokens", "version": env!("CARGO_PKG_VERSION") },
    })
}

/// A tool that a token may call.
#[derive(Clone, Copy, PartialEq)]
enum Tool {
    ListModels,
    AskModel,
    ListNotes,
}

impl Tool {
    const ALL: [Self; 3] = [Self::ListModels, Self::AskModel, Self::ListNotes];

    fn name(self) -> &'static str {
        match self {
            Self::ListModels => "list_models",
            Self::AskModel => "ask_model",
            Self::ListNotes => "list_notes",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    fn scope(self) -> Scope {
        let scope = match self {
            Self::ListModels | Self::AskModel => scopes::MODELS_USE,
            Self::ListNotes => scopes::NOTES_READ,
        };
        Scope::new(scope).expect("the constants are scopes")
    }

    /// Returns whether the caller may call the tool: the caller's token, and each token that it is
    /// bound to, must have the scope of the tool.
    fn is_open_to(self, caller: &OwnCaller) -> bool {
        caller.token.allows(&self.scope())
    }

    fn description(self) -> Value {
        let text = |about: &str| json!({ "type": "string", "description": about });
        let (about, properties, required) = match self {
            Self::ListModels => ("The names of the models that the token's project may use.", json!({}), json!([])),
            Self::AskModel => (
                "Asks a model of the token's project.",
                json!({ "model": text("A name that list_models returned."), "prompt": text("The question.") }),
                json!(["model", "prompt"]),
            ),
            Self::ListNotes => ("The notes of the token's project.", json!({}), json!([])),
        };
        json!({
            "name": self.name(),
            "description": about,
            "inputSchema": { "type": "object", "properties": properties, "required": required },
        })
    }

    async fn call(
        self,
        app: &App,
        caller: &OwnCaller,
        models: &[Model],
        params: &Value,
    ) -> Result<Value, (i32, &'static str)> {
        match self {
            Self::ListModels => {
                let names: Vec<&str> = chat::by_name(models).map(|model| model.name.as_str()).collect();
                Ok(told(&names.join("\n"), false))
            }
            Self::AskModel => {
                let asked: AskModel = serde_json::from_value(params["arguments"].clone())
                    .map_err(|_| (BAD_PARAMS, "ask_model takes model and prompt"))?;
                let text = ask(app, &caller.user, models, &asked).await;
                // A failure of the model is a result for the caller to read, not an error of the
                // protocol.
                Ok(match text {
                    Ok(Whole::Text(text)) => told(&text, false),
                    Ok(Whole::Refused(answer)) => told(
                        &format!("the model's provider refuses the question with status {}", answer.status()),
                        true,
                    ),
                    Err(error) => told(error.words().2, true),
                })
            }
            Self::ListNotes => Ok(told(&format!("{} has no notes.", caller.project.name), false)),
        }
    }
}

/// Returns the result of `tools/list`: the tools that the caller may call.
fn listed(caller: &OwnCaller) -> Value {
    let open = Tool::ALL.into_iter().filter(|tool| tool.is_open_to(caller));
    json!({ "tools": open.map(Tool::description).collect::<Vec<_>>() })
}

fn told(text: &str, is_error: bool) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "isError": is_error })
}

async fn ask(app: &App, user: &User, models: &[Model], asked: &AskModel) -> Result<Whole, ChatError> {
    let question = json!({ "model": asked.model, "messages": [{ "role": "user", "content": asked.prompt }] });
    whole::read(chat::ask(app, user, models, question.to_string().into(), None).await?).await
}
