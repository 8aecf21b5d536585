//! The forms with which an administrator adds, invites, suspends and removes people.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use keyfob::{Actor, record::RevocationReason, store::RevokeGroup};
use serde::Deserialize;

use crate::app::App;
use crate::config::origin;
use crate::people::changes;
use crate::people::denied::Denied;
use crate::people::directory;
use crate::people::invitations::{self, Invitation};
use crate::tokens::own::Refused;
use crate::web::admin::confirm::ActForm;
use crate::web::admin::people::{self, Act, Dialog, Draft, PATH, owner_id};
use crate::web::admin::view::View;
use crate::web::admin::{allow_form, in_words};
use crate::web::error::PageError;
use crate::web::returns;
use crate::web::sessions::SignedIn;
use crate::web::spent;
use crate::web::time_words::Time;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddForm {
    csrf: String,
    form: String,
    name: String,
    /// The role: `member` or `administrator`.
    role: String,
    #[serde(default)]
    view: String,
}

/// Adds a person, and shows the link of their invitation.
pub async fn add(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    headers: HeaderMap,
    Form(form): Form<AddForm>,
) -> Result<Response, PageError> {
    allow_form(&signed_in, &form.csrf)?;
    let view = View::parse(&form.view);
    if !spent::spend(&app.db, &signed_in.user, &form.form).await.map_err(Refused::failed)? {
        return Ok(Redirect::to(&view.link(PATH)).into_response());
    }
    let invitation = Invitation::new(app.tokens.now()).map_err(Refused::failed)?;
    let is_admin = form.role == "administrator";
    let added = changes::add(&app.db, &form.name, is_admin, &invitation).await.map_err(PageError::failed)?;
    if let Err(denied) = added {
        spent::give_back(&app.db, &signed_in.user, &form.form, &Refused::State(denied.to_string()))
            .await
            .map_err(Refused::failed)?;
        let draft = Draft { form: form.form, name: form.name, is_admin, error: Some(in_words(denied)) };
        let page = people::draw(&app, &signed_in, &view, Dialog::Add(draft), None).await?;
        return Ok((StatusCode::BAD_REQUEST, page).into_response());
    }
    let page = invited(&app, &signed_in, &view, &headers, form.name.trim().into(), &invitation).await?;
    Ok(page.into_response())
}

/// Draws the page with the link of an invitation.
async fn invited(
    app: &App,
    signed_in: &SignedIn,
    view: &View,
    headers: &HeaderMap,
    name: String,
    invitation: &Invitation,
) -> Result<Html<String>, PageError> {
    let link = invitation.link(&origin(app.config.public_url.as_deref(), app.behind_tls, headers));
    let until = Time::ahead(invitation.expires_at, app.tokens.now());
    people::draw(app, signed_in, view, Dialog::Invited { name, link, until }, None).await
}

/// Replaces the invitation of a person, and shows the new link.
pub async fn invite(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    headers: HeaderMap,
    Path(id): Path<i64>,
    Form(form): Form<ActForm>,
) -> Result<Html<String>, PageError> {
    let person = person(&app, &signed_in, id, &form).await?;
    let invitation = Invitation::new(app.tokens.now()).map_err(Refused::failed)?;
    let renewed = invitations::renew(&app.db, id, &invitation).await.map_err(Refused::failed)?;
    renewed.map_err(refused)?;
    invited(&app, &signed_in, &form.view(), &headers, person.name, &invitation).await
}

pub async fn appoint(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<i64>,
    Form(form): Form<ActForm>,
) -> Result<Redirect, PageError> {
    person(&app, &signed_in, id, &form).await?;
    changes::appoint(&app.db, id).await.map_err(Refused::failed)?.map_err(refused)?;
    Ok(form.done(PATH, "appointed"))
}

pub async fn reinstate(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<i64>,
    Form(form): Form<ActForm>,
) -> Result<Redirect, PageError> {
    person(&app, &signed_in, id, &form).await?;
    changes::reinstate(&app.db, id).await.map_err(Refused::failed)?.map_err(refused)?;
    Ok(form.done(PATH, "reinstated"))
}

