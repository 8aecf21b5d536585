//! The OpenAI-compatible routes: the list of models that a token may use, and questions to a model.

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::StatusCode;
use axum::http::header::{ACCEPT, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, json};

use crate::api::guard::OwnCaller;
use crate::app::App;
use crate::llm::models::{ECHO, Model};
use crate::llm::upstream::AskError;
use crate::llm::{echo, live};
use crate::people::accounts::User;
use crate::people::projects::Project;
use crate::setup::SetupError;

/// The maximum number of bytes in a question: 4 MiB, because a question may contain pictures and
/// long files.
pub const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Answers `GET /llm/v1/models`: the models that the token's project may use.
pub async fn models(State(app): State<Arc<App>>, caller: OwnCaller) -> Result<Json<Value>, ChatError> {
    let models = models_of(&app, &caller.project).await?;
    let data: Vec<Value> = by_name(&models)
        .map(|model| {
            let owner = format!("project-{}", model.project_id);
            json!({ "id": model.name, "object": "model", "created": 0, "owned_by": owner })
        })
        .collect();
    Ok(Json(json!({ "object": "list", "data": data })))
}

/// The part of a question that this service reads. The upstream reads the rest.
struct Question {
    model: String,
}

/// The key of a question that names the model.
const MODEL: &str = "model";
/// The keys with which some upstreams, such as OpenRouter, let another model answer if the first
/// model fails. The project may not have that model.
const FALLBACKS: [&str; 3] = ["models", "fallbacks", "route"];

impl<'de> Deserialize<'de> for Question {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(QuestionVisitor)
    }
}

/// Reads a [`Question`]. The upstream may read the body differently: it may ignore the case of
/// keys, as the JSON package of Go does, or use the last of two equal keys. So a body is refused if
/// a second key equals [`MODEL`] in upper or lower case, or if its only such key has another case.
/// A body is also refused if a key equals one of [`FALLBACKS`] in upper or lower case.
struct QuestionVisitor;

impl<'de> Visitor<'de> for QuestionVisitor {
    type Value = Question;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one key model and no key for fallback models")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Question, A::Error> {
        let mut model = None;
        while let Some(key) = map.next_key::<String>()? {
            if FALLBACKS.iter().any(|fallback| key.eq_ignore_ascii_case(fallback)) {
                return Err(A::Error::unknown_field(&key, &[MODEL]));
            }
            if !key.eq_ignore_ascii_case(MODEL) {
                map.next_value::<IgnoredAny>()?;
            } else if key == MODEL && model.is_none() {
                model = Some(map.next_value()?);
            } else {
                return Err(A::Error::duplicate_field(MODEL));
            }
        }
        model.map(|model| Question { model }).ok_or_else(|| A::Error::missing_field(MODEL))
    }
}

/// Answers `POST /llm/v1/chat/completions`: forwards the question to the upstream of the model,
/// with the credential of the project that the model belongs to. `Accept` is the only header of the
/// caller that is forwarded, so the upstream does not receive the token. If the token ends before
/// the response does, the response is interrupted.
pub async fn completions(
    State(app): State<Arc<App>>,
    caller: OwnCaller,
    request: Request,
) -> Result<Response, ChatError> {
    let models = models_of(&app, &caller.project).await?;
    let accept = request.headers().get(ACCEPT).cloned();
    let body = body(&app, &caller.user, request).await?;
    match live::unless_ended(&caller.token, ask(&app, &caller.user, &models, body, accept.as_ref())).await {
        Ok(answer) => Ok(live::while_live(&caller.token, answer?)),
        Err(refusal) => Ok(refusal.into_response()),
    }
}

/// Reads the body of a question.
///
/// # Errors
/// Returns [`AskError::Busy`] if too many bodies are being read, and [`ChatError::Body`] if the
/// body is too large or cannot be read.
pub async fn body(app: &Arc<App>, user: &User, mut request: Request) -> Result<Bytes, ChatError> {
    // The room is held only while the body is received, and one person gets only a part of it. The
    // number of questions in progress is bounded in [`crate::llm::upstream`].
    let room = app.questions.take(Some(user.id)).await;
    let _room = room.ok_or(ChatError::Ask(AskError::Busy))?;
    DefaultBodyLimit::max(MOST_BYTES).apply(&mut request);
    Bytes::from_request(request, app).await.map_err(ChatError::Body)
}

