//! Sends questions to upstreams. An upstream is a server that runs models and offers OpenAI's API.
//! A question is sent with the credential of the project that the model belongs to. The upstream
//! receives only the body and the `Accept` header of the caller's request. The caller receives only
//! the status, the body, `Content-Type` and `Retry-After` of the upstream's response.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use futures_util::TryStreamExt;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::bodies::Bodies;
use crate::people::accounts::User;
use crate::setup::SetupError;

/// The configured upstreams, by their names.
pub type Upstreams = BTreeMap<String, Upstream>;

/// A server that runs models and offers OpenAI's API.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// The address of the chat completions. The configuration contains it without
    /// `/chat/completions`, for example `https://api.openai.com/v1`.
    #[serde(deserialize_with = "read_address")]
    url: Url,
    /// The credential of each project, by the id of the project.
    #[serde(default)]
    credentials: BTreeMap<i64, Credential>,
}

fn read_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let url = String::deserialize(deserializer)?;
    address(&url).ok_or_else(|| D::Error::custom("must be http:// or https://, a host and a path"))
}

impl Upstream {
    pub fn completions(&self) -> Url {
        self.url.clone()
    }

    pub fn credential(&self, project: i64) -> Option<&Credential> {
        self.credentials.get(&project)
    }

    /// Returns the ids of the projects that have a credential.
    pub fn projects(&self) -> impl Iterator<Item = i64> {
        self.credentials.keys().copied()
    }

    pub fn holds_credentials(&self) -> bool {
        !self.credentials.is_empty()
    }
}

/// The credential of a project at an upstream. Debug does not show it.
pub struct Credential(HeaderValue);

impl Credential {
    /// Returns the value of the `Authorization` header, marked as sensitive so that Debug does not
    /// show it.
    pub fn bearer(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl<'de> Deserialize<'de> for Credential {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let value = HeaderValue::try_from(format!("Bearer {text}"));
        let mut value =
            value.map_err(|_| D::Error::custom("a credential contains a character that a header cannot hold"))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(..)")
    }
}

/// Returns the address of the chat completions of an API. Returns `None` if the text is not an
/// `http` or `https` address, or has a user name, a password, a query or a fragment.
fn address(url: &str) -> Option<Url> {
    let url: Url = format!("{}/chat/completions", url.trim_end_matches('/')).parse().ok()?;
    let plain = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    (plain && url.has_host() && url.query().is_none() && url.fragment().is_none()).then_some(url)
}

const CONNECT: Duration = Duration::from_secs(5);
/// The maximum pause within a response of an upstream. It is long, because a model may think before
/// it returns the first piece.
const SILENCE: Duration = Duration::from_secs(120);
/// The maximum number of questions in progress. A further question gets status 503.
const MOST_AT_ONCE: usize = 64;
/// The maximum number of questions of one person in progress, so that one person leaves room for
/// others.
const MOST_OF_ONE: usize = 16;

/// The HTTP client for all upstreams. It limits the number of questions in progress, in total and
/// for each person.
pub struct Asker {
    client: Client,
    /// The questions in progress, by the id of the person.
    asked: Arc<Bodies<i64>>,
}

/// The reason why a question got no response that the caller may see. The caller does not see the
/// upstream's own text if the text may concern the credential or the internals of the upstream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AskError {
    /// Too many questions of the person or of all people are in progress.
    Busy,
    /// The upstream refuses the project's credential.
    Refused,
    /// The upstream does not respond in time.
    Late,
    /// The upstream cannot be reached, interrupts its response, or returns an unusable response.
    Failed,
}

impl Asker {
    pub fn new() -> Result<Self, SetupError> {
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            // A redirect would send the question to another server.
            .redirect(Policy::none())
            .build()?;
        Ok(Self { client, asked: Bodies::new(MOST_AT_ONCE, MOST_OF_ONE) })
    }

    /// Sends the body of a person's chat completion to an upstream. Returns the part of the
    /// response that the caller may see. Each piece of the body is returned as it arrives.
    ///
    /// # Errors
    /// Returns [`AskError::Busy`] if too many questions of the person or of all people are in
    /// progress, [`AskError::Refused`] on status 401 or 403, [`AskError::Late`] on a timeout, and
    /// [`AskError::Failed`] on any other failure.
    pub async fn complete(
        &self,
        user: &User,
        upstream: &Upstream,
        credential: &Credential,
        body: Bytes,
        accept: Option<&HeaderValue>,
    ) -> Result<Response<Body>, AskError> {
        let turn = self.asked.take_now(Some(&user.id)).ok_or(AskError::Busy)?;
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, credential.bearer());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(accept) = accept {
            headers.insert(ACCEPT, accept.clone());
        }
        let sent = self.client.post(upstream.completions()).headers(headers).body(body).send().await;
        let answer = sent.map_err(|error| {
            // The error names only the upstream's address. The administrator chose it, and it is
            // not secret.
            tracing::warn!(error = &error as &dyn std::error::Error, "the upstream did not answer");
            if error.is_timeout() { AskError::Late } else { AskError::Failed }
        })?;
        let status = answer.status();
        match status.as_u16() {
            200..=299 | 400 | 404 | 409 | 413 | 415 | 422 | 429 => {}
            401 | 403 => {
                tracing::error!(%status, upstream = %upstream.completions(), "the upstream refuses the credential of the project");
                return Err(AskError::Refused);
            }
            _ => {
                tracing::warn!(%status, upstream = %upstream.completions(), "the upstream failed");
                return Err(AskError::Failed);
            }
        }
        if !is_readable(answer.headers()) {
            tracing::warn!(upstream = %upstream.completions(), "the upstream answered neither JSON nor events");
            return Err(AskError::Failed);
        }
        let mut passed = Response::builder().status(status);
        for name in [CONTENT_TYPE, RETRY_AFTER] {
            if let Some(value) = answer.headers().get(&name) {
                passed = passed.header(name, value);
            }
        }
        // The question is in progress until the last piece, or until the caller closes the
        // connection.
        let pieces = answer.bytes_stream().inspect_ok(move |_| {
            let _ = &turn;
        });
        passed.body(Body::from_stream(pieces)).map_err(|_| AskError::Failed)
    }
}

/// Returns whether a response is JSON or a stream of events. Clients of the API can read these
/// types, and browsers do not show them as pages.
fn is_readable(headers: &HeaderMap) -> bool {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    ["application/json", "text/event-stream"].iter().any(|readable| essence.eq_ignore_ascii_case(readable))
}

impl AskError {
    pub fn status(self) -> StatusCode {
        match self {
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Late => StatusCode::GATEWAY_TIMEOUT,
            Self::Refused | Self::Failed => StatusCode::BAD_GATEWAY,
        }
    }

    pub fn code(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Refused => "upstream_refused",
            Self::Late => "upstream_late",
            Self::Failed => "upstream_failed",
        }
    }

    pub fn message(self) -> &'static str {
        match self {
            Self::Busy => "too many answers are in progress; try again in a second",
            Self::Refused => "the model's provider refuses the project's credential; ask your administrator",
            Self::Late => "the model's provider does not answer in time",
            Self::Failed => "the model's provider cannot be reached or failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_credential() {
        let upstream: Upstream =
            serde_json::from_str(r#"{"url": "http://x", "credentials": {"2": "sk-secret"}}"#).expect("an upstream");
        assert!(upstream.credential(2).is_some_and(|credential| credential.bearer() == "Bearer sk-secret"));
        assert!(upstream.credential(3).is_none());
        let bearer = upstream.credential(2).map(Credential::bearer);
        assert!(!format!("{upstream:?} {bearer:?}").contains("secret"));
    }
}
