//! The caller of a route that accepts either a token or the session of a signed-in person. Programs
//! present a token. The pages of a web client present the session cookie.
//!
//! A request that presents a token is judged by the token alone: if the token is refused, the
//! cookie of the same request does not matter.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use keyfob::http;

use crate::api::error::ApiError;
use crate::api::extract::{Segment, number};
use crate::api::guard::{Caller, not_found};
use crate::app::App;
use crate::people::accounts::User;
use crate::people::projects::Project;
use crate::tokens::own;
use crate::web::sessions::SignedIn;

/// The caller of a route whose guard passes requests without a token on: a person, and the project
/// in the path, which the person may use. If the request presents a token, the token is for this
/// project.
pub struct Visitor {
    pub user: User,
    pub project: Project,
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let caller: http::Caller =
            http::Caller::from_request_parts(parts, app).await.map_err(IntoResponse::into_response)?;
        match caller {
            http::Caller::Token(_) => {
                let caller = Caller::from_request_parts(parts, app).await;
                let Caller { user, project, .. }: Caller = caller.map_err(IntoResponse::into_response)?;
                Ok(Self { user, project })
            }
            // Without a session cookie, the request is from a program, which needs the challenge.
            http::Caller::Other(other) if !has_cookie(&parts.headers, app.session_cookie()) => {
                Err(other.refusal().into_response())
            }
            http::Caller::Other(_) => {
                let user = SignedIn::from_request_parts(parts, app).await?.user;
                let Ok(Segment(project)) = Segment::from_request_parts(parts, app).await;
                let Some(project) = number(&project) else { return Err(not_found().into_response()) };
                let project = own::project_of(app, &user, Some(project)).await;
                Ok(Self { user, project: project.map_err(|refused| ApiError::from(refused).into_response())? })
            }
        }
    }
}

/// Returns whether the request has a cookie of this name.
fn has_cookie(headers: &HeaderMap, cookie: &str) -> bool {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut names = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
    names.any(|(name, _)| name.trim() == cookie)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_session_cookie_is_found_by_its_whole_name() {
        let found = |cookies: &[&'static str]| {
            let values = cookies.iter().map(|cookie| (COOKIE, HeaderValue::from_static(cookie)));
            let mut headers = HeaderMap::new();
            values.for_each(|(name, value)| {
                headers.append(name, value);
            });
            has_cookie(&headers, "session")
        };
        assert!(found(&["a=b; session=c"]) && found(&["a=b", "session="]));
        for other in ["session", "sessions=c", "a=session", "Session=c", "__Host-session=c"] {
            assert!(!found(&[other]), "{other}");
        }
        assert!(!found(&[]));
    }
}
