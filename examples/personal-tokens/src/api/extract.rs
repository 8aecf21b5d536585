//! Reads the paths and bodies of requests, so that errors in them are reported in the format of
//! this API and not in the format of axum.

use std::convert::Infallible;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::api::error::ApiError;

/// The variable part of a path. A part that is not UTF-8 becomes the empty text. The request then
/// finds no token, because no token has an empty name.
pub struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let segment = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(segment.map_or_else(|_| String::new(), |Path(text)| text)))
    }
}

/// Parses a part of a path as a positive number. Returns `None` for other texts. `+1` and `01` are
/// among them, because each resource has only one address.
pub fn number(segment: &str) -> Option<i64> {
    segment.parse().ok().filter(|number: &i64| *number > 0 && number.to_string() == segment)
}

/// The body of a request, read as a JSON object.
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (parts, bytes) = read(request, state).await?;
        parse(parts, bytes, state).await.map(Self)
    }
}

/// The body of a request, read as a JSON object. If the body is empty, the default value is used,
/// and the content type of the request does not matter.
pub struct OptionalBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (parts, bytes) = read(request, state).await?;
        match bytes.is_empty() {
            true => Ok(Self(T::default())),
            false => parse(parts, bytes, state).await.map(Self),
        }
    }
}

async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<(Parts, Bytes), ApiError> {
    let (parts, body) = request.into_parts();
    match Bytes::from_request(Request::from_parts(parts.clone(), body), state).await {
        Ok(bytes) => Ok((parts, bytes)),
        Err(rejection) => Err(ApiError::Body(rejection.status())),
    }
}

async fn parse<S: Send + Sync, T: DeserializeOwned>(parts: Parts, bytes: Bytes, state: &S) -> Result<T, ApiError> {
    // serde would also accept an array with the values of the fields in their order, or an empty
    // array. Only an object is accepted.
    let object = bytes.trim_ascii_start().first() == Some(&b'{');
    match Json::from_request(Request::from_parts(parts, Body::from(bytes)), state).await {
        Ok(Json(body)) if object => Ok(body),
        Ok(_) => Err(ApiError::Body(StatusCode::BAD_REQUEST)),
        Err(rejection) => Err(ApiError::Body(rejection.status())),
    }
}
