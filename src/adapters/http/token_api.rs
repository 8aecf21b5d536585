//! The JSON API with which users manage their own tokens, without any web framework.

use serde::{Deserialize, Deserializer, Serialize};

use super::member::Member;
use super::refusal::Refusal;
use crate::rules::error::Error;
use crate::rules::error_kind::ErrorKind;
use crate::rules::lifetimes::Lifetime;
use crate::rules::scope::ScopeSet;
use crate::rules::view::TokenView;
use crate::store::contract::TokenStore;
use crate::store::query::{ListQuery, Page};
use crate::tokens::owned::OwnerTokens;
use crate::tokens::service::Tokens;
use crate::words::ids::TokenId;
use crate::words::text::Name;

/// A request to the token API: the parts that [`Member::respond`] reads. The page of the module
/// [`http`](crate::http#the-token-api) describes the API.
#[derive(Clone, Copy, Debug)]
pub struct TokenApiRequest<'r> {
    /// The method, in upper case.
    pub method: &'r str,
    /// The last segment of the path if it is the id of a token, or `None` for the path of the list.
    pub token_id: Option<&'r str>,
    /// The query of the URL, without the `?`.
    pub query: Option<&'r str>,
    /// The value of the header `Content-Type`.
    pub content_type: Option<&'r [u8]>,
    /// The body. A body of more than [`MAX_BODY`](Self::MAX_BODY) bytes is refused. Let your
    /// framework refuse a longer one with status 413 while it reads it.
    pub body: &'r [u8],
}

impl TokenApiRequest<'_> {
    /// The maximum length of a body: 65,536 bytes.
    pub const MAX_BODY: usize = 64 * 1024;

    /// Returns the refusal for a body that is too long.
    pub(crate) const fn too_long() -> Refusal {
        Refusal::fixed(413, "body_too_long", "the body is longer than 65,536 bytes")
    }

    /// Returns the position after which the requested page starts.
    fn after(&self) -> Option<&str> {
        // The text of a cursor has no character that a query encodes.
        self.query?.split('&').find_map(|pair| pair.strip_prefix("after="))
    }

    /// Returns the new token that the body describes.
    fn new_token(&self) -> Result<NewTokenBody, Refusal> {
        // A form of a foreign web page cannot send this type without the consent of the service, so
        // the check also protects a session against forged requests.
        let is_json = |value: &[u8]| value.trim_ascii().eq_ignore_ascii_case(b"application/json");
        if !self.content_type.and_then(|value| value.split(|byte| *byte == b';').next()).is_some_and(is_json) {
            let detail = "the body must have the type application/json";
            return Err(Refusal::fixed(415, "unsupported_media_type", detail));
        }
        if self.body.len() > Self::MAX_BODY {
            return Err(Self::too_long());
        }
        let invalid = || {
            let detail = "the body must be a JSON object with `name`, and may have `scopes` and `expires_at`: texts";
            Refusal::fixed(400, "invalid_body", detail)
        };
        // serde also reads the members from an array, in the order of their declaration.
        if self.body.trim_ascii_start().first() != Some(&b'{') {
            return Err(invalid());
        }
        // The error of the parser may show a part of the body.
        serde_json::from_slice(self.body).map_err(|_| invalid())
    }
}

/// The description of a new token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTokenBody {
    name: String,
    #[serde(default)]
    scopes: String,
    /// `None` if the member is missing, and `Some(None)` if it is `null`.
    #[serde(default, deserialize_with = "present")]
    expires_at: Option<Option<String>>,
}

/// Deserializes a member that is present.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl NewTokenBody {
    fn lifetime(&self) -> Result<Lifetime, Refusal> {
        Ok(match &self.expires_at {
            None => Lifetime::Default,
            Some(None) => Lifetime::Never,
            Some(Some(time)) => Lifetime::Until(time.parse()?),
        })
    }
}

/// A successful response of the token API.
///
/// Debug output shows only the status, because the body may contain the text of a token.
pub struct TokenApiResponse {
    status: u16,
    body: String,
}

impl TokenApiResponse {
    fn json(status: u16, content: &impl Serialize) -> Self {
        let body = serde_json::to_string(content).expect("views have no maps with other keys than texts");
        Self { status, body }
    }

