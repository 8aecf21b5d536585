//! The route that lists the models of a project, in the JSON format that existing clients read.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use keyfob::http::Refusal;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::guard::unavailable;
use crate::api::token_or_session::Visitor;
use crate::app::App;
use crate::llm::models::Model;

/// The section of the configuration that holds models.
const MODELS: &str = "llm";

/// The query of a request for models. Other parameters are ignored, because existing clients send
/// some.
#[derive(Deserialize)]
pub struct Asked {
    /// Whether the models of public projects are listed too.
    #[serde(default)]
    include_shared: bool,
    section: Option<String>,
}

/// Answers `GET /api/v2/configurations/models/{project}` with the project's own models, and on
/// request with the models of public projects after them. A model is listed once, even if it is
/// both in the configuration file and in the database. A section other than `llm` has no items.
pub async fn models(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Value>, Refusal> {
    let Query(asked) = asked.map_err(|_| unread())?;
    let project = &visitor.project;
    let models = app.models.of_project(&app.projects, project).await.map_err(|error| unavailable(&error))?;
    let has_models = asked.section.is_none_or(|section| section == MODELS);
    let is_listed = |model: &Model| has_models && (asked.include_shared || model.project_id == project.id);
    let items: Vec<Value> = models
        .iter()
        .filter(|model| is_listed(model))
        .map(|model| {
            json!({
                "name": model.name,
                "project_id": model.project_id,
                "default": model.default,
                "integration_uid": model.integration_uid(),
                "shared": model.project_id != project.id,
            })
        })
        .collect();
    Ok(Json(json!({ "total": items.len(), "items": items })))
}

fn unread() -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "invalid", "include_shared must be true or false")
}
