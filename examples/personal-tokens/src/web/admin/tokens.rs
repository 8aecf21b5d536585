//! The administrator's page of one token, and the form that revokes the token.

use std::sync::Arc;

use axum::Form;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{Html, Redirect};
use keyfob::{Actor, ProjectId, TokenId, TokenKey, record::RevocationReason};
use serde::Deserialize;

use crate::app::App;
use crate::tokens::own::{self, Refused};
use crate::web::admin::all_tokens;
use crate::web::admin::{allow, allow_form};
use crate::web::error::PageError;
use crate::web::sessions::SignedIn;
use crate::web::token;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeForm {
    csrf: String,
    /// The path of the page from which the form was sent.
    #[serde(default)]
    view: String,
}

/// Returns the page of any token, for an administrator.
pub async fn history(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path((project, id)): Path<(String, String)>,
    asked: Result<Query<token::Asked>, QueryRejection>,
) -> Result<Html<String>, PageError> {
    allow(&signed_in)?;
    let Query(asked) = asked.map_err(|_| PageError::NotFound)?;
    own::write_uses(&app).await;
    let view = app.tokens.get(&key(&project, &id)?).await.map_err(Refused::failed)?.ok_or(PageError::NotFound)?;
    token::show_any(&app, &signed_in, &view, asked).await
}

fn key(project: &str, id: &str) -> Result<TokenKey, PageError> {
    let project = ProjectId::new(project).map_err(|_| PageError::NotFound)?;
    Ok(TokenKey { project, id: TokenId::new(id).map_err(|_| PageError::NotFound)? })
}

/// Answers the form with which an administrator revokes any token.
pub async fn revoke(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path((project, id)): Path<(String, String)>,
    Form(form): Form<RevokeForm>,
) -> Result<Redirect, PageError> {
    allow_form(&signed_in, &form.csrf)?;
    let key = key(&project, &id)?;
    let actor = Actor::from(&signed_in.user.owner_id());
    let revoked = app.tokens.revoke(&actor, &key, RevocationReason::PrivilegeWithdrawn).await;
    app.project_counts.forget();
    revoked.map_err(Refused::by)?;
    Ok(Redirect::to(&format!("{}?said=revoked", back(&form.view, &project))))
}

/// Returns the page to which a form leads back: the page of the person or of all tokens if the form
/// came from it, and otherwise the page of the project.
fn back(from: &str, project: &str) -> String {
    if from == all_tokens::PATH {
        return from.into();
    }
    let person = from.strip_prefix("/admin/people/").filter(|id| id.parse::<i64>().is_ok());
    person.map_or_else(|| format!("/admin/projects/{project}"), |id| format!("/admin/people/{id}"))
}
