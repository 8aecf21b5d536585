//! The forms of the page with the list of tokens: issue, rotate, disable, enable and revoke a
//! token.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::Form;
use keyfob::Lifetime;
use serde::Deserialize;

use crate::app::App;
use crate::tokens::expiry::{self, ExpiryError, Measure};
use crate::tokens::issued;
use crate::tokens::own::{self, Refused, Wish};
use crate::web::error::{PageError, in_words};
use crate::web::page::{Dialog, Draft, RotateFault, Scene, draw};
use crate::web::pane::Pane;
use crate::web::sessions::SignedIn;
use crate::web::spent;
use crate::web::view::View;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewForm {
    csrf: String,
    form: String,
    /// The part of the list that the page shows behind the dialog, as the query of a [`View`].
    #[serde(default)]
    view: String,
    project: i64,
    name: String,
    /// The number of units of the lifetime. It is a text, so that the form can show a wrong value
    /// with an error. The field is absent if the unit is "never".
    #[serde(default)]
    amount: String,
    unit: String,
    /// The scopes that the person chose. If there are none, the token grants nothing.
    #[serde(default)]
    scope: Vec<String>,
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
    if !spent::spend(&app.pool, &signed_in.user, &form.form).await.map_err(Refused::failed)? {
        return Ok(Redirect::to(&scene.view.link()).into_response());
    }
    let issued = match lifetime(&form.amount, &form.unit) {
        Ok(lifetime) => {
            let scopes = form.scope.join(" ");
            let wish = Wish { name: &form.name, lifetime, scopes: &scopes, addresses: "", confirm_within: None };
            own::issue(&app, &signed_in.user, &scene.project, wish).await
        }
        Err(error) => Err(Refused::Expiry(error)),
    };
    if issued.is_err() {
        spent::give_back(&app.pool, &signed_in.user, &form.form).await.map_err(Refused::failed)?;
    }
    match issued {
        Ok((own, token)) => {
            let pane = Pane::new(&app, &headers, &scene, &own, "", Some(&token));
            let dialog = Dialog::issued(&own, &token, pane);
            Ok(draw(&app, &signed_in, &scene, dialog, None).await?.into_response())
        }
        Err(Refused::Failed) => Err(Refused::Failed.into()),
        Err(refused) => {
            let draft = Draft {
                form: form.form.clone(),
                name: &form.name,
                amount: &form.amount,
                unit: &form.unit,
                scopes: form.scope.iter().map(String::as_str).collect(),
                error: Some(in_words(&refused)),
            };
            let page = draw(&app, &signed_in, &scene, Dialog::New(draft), None).await?;
            Ok((StatusCode::BAD_REQUEST, page).into_response())
        }
    }
}

/// Returns the lifetime that a form asks for.
///
/// # Errors
/// Returns [`ExpiryError::Measure`] if the unit is unknown, and [`ExpiryError::Value`] if the
/// amount is not a whole number of at least 1.
pub fn lifetime(amount: &str, unit: &str) -> Result<Lifetime, ExpiryError> {
    if unit == "never" {
        return Ok(Lifetime::Never);
    }
    let measure = Measure::parse(unit).ok_or(ExpiryError::Measure)?;
    let amount = amount.trim();
    match amount.parse() {
        Ok(value) => measure.times(value),
        // The number overflows. A huge lifetime leads to the error of the policy, which explains
        // the problem better.
        Err(_) if amount.len() > 18 && amount.bytes().all(|byte| byte.is_ascii_digit()) => measure.times(i64::MAX),
        Err(_) => Err(ExpiryError::Value),
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
    if !spent::spend(&app.pool, &signed_in.user, &form.form).await.map_err(Refused::failed)? {
        return Ok(Redirect::to(&scene.view.link()).into_response());
    }
    let rotated = match expiry::grace_in_hours(&form.grace, app.tokens.policy().max_grace()) {
        Ok(grace) => own::rotate(&app, &signed_in.user, &token, grace).await,
        Err(error) => Err(Refused::Grace(error)),
    };
    if rotated.is_err() {
        spent::give_back(&app.pool, &signed_in.user, &form.form).await.map_err(Refused::failed)?;
    }
    let fault = match rotated {
        Ok((own, token)) => {
            let pane = Pane::new(&app, &headers, &scene, &own, "", Some(&token));
            let dialog = Dialog::issued(&own, &token, pane);
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

/// An operation that a button in a row of the list starts.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    Disable,
    Enable,
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
        Act::EndGrace => own::end_grace(&app, &signed_in.user, &token).await.map(|_| "ended"),
    };
    Ok(Redirect::to(&scene.link_after(said?)).into_response())
}

pub async fn delete(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(uuid): Path<String>,
    Form(form): Form<DeleteForm>,
) -> Result<Response, PageError> {
    signed_in.check_form(&form.csrf)?;
    let token = own::find(&app, &signed_in.user, &uuid).await?;
    let scene = Scene::of_token(&app, &signed_in, &form.view, &token).await?;
    let issued = issued::bound(&app, &token.view).await?;
    if form.typed.trim() == token.view.name.as_str() {
        own::delete(&app, &signed_in.user, &token).await?;
        let done = if issued > 0 { "deleted-all" } else { "deleted" };
        return Ok(Redirect::to(&scene.link_after(done)).into_response());
    }
    let dialog = Dialog::Delete {
        uuid: token.name.uuid.to_string(),
        name: token.view.name.as_str(),
        issued,
        error: Some("The name does not match."),
    };
    let page = draw(&app, &signed_in, &scene, dialog, None).await?;
    Ok((StatusCode::BAD_REQUEST, page).into_response())
}
