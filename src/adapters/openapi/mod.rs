//! The OpenAPI description of guarded routes, with the types of utoipa.

mod refusal;
pub(crate) mod security;
