//! The page on which an administrator adds and removes models. The settings files that the service
//! offers to its users can name these models. Each model belongs to a project. The service sends a
//! question to a model with the credential of the model's project.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::app::App;
use crate::llm::models::Model;
use crate::people::projects::Project;
use crate::tokens::own::Refused;
use crate::web::admin::allow;
use crate::web::error::{PageError, render, sentence};
use crate::web::frame::{Frame, Here};
use crate::web::sessions::SignedIn;

#[derive(Template)]
#[template(path = "models.html")]
struct ModelsPage<'a> {
    frame: Frame<'a>,
    models: Vec<Model>,
    projects: Vec<Project>,
    upstreams: Vec<&'a str>,
    draft: Draft,
    error: Option<String>,
}

impl ModelsPage<'_> {
    fn project(&self, id: &i64) -> &str {
        self.projects.iter().find(|project| project.id == *id).map_or("", |project| &project.name)
    }
}

/// The form that adds a model.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    csrf: String,
    project: i64,
    name: String,
    upstream: String,
    #[serde(default)]
    upstream_model: String,
    /// The check box that makes the model the default. The field is present if the box is checked.
    #[serde(default)]
    default: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveForm {
    csrf: String,
}

pub async fn show(State(app): State<Arc<App>>, signed_in: SignedIn) -> Result<Html<String>, PageError> {
    allow(&signed_in)?;
    draw(&app, &signed_in, Draft::default(), None).await
}

async fn draw(app: &App, signed_in: &SignedIn, draft: Draft, error: Option<String>) -> Result<Html<String>, PageError> {
    render(&ModelsPage {
        frame: Frame::new(app, signed_in, Here::Models, None).await?,
        models: app.models.all(&app.projects).await.map_err(Refused::failed)?,
        projects: app.projects.all().await.map_err(Refused::failed)?,
        upstreams: app.models.upstreams.keys().map(String::as_str).collect(),
        draft,
        error,
    })
}

pub async fn add(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Form(draft): Form<Draft>,
) -> Result<Response, PageError> {
    allow(&signed_in)?;
    signed_in.check_form(&draft.csrf)?;
    let upstream_model = Some(draft.upstream_model.trim()).filter(|name| !name.is_empty());
    let model = Model {
        id: None,
        project_id: draft.project,
        name: draft.name.trim().into(),
        default: draft.default.is_some(),
        upstream: draft.upstream.clone(),
        upstream_model: upstream_model.map(String::from),
    };
    match app.models.add(&app.projects, &model).await.map_err(Refused::failed)? {
        Ok(()) => Ok(Redirect::to("/admin/models").into_response()),
        Err(error) => {
            let page = draw(&app, &signed_in, draft, Some(sentence(&error.to_string()))).await?;
            Ok((StatusCode::BAD_REQUEST, page).into_response())
        }
    }
}

pub async fn remove(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<i64>,
    Form(form): Form<RemoveForm>,
) -> Result<Redirect, PageError> {
    allow(&signed_in)?;
    signed_in.check_form(&form.csrf)?;
    match app.models.remove(id).await.map_err(Refused::failed)? {
        true => Ok(Redirect::to("/admin/models")),
        false => Err(PageError::NotFound),
    }
}
