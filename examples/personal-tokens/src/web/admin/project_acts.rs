//! The forms with which an administrator adds, renames and removes projects.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use keyfob::{Actor, Timestamp, record::RevocationReason, store::RevokeGroup};
use serde::Deserialize;

use crate::app::App;
use crate::people::denied::Denied;
use crate::people::directory::Listed;
use crate::people::project_changes;
use crate::people::projects::Kind;
use crate::tokens::own::Refused;
use crate::web::admin::confirm::ActForm;
use crate::web::admin::projects::{self, Act, Dialog, Draft, PATH};
use crate::web::admin::view::View;
use crate::web::admin::{allow_form, in_words};
use crate::web::error::PageError;
use crate::web::sessions::SignedIn;
use crate::web::spent;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddForm {
    csrf: String,
    form: String,
    name: String,
    /// The kind: `shared` or `public`.
    kind: String,
    #[serde(default)]
    view: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenameForm {
    csrf: String,
    name: String,
    #[serde(default)]
    view: String,
}

pub async fn add(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Form(form): Form<AddForm>,
) -> Result<Response, PageError> {
    allow_form(&signed_in, &form.csrf)?;
    let view = View::parse(&form.view);
    if !spent::spend(&app.db, &signed_in.user, &form.form).await.map_err(Refused::failed)? {
        return Ok(Redirect::to(&view.link(PATH)).into_response());
    }
    let is_public = form.kind == "public";
    let kind = if is_public { Kind::Public } else { Kind::Shared };
    match project_changes::add(&app.db, &form.name, kind).await.map_err(Refused::failed)? {
        // A shared project needs members next.
        Ok(id) if kind == Kind::Shared => Ok(Redirect::to(&format!("{PATH}/{id}/members?said=added")).into_response()),
        Ok(id) => Ok(Redirect::to(&format!("{PATH}/{id}?said=added")).into_response()),
        Err(denied) => {
            spent::give_back(&app.db, &signed_in.user, &form.form, &Refused::State(denied.to_string()))
                .await
                .map_err(Refused::failed)?;
            let draft = Draft { form: form.form, name: form.name, is_public, error: Some(in_words(denied)) };
            let page = projects::draw(&app, &signed_in, &view, Dialog::Add(draft), None).await?;
            Ok((StatusCode::BAD_REQUEST, page).into_response())
        }
    }
}

pub async fn rename(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<i64>,
    Form(form): Form<RenameForm>,
) -> Result<Response, PageError> {
    allow_form(&signed_in, &form.csrf)?;
    let view = View::parse(&form.view);
    match project_changes::rename(&app.db, id, &form.name).await.map_err(Refused::failed)? {
        Ok(()) => Ok(Redirect::to(&view.link_with(PATH, "said", "renamed")).into_response()),
        Err(Denied::Unknown) => Err(PageError::NotFound),
        Err(denied) => {
            let error = Some(in_words(denied));
            let draft = Draft { form: id.to_string(), name: form.name, error, ..Draft::default() };
            let page = projects::draw(&app, &signed_in, &view, Dialog::Rename(draft), None).await?;
            Ok((StatusCode::BAD_REQUEST, page).into_response())
        }
    }
}

/// Removes a project and revokes all its tokens. If the store fails, the project is removed and its
/// tokens are rejected. The administrator can then revoke them on the page of the project.
pub async fn remove(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<i64>,
    Form(form): Form<ActForm>,
) -> Result<Response, PageError> {
    allow_form(&signed_in, &form.csrf)?;
    let listed = projects::find(&app, id).await?;
    if listed.project.kind == Kind::Personal {
        return Err(PageError::NotFound);
    }
    let configured = app.models.configured_of(id);
    let denied = (configured > 0).then_some(Denied::HasModels(configured));
    if denied.is_some() || form.typed.trim() != listed.project.name {
        return again(&app, &signed_in, &listed, Act::Remove, &form, denied).await;
    }
    project_changes::remove(&app.db, id, app.tokens.now()).await.map_err(Refused::failed)?;
    let count = revoke(&app, &signed_in, &listed).await?;
    Ok(form.done(PATH, &format!("removed-{count}")).into_response())
}

/// Revokes every token of a project, for all owners.
pub async fn revoke_all(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<i64>,
    Form(form): Form<ActForm>,
) -> Result<Response, PageError> {
    allow_form(&signed_in, &form.csrf)?;
    let listed = projects::find(&app, id).await?;
    if form.typed.trim() != listed.project.name {
        return again(&app, &signed_in, &listed, Act::RevokeAll, &form, None).await;
    }
    let count = revoke(&app, &signed_in, &listed).await?;
    Ok(form.done(PATH, &format!("revoked-{count}")).into_response())
}

async fn revoke(app: &App, signed_in: &SignedIn, listed: &Listed) -> Result<u64, PageError> {
    let actor = Actor::from(&signed_in.user.owner_id());
    // The group contains all existing tokens, including tokens from a host whose clock is ahead.
    let all = RevokeGroup::CreatedBefore(Timestamp::MAX);
    let reason = RevocationReason::CessationOfOperation;
    let revoked = app.tokens.revoke_group(&actor, &listed.project.project_id(), &all, reason).await;
    app.project_counts.forget();
    Ok(revoked.map_err(Refused::failed)?)
}

/// Draws the page with the dialog of a form that was refused. If `denied` is `None`, the typed name
/// is wrong.
async fn again(
    app: &App,
    signed_in: &SignedIn,
    listed: &Listed,
    act: Act,
    form: &ActForm,
    denied: Option<Denied>,
) -> Result<Response, PageError> {
    let view = form.view();
    let Some(confirm) = projects::confirm(app, listed, act, &view).await? else {
        return Ok(form.done(PATH, "revoked-0").into_response());
    };
    let confirm = confirm.refused(&form.typed, denied);
    let page = projects::draw(app, signed_in, &view, Dialog::Confirm(confirm), None).await?;
    Ok((StatusCode::BAD_REQUEST, page).into_response())
}
