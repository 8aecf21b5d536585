//! The route that lists the models of a project, in the JSON format that existing clients read.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use keyfob::axum::Refusal;
use serde_json::{Value, json};

use crate::api::guard::{Caller, unavailable};
use crate::app::App;

/// Answers `GET /api/v2/configurations/models/{project}` with an array of the models that the
/// project may use.
pub async fn models(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Value>, Refusal> {
    let models = app.models.of_project(&app.projects, &caller.project).await.map_err(|error| unavailable(&error))?;
    let models = models.iter().map(|model| {
        json!({
            "name": model.name,
            "project_id": model.project_id,
            "default": model.default,
            "integration_uid": model.integration_uid(),
        })
    });
    Ok(Json(models.collect()))
}
