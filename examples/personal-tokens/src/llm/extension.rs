//! The routes of the VS Code extension "ELITEA Code". The extension sends questions to a model, and
//! lists the models, prompts, datasources and applications of a project. This service has only
//! models, so the other lists are empty.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::extract::number;
use crate::api::guard::{Caller, not_found};
use crate::app::App;
use crate::llm::chat::{self, ChatError};
use crate::llm::live;
use crate::llm::prompt::Prompt;
use crate::llm::whole::{self, Whole};

/// The section of the integrations that holds models.
const MODELS: &str = "ai";

/// Answers `POST /api/v1/prompt_lib/predict/prompt_lib/{project}/{version}` as [`predict`] does.
/// The number of the prompt's version does not matter, because this service stores no prompts.
pub async fn predict_with_version(
    app: State<Arc<App>>,
    caller: Caller,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Response, ChatError> {
    match path {
        Ok(Path((_, version))) if number(&version).is_some() => predict(app, caller, request).await,
        _ => Ok(not_found().into_response()),
    }
}

/// Answers `POST /api/v1/prompt_lib/predict/prompt_lib/{project}`: asks a model of the project. The
/// response is one JSON body, although the extension asks for a stream.
pub async fn predict(State(app): State<Arc<App>>, caller: Caller, request: Request) -> Result<Response, ChatError> {
    let models = chat::models_of(&app, &caller.project).await?;
    let body = chat::body(&app, &caller.user, request).await?;
    let (model, question) = {
        // A parsed body can be sixteen times as large as its text, so it is dropped before the
        // model is asked, which may take minutes.
        let prompt = Prompt::parse(&body)?;
        let model = prompt.model(&models, &caller.project)?;
        (model, prompt.question(model)?.to_string())
    };
    drop(body);
    let answer = async {
        let asked = chat::ask_model(&app, &caller.user, model, question.into(), None).await;
        // The built-in model refuses a question that contains no text of the user.
        let asked = asked.map_err(|error| if matches!(error, ChatError::Shape) { ChatError::Prompt } else { error });
        whole::read(asked?).await
    };
    match live::unless_ended(&caller.token, answer).await {
        Ok(answer) => Ok(match answer? {
            Whole::Text(text) => {
                let message = json!({ "role": "assistant", "content": text });
                Json(json!({ "response": text, "messages": [message] })).into_response()
            }
            Whole::Refused(answer) => answer,
        }),
        Err(refusal) => Ok(refusal.into_response()),
    }
}

#[derive(Deserialize)]
pub struct Asked {
    section: Option<String>,
}

/// Answers `GET /api/v1/integrations/integrations/default/{project}`: the models that the project
/// may use, each as an integration with one model. A section other than `ai` has none.
pub async fn integrations(
    State(app): State<Arc<App>>,
    caller: Caller,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Value>, ChatError> {
    // The query cannot be read if it names two sections. No integration is in both.
    let has_models = asked.is_ok_and(|Query(asked)| asked.section.is_none_or(|section| section == MODELS));
    let models = if has_models { chat::models_of(&app, &caller.project).await? } else { Vec::new() };
    let integrations = models.iter().map(|model| {
        json!({
            "uid": model.integration_uid(),
            "name": model.name,
            "config": { "name": model.name },
            "settings": { "models": [{ "name": model.name }] },
        })
    });
    Ok(Json(integrations.collect()))
}

/// Answers the lists of tags, prompts, datasources and applications, which are empty.
pub async fn nothing(_: Caller) -> Json<Value> {
    Json(json!({ "total": 0, "rows": [] }))
}
