//! The token API as routes of axum.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequestParts, RawPathParams, RawQuery};
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use axum::http::{Method, Response, StatusCode};
use axum::routing::{delete, get};

use crate::adapters::http::member::Member;
use crate::adapters::http::refusal::Refusal;
use crate::adapters::http::token_api::TokenApiRequest;
use crate::store::contract::TokenStore;
use crate::tokens::service::Tokens;

/// Returns the routes on which users list, issue and revoke their own tokens: the
/// [token API](crate::http#the-token-api). Needs the feature `token-api`.
///
/// `member` says who makes a request. Its argument is an extractor, or a tuple of extractors.
/// **Take the user from a session only**: if a token could issue tokens, a leaked token would have
/// successors. Check that the user belongs to the project.
///
/// ```
/// use std::sync::Arc;
///
/// use axum::extract::{FromRequestParts, Path};
/// use axum::http::request::Parts;
/// use axum::Router;
/// use keyfob::axum::token_api;
/// use keyfob::http::{Member, Refusal};
/// use keyfob::{MemoryStore, OwnerId, ProjectId, ScopeSet, Tokens};
///
/// /// The user of a session. Your service has this extractor already.
/// struct User {
///     id: u64,
/// }
/// # impl<S: Send + Sync> FromRequestParts<S> for User {
/// #     type Rejection = Refusal;
/// #     async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Refusal> {
/// #         Ok(Self { id: 7 })
/// #     }
/// # }
///
/// #[derive(serde::Deserialize)]
/// struct TokensPath {
///     project: u64,
/// }
///
/// async fn member(
///     (user, Path(path)): (User, Path<TokensPath>),
/// ) -> Result<Member, Refusal> {
///     if path.project != 145 {
///         // Your service looks the user up among the members of the project.
///         return Err(Refusal::new(404_u16, "not_found", "there is no such project"));
///     }
///     let (user, project) = (OwnerId::from(user.id), ProjectId::from(path.project));
///     Ok(Member::new(user, project, ScopeSet::new("notes:read notes:write")?))
/// }
///
/// fn app(tokens: Arc<Tokens<MemoryStore>>) -> Router {
///     Router::new().nest("/projects/{project}/tokens", token_api(tokens, member))
/// }
/// ```
///
/// The path of a token has the parameter `token_id`. So an extractor of the path has to accept
/// further parameters, as a struct or a map does. `Path<u64>` would refuse this path. The struct
/// above needs the feature `derive` of serde.
pub fn token_api<T, S, E, F, R>(tokens: impl Into<Arc<Tokens<S>>>, member: F) -> Router<T>
where
    T: Clone + Send + Sync + 'static,
    S: TokenStore + 'static,
    E: FromRequestParts<T> + Send + 'static,
    F: Fn(E) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<Member, Refusal>> + Send,
{
    let tokens = tokens.into();
    let handle = async move |user: E,
                             method: Method,
                             path: RawPathParams,
                             RawQuery(query): RawQuery,
                             headers: HeaderMap,
                             body: Result<Bytes, BytesRejection>| {
        let member = member(user).await?;
        let request = TokenApiRequest {
            method: method.as_str(),
            token_id: path.iter().find(|(name, _)| *name == "token_id").map(|(_, value)| value),
            query: query.as_deref(),
            content_type: headers.get(CONTENT_TYPE).map(|value| value.as_bytes()),
            body: &body.map_err(|rejection| unread(&rejection))?,
        };
        member.respond(&tokens, request).await.map(Response::<Body>::from)
    };
    Router::new()
        .route("/", get(handle.clone()).post(handle.clone()))
        .route("/{token_id}", delete(handle))
        .layer(DefaultBodyLimit::max(TokenApiRequest::MAX_BODY))
}

/// Returns the refusal for a body that could not be read.
fn unread(rejection: &BytesRejection) -> Refusal {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => TokenApiRequest::too_long(),
        _ => Refusal::new(400_u16, "invalid_body", "the body could not be read"),
    }
}