    /// Returns the HTTP status: 200, 201 or 204.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the names, in lower case, and the values of the response's headers.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        let json = (self.status != 204).then_some(("content-type", "application/json"));
        [("cache-control", "no-store")].into_iter().chain(json)
    }

    /// Returns the body. It is empty if the status is 204.
    pub fn into_body(self) -> String {
        self.body
    }
}

impl core::fmt::Debug for TokenApiResponse {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TokenApiResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Listed {
    tokens: Vec<TokenView>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Issued<'i> {
    token: &'i str,
    #[serde(flatten)]
    view: TokenView,
}

impl Member {
    /// Responds to a request with which this user lists, issues or revokes their own tokens. With
    /// axum and actix-web, the function `token_api` of their modules calls this method.
    ///
    /// ```
    /// use keyfob::http::{Member, Refusal, TokenApiRequest};
    /// use keyfob::{MemoryStore, Tokens};
    ///
    /// /// The request of a framework, whose path your router has split.
    /// struct Request {
    ///     method: String,
    ///     token_id: Option<String>,
    ///     query: Option<String>,
    ///     content_type: Option<String>,
    ///     body: Vec<u8>,
    /// }
    ///
    /// /// The response of a framework: status, headers and body.
    /// type Response = (u16, Vec<(&'static str, &'static str)>, String);
    ///
    /// async fn handle(
    ///     tokens: &Tokens<MemoryStore>,
    ///     member: &Member,
    ///     request: &Request,
    /// ) -> Result<Response, Refusal> {
    ///     let request = TokenApiRequest {
    ///         method: &request.method,
    ///         token_id: request.token_id.as_deref(),
    ///         query: request.query.as_deref(),
    ///         content_type: request.content_type.as_deref().map(str::as_bytes),
    ///         body: &request.body,
    ///     };
    ///     let response = member.respond(tokens, request).await?;
    ///     Ok((response.status(), response.headers().collect(), response.into_body()))
    /// }
    /// ```
    ///
    /// Register one handler for every method of both paths: the path of the list, without a
    /// `token_id`, and the path below it that ends in a `token_id`. A method that a path does not
    /// have is refused with status 405 and the reason `method_not_allowed`. The returned future is
    /// `Send`.
    ///
    /// # Errors
    /// Returns the [`Refusal`] to send. Its reason is one of those that the page of the module
    /// [`http`](crate::http#the-token-api) lists.
    pub async fn respond<S: TokenStore>(
        &self,
        tokens: &Tokens<S>,
        request: TokenApiRequest<'_>,
    ) -> Result<TokenApiResponse, Refusal> {
        let own = tokens.of(self.owner(), self.project());
        match (request.method, request.token_id) {
            ("GET" | "HEAD", None) => self.list(&own, &request).await,
            ("POST", None) => self.issue(tokens, &own, &request).await,
            ("DELETE", Some(id)) => {
                // A malformed id is the id of no token.
                let id = TokenId::new(id).map_err(|_| Error::from(ErrorKind::NotFound))?;
                own.revoke(&id).await?;
                Ok(TokenApiResponse { status: 204, body: String::new() })
            }
            _ => Err(Refusal::fixed(405, "method_not_allowed", "this path does not have the method")),
        }
    }

    async fn list<S: TokenStore>(
        &self,
        own: &OwnerTokens<'_, S>,
        request: &TokenApiRequest<'_>,
    ) -> Result<TokenApiResponse, Refusal> {
        let after = request.after().map(str::parse).transpose()?;
        let Page { items, next } = own.list(&ListQuery { after, ..ListQuery::new(*self.project()) }).await?;
        Ok(TokenApiResponse::json(200, &Listed { tokens: items, next: next.map(|next| next.to_string()) }))
    }

    async fn issue<S: TokenStore>(
        &self,
        tokens: &Tokens<S>,
        own: &OwnerTokens<'_, S>,
        request: &TokenApiRequest<'_>,
    ) -> Result<TokenApiResponse, Refusal> {
        let body = request.new_token()?;
        let scopes = ScopeSet::new(&body.scopes)?;
        if !tokens.policy().covers_scopes(self.scopes(), &scopes) {
            return Err(Refusal::fixed(422, "scopes_not_offered", "the user may not give these scopes to a token"));
        }
        let new = own.new_token(Name::new(&body.name)?).with_scopes(scopes).with_lifetime(body.lifetime()?);
        let issued = own.issue(new).await?;
        let view = issued.record.view(tokens.now());
        Ok(TokenApiResponse::json(201, &Issued { token: issued.token.expose_secret(), view }))
    }
}