/// Sends a person's question to the model that the question names, and returns the response. The
/// model must be one of `models`.
///
/// # Errors
/// Returns [`ChatError::Shape`] if the body is not an object, if not exactly one of its keys names
/// a model, or if it has a key for fallback models. Returns [`ChatError::NoModel`] if `models` does
/// not contain the model, and any error of [`ask_model`].
pub async fn ask(
    app: &App,
    user: &User,
    models: &[Model],
    body: Bytes,
    accept: Option<&HeaderValue>,
) -> Result<Response, ChatError> {
    let question: Question = serde_json::from_slice(&body).map_err(|_| ChatError::Shape)?;
    let model = by_name(models).find(|model| model.name == question.model).ok_or(ChatError::NoModel)?;
    ask_model(app, user, model, body, accept).await
}

/// Sends a person's question to this model, whichever model the question names, and returns the
/// response.
pub async fn ask_model(
    app: &App,
    user: &User,
    model: &Model,
    body: Bytes,
    accept: Option<&HeaderValue>,
) -> Result<Response, ChatError> {
    if model.upstream == ECHO {
        let question = serde_json::from_slice(&body).map_err(|_| ChatError::Shape)?;
        return echo::answer(&question, &model.name, app.tokens.now()).ok_or(ChatError::Shape);
    }
    let missing = || ChatError::failed(format!("upstream {:?} is not configured for the model", model.upstream).into());
    let upstream = app.models.upstreams.get(&model.upstream).ok_or_else(missing)?;
    let credential = upstream.credential(model.project_id).ok_or_else(missing)?;
    let body = match &model.upstream_model {
        None => body,
        Some(name) => renamed(&body, name)?,
    };
    app.asker.complete(user, upstream, credential, body, accept).await.map_err(ChatError::Ask)
}

/// Returns the body of a chat request with another name of the model: `model`, the name that the
/// upstream uses.
fn renamed(body: &[u8], model: &str) -> Result<Bytes, ChatError> {
    let mut question: serde_json::Map<String, Value> = serde_json::from_slice(body).map_err(|_| ChatError::Shape)?;
    question.insert("model".into(), model.into());
    Ok(serde_json::to_vec(&question).map_err(|_| ChatError::Shape)?.into())
}

/// Returns the models that a project may use.
pub async fn models_of(app: &App, project: &Project) -> Result<Vec<Model>, ChatError> {
    let models = app.models.of_project(&app.projects, project).await;
    models.map_err(|error| ChatError::failed(error.into()))
}

/// Returns one model for each name. If a project's own model and a public model have the same name,
/// returns the project's own model.
pub fn by_name(models: &[Model]) -> impl Iterator<Item = &Model> {
    models
        .iter()
        .enumerate()
        .filter(|(at, model)| !models[..*at].iter().any(|one| one.name == model.name))
        .map(|(_, m)| m)
}

pub enum ChatError {
    Body(BytesRejection),
    Shape,
    /// The body of the VS Code extension's question does not have the expected fields.
    Prompt,
    /// The question is too large after its variables are filled in.
    Filled,
    NoModel,
    Ask(AskError),
    Failed,
}

impl ChatError {
    fn failed(error: SetupError) -> Self {
        tracing::error!(error = &*error as &dyn std::error::Error, "request failed");
        Self::Failed
    }
}

impl ChatError {
    /// Returns the status, the code and the message of the response.
    pub fn words(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Body(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                (rejection.status(), "too_large", "the body may have at most 4 MiB")
            }
            Self::Body(rejection) => (rejection.status(), "unreadable", "the body could not be read"),
            Self::Shape => {
                let words = "the body must be a JSON object with one model and messages, and without the keys models, \
                             fallbacks and route";
                (StatusCode::BAD_REQUEST, "invalid_body", words)
            }
            Self::Prompt => {
                let words = "the body must be a JSON object with the fields of the extension: user_input, chat_history, \
                             context, variables and model_settings";
                (StatusCode::BAD_REQUEST, "invalid_body", words)
            }
            Self::Filled => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "with its variables, the context may have at most 4 MiB")
            }
            Self::NoModel => (StatusCode::NOT_FOUND, "model_not_found", "the token's project has no such model"),
            Self::Ask(error) => (error.status(), error.code(), error.message()),
            Self::Failed => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "something went wrong on our side; try again")
            }
        }
    }
}

impl IntoResponse for ChatError {
    fn into_response(self) -> Response {
        let (status, code, message) = self.words();
        // This is the error format of OpenAI's API.
        let kind = if status.is_client_error() { "invalid_request_error" } else { "server_error" };
        let error = json!({ "message": message, "type": kind, "param": null, "code": code });
        let mut response = (status, Json(json!({ "error": error }))).into_response();
        if code == AskError::Busy.code() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
