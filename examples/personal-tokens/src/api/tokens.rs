//! The routes under `/api/v2/auth/token/` that require a session. Existing clients expect the
//! formats and the status codes of the routes that list, issue, read and delete tokens. The other
//! routes are additions, which existing clients do not use.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::api::error::ApiError;
use crate::api::extract::{JsonBody, OptionalBody, Segment};
use crate::api::objects::{
    AgentBody, NarrowBody, NewTokenBody, RenameBody, RevokeAllBody, RevokedCount, RotateBody, TokenObject,
    project_number,
};
use crate::app::App;
use crate::tokens::expiry;
use crate::tokens::issued;
use crate::tokens::listing;
use crate::tokens::own::{self, OwnToken, Refused, Wish};
use crate::tokens::via::Via;
use crate::web::sessions::SignedIn;

type Answer = Result<Json<TokenObject>, ApiError>;

pub async fn list(State(app): State<Arc<App>>, signed_in: SignedIn) -> Result<Json<Vec<TokenObject>>, ApiError> {
    let mut objects = Vec::new();
    for project in app.projects.of_user(signed_in.user.id).await.map_err(Refused::failed)? {
        let tokens = listing::newest(&app, &signed_in.user, &project).await?;
        for token in tokens {
            objects.push(TokenObject::masked(&token, &signed_in.user)?);
        }
    }
    Ok(Json(objects))
}

pub async fn get(State(app): State<Arc<App>>, signed_in: SignedIn, Segment(uuid): Segment) -> Answer {
    let token = find(&app, &signed_in, &uuid).await?;
    Ok(Json(TokenObject::masked(&token, &signed_in.user)?))
}

pub async fn create(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    JsonBody(body): JsonBody<NewTokenBody>,
) -> Answer {
    let project = body.project_id.as_ref().map(project_number).transpose()?;
    let lifetime = expiry::lifetime(body.expires.as_ref()).map_err(Refused::Expiry)?;
    let confirm_within = expiry::confirm_within(body.confirm_within.as_ref()).map_err(Refused::Confirm)?;
    let project = own::project_of(&app, &signed_in.user, project).await?;
    let (name, scopes, addresses) = (body.name.as_str(), body.scopes.as_str(), body.addresses.as_str());
    let wish = Wish { name, lifetime, scopes, addresses, confirm_within, via: Via::Api };
    let (own, token) = own::issue(&app, &signed_in.user, &project, wish).await?;
    Ok(Json(TokenObject::new(&own, &signed_in.user, token.expose_secret().into())?))
}

