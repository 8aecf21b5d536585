//! Refusals as problem documents in JSON (RFC 9457).

use core::error::Error;
use core::fmt;
use std::borrow::Cow;
use std::sync::Arc;

use crate::rules::challenge::{Challenge, basic_challenge};
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
/// [`Guard`](crate::http::Guard) uses the words of [`Challenge`] and these:
///
/// | reason | status | |
/// |---|---|---|
/// | `not_found` | 404 | the project in the path is not a valid project id |
/// | `invalid_project` | 400 | the header that names the project is missing, repeated or not a valid project id |
/// | `misplaced_guard` | 500 | the guard reads the project from the path, but the path does not have exactly one such parameter |
/// | `unguarded` | 500 | the handler takes an [`Authenticated`](crate::http::Authenticated), but no guard that provides this type protects the route |
///
/// Your service can create its own refusals in the same format with [`Refusal::new`].
///
/// With axum, actix-web and tonic, a refusal is a response. With the feature `axum` or `tonic`, it
/// also converts into a response of the crate `http`. In another framework, send
/// [`status`](Self::status), [`headers`](Self::headers) and [`body`](Self::body). In response to a
/// request of gRPC, send [`grpc_headers`](Self::grpc_headers) with status 200 and no body.
#[derive(Clone, Debug)]
pub struct Refusal {
    status: u16,
    reason: &'static str,
    detail: Cow<'static, str>,
    www_authenticate: Option<String>,
    basic_challenge: Option<String>,
    cause: Option<Arc<VerifyError>>,
}

impl Refusal {
    /// Creates a refusal of your service. `status` is a status of HTTP from 400 to 599. Any other
    /// number becomes 500, because a refusal is never a success. `reason` is a stable word for
    /// programs, and `detail` is a sentence for people. For the status 401, use
    /// [`challenge`](Self::challenge) instead, because a response of this status must contain a
    /// challenge.
    pub fn new(status: impl Into<u16>, reason: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        let status = Some(status.into()).filter(|status| matches!(status, 400..=599));
        Self { detail: detail.into(), ..Self::fixed(status.unwrap_or(500), reason, "") }
    }

    pub(super) const fn fixed(status: u16, reason: &'static str, detail: &'static str) -> Self {
        let detail = Cow::Borrowed(detail);
        Self { status, reason, detail, www_authenticate: None, basic_challenge: None, cause: None }
    }

    /// Creates the refusal for a handler on a route without a guard of the right kind.
    pub(in crate::adapters) const fn unguarded() -> Self {
        Self::fixed(500, "unguarded", "no guard of this kind protects the route")
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
        // A client needs this header to know that it has to present a token.
        let www_authenticate = challenge.www_authenticate_for(realm, scopes, resource_metadata);
        let refusal = Self::fixed(challenge.status(), challenge.reason(), challenge.description());
        Self { www_authenticate, ..refusal }
    }

    /// Returns this refusal with a second challenge, for the scheme Basic (RFC 7617), if its status
    /// is 401. Without this challenge, git sends no credential from a URL or a `.netrc`.
    /// A browser shows a dialog for a user name and a password instead of the page.
    #[must_use]
    pub fn with_basic_challenge(self, realm: &str) -> Self {
        let challenge = (self.status == 401).then(|| basic_challenge(realm));
        Self { basic_challenge: challenge, ..self }
    }

    /// Returns this refusal with the challenge for the scheme Basic as its only challenge, if its
    /// status is 401. Docker fails after a challenge for Bearer whose realm is not a URL.
    #[must_use]
    pub fn with_basic_challenge_only(self, realm: &str) -> Self {
        match self.status {
            401 => Self { www_authenticate: None, ..self.with_basic_challenge(realm) },
            _ => self,
        }
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
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

    /// Returns the names, in lower case, and the values of the response's headers. All values are
    /// printable ASCII. The header `www-authenticate` may occur twice.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fixed = [("content-type", "application/problem+json"), ("cache-control", "no-store")];
        fixed.into_iter().chain(self.challenges().map(|challenge| ("www-authenticate", challenge)))
    }

    pub(super) fn challenges(&self) -> impl Iterator<Item = &str> {
        self.www_authenticate.as_deref().into_iter().chain(self.basic_challenge.as_deref())
    }

    /// Returns the body of the response: a problem document (RFC 9457) in JSON.
    pub fn body(&self) -> String {
        // With the type "about:blank", the title must be the phrase of the status (RFC 9457 section
        // 4.2.1). The member `reason` is more precise.
        let title = phrase(self.status).map_or("null".into(), json_text);
        let (status, detail, reason) = (self.status, json_text(&self.detail), json_text(self.reason));
        format!(r#"{{"type":"about:blank","title":{title},"status":{status},"detail":{detail},"reason":{reason}}}"#)
    }
}

/// Returns the phrase of a status that is an error (RFC 9110 section 15), if it has one.
const fn phrase(status: u16) -> Option<&'static str> {
    Some(match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => return None,
    })
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
        let refusal = Refusal::new(599_u16, "odd", "odd".to_owned());
        let body: serde_json::Value = serde_json::from_str(&refusal.body()).unwrap();
        assert_eq!((&body["title"], &body["status"]), (&serde_json::Value::Null, &599.into()));
    }
}
