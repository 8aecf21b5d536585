//! The pane that sets up a tool: the choice of a tool and a model, the text of the settings, and
//! the download.
//!
//! The service knows the text of a token only when it issues or rotates the token. The dialog then
//! contains the token, and its form sends the token back for the settings file. At all other times,
//! the settings contain a placeholder. The preview and the download are the same text.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum_extra::extract::Form;
use keyfob::{Access, PlaintextToken, Status};
use serde::Deserialize;

use crate::app::App;
use crate::config::origin;
use crate::connect::{Connection, NamedModel, Tool};
use crate::llm::models::Model;
use crate::tokens::own::{self, OwnToken, Refused};
use crate::web::dialog::{Dialog, Which};
use crate::web::error::PageError;
use crate::web::page::{Scene, draw};
use crate::web::sessions::SignedIn;

pub struct Pane {
    pub uuid: String,
    /// The chosen tool. It is `None` until the person chooses one.
    pub tool: Option<Tool>,
    /// The text of the settings. It is `None` if no tool is chosen, or if the tool needs a model
    /// and none is chosen.
    pub text: Option<String>,
    /// The token, which the form sends back. It is `None` if the service does not know the token.
    pub token: Option<PlaintextToken>,
}

impl Pane {
    pub fn is(&self, tool: &Tool) -> bool {
        self.tool.as_ref() == Some(tool)
    }

    /// Creates the pane. `tool` is the word of a [`Tool`] in URLs. If the word is unknown, or if
    /// the tool needs a model and the project has none, the pane shows the first tool that works.
    /// While the page shows the token, it then shows no tool, so that the dialog is short.
    pub fn new(
        app: &App,
        headers: &HeaderMap,
        scene: &Scene,
        own: &OwnToken,
        tool: &str,
        token: Option<&PlaintextToken>,
    ) -> Self {
        let chosen = scene.chosen();
        let asked = Tool::parse(tool).filter(|tool| !tool.needs_model() || !scene.models.is_empty());
        let mut working = Tool::ALL.into_iter().filter(|tool| !tool.needs_model() || chosen.is_some());
        let tool = asked.or_else(|| if token.is_none() { working.next() } else { None });
        Self {
            uuid: own.name.uuid.to_string(),
            tool,
            text: tool.and_then(|tool| text(app, headers, scene, chosen, tool, token)),
            token: token.and_then(|token| token.expose_secret().parse().ok()),
        }
    }
}

/// Returns the text of the settings, which is both the preview and the download. Returns `None` if
/// the tool needs a model and none is chosen.
fn text(
    app: &App,
    headers: &HeaderMap,
    scene: &Scene,
    model: Option<&Model>,
    tool: Tool,
    token: Option<&PlaintextToken>,
) -> Option<String> {
    tool.text(&Connection {
        server: &origin(app.config.public_url.as_deref(), app.behind_tls, headers),
        project: scene.project.id,
        model: model.map(|model| NamedModel { project: model.project_id, name: &model.name }),
        token,
        verify_ssl: app.config.verify_ssl,
    })
}

#[derive(Deserialize)]
pub struct DownloadAsked {
    #[serde(default)]
    integration: String,
}

/// Returns the settings file of a token that was issued earlier. The file contains the placeholder
/// instead of the token.
pub async fn download(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path((uuid, tool)): Path<(String, String)>,
    headers: HeaderMap,
    Query(asked): Query<DownloadAsked>,
) -> Result<Response, PageError> {
    let tool = Tool::parse(&tool).ok_or(PageError::NotFound)?;
    let token = own::find(&app, &signed_in.user, &uuid).await?;
    let mut scene = Scene::of_token(&app, &signed_in, "", &token).await?;
    scene.view.integration = asked.integration;
    file(&app, &headers, &scene, tool, None)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaneForm {
    csrf: String,
    #[serde(default)]
    view: String,
    #[serde(default)]
    integration: String,
    /// It is empty if the person has chosen no tool.
    #[serde(default)]
    tool: String,
    /// The token in clear text, if the form was in the dialog that shows the token.
    #[serde(default)]
    token: String,
    #[serde(rename = "do")]
    wanted: Wanted,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    Show,
    Download,
}

/// Answers the form of the pane: returns the page with another tool or model, or the settings file.
pub async fn submit(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(uuid): Path<String>,
    headers: HeaderMap,
    Form(form): Form<PaneForm>,
) -> Result<Response, PageError> {
    signed_in.check_form(&form.csrf)?;
    let own = own::find(&app, &signed_in.user, &uuid).await?;
    let mut scene = Scene::of_token(&app, &signed_in, &form.view, &own).await?;
    scene.view.integration = form.integration;
    let token = match form.token.as_str() {
        "" => None,
        text => Some(proven(&app, &own, text).await?),
    };
    if form.wanted == Wanted::Download {
        let tool = Tool::parse(&form.tool).ok_or(PageError::NotFound)?;
        return file(&app, &headers, &scene, tool, token.as_ref());
    }
    let pane = Pane::new(&app, &headers, &scene, &own, &form.tool, token.as_ref());
    let dialog = match &token {
        Some(token) => Dialog::issued(&app, &own, token, pane).await?,
        None => Dialog::SetUp { which: Which::of(&app, &own), pane },
    };
    Ok(draw(&app, &signed_in, &scene, dialog, None).await?.into_response())
}

/// Parses a text and checks that it is this token, so that a settings file never contains another
/// token.
///
/// # Errors
/// Returns [`Refused::State`] if the text is not a token, if it is another token, or if the token
/// is revoked.
async fn proven(app: &App, own: &OwnToken, text: &str) -> Result<PlaintextToken, Refused> {
    let another = || Refused::State("the form holds another token".into());
    let token: PlaintextToken = text.parse().map_err(|_| another())?;
    let explanation = app.tokens.explain(text, &Access::to_own_project(&[])).await.map_err(Refused::failed)?;
    match explanation.view {
        Some(view) if view.key() == own.view.key() && view.status != Status::Revoked => Ok(token),
        _ => Err(another()),
    }
}

fn file(
    app: &App,
    headers: &HeaderMap,
    scene: &Scene,
    tool: Tool,
    token: Option<&PlaintextToken>,
) -> Result<Response, PageError> {
    let model = scene.chosen();
    // Never write a file that names another model than the requested one.
    let asked = &scene.view.integration;
    if !asked.is_empty() && model.is_none_or(|model| *asked != model.integration_uid()) {
        return Err(Refused::State("the project does not have this integration".into()).into());
    }
    let Some(text) = text(app, headers, scene, model, tool, token) else {
        let words = format!("the settings for {} name a model; choose an integration first", tool.label());
        return Err(Refused::State(words).into());
    };
    let named = format!("attachment; filename=\"{}\"", tool.file_name());
    let mut response = (StatusCode::OK, text).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(tool.content_type()));
    if let Ok(named) = HeaderValue::try_from(named) {
        response.headers_mut().insert(CONTENT_DISPOSITION, named);
    }
    Ok(response)
}
