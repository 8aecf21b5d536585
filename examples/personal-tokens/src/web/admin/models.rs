//! The page on which an administrator adds and removes models. The settings files that the service
//! offers to its users can name these models. Each model belongs to a project. The service sends a
//! question to a model with the credential of the model's project.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::app::App;
use crate::llm::models::{Model, ModelError};
use crate::people::directory;
use crate::people::projects::Project;
use crate::tokens::own::Refused;
use crate::web::admin::confirm::Confirm;
use crate::web::admin::{allow, allow_form};
use crate::web::error::{PageError, render, sentence};
use crate::web::frame::{Frame, Here};
use crate::web::plural::counted;
use crate::web::sessions::SignedIn;

const PATH: &str = "/admin/models";

#[derive(Template)]
#[template(path = "models.html")]
struct ModelsPage<'a> {
    frame: Frame<'a>,
    models: Vec<Model>,
    /// The number of models, in words.
    shown: String,
    /// The names of the models' projects.
    names: HashMap<i64, String>,
    /// The projects that can have models: those with a credential at an upstream.
    projects: Vec<Project>,
    upstreams: Vec<&'a str>,
    /// The form that adds a model, if it is open.
    draft: Option<Draft>,
    fault: Option<Fault>,
    confirm: Option<Confirm>,
    said: Option<&'static str>,
}

impl ModelsPage<'_> {
    fn project(&self, id: &i64) -> &str {
        self.names.get(id).map_or("", String::as_str)
    }

    /// Returns the error of a field.
    fn fault(&self, field: &str) -> Option<&str> {
        self.fault.as_ref().filter(|fault| fault.field == field).map(|fault| &*fault.words)
    }
}

/// The error of a field of the form, in words.
struct Fault {
    field: &'static str,
    words: String,
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
    #[serde(default, rename = "view")]
    _view: String,
}

/// The dialog that the URL opens, and the message that it selects.
#[derive(Default, Deserialize)]
pub struct Asked {
    add: Option<String>,
    remove: Option<i64>,
    said: Option<String>,
}

pub async fn show(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Html<String>, PageError> {
    allow(&signed_in)?;
    let Query(asked) = asked.map_err(|_| PageError::NotFound)?;
    let confirm = match asked.remove {
        Some(id) => Some(confirm(&app, id).await?),
        None => None,
    };
    let said = match asked.said.as_deref() {
        Some("added") => Some("The model is added. Its project can use it now."),
        Some("removed") => Some("The model is removed. Requests that name it are refused."),
        _ => None,
    };
    draw(&app, &signed_in, asked.add.map(|_| Draft::default()), None, confirm, said).await
}

async fn draw(
    app: &App,
    signed_in: &SignedIn,
    draft: Option<Draft>,
    fault: Option<Fault>,
    confirm: Option<Confirm>,
    said: Option<&'static str>,
) -> Result<Html<String>, PageError> {
    let models = app.models.all(&app.projects).await.map_err(Refused::failed)?;
    let mut ids: Vec<i64> = models.iter().map(|model| model.project_id).collect();
    ids.dedup();
    let of_ids = app.projects.of_ids(&app.models.projects_with_credential()).await;
    render(&ModelsPage {
        frame: Frame::new(app, signed_in, Here::Models, None).await?,
        shown: counted(models.len() as u64, "model"),
        models,
        names: directory::names_of_projects(&app.db, &ids).await.map_err(Refused::failed)?,
        projects: of_ids.map_err(Refused::failed)?,
        upstreams: app.models.upstreams.keys().map(String::as_str).collect(),
        draft,
        fault,
        confirm,
        said,
    })
}

/// Returns the dialog that asks before a model is removed.
///
/// # Errors
/// Returns [`PageError::NotFound`] if no such model was added on the page.
async fn confirm(app: &App, id: i64) -> Result<Confirm, PageError> {
    let models = app.models.all(&app.projects).await.map_err(Refused::failed)?;
    let model = models.into_iter().find(|model| model.id == Some(id)).ok_or(PageError::NotFound)?;
    let project = model.project_id;
    let name = directory::names_of_projects(&app.db, &[project]).await.map_err(Refused::failed)?.remove(&project);
    Ok(Confirm {
        title: format!("Remove {}?", model.name),
        says: vec![
            format!("The model of {} at {}.", name.unwrap_or_default(), model.upstream),
            "Editors and scripts that name it get an error. No token is revoked.".into(),
        ],
        action: format!("{PATH}/{id}/remove"),
        button: "Remove".into(),
        back: PATH.into(),
        ..Confirm::default()
    })
}

pub async fn add(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Form(draft): Form<Draft>,
) -> Result<Response, PageError> {
    allow_form(&signed_in, &draft.csrf)?;
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
        Ok(()) => Ok(Redirect::to(&format!("{PATH}?said=added")).into_response()),
        Err(error) => {
            let field = match error {
                ModelError::Name | ModelError::Taken | ModelError::Defaults => "name",
                ModelError::Project | ModelError::Credential => "project",
                ModelError::Upstream => "upstream",
                ModelError::UpstreamModel => "upstream_model",
            };
            let fault = Fault { field, words: sentence(&error.to_string()) };
            let page = draw(&app, &signed_in, Some(draft), Some(fault), None, None).await?;
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
    allow_form(&signed_in, &form.csrf)?;
    match app.models.remove(id).await.map_err(Refused::failed)? {
        true => Ok(Redirect::to(&format!("{PATH}?said=removed"))),
        false => Err(PageError::NotFound),
    }
}
