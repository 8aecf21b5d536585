//! Extractors of actix-web for the caller of a guarded route.

use core::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::framework::Actix;
use crate::adapters::http::authenticated::Authenticated;
use crate::adapters::http::caller::Caller;
use crate::adapters::http::refusal::Refusal;
use crate::rules::access::ProjectRequirement;

// The caller stays in the extensions, because both the middleware and the handler may take it.
impl<P: ProjectRequirement + 'static> FromRequest for Authenticated<P> {
    type Error = Refusal;
    type Future = Ready<Result<Self, Refusal>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of::<Actix>(request))
    }
}

impl<P: ProjectRequirement + 'static> FromRequest for Caller<P> {
    type Error = Refusal;
    type Future = Ready<Result<Self, Refusal>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of::<Actix>(request))
    }
}
