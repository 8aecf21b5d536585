//! The back end that tokens open: which models a project has, and what is asked of them.

pub mod chat;
pub mod echo;
pub mod mcp;
pub mod models;
pub mod upstream;
