//! The refusals of the token API, in the JSON formats that existing clients read.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::setup::SetupError;
use crate::tokens::own::Refused;

pub enum ApiError {
    NotSignedIn,
    NotFound,
    /// The body is not JSON, is too large, or does not have the expected fields.
    Body(StatusCode),
    Refused(Refused),
}

impl ApiError {
    pub fn failed(error: SetupError) -> Self {
        Self::Refused(Refused::failed(error))
    }

    /// Converts a refusal into an error for the routes that respond to an unknown token with 404.
    /// The route that deletes a token does not use this function: it responds with 400, as existing
    /// clients expect.
    pub fn or_not_found(refused: Refused) -> Self {
        match refused {
            Refused::Unknown => Self::NotFound,
            refused => Self::Refused(refused),
        }
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
            // The response leaves out the message of the parser, which would repeat parts of the
            // body.
            Self::Body(_) => (StatusCode::BAD_REQUEST, json!("the body must be an object of the fields of this call")),
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
                    Refused::State(_) | Refused::PredecessorInGrace(_) | Refused::Conflict => {
                        (StatusCode::CONFLICT, json!(message))
                    }
                    Refused::Failed => (StatusCode::SERVICE_UNAVAILABLE, json!(message)),
                    Refused::Name(_)
                    | Refused::Search(_)
                    | Refused::Expiry(_)
                    | Refused::Grace(_)
                    | Refused::Confirm(_)
                    | Refused::Policy(_)
                    | Refused::TooMany
                    | Refused::Scopes(_)
                    | Refused::Addresses(_)
                    | Refused::Wider
                    | Refused::Unknown => (StatusCode::BAD_REQUEST, json!(message)),
                }
            }
        };
        (status, Json(json!({ "error": error }))).into_response()
    }
}
