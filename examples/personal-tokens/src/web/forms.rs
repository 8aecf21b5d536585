//! The forms of the page with the list of tokens: issue, rotate, rename, narrow, confirm, disable,
//! enable and revoke a token, and end a grace period.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::Form;
use serde::Deserialize;

use crate::app::App;
use crate::tokens::expiry;
use crate::tokens::issued;
use crate::tokens::own::{self, Refused, Wish};
use crate::tokens::via::Via;
use crate::web::dialog::{Dialog, RotateFault};
use crate::web::draft::{Draft, Entered, Faults};
use crate::web::error::{PageError, in_words};
use crate::web::page::{Scene, draw};
use crate::web::pane::Pane;
use crate::web::sessions::SignedIn;
use crate::web::spent;
use crate::web::view::{PATH, View};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewForm {
    csrf: String,
    form: String,
    /// The query of the [`View`] that the dialog covers.
    #[serde(default)]
    view: String,
    project: i64,
    name: String,
    #[serde(default)]
    preset: String,
    #[serde(default)]
    amount: String,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    scope: Vec<String>,
    #[serde(default)]
    addresses: String,
}

impl NewForm {
    fn entered(self) -> Entered {
        let Self { name, preset, amount, unit, scope, addresses, .. } = self;
        Entered { name, preset, amount, unit, scope, addresses }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateForm {
    csrf: String,
    form: String,
    #[serde(default)]
    view: String,
    /// The grace period in hours. It is a text, so that the form can show a wrong value with an
    /// error.
    grace: String,
}

/// The form of a button that changes a token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActForm {
    csrf: String,
    #[serde(default)]
    view: String,
    /// Set if the form is on the page of the token. Then the person stays there.
    stay: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteForm {
    csrf: String,
    #[serde(default)]
    view: String,
    typed: String,
}

pub async fn create(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    headers: HeaderMap,
    Form(form): Form<NewForm>,
) -> Result<Response, PageError> {
    signed_in.check_form(&form.csrf)?;
    let scene = Scene::new(&app, &signed_in, View::parse(&form.view), Some(form.project)).await?;
    if !spent::spend(&app.db, &signed_in.user, &form.form).await.map_err(Refused::failed)? {
        return Ok(Redirect::to(&scene.view.link()).into_response());
    }
    let (id, entered) = (form.form.clone(), form.entered());
    let issued = match entered.lifetime() {
        Ok(lifetime) => {
            let scopes = entered.scope.join(" ");
            let (name, addresses) = (&entered.name, &entered.addresses);
            let wish = Wish { name, lifetime, scopes: &scopes, addresses, confirm_within: None, via: Via::Page };
            own::issue(&app, &signed_in.user, &scene.project, wish).await
        }
        Err(error) => Err(Refused::Expiry(error)),
    };
    if let Err(refused) = &issued {
        spent::give_back(&app.db, &signed_in.user, &id, refused).await.map_err(Refused::failed)?;
    }
    match issued {
        Ok((own, token)) => {
            let pane = Pane::new(&app, &headers, &scene, &own, "", Some(&token));
            let dialog = Dialog::issued(&app, &own, &token, pane).await?;
            Ok(draw(&app, &signed_in, &scene, dialog, None).await?.into_response())
        }
        Err(Refused::Failed) => Err(Refused::Failed.into()),
        Err(refused) => {
            let draft = Draft::new(&app, id, entered, Faults::of(&refused));
            let page = draw(&app, &signed_in, &scene, Dialog::New(Box::new(draft)), None).await?;
            Ok((StatusCode::BAD_REQUEST, page).into_response())
        }
    }
}

pub async fn rotate(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(uuid): Path<String>,
    headers: HeaderMap,
    Form(form): Form<RotateForm>,
) -> Result<Response, PageError> {
    signed_in.check_form(&form.csrf)?;
    let token = own::find(&app, &signed_in.user, &uuid).await?;
    let scene = Scene::of_token(&app, &signed_in, &form.view, &token).await?;
    if !spent::spend(&app.db, &signed_in.user, &form.form).await.map_err(Refused::failed)? {
        return Ok(Redirect::to(&scene.view.link()).into_response());
    }
    let rotated = match expiry::grace_in_hours(&form.grace, app.tokens.policy().max_grace()) {
        Ok(grace) => own::rotate(&app, &signed_in.user, &token, grace).await,
        Err(error) => Err(Refused::Grace(error)),
    };
    if let Err(refused) = &rotated {
        spent::give_back(&app.db, &signed_in.user, &form.form, refused).await.map_err(Refused::failed)?;
    }
    let fault = match rotated {
        Ok((own, token)) => {
            let pane = Pane::new(&app, &headers, &scene, &own, "", Some(&token));
            let dialog = Dialog::issued(&app, &own, &token, pane).await?;
            return Ok(draw(&app, &signed_in, &scene, dialog, None).await?.into_response());
        }
        Err(refused @ Refused::Grace(_)) => RotateFault::Grace(in_words(&refused)),
        Err(refused @ Refused::PredecessorInGrace(_)) => {
            let predecessor = own::predecessor(&app, &signed_in.user, &token).await?;
            RotateFault::Predecessor { words: in_words(&refused), uuid: predecessor.map(|name| name.uuid.to_string()) }
        }
        Err(refused @ (Refused::State(_) | Refused::Policy(_) | Refused::Conflict)) => {
            RotateFault::Other(in_words(&refused))
        }
        Err(refused) => return Err(refused.into()),
    };
    let dialog = Dialog::rotate(&app, &token, form.form, form.grace.trim().parse().ok(), Some(fault)).await?;
    Ok((StatusCode::BAD_REQUEST, draw(&app, &signed_in, &scene, dialog, None).await?).into_response())
}

/// An operation that a button on a page starts, without a dialog.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    Disable,
    Enable,
    Confirm,
    EndGrace,
}

pub async fn act(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path((uuid, act)): Path<(String, Act)>,
    Form(form): Form<ActForm>,
) -> Result<Response, PageError> {
    signed_in.check_form(&form.csrf)?;
    let token = own::find(&app, &signed_in.user, &uuid).await?;
    let scene = Scene::of_token(&app, &signed_in, &form.view, &token).await?;
    let said = match act {
        Act::Disable => own::disable(&app, &signed_in.user, &token, true).await.map(|_| "disabled"),
        Act::Enable => own::disable(&app, &signed_in.user, &token, false).await.map(|_| "enabled"),
        Act::Confirm => own::confirm(&app, &signed_in.user, &token).await.map(|_| "confirmed"),
        Act::EndGrace => own::end_grace(&app, &signed_in.user, &token).await.map(|_| "ended"),
    };
    let said = said?;
    Ok(Redirect::to(&match form.stay {
        Some(_) => format!("{}/{}?said={said}", PATH, token.name.uuid),
        None => scene.link_after(said, &token),
    })
    .into_response())
}

pub async fn delete(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(uuid): Path<String>,
    Form(form): Form<DeleteForm>,
) -> Result<Response, PageError> {
    signed_in.check_form(&form.csrf)?;
    let token = own::find(&app, &signed_in.user, &uuid).await?;
    let scene = match Scene::of_token(&app, &signed_in, &form.view, &token).await {
        // A person who has left the project can still revoke their own token.
        Err(Refused::ForbiddenProject) => Scene::new(&app, &signed_in, View::default(), None).await?,
        scene => scene?,
    };
    if form.typed.trim() == token.view.name.as_str().trim() {
        let issued = issued::bound(&app, &token.view).await?;
        own::delete(&app, &signed_in.user, &token).await?;
        let done = if issued > 0 { "deleted-all" } else { "deleted" };
        return Ok(Redirect::to(&scene.link_after(done, &token)).into_response());
    }
    let dialog = Dialog::revoke(&app, &token, Some("The name does not match.")).await?;
    let page = draw(&app, &signed_in, &scene, dialog, None).await?;
    Ok((StatusCode::BAD_REQUEST, page).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenameForm {
    csrf: String,
    #[serde(default)]
    view: String,
    name: String,
}

pub async fn rename(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(uuid): Path<String>,
    Form(form): Form<RenameForm>,
) -> Result<Response, PageError> {
    signed_in.check_form(&form.csrf)?;
    let token = own::find(&app, &signed_in.user, &uuid).await?;
    let scene = Scene::of_token(&app, &signed_in, &form.view, &token).await?;
    match own::rename(&app, &signed_in.user, &token, &form.name).await {
        Ok(_) => Ok(Redirect::to(&scene.link_after("renamed", &token)).into_response()),
        Err(refused @ (Refused::Failed | Refused::Unknown)) => Err(refused.into()),
        Err(refused) => {
            let dialog = Dialog::rename(&app, &token, &form.name, Some(&refused));
            Ok((StatusCode::BAD_REQUEST, draw(&app, &signed_in, &scene, dialog, None).await?).into_response())
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NarrowForm {
    csrf: String,
    #[serde(default)]
    view: String,
    /// The scopes that the token keeps.
    #[serde(default)]
    scope: Vec<String>,
    #[serde(default)]
    addresses: String,
}

pub async fn narrow(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(uuid): Path<String>,
    Form(form): Form<NarrowForm>,
) -> Result<Response, PageError> {
    signed_in.check_form(&form.csrf)?;
    let token = own::find(&app, &signed_in.user, &uuid).await?;
    let scene = Scene::of_token(&app, &signed_in, &form.view, &token).await?;
    let scopes = form.scope.join(" ");
    match own::narrow(&app, &signed_in.user, &token, Some(&scopes), Some(&form.addresses)).await {
        Ok(_) => Ok(Redirect::to(&scene.link_after("narrowed", &token)).into_response()),
        Err(refused @ (Refused::Failed | Refused::Unknown)) => Err(refused.into()),
        Err(refused) => {
            let dialog = Dialog::narrow(&app, &token, Some(&form.scope), Some(&form.addresses), Some(&refused));
            Ok((StatusCode::BAD_REQUEST, draw(&app, &signed_in, &scene, dialog, None).await?).into_response())
        }
    }
}