pub async fn withdraw(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<i64>,
    Form(form): Form<ActForm>,
) -> Result<Response, PageError> {
    let person = person(&app, &signed_in, id, &form).await?;
    match changes::withdraw(&app.db, id).await.map_err(Refused::failed)? {
        // The person may not open the list of people any more.
        Ok(()) if id == signed_in.user.id => Ok(Redirect::to(returns::HOME).into_response()),
        Ok(()) => Ok(form.done(PATH, "withdrawn").into_response()),
        Err(denied) => again(&app, &signed_in, &person, Act::Withdraw, &form, Some(denied)).await,
    }
}

pub async fn suspend(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<i64>,
    Form(form): Form<ActForm>,
) -> Result<Response, PageError> {
    let person = person(&app, &signed_in, id, &form).await?;
    match changes::suspend(&app.db, signed_in.user.id, id).await.map_err(Refused::failed)? {
        Ok(()) => Ok(form.done(PATH, "suspended").into_response()),
        Err(denied) => again(&app, &signed_in, &person, Act::Suspend, &form, Some(denied)).await,
    }
}

/// Removes a person and revokes all their tokens. If the store fails, the person is removed and
/// their tokens are rejected. The administrator can then repeat the operation.
pub async fn remove(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<i64>,
    Form(form): Form<ActForm>,
) -> Result<Response, PageError> {
    let person = person(&app, &signed_in, id, &form).await?;
    if form.typed.trim() != person.name {
        return again(&app, &signed_in, &person, Act::Remove, &form, None).await;
    }
    let removed = changes::remove(&app.db, signed_in.user.id, id, app.tokens.now()).await;
    if let Err(denied) = removed.map_err(PageError::failed)? {
        return again(&app, &signed_in, &person, Act::Remove, &form, Some(denied)).await;
    }
    let count = revoke(&app, &signed_in, id, RevocationReason::AffiliationChanged).await?;
    Ok(form.done(PATH, &format!("removed-{count}")).into_response())
}

/// Revokes all tokens of a person, in all projects.
pub async fn revoke_all(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<i64>,
    Form(form): Form<ActForm>,
) -> Result<Response, PageError> {
    let person = person(&app, &signed_in, id, &form).await?;
    if form.typed.trim() != person.name {
        return again(&app, &signed_in, &person, Act::RevokeAll, &form, None).await;
    }
    let count = revoke(&app, &signed_in, id, RevocationReason::PrivilegeWithdrawn).await?;
    Ok(form.done(PATH, &format!("revoked-{count}")).into_response())
}

async fn revoke(app: &App, signed_in: &SignedIn, id: i64, reason: RevocationReason) -> Result<u64, PageError> {
    let actor = Actor::from(&signed_in.user.owner_id());
    let revoked = app.tokens.revoke_everywhere(&actor, &RevokeGroup::Owner(owner_id(id)), reason, None).await;
    app.project_counts.forget();
    Ok(revoked.map_err(Refused::failed)?)
}

/// Returns the person of a form.
///
/// # Errors
/// Returns [`PageError`] if the caller is not an administrator, if the form is forged, or if there
/// is no such person.
async fn person(app: &App, signed_in: &SignedIn, id: i64, form: &ActForm) -> Result<directory::Person, PageError> {
    allow_form(signed_in, &form.csrf)?;
    people::find(app, id).await
}

/// Draws the page with the dialog of a form that was refused. If `denied` is `None`, the typed name
/// is wrong.
async fn again(
    app: &App,
    signed_in: &SignedIn,
    person: &directory::Person,
    act: Act,
    form: &ActForm,
    denied: Option<Denied>,
) -> Result<Response, PageError> {
    let view = form.view();
    let Some(confirm) = people::confirm(app, person, act, &view).await? else {
        return Ok(form.done(PATH, "revoked-0").into_response());
    };
    let confirm = confirm.refused(&form.typed, denied);
    let page = people::draw(app, signed_in, &view, Dialog::Confirm(confirm), None).await?;
    Ok((StatusCode::BAD_REQUEST, page).into_response())
}

fn refused(denied: Denied) -> PageError {
    Refused::State(denied.to_string()).into()
}
