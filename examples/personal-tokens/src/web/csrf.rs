//! Refuses requests that another site sent from the user's browser.
//!
//! Three defences protect the pages, and each is enough for the browsers that support it:
//! 1. The session cookie is `SameSite=Strict`: browsers do not send it with another site's request.
//! 2. This module: a request that changes something must prove that it comes from these pages.
//!    Browsers prove this with `Sec-Fetch-Site` (all since 2023) or with `Origin` (since 2020). A
//!    request with neither header is refused, so a script that uses a session cookie has to send
//!    `Origin` itself. This check also protects the JSON API and the sign-in form, and it
//!    distinguishes the ports of one host, which cookies do not.
//! 3. Each form of a session carries a value that only the pages of this session contain
//!    ([`crate::web::sessions::SignedIn`]).
//!
//! This module does not protect the routes that clients call with a token, because a browser never
//! sends a token by itself.

use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use keyfob::http::Refusal;

use crate::web::error::PageError;

pub async fn same_origin(request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if reads || is_same_origin(request.headers()) {
        return next.run(request).await;
    }
    if request.uri().path().starts_with("/api/") {
        let detail = "the request must come from this site's own pages";
        return Refusal::new(StatusCode::FORBIDDEN, "cross_origin", detail).into_response();
    }
    PageError::ForgedForm.into_response()
}

fn is_same_origin(headers: &HeaderMap) -> bool {
    let only = |name: &str| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(()),
        }
    };
    match (only("sec-fetch-site"), only(ORIGIN.as_str()), only(HOST.as_str())) {
        // "none" means that the person caused the request, by the address bar or a bookmark.
        (Ok(Some(site)), _, _) => site == "same-origin" || site == "none",
        (Ok(None), Ok(Some(origin)), Ok(Some(host))) => {
            let origin = origin.as_bytes();
            let rest = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
            rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host.as_bytes()))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn passes(headers: &[(&'static str, &'static str)], expected: bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, axum::http::HeaderValue::from_static(value));
        }
        assert_eq!(is_same_origin(&map), expected, "{headers:?}");
    }

    #[test]
    fn only_requests_of_these_pages_are_same_origin() {
        let host = ("host", "127.0.0.1:8088");
        passes(&[host, ("sec-fetch-site", "same-origin")], true);
        passes(&[host, ("sec-fetch-site", "none")], true);
        passes(&[host, ("origin", "http://127.0.0.1:8088")], true);
        passes(&[host, ("origin", "https://127.0.0.1:8088")], true);

        passes(&[host], false);
        passes(&[host, ("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:8088")], false);
        passes(&[host, ("sec-fetch-site", "cross-site")], false);
        passes(&[host, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], false);
        passes(&[host, ("origin", "null")], false);
        passes(&[host, ("origin", "http://127.0.0.1:80880")], false);
        passes(&[host, ("origin", "http://127.0.0.1")], false);
        passes(&[host, ("origin", "http://evil.example")], false);
        passes(&[("origin", "http://127.0.0.1:8088")], false);
    }
}
