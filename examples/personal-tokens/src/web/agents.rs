//! The dialog that issues a token for an agent, under one of the person's tokens.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::Form;
use keyfob::{Scope, ScopeSet, TokenKind};
use serde::Deserialize;

use crate::app::App;
use crate::tokens::own::{self, OwnToken, Refused};
use crate::tokens::{expiry, scopes};
use crate::web::dialog::Dialog;
use crate::web::draft::{Entered, lifetime};
use crate::web::error::{PageError, in_words};
use crate::web::page::{Scene, draw};
use crate::web::pane::Pane;
use crate::web::sessions::SignedIn;
use crate::web::spent;

/// The form that issues a token for an agent, as the browser sends it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentForm {
    csrf: String,
    form: String,
    #[serde(default)]
    view: String,
    name: String,
    amount: String,
    unit: String,
    /// The scopes that the person chose. If there are none, the token grants nothing.
    #[serde(default)]
    scope: Vec<String>,
}

/// The form that issues a token for an agent, as the page shows it, with the values that the person
/// has entered so far.
pub struct AgentDraft<'a> {
    pub form: String,
    /// The UUID of the issuer.
    pub uuid: String,
    pub issuer: &'a str,
    pub name: String,
    pub amount: String,
    pub unit: String,
    /// The maximum lifetime of a token for an agent, in words.
    pub most: String,
    pub scopes: Vec<Choice>,
    pub error: Option<String>,
}

/// A scope that the person can choose.
pub struct Choice {
    pub scope: String,
    /// A text that says what the scope allows. It is empty if the service does not know the scope.
    pub words: &'static str,
    pub is_chosen: bool,
}

impl<'a> AgentDraft<'a> {
    /// Creates the form with the values that the person has entered so far. If there is no lifetime
    /// among them, the form suggests the default for agents, or the rest of the issuer's lifetime
    /// if the rest is shorter.
    pub fn new(app: &App, issuer: &'a OwnToken, form: String, entered: Entered, error: Option<String>) -> Self {
        let lifetimes = app.tokens.policy().lifetimes(TokenKind::Agent);
        let left = issuer.view.expires_at.map(|end| end.saturating_since(app.tokens.now()));
        let minutes = left.map_or(lifetimes.default, |left| lifetimes.default.min(left)).as_secs() / 60;
        let (amount, unit) = if minutes >= 60 { (minutes / 60, "hours") } else { (minutes.max(1), "minutes") };
        let (amount, unit) = match entered.unit.as_str() {
            "" => (amount.to_string(), unit.into()),
            _ => (entered.amount, entered.unit),
        };
        Self {
            form,
            uuid: issuer.name.uuid.to_string(),
            issuer: issuer.view.name.as_str(),
            name: entered.name,
            amount,
            unit,
            most: expiry::in_units(lifetimes.max),
            scopes: Self::choices(issuer, &entered.scope),
            error,
        }
    }

    /// Returns the scopes that the issuer can grant, and marks the scopes in `chosen` as selected.
    fn choices(issuer: &OwnToken, chosen: &[String]) -> Vec<Choice> {
        let granted = &issuer.view.scopes;
        let known =
            scopes::ALL.iter().filter(|known| Scope::new(known.scope).is_ok_and(|scope| granted.allows(&scope)));
        let others = granted.iter().filter(|scope| scopes::ALL.iter().all(|known| known.scope != *scope));
        let pairs = known.map(|known| (known.scope, known.words)).chain(others.map(|scope| (scope, "")));
        // The form does not offer the scope for issuing tokens, nor a wildcard that grants it. An
        // agent can get such a scope only through the JSON API.
        let manages = |scope: &str| ScopeSet::new(scope).is_ok_and(|set| set.allows(&scopes::MANAGE));
        let offered = pairs.filter(|(scope, _)| !manages(scope));
        let choice = |(scope, words): (&str, &'static str)| {
            let is_chosen = chosen.iter().any(|one| one == scope);
            Choice { scope: scope.into(), words, is_chosen }
        };
        offered.map(choice).collect()
    }
}

/// Issues a token for an agent under one of the person's tokens.
pub async fn create(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(uuid): Path<String>,
    headers: HeaderMap,
    Form(form): Form<AgentForm>,
) -> Result<Response, PageError> {
    signed_in.check_form(&form.csrf)?;
    let user = &signed_in.user;
    let issuer = own::find(&app, user, &uuid).await?;
    let scene = Scene::of_token(&app, &signed_in, &form.view, &issuer).await?;
    if !spent::spend(&app.db, user, &form.form).await.map_err(Refused::failed)? {
        return Ok(Redirect::to(&scene.view.link()).into_response());
    }
    let issued = match lifetime(&form.amount, &form.unit) {
        Ok(lifetime) => own::issue_agent(&app, user, &issuer, &form.name, lifetime, &form.scope.join(" ")).await,
        Err(error) => Err(Refused::Expiry(error)),
    };
    if let Err(refused) = &issued {
        spent::give_back(&app.db, user, &form.form, refused).await.map_err(Refused::failed)?;
    }
    match issued {
        Ok((own, token)) => {
            let pane = Pane::new(&app, &headers, &scene, &own, "", Some(&token));
            let dialog = Dialog::issued(&app, &own, &token, pane).await?;
            Ok(draw(&app, &signed_in, &scene, dialog, None).await?.into_response())
        }
        Err(Refused::Failed) => Err(Refused::Failed.into()),
        Err(refused) => {
            let AgentForm { form, name, amount, unit, scope, .. } = form;
            let entered = Entered { name, amount, unit, scope, ..Entered::default() };
            let draft = AgentDraft::new(&app, &issuer, form, entered, Some(in_words(&refused)));
            let page = draw(&app, &signed_in, &scene, Dialog::Agent(draft), None).await?;
            Ok((StatusCode::BAD_REQUEST, page).into_response())
        }
    }
}
