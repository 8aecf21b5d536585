//! The page on which an invited person chooses their first password. The code in its address is a
//! secret, so neither this module nor any other writes the address to a log.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use tower_sessions::Session;

use crate::app::App;
use crate::people::invitations;
use crate::tokens::own::Refused;
use crate::web::error::{PageError, render};
use crate::web::password;
use crate::web::sessions;

#[derive(Template)]
#[template(path = "join.html")]
struct JoinPage<'a> {
    code: &'a str,
    name: &'a str,
    new: Option<String>,
    again: Option<String>,
}

/// The page for a link that cannot be used.
#[derive(Template)]
#[template(path = "join_over.html")]
struct OverPage;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinForm {
    /// The name of the person, which the page contains for the browser's password manager. It is
    /// not read.
    #[serde(default, rename = "name")]
    _name: String,
    new: String,
    again: String,
}

pub async fn show(State(app): State<Arc<App>>, Path(code): Path<String>) -> Result<Response, PageError> {
    match invitations::find(&app.db, &code, app.tokens.now()).await.map_err(Refused::failed)? {
        Some((_, name)) => Ok(render(&JoinPage { code: &code, name: &name, new: None, again: None })?.into_response()),
        None => over(),
    }
}

/// Stores the password that the person has chosen, and signs the person in.
pub async fn join(
    State(app): State<Arc<App>>,
    session: Session,
    Path(code): Path<String>,
    Form(form): Form<JoinForm>,
) -> Result<Response, PageError> {
    let found = invitations::find(&app.db, &code, app.tokens.now()).await.map_err(Refused::failed)?;
    let Some((_, name)) = found else { return over() };
    let (new, again) = password::faults(&form.new, &form.again);
    if new.is_some() || again.is_some() {
        let page = render(&JoinPage { code: &code, name: &name, new, again })?;
        return Ok((StatusCode::BAD_REQUEST, page).into_response());
    }
    let hash = app.accounts.hash_chosen(form.new).await.map_err(PageError::failed)?;
    let joined = invitations::accept(&app.db, &code, &hash, app.tokens.now()).await.map_err(Refused::failed)?;
    let Some(user) = joined else { return over() };
    sessions::begin(&session, &user).await.map_err(PageError::failed)?;
    Ok(Redirect::to("/settings/tokens").into_response())
}

fn over() -> Result<Response, PageError> {
    let page: Html<String> = render(&OverPage)?;
    Ok((StatusCode::NOT_FOUND, page).into_response())
}
