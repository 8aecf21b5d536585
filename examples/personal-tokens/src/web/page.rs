//! The page *Settings → Personal tokens*.
//!
//! It works without its script: dialogs are links to the page with the dialog open. The script makes them modal,
//! copies, and wipes the token.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use keyfob::{Lifetime, PlaintextToken, Status, Timestamp, TokenKind, TokenView};
use serde::Deserialize;

use crate::app::App;
use crate::people::projects::Project;
use crate::random;
use crate::tokens::expiry::{ExpiryError, Measure};
use crate::tokens::own::{self, Refused};
use crate::web::error::{PageError, in_words, render};
use crate::web::rows::Row;
use crate::web::sessions::SignedIn;

#[derive(Deserialize)]
pub struct Asked {
    project: Option<i64>,
    new: Option<String>,
    delete: Option<String>,
    deleted: Option<String>,
    rotate: Option<String>,
    changed: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewForm {
    csrf: String,
    form: String,
    project: i64,
    name: String,
    /// Text, so that what was typed wrong comes back with a word about it. Not sent where the unit is "never".
    #[serde(default)]
    amount: String,
    unit: String,
    /// Scopes, separated by spaces; empty grants none.
    #[serde(default)]
    scopes: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateForm {
    csrf: String,
    form: String,
    project: i64,
    /// In hours.
    grace: u32,
}

/// A button that changes a token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenForm {
    csrf: String,
    project: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteForm {
    csrf: String,
    project: i64,
    typed: String,
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage<'a> {
    signed_in: &'a SignedIn,
    projects: Vec<Project>,
    project: &'a Project,
    rows: Vec<Row>,
    allows_never: bool,
    dialog: Dialog<'a>,
    notice: Option<&'static str>,
    /// Tokens that end within a week, and have no successor.
    ending: Vec<String>,
}

enum Dialog<'a> {
    None,
    New { form: String, name: &'a str, amount: &'a str, unit: &'a str, scopes: &'a str, error: Option<String> },
    Rotate { form: String, uuid: String, name: &'a str, error: Option<String> },
    Issued { name: &'a str, token: &'a PlaintextToken },
    Delete { uuid: String, name: &'a str, error: Option<&'static str> },
}

async fn draw(
    app: &App,
    signed_in: &SignedIn,
    project: &Project,
    dialog: Dialog<'_>,
    notice: Option<&'static str>,
) -> Result<Html<String>, PageError> {
    let tokens = own::list(app, &signed_in.user, project).await?;
    let projects = app.projects.of_user(signed_in.user.id).await.map_err(Refused::failed)?;
    let now = app.tokens.now();
    let kept = tokens.iter().filter(|token| token.view.status != Status::Revoked);
    render(&TokensPage {
        signed_in,
        projects,
        project,
        ending: kept
            .clone()
            .filter(|token| ends_soon(&token.view, now))
            .map(|token| token.view.name.to_string())
            .collect(),
        rows: kept.map(|token| Row::new(token, &tokens, now)).collect(),
        allows_never: app.tokens.policy().lifetimes(TokenKind::Human).never_expiring,
        dialog,
        notice,
    })
}

/// What a notice would be sent for: alive, without a successor, and in its last week.
fn ends_soon(view: &TokenView, now: Timestamp) -> bool {
    const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);
    let last_week = view.expires_at.is_some_and(|end| end.saturating_since(now) <= WEEK);
    view.status.is_live() && view.rotated_to.is_none() && last_week
}

pub async fn show(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Html<String>, PageError> {
    let Query(asked) = asked.map_err(|_| PageError::NotFound)?;
    let project = own::project_of(&app, &signed_in.user, asked.project).await?;
    let token;
    let dialog = if let Some(uuid) = &asked.delete {
        token = own::find(&app, &signed_in.user, uuid).await?;
        Dialog::Delete { uuid: token.name.uuid.to_string(), name: token.view.name.as_str(), error: None }
    } else if let Some(uuid) = &asked.rotate {
        token = own::find(&app, &signed_in.user, uuid).await?;
        let form = random::hex128().map_err(Refused::failed)?;
        Dialog::Rotate { form, uuid: token.name.uuid.to_string(), name: token.view.name.as_str(), error: None }
    } else if asked.new.is_some() {
        let form = random::hex128().map_err(Refused::failed)?;
        Dialog::New { form, name: "", amount: "30", unit: "days", scopes: "", error: None }
    } else {
        Dialog::None
    };
    let notice = match (asked.deleted, asked.changed.as_deref()) {
        (Some(_), _) => Some("The token is deleted and has stopped working."),
        (None, Some("disabled")) => Some("The token is disabled: it does not work until you enable it."),
        (None, Some("enabled")) => Some("The token works again."),
        (None, Some("ended")) => Some("The old token has stopped working."),
        _ => None,
    };
    draw(&app, &signed_in, &project, dialog, notice).await
}

pub async fn create(
    State(app): State<Arc<App>>,
    mut signed_in: SignedIn,
    Form(form): Form<NewForm>,
) -> Result<Response, PageError> {
    signed_in.check_form(&form.csrf)?;
    let project = own::project_of(&app, &signed_in.user, Some(form.project)).await?;
    if signed_in.is_spent(&form.form) {
        return Ok(list_of(&project, ""));
    }
    let issued = match lifetime(&form) {
        Ok(lifetime) => own::issue(&app, &signed_in.user, &project, &form.name, lifetime, &form.scopes).await,
        Err(error) => Err(Refused::Expiry(error)),
    };
    match issued {
        Ok((own, token)) => {
            signed_in.spend(&form.form).await.map_err(PageError::failed)?;
            let dialog = Dialog::Issued { name: own.view.name.as_str(), token: &token };
            Ok(draw(&app, &signed_in, &project, dialog, None).await?.into_response())
        }
        Err(Refused::Failed) => Err(Refused::Failed.into()),
        Err(refused) => {
            let NewForm { form, name, amount, unit, scopes, .. } = &form;
            let error = Some(in_words(&refused));
            let dialog = Dialog::New { form: form.clone(), name, amount, unit, scopes, error };
            let page = draw(&app, &signed_in, &project, dialog, None).await?;
            Ok((StatusCode::BAD_REQUEST, page).into_response())
        }
    }
}

fn lifetime(form: &NewForm) -> Result<Lifetime, ExpiryError> {
    if form.unit == "never" {
        return Ok(Lifetime::Never);
    }
    let measure = Measure::parse(&form.unit).ok_or(ExpiryError::Measure)?;
    let amount = form.amount.trim();
    match amount.parse() {
        Ok(value) => measure.times(value),
        // More digits than a number holds: too long, which the policy says better.
        Err(_) if amount.len() > 18 && amount.bytes().all(|byte| byte.is_ascii_digit()) => measure.times(i64::MAX),
        Err(_) => Err(ExpiryError::Value),
    }
}

pub async fn rotate(
    State(app): State<Arc<App>>,
    mut signed_in: SignedIn,
    Path(uuid): Path<String>,
    Form(form): Form<RotateForm>,
) -> Result<Response, PageError> {
    signed_in.check_form(&form.csrf)?;
    let project = own::project_of(&app, &signed_in.user, Some(form.project)).await?;
    if signed_in.is_spent(&form.form) {
        return Ok(list_of(&project, ""));
    }
    let token = own::find(&app, &signed_in.user, &uuid).await?;
    // Whatever a forged number says, a grace never outlasts the token itself.
    let grace = Duration::from_secs(u64::from(form.grace) * 3600);
    match own::rotate(&app, &signed_in.user, &token, grace).await {
        Ok((own, token)) => {
            signed_in.spend(&form.form).await.map_err(PageError::failed)?;
            let dialog = Dialog::Issued { name: own.view.name.as_str(), token: &token };
            Ok(draw(&app, &signed_in, &project, dialog, None).await?.into_response())
        }
        Err(refused @ Refused::State(_)) => {
            let (name, error) = (token.view.name.as_str(), Some(in_words(&refused)));
            let dialog = Dialog::Rotate { form: form.form, uuid: token.name.uuid.to_string(), name, error };
            Ok((StatusCode::BAD_REQUEST, draw(&app, &signed_in, &project, dialog, None).await?).into_response())
        }
        Err(refused) => Err(refused.into()),
    }
}

pub async fn end_grace(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(uuid): Path<String>,
    Form(form): Form<TokenForm>,
) -> Result<Response, PageError> {
    let (project, token) = meant(&app, &signed_in, &uuid, &form).await?;
    own::end_grace(&app, &signed_in.user, &token).await?;
    Ok(list_of(&project, "&changed=ended"))
}

pub async fn disable(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(uuid): Path<String>,
    Form(form): Form<TokenForm>,
) -> Result<Response, PageError> {
    let (project, token) = meant(&app, &signed_in, &uuid, &form).await?;
    own::disable(&app, &signed_in.user, &token, true).await?;
    Ok(list_of(&project, "&changed=disabled"))
}

pub async fn enable(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(uuid): Path<String>,
    Form(form): Form<TokenForm>,
) -> Result<Response, PageError> {
    let (project, token) = meant(&app, &signed_in, &uuid, &form).await?;
    own::disable(&app, &signed_in.user, &token, false).await?;
    Ok(list_of(&project, "&changed=enabled"))
}

/// The project and the token that a button stands for.
async fn meant(
    app: &App,
    signed_in: &SignedIn,
    uuid: &str,
    form: &TokenForm,
) -> Result<(Project, own::OwnToken), PageError> {
    signed_in.check_form(&form.csrf)?;
    let project = own::project_of(app, &signed_in.user, Some(form.project)).await?;
    Ok((project, own::find(app, &signed_in.user, uuid).await?))
}

pub async fn delete(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(uuid): Path<String>,
    Form(form): Form<DeleteForm>,
) -> Result<Response, PageError> {
    signed_in.check_form(&form.csrf)?;
    let project = own::project_of(&app, &signed_in.user, Some(form.project)).await?;
    let token = own::find(&app, &signed_in.user, &uuid).await?;
    if form.typed.trim() == token.view.name.as_str() {
        own::delete(&app, &signed_in.user, &token).await?;
        return Ok(list_of(&project, "&deleted=1"));
    }
    let dialog = Dialog::Delete {
        uuid: token.name.uuid.to_string(),
        name: token.view.name.as_str(),
        error: Some("That is not the name of the token."),
    };
    let page = draw(&app, &signed_in, &project, dialog, None).await?;
    Ok((StatusCode::BAD_REQUEST, page).into_response())
}

fn list_of(project: &Project, more: &str) -> Response {
    Redirect::to(&format!("/settings/tokens?project={}{more}", project.id)).into_response()
}
