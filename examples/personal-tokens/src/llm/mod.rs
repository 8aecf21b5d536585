//! The models that tokens give access to: which models a project has, and how they are asked.

pub mod chat;
pub mod echo;
pub mod mcp;
pub mod models;
pub mod upstream;
