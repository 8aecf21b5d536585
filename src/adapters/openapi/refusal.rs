//! The description of refusals in OpenAPI.

use std::borrow::Cow;
use std::collections::BTreeMap;

use utoipa::openapi::content::Content;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use crate::adapters::http::refusal::Refusal;

/// The schema is the problem document, which is the body of a refusal.
impl PartialSchema for Refusal {
    fn schema() -> RefOr<Schema> {
        let text = |description: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(description));
        let status = ObjectBuilder::new().schema_type(Type::Integer).description(Some("The status of the response."));
        let title = text("The phrase of the status.").schema_type(SchemaType::from_iter([Type::String, Type::Null]));
        let fields = [
            ("type", text("Always `about:blank`.").enum_values(Some(["about:blank"]))),
            ("title", title),
            ("status", status.minimum(Some(400)).maximum(Some(599))),
            ("detail", text("A sentence for people.")),
            ("reason", text("A stable word for programs.")),
        ];
        let problem = ObjectBuilder::new().description(Some("A refused request: a problem document (RFC 9457)."));
        fields.into_iter().fold(problem, |problem, (name, field)| problem.property(name, field).required(name)).into()
    }
}

impl ToSchema for Refusal {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Refusal")
    }
}

/// The responses of a guard, except 404 for a path that names no project. They refer to the schema
/// `Refusal`, which [`TokenSecurity`](crate::openapi::TokenSecurity) adds to the document.
impl IntoResponses for Refusal {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let challenged = |description| refused(description).header("WWW-Authenticate", challenge());
        let responses = [
            ("400", challenged("The request has several credentials, or one that cannot be read.")),
            ("401", challenged("The request has no valid token.")),
            ("403", challenged("The token is valid, but does not allow this request.")),
            ("503", refused("The token could not be checked. Try again.")),
        ];
        responses.into_iter().map(|(status, response)| (status.to_owned(), response.into())).collect()
    }
}

fn refused(description: &str) -> ResponseBuilder {
    let problem = Content::new(Some(Ref::from_schema_name(Refusal::name())));
    let response = ResponseBuilder::new().description(description).content("application/problem+json", problem);
    response.header("Cache-Control", header("The value is `no-store`."))
}

fn challenge() -> Header {
    header("How to present a token, and why the presented token was refused (RFC 6750). It may occur twice.")
}

fn header(description: &str) -> Header {
    HeaderBuilder::new().schema(Some(Object::with_type(Type::String))).description(Some(description)).build()
}
