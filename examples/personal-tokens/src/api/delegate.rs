//! The route that issues tokens for agents. The presented token needs the scope `tokens:manage`.
//! The new token is bound to the presented token.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use keyfob::{Error, ErrorKind, http::Refusal};

use crate::api::error::ApiError;
use crate::api::extract::JsonBody;
use crate::api::guard::{OwnCaller, unavailable};
use crate::api::objects::{AgentBody, TokenObject};
use crate::app::App;
use crate::tokens::own::{self, Refused};
use crate::tokens::{expiry, scopes};

/// Answers `POST /api/v2/auth/token/self/delegate`: issues a token for an agent under the presented
/// token. The new token ends with the presented token and never has more rights.
pub async fn delegate(
    State(app): State<Arc<App>>,
    caller: OwnCaller,
    body: Result<JsonBody<AgentBody>, ApiError>,
) -> Result<Json<TokenObject>, Refusal> {
    let JsonBody(body) = body.map_err(unread)?;
    let delegation = caller.token.delegate(&scopes::MANAGE).map_err(|rejection| caller.token.refuse(rejection))?;
    let lifetime = expiry::lifetime(body.expires.as_ref()).map_err(Refused::Expiry).map_err(invalid)?;
    let new = own::agent(&delegation, &body.name, lifetime, &body.scopes).map_err(invalid)?;
    let issued = app.tokens.issue(&delegation.actor(), new).await.map_err(|error| refusal(&caller, error))?;
    let made = own::named(&app, &caller.user, issued).await;
    let object = made.and_then(|(own, token)| TokenObject::new(&own, &caller.user, token.expose_secret().into()));
    // The cause is already in the log.
    object.map(Json).map_err(|_| failed())
}

fn refusal(caller: &OwnCaller, error: Error) -> Refusal {
    match error.kind() {
        // After the request passed the guard, the presented token has ended, or its owner was
        // suspended.
        ErrorKind::IssuerEnded(rejection) => caller.token.refuse(rejection),
        ErrorKind::Unavailable | ErrorKind::Store | ErrorKind::Rng => unavailable(&error),
        _ => error.into(),
    }
}

fn invalid(refused: Refused) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "invalid", refused.to_string())
}

fn failed() -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", Refused::Failed.to_string())
}

fn unread(error: ApiError) -> Refusal {
    const NOT_READ: &str = "the body must be JSON, as application/json, of at most 16 KiB";
    match error {
        ApiError::Body(status @ StatusCode::PAYLOAD_TOO_LARGE) => Refusal::new(status, "too_large", NOT_READ),
        ApiError::Body(status @ StatusCode::UNSUPPORTED_MEDIA_TYPE) => Refusal::new(status, "not_json", NOT_READ),
        ApiError::Body(_) => {
            let detail = "the body must be an object of the fields of this call";
            Refusal::new(StatusCode::BAD_REQUEST, "invalid", detail)
        }
        _ => failed(),
    }
}
