//! Refusals as problem documents in JSON (RFC 9457).

use core::error::Error;
use core::fmt;
use std::borrow::Cow;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};

use crate::rules::challenge::Challenge;
use crate::rules::scope::Scope;
use crate::rules::verify_error::VerifyError;

/// The response to a request that is refused: a problem document (RFC 9457,
/// `application/problem+json`) with `Cache-Control: no-store`. A refusal for a missing or rejected
/// token also has the challenge of RFC 6750 in `WWW-Authenticate`.
///
/// ```json
/// {"type":"about:blank","title":"Unauthorized","status":401,
///  "detail":"the token has expired","reason":"expired"}
/// ```
///
/// `reason` is a stable word for programs, and `detail` is a sentence for people. A
/// [`Guard`](crate::axum::Guard) uses the words of [`Challenge`] and these:
///
/// | reason | status | |
/// |---|---|---|
/// | `not_found` | 404 | the project in the path is not a valid project id |
/// | `invalid_project` | 400 | the header that names the project is missing, repeated or not a valid project id |
/// | `misplaced_guard` | 500 | the guard reads the project from the path, but the path does not have exactly one such parameter |
/// | `unguarded` | 500 | the handler takes an [`Authenticated`](crate::axum::Authenticated), but no guard that provides this type protects the route |
///
/// Your service can create its own refusals in the same format with [`Refusal::new`].
///
/// The extensions of the response contain the refusal. So a layer outside the guard can log the
/// cause of the refusal, such as the error of a failed store:
/// ```
/// use axum::{extract::Request, middleware::Next, response::Response};
/// use keyfob::axum::Refusal;
///
/// async fn log(request: Request, next: Next) -> Response {
///     let response = next.run(request).await;
///     let refusal = response.extensions().get::<Refusal>();
///     if let Some(cause) = refusal.and_then(Refusal::cause) {
///         eprintln!("{:?} refused: {:?}", cause.key(), cause);
///     }
///     response
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Refusal {
    status: StatusCode,
    reason: &'static str,
    detail: Cow<'static, str>,
    www_authenticate: Option<HeaderValue>,
    cause: Option<Arc<VerifyError>>,
}

impl Refusal {
    /// Creates a refusal of your service. `reason` is a stable word for programs, and `detail` is a
    /// sentence for people. For the status 401, use [`challenge`](Self::challenge) instead, because
    /// a response of this status must contain a challenge.
    pub fn new(status: StatusCode, reason: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: detail.into(), ..Self::fixed(status, reason, "") }
    }

    pub(super) const fn fixed(status: StatusCode, reason: &'static str, detail: &'static str) -> Self {
        Self { status, reason, detail: Cow::Borrowed(detail), www_authenticate: None, cause: None }
    }

    /// Creates the refusal for a missing or rejected credential. Its challenge names this realm.
    /// Pass a [`Challenge`], or an error that converts into a challenge, such as a
    /// [`HeaderError`](crate::error::HeaderError) or a [`Rejection`](crate::Rejection).
    pub fn challenge(challenge: impl Into<Challenge>, realm: &str) -> Self {
        Self::of_challenge(challenge.into(), realm, &[], None)
    }

    /// Returns this refusal with the error of the verification as its cause.
    pub(super) fn caused_by(self, error: VerifyError) -> Self {
        Self { cause: Some(Arc::new(error)), ..self }
    }

    /// Creates a refusal with a challenge that names the realm, the required scopes and the URL of
    /// the resource metadata.
    pub(super) fn of_challenge(
        challenge: Challenge,
        realm: &str,
        scopes: &[Scope],
        resource_metadata: Option<&str>,
    ) -> Self {
        let www_authenticate = challenge.www_authenticate_for(realm, scopes, resource_metadata);
        Self {
            status: StatusCode::from_u16(challenge.status()).expect("a challenge has a status of HTTP"),
            reason: challenge.reason(),
            detail: challenge.description().into(),
            // A client needs this header to know that it has to present a token.
            www_authenticate: www_authenticate
                .map(|value| HeaderValue::try_from(value).expect("a challenge is printable ASCII")),
            cause: None,
        }
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the stable word for programs.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// Returns the sentence for people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Returns the error of the failed verification, for logs. The error says more than the
    /// response. Returns `None` if the refusal does not come from a verification.
    pub fn cause(&self) -> Option<&VerifyError> {
        self.cause.as_deref()
    }

    // With the type "about:blank", the title must be the phrase of the status (RFC 9457 section
    // 4.2.1). The member `reason` is more precise.
    fn body(&self) -> String {
        let title = self.status.canonical_reason().map_or("null".into(), json_text);
        let (status, detail, reason) = (self.status.as_u16(), json_text(&self.detail), json_text(self.reason));
        format!(r#"{{"type":"about:blank","title":{title},"status":{status},"detail":{detail},"reason":{reason}}}"#)
    }
}

/// Returns the text as a JSON string (RFC 8259 section 7).
fn json_text(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\0'..='\x1f' => quoted += &format!("\\u{:04x}", u32::from(character)),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let content_type = (CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        let cache_control = (CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let mut response = (self.status, [content_type, cache_control], self.body()).into_response();
        if let Some(challenge) = self.www_authenticate.clone() {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Error for Refusal {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_json_whatever_it_holds() {
        assert_eq!(json_text("plain é"), r#""plain é""#);
        assert_eq!(json_text("a\"b\\c\n\0\u{7f}"), "\"a\\\"b\\\\c\\u000a\\u0000\u{7f}\"");
        for text in ["", "\u{1f}\u{20}", "\t\r", "\\u0041", "𝄞"] {
            assert_eq!(serde_json::from_str::<String>(&json_text(text)).unwrap(), text);
        }
    }

    /// A challenge is a valid header value for any realm.
    #[test]
    fn every_challenge_of_401_and_403_is_in_the_header() {
        use crate::words::rejection::Rejection;

        for rejection in Rejection::ALL {
            for realm in ["acme", "", "é\"\\\n\u{7f}\0"] {
                let refusal = Refusal::challenge(*rejection, realm);
                assert!(refusal.www_authenticate.is_some(), "{rejection}");
            }
        }
    }

    #[test]
    fn a_status_without_a_phrase_has_no_title() {
        let refusal = Refusal::new(StatusCode::from_u16(599).unwrap(), "odd", "odd".to_owned());
        let body: serde_json::Value = serde_json::from_str(&refusal.body()).unwrap();
        assert_eq!((&body["title"], &body["status"]), (&serde_json::Value::Null, &599.into()));
    }
}
