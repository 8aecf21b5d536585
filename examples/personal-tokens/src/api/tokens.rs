//! The JSON API under `/api/v2/auth/token/`, for a session. Shapes and status codes are what existing clients speak.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::app::App;
use crate::setup::SetupError;
use crate::tokens::expiry;
use crate::tokens::own::{self, OwnToken, Refused};
use crate::tokens::{listing, scopes};
use crate::web::sessions::SignedIn;

/// A token as the API shows it.
#[derive(Serialize)]
pub struct TokenObject {
    id: i64,
    uuid: String,
    user_id: i64,
    name: String,
    /// RFC 3339, or `null` for never.
    expires: Option<String>,
    /// The whole token in the answer that makes it; masked, with nothing of the secret, everywhere else.
    token: String,
}

impl TokenObject {
    fn new(token: &OwnToken, signed_in: &SignedIn, text: String) -> Self {
        Self {
            id: token.name.id,
            uuid: token.name.uuid.to_string(),
            user_id: signed_in.user.id,
            name: token.view.name.as_str().into(),
            expires: token.view.expires_at.map(|time| time.to_string()),
            token: text,
        }
    }

    fn masked(token: &OwnToken, signed_in: &SignedIn) -> Self {
        Self::new(token, signed_in, format!("{}_****", token.view.public_part))
    }
}

/// All fields that a client may name. Whose token it is comes from the session, so an `owner` or `user_id` is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTokenBody {
    name: String,
    /// Left out is the policy's default, `null` is never: only a custom reader tells them apart.
    #[serde(default, deserialize_with = "present")]
    expires: Option<Value>,
    project_id: Option<Value>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

pub async fn list(State(app): State<Arc<App>>, signed_in: SignedIn) -> Result<Json<Vec<TokenObject>>, ApiError> {
    let mut objects = Vec::new();
    for project in app.projects.of_user(signed_in.user.id).await.map_err(Refused::failed)? {
        let tokens = listing::all(&app, &signed_in.user, &project).await?;
        objects.extend(tokens.iter().map(|token| TokenObject::masked(token, &signed_in)));
    }
    Ok(Json(objects))
}

pub async fn get(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(uuid): Path<String>,
) -> Result<Json<TokenObject>, ApiError> {
    match own::find(&app, &signed_in.user, &uuid).await {
        Ok(token) => Ok(Json(TokenObject::masked(&token, &signed_in))),
        Err(Refused::Unknown) => Err(ApiError::NotFound),
        Err(refused) => Err(refused.into()),
    }
}

pub async fn create(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    body: Result<Json<NewTokenBody>, JsonRejection>,
) -> Result<Json<TokenObject>, ApiError> {
    let Json(body) = body.map_err(|rejection| ApiError::Body(rejection.status()))?;
    let project = match &body.project_id {
        None => None,
        Some(value) => Some(value.as_i64().filter(|id| *id > 0).ok_or(Refused::InvalidProject)?),
    };
    let lifetime = expiry::lifetime(body.expires.as_ref()).map_err(Refused::Expiry)?;
    let project = own::project_of(&app, &signed_in.user, project).await?;
    let (own, token) = own::issue(&app, &signed_in.user, &project, &body.name, lifetime, scopes::DEFAULT).await?;
    Ok(Json(TokenObject::new(&own, &signed_in, token.expose_secret().into())))
}

pub async fn delete(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(uuid): Path<String>,
) -> Result<StatusCode, ApiError> {
    let token = own::find(&app, &signed_in.user, &uuid).await?;
    own::delete(&app, &signed_in.user, &token).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub enum ApiError {
    NotSignedIn,
    NotFound,
    /// The body was not read: not JSON, too large, or of another shape.
    Body(StatusCode),
    Refused(Refused),
}

impl ApiError {
    pub fn failed(error: SetupError) -> Self {
        Self::Refused(Refused::failed(error))
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::NotSignedIn => (StatusCode::UNAUTHORIZED, json!("sign in first")),
            Self::NotFound => (StatusCode::NOT_FOUND, json!(Refused::Unknown.to_string())),
            Self::Body(status @ (StatusCode::UNSUPPORTED_MEDIA_TYPE | StatusCode::PAYLOAD_TOO_LARGE)) => {
                (status, json!("the body must be JSON, as application/json, of at most 16 KiB"))
            }
            Self::Body(_) => {
                (StatusCode::BAD_REQUEST, json!("the body must be an object of name, expires and project_id"))
            }
            Self::Refused(refused) => {
                let message = refused.to_string();
                match refused {
                    Refused::InvalidProject => (
                        StatusCode::BAD_REQUEST,
                        json!({"message": message, "type": "invalid_request_error", "code": "invalid_project_id"}),
                    ),
                    Refused::ForbiddenProject => (
                        StatusCode::FORBIDDEN,
                        json!({"message": message, "type": "permission_error", "code": "project_forbidden"}),
                    ),
                    Refused::NotYours => (StatusCode::FORBIDDEN, json!(message)),
                    Refused::Failed => (StatusCode::SERVICE_UNAVAILABLE, json!(message)),
                    Refused::Name(_)
                    | Refused::Expiry(_)
                    | Refused::Policy(_)
                    | Refused::TooMany
                    | Refused::Scopes(_)
                    | Refused::State(_)
                    | Refused::Unknown => (StatusCode::BAD_REQUEST, json!(message)),
                }
            }
        };
        (status, Json(json!({ "error": error }))).into_response()
    }
}
