//! Refusals as JSON problems (RFC 9457).

use axum::Json;
use axum::http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use keyfob::Challenge;
use serde_json::json;

/// Named in every `WWW-Authenticate`.
const REALM: &str = "personal-tokens";

/// A refusal: `reason` is a stable word for programs, `detail` a sentence for people.
pub struct Problem {
    status: StatusCode,
    reason: &'static str,
    detail: &'static str,
    www_authenticate: Option<HeaderValue>,
}

impl Problem {
    pub fn new(status: StatusCode, reason: &'static str, detail: &'static str) -> Self {
        Self { status, reason, detail, www_authenticate: None }
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<Challenge> for Problem {
    fn from(challenge: Challenge) -> Self {
        Self {
            status: StatusCode::from_u16(challenge.status()).unwrap_or(StatusCode::UNAUTHORIZED),
            reason: challenge.reason(),
            detail: challenge.description(),
            www_authenticate: challenge.www_authenticate(REALM).and_then(|value| HeaderValue::try_from(value).ok()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // "about:blank" says that the title is the status's own phrase (RFC 9457 section 4.2.1); the reason tells more.
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "reason": self.reason,
        });
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(challenge) = self.www_authenticate {
            headers.insert::<HeaderName>(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
