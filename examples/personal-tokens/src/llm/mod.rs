//! The models that tokens give access to: the models of each project, and the requests to their
//! providers.

pub mod chat;
pub mod echo;
pub mod extension;
pub mod live;
pub mod mcp;
pub mod models;
pub mod prompt;
pub mod upstream;
pub mod whole;
