//! Refusals as JSON problems (RFC 9457).

use core::error::Error;
use core::fmt;
use std::borrow::Cow;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};

use crate::rules::challenge::Challenge;
use crate::rules::scope::Scope;
use crate::tokens::verify_error::VerifyError;

/// What is answered to a request that does not pass: a problem document (RFC 9457, `application/problem+json`) with, for those of a
/// token, the challenge of RFC 6750 in `WWW-Authenticate`, and `Cache-Control: no-store`.
///
/// ```json
/// {"type":"about:blank","title":"Unauthorized","status":401,"detail":"the token has expired","reason":"expired"}
/// ```
///
/// `reason` is a stable word for programs, `detail` a sentence for people. Beside the words of [`Challenge`], a
/// [`Guard`](crate::axum::Guard) answers:
///
/// | reason | status | |
/// |---|---|---|
/// | `not_found` | 404 | the path names no project that could exist |
/// | `invalid_project` | 400 | the header that names the project is missing, repeated or no project id |
/// | `misplaced_guard` | 500 | the guard takes the project from a path that has no such parameter |
/// | `unguarded` | 500 | the handler takes an [`Authenticated`](crate::axum::Authenticated) that no guard before it has made |
///
/// A host answers in the same shape with [`Refusal::new`]. The response has the refusal in its extensions, so that a layer outside of
/// the guard may log why, above all what made the store fail:
/// ```
/// use axum::{extract::Request, middleware::Next, response::Response};
/// use keyfob::axum::Refusal;
///
/// async fn log(request: Request, next: Next) -> Response {
///     let response = next.run(request).await;
///     if let Some(cause) = response.extensions().get::<Refusal>().and_then(Refusal::cause) {
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
    /// A refusal of the host's own, with a stable word and a sentence. For a 401, which needs a challenge:
    /// [`challenge`](Self::challenge).
    pub fn new(status: StatusCode, reason: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: detail.into(), ..Self::fixed(status, reason, "") }
    }

    pub(super) const fn fixed(status: StatusCode, reason: &'static str, detail: &'static str) -> Self {
        Self { status, reason, detail: Cow::Borrowed(detail), www_authenticate: None, cause: None }
    }

    /// What the outside is told of a token, in this realm: of a [`Challenge`], or of what is one, such as a
    /// [`HeaderError`](crate::error::HeaderError) or a [`Rejection`](crate::Rejection).
    pub fn challenge(challenge: impl Into<Challenge>, realm: &str) -> Self {
        Self::of_challenge(challenge.into(), realm, &[], None)
    }

    /// The same, of a check that failed so.
    pub(super) fn caused_by(self, error: VerifyError) -> Self {
        Self { cause: Some(Arc::new(error)), ..self }
    }

    /// The same, for a request that needs these scopes, of a resource whose metadata is there.
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
            // Without it a client would not learn that it has to present a token.
            www_authenticate: www_authenticate
                .map(|value| HeaderValue::try_from(value).expect("a challenge is printable ASCII")),
            cause: None,
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable word for programs.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// The sentence for people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Why a token was not verified, for logs; the outside is told less. `None` where none was checked.
    pub fn cause(&self) -> Option<&VerifyError> {
        self.cause.as_deref()
    }

    // "about:blank" says that the title is the status's own phrase (RFC 9457 section 4.2.1); the reason tells more.
    fn body(&self) -> String {
        let title = self.status.canonical_reason().map_or("null".into(), json_text);
        let (status, detail, reason) = (self.status.as_u16(), json_text(&self.detail), json_text(self.reason));
        format!(r#"{{"type":"about:blank","title":{title},"status":{status},"detail":{detail},"reason":{reason}}}"#)
    }
}

/// A text as JSON has it (RFC 8259 section 7).
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

    /// What is written into a header fits into one, whatever the realm is.
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
