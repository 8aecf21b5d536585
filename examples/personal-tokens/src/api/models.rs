//! The models of a project, as the product's clients ask for them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use keyfob::{Access, Challenge, ProjectId, Scope};
use serde_json::{Value, json};

use crate::api::guard::admit;
use crate::api::problem::Problem;
use crate::app::App;
use crate::tokens::scopes::MODELS_USE;

/// `GET /api/v2/configurations/models/{project}`: a bare array.
pub async fn models(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let Ok(project) = ProjectId::new(&project) else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such page"));
    };
    let scopes = [Scope::new(MODELS_USE).map_err(|_| Challenge::UNAVAILABLE)?];
    let caller = admit(&app, &headers, &Access::to(&project, &scopes)).await?;
    let models = app.models.of_project(&app.projects, &caller.project).await.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "models not read");
        Problem::from(Challenge::UNAVAILABLE)
    })?;
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