pub async fn delete(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Segment(uuid): Segment,
) -> Result<StatusCode, ApiError> {
    let token = own::find(&app, &signed_in.user, &uuid).await?;
    own::delete(&app, &signed_in.user, &token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Rotates a token, and answers with its successor. Only this response contains the successor in
/// clear text.
pub async fn rotate(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Segment(uuid): Segment,
    OptionalBody(body): OptionalBody<RotateBody>,
) -> Answer {
    let max = app.tokens.policy().max_grace();
    let grace = expiry::grace(body.grace.as_ref(), max).map_err(Refused::Grace)?;
    let token = find(&app, &signed_in, &uuid).await?;
    check_project(&app, &signed_in, &token).await?;
    let (own, token) = own::rotate(&app, &signed_in.user, &token, grace).await.map_err(ApiError::or_not_found)?;
    Ok(Json(TokenObject::new(&own, &signed_in.user, token.expose_secret().into())?))
}

/// Issues a token for an agent under one of the caller's tokens. The new token is bound to its
/// issuer and has at most the rights of the issuer.
pub async fn delegate(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Segment(uuid): Segment,
    JsonBody(body): JsonBody<AgentBody>,
) -> Answer {
    let lifetime = expiry::lifetime(body.expires.as_ref()).map_err(Refused::Expiry)?;
    let issuer = find(&app, &signed_in, &uuid).await?;
    check_project(&app, &signed_in, &issuer).await?;
    let user = &signed_in.user;
    let (own, token) = own::issue_agent(&app, user, &issuer, &body.name, lifetime, &body.scopes).await?;
    Ok(Json(TokenObject::new(&own, user, token.expose_secret().into())?))
}

/// Answers with the tokens that a token of the caller has issued directly, including revoked
/// tokens.
pub async fn issued(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Segment(uuid): Segment,
) -> Result<Json<Vec<TokenObject>>, ApiError> {
    let issuer = find(&app, &signed_in, &uuid).await?;
    let tokens = issued::direct(&app, &signed_in.user, &issuer.view).await?;
    let objects: Result<_, Refused> = tokens.iter().map(|token| TokenObject::masked(token, &signed_in.user)).collect();
    Ok(Json(objects?))
}

pub async fn disable(State(app): State<Arc<App>>, signed_in: SignedIn, Segment(uuid): Segment) -> Answer {
    set_disabled(&app, &signed_in, &uuid, true).await
}

pub async fn enable(State(app): State<Arc<App>>, signed_in: SignedIn, Segment(uuid): Segment) -> Answer {
    set_disabled(&app, &signed_in, &uuid, false).await
}

pub async fn rename(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Segment(uuid): Segment,
    JsonBody(body): JsonBody<RenameBody>,
) -> Answer {
    let token = find(&app, &signed_in, &uuid).await?;
    masked(&signed_in, own::rename(&app, &signed_in.user, &token, &body.name).await)
}

/// Removes scopes or addresses from a token. A body that names neither is refused, because it would
/// change nothing.
pub async fn narrow(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Segment(uuid): Segment,
    JsonBody(body): JsonBody<NarrowBody>,
) -> Answer {
    let NarrowBody { scopes, addresses } = body;
    if scopes.is_none() && addresses.is_none() {
        return Err(ApiError::Body(StatusCode::BAD_REQUEST));
    }
    let token = find(&app, &signed_in, &uuid).await?;
    masked(&signed_in, own::narrow(&app, &signed_in.user, &token, scopes.as_deref(), addresses.as_deref()).await)
}

/// Confirms a token that was issued with `confirm_within`.
pub async fn confirm(State(app): State<Arc<App>>, signed_in: SignedIn, Segment(uuid): Segment) -> Answer {
    let token = find(&app, &signed_in, &uuid).await?;
    masked(&signed_in, own::confirm(&app, &signed_in.user, &token).await)
}

/// Ends the grace period of a rotated token.
pub async fn end_grace(State(app): State<Arc<App>>, signed_in: SignedIn, Segment(uuid): Segment) -> Answer {
    let token = find(&app, &signed_in, &uuid).await?;
    masked(&signed_in, own::end_grace(&app, &signed_in.user, &token).await)
}

pub async fn revoke_all(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    OptionalBody(body): OptionalBody<RevokeAllBody>,
) -> Result<Json<RevokedCount>, ApiError> {
    let project = match &body.project_id {
        Some(number) => Some(own::project_of(&app, &signed_in.user, Some(project_number(number)?)).await?),
        None => None,
    };
    let revoked = own::revoke_all(&app, &signed_in.user, project.as_ref()).await?;
    Ok(Json(RevokedCount { revoked }))
}

async fn find(app: &App, signed_in: &SignedIn, uuid: &str) -> Result<OwnToken, ApiError> {
    own::find(app, &signed_in.user, uuid).await.map_err(ApiError::or_not_found)
}

/// Checks that the owner of a token may still use the project of the token. Call this function
/// before another token is issued in the project.
async fn check_project(app: &App, signed_in: &SignedIn, token: &OwnToken) -> Result<(), Refused> {
    let project = token.view.project.as_str().parse().map_err(|_| Refused::ForbiddenProject)?;
    own::project_of(app, &signed_in.user, Some(project)).await.map(drop)
}

async fn set_disabled(app: &App, signed_in: &SignedIn, uuid: &str, disabled: bool) -> Answer {
    let token = find(app, signed_in, uuid).await?;
    masked(signed_in, own::disable(app, &signed_in.user, &token, disabled).await)
}

/// Returns the response to a request that changed a token: the token in its new state, masked.
fn masked(signed_in: &SignedIn, changed: Result<OwnToken, Refused>) -> Answer {
    let token = changed.map_err(ApiError::or_not_found)?;
    Ok(Json(TokenObject::masked(&token, &signed_in.user)?))
}
