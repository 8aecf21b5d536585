//! The routes that accept either a token or the session of a signed-in person. Programs present a
//! token. The pages of a web client present the session cookie.
//!
//! A request that presents a token is judged by the token alone: if the token is refused, the
//! cookie of the same request does not matter.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::{FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use keyfob::axum::{GuardLayer, GuardedService};
use tower::{Layer, Service, ServiceExt};

use crate::api::error::ApiError;
use crate::api::extract::{Segment, number};
use crate::api::guard::{Caller, not_found};
use crate::app::App;
use crate::people::accounts::User;
use crate::people::projects::Project;
use crate::tokens::own;
use crate::web::sessions::SignedIn;

/// A layer that sends each request either to the guard, which requires a token, or past it, if the
/// request has the session cookie and no token. The handlers of these routes take a [`Visitor`].
#[derive(Clone)]
pub struct TokenOrSession {
    guard: GuardLayer,
    /// The name of the session cookie.
    cookie: &'static str,
}

impl TokenOrSession {
    pub fn new(guard: GuardLayer, cookie: &'static str) -> Self {
        Self { guard, cookie }
    }
}

impl<S: Clone> Layer<S> for TokenOrSession {
    type Service = Fork<S>;

    fn layer(&self, inner: S) -> Fork<S> {
        Fork { guarded: self.guard.layer(inner.clone()), unguarded: inner, cookie: self.cookie }
    }
}

/// The service of a [`TokenOrSession`].
#[derive(Clone)]
pub struct Fork<S> {
    guarded: GuardedService<S>,
    unguarded: S,
    cookie: &'static str,
}

/// The mark of a request that the layer sent past the guard. No client can set it, because it is
/// not a header.
#[derive(Clone, Copy)]
struct BySession;

impl<S> Service<Request> for Fork<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // `oneshot` waits until the chosen service is ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        if is_by_session(request.headers(), self.cookie) {
            request.extensions_mut().insert(BySession);
            return Box::pin(self.unguarded.clone().oneshot(request));
        }
        Box::pin(self.guarded.clone().oneshot(request))
    }
}

/// Returns whether the request has this cookie and presents no token, in no header that the guard
/// reads.
fn is_by_session(headers: &HeaderMap, cookie: &str) -> bool {
    let presents_token = headers.contains_key(AUTHORIZATION) || headers.contains_key("x-api-key");
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut names = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
    !presents_token && names.any(|(name, _)| name.trim() == cookie)
}

/// The caller of a route that has the layer [`TokenOrSession`]: a person, and the project in the
/// path, which the person may use. If the request presents a token, the token is for this project.
pub struct Visitor {
    pub user: User,
    pub project: Project,
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        if parts.extensions.get::<BySession>().is_none() {
            let caller = Caller::from_request_parts(parts, app).await;
            let Caller { user, project, .. }: Caller = caller.map_err(IntoResponse::into_response)?;
            return Ok(Self { user, project });
        }
        let user = SignedIn::from_request_parts(parts, app).await?.user;
        let Ok(Segment(project)) = Segment::from_request_parts(parts, app).await;
        let Some(project) = number(&project) else { return Err(not_found().into_response()) };
        let project = own::project_of(app, &user, Some(project)).await;
        Ok(Self { user, project: project.map_err(|refused| ApiError::from(refused).into_response())? })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn any_token_in_a_request_hides_its_cookie() {
        let decides = |headers: &[(&'static str, &'static str)]| {
            let entries = headers.iter().map(|(name, value)| (*name, *value));
            let mut map = HeaderMap::new();
            for (name, value) in entries {
                map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            is_by_session(&map, "session")
        };
        let cookie = ("cookie", "a=b; session=c");
        assert!(decides(&[cookie]));
        assert!(decides(&[("cookie", "a=b"), ("cookie", "session=")]));
        assert!(!decides(&[]));
        for other in ["session", "sessions=c", "a=session", "Session=c", "__Host-session=c"] {
            assert!(!decides(&[("cookie", other)]), "{other}");
        }
        for token in
            [("authorization", "Bearer x"), ("authorization", ""), ("authorization", "Digest x"), ("x-api-key", "")]
        {
            assert!(!decides(&[cookie, token]), "{token:?}");
        }
    }
}
