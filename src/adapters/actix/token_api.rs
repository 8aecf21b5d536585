//! The token API as routes of actix-web.

use std::sync::Arc;

use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Bytes, PayloadConfig, ServiceConfig, delete, get, head, post, resource};
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse};

use crate::adapters::http::member::Member;
use crate::adapters::http::refusal::Refusal;
use crate::adapters::http::token_api::{TokenApiRequest, TokenApiResponse};
use crate::store::contract::TokenStore;
use crate::tokens::service::Tokens;

/// Returns the routes on which users list, issue and revoke their own tokens: the
/// [token API](crate::http#the-token-api). Needs the feature `token-api`. Pass the result to
/// `Scope::configure`.
///
/// `member` says who makes a request. Its argument is an extractor, or a tuple of extractors.
/// **Take the user from a session only**: if a token could issue tokens, a leaked token would have
/// successors. Check that the user belongs to the project.
///
/// ```
/// use std::sync::Arc;
///
/// use actix_web::web::{Path, ServiceConfig, scope};
/// use actix_web::{FromRequest, HttpRequest, dev::Payload};
/// use keyfob::actix::token_api;
/// use keyfob::http::{Member, Refusal};
/// use keyfob::{MemoryStore, OwnerId, ProjectId, ScopeSet, Tokens};
///
/// /// The user of a session. Your service has this extractor already.
/// struct User {
///     id: u64,
/// }
/// # impl FromRequest for User {
/// #     type Error = Refusal;
/// #     type Future = std::future::Ready<Result<Self, Refusal>>;
/// #     fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
/// #         std::future::ready(Ok(Self { id: 7 }))
/// #     }
/// # }
///
/// #[derive(serde::Deserialize)]
/// struct TokensPath {
///     project: u64,
/// }
///
/// async fn member(
///     (user, path): (User, Path<TokensPath>),
/// ) -> Result<Member, Refusal> {
///     if path.project != 145 {
///         // Your service looks the user up among the members of the project.
///         return Err(Refusal::new(404_u16, "not_found", "no such project"));
///     }
///     let (user, project) = (OwnerId::from(user.id), ProjectId::from(path.project));
///     Ok(Member::new(user, project, ScopeSet::new("notes:read notes:write")?))
/// }
///
/// fn routes(app: &mut ServiceConfig, tokens: Arc<Tokens<MemoryStore>>) {
///     let api = scope("/projects/{project}/tokens");
///     app.service(api.configure(token_api(tokens, member)));
/// }
/// ```
///
/// The path of a token has the parameter `token_id`. So an extractor of the path has to accept
/// further parameters, as a struct or a map does. `Path<u64>` would refuse this path. The struct
/// above needs the feature `derive` of serde.
pub fn token_api<S, E, F, R>(tokens: impl Into<Arc<Tokens<S>>>, member: F) -> impl Fn(&mut ServiceConfig) + Clone
where
    S: TokenStore + 'static,
    E: FromRequest + 'static,
    F: Fn(E) -> R + Clone + 'static,
    R: Future<Output = Result<Member, Refusal>> + 'static,
{
    let tokens = tokens.into();
    move |app| {
        let (tokens, member) = (Arc::clone(&tokens), member.clone());
        let handle = move |user: E, request: HttpRequest, body: Result<Bytes, Error>| {
            let (tokens, member) = (Arc::clone(&tokens), member(user));
            async move {
                let member = member.await?;
                let request = TokenApiRequest {
                    method: request.method().as_str(),
                    token_id: request.match_info().get("token_id"),
                    query: request.uri().query(),
                    content_type: request.headers().get(CONTENT_TYPE).map(|value| value.as_bytes()),
                    body: &body.map_err(|error| unread(&error))?,
                };
                member.respond(&tokens, request).await.map(respond)
            }
        };
        let list = resource("").app_data(PayloadConfig::new(TokenApiRequest::MAX_BODY));
        let list = list.route(get().to(handle.clone())).route(head().to(handle.clone()));
        app.service(list.route(post().to(handle.clone())));
        app.service(resource("/{token_id}").route(delete().to(handle)));
    }
}

/// Returns the refusal for a body that could not be read.
fn unread(error: &Error) -> Refusal {
    match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => TokenApiRequest::too_long(),
        _ => Refusal::new(400_u16, "invalid_body", "the body could not be read"),
    }
}

fn respond(answer: TokenApiResponse) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status()).expect("the status is 200, 201 or 204");
    let mut response = HttpResponse::build(status);
    for header in answer.headers() {
        response.insert_header(header);
    }
    response.body(answer.into_body())
}
