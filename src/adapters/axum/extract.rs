//! Extractors of axum for the caller of a guarded route.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::framework::Axum;
use crate::adapters::http::authenticated::Authenticated;
use crate::adapters::http::caller::Caller;
use crate::adapters::http::refusal::Refusal;
use crate::rules::access::ProjectRequirement;

// The caller stays in the extensions, because both the middleware and the handler may take it.
impl<S: Send + Sync, P: ProjectRequirement + 'static> FromRequestParts<S> for Authenticated<P> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        Self::of::<Axum>(parts)
    }
}

impl<S: Send + Sync, P: ProjectRequirement + 'static> FromRequestParts<S> for Caller<P> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        Self::of::<Axum>(parts)
    }
}
