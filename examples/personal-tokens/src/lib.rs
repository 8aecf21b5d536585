//! A small service whose users have personal access tokens: the reference host of `keyfob`.
//!
//! The service contains what the crate leaves to its host: people, passwords and projects
//! ([`people`]), the operations that people perform on their tokens ([`tokens`]), reports of leaked
//! tokens ([`leaks`]), settings files for tools ([`connect`]), the models that tokens give access
//! to ([`llm`]), the pages ([`web`]) and the JSON API ([`api`]). Start reading at [`app`], which
//! combines these modules.
//!
//! There are two kinds of access, which never mix. A **session** issues and revokes tokens and is
//! guarded against forged requests. A **token** opens the routes of its project. A token gives no
//! access to other tokens, except that it may issue tokens for agents, which are bound to it.

#![forbid(unsafe_code)]
#![allow(rustdoc::private_intra_doc_links, reason = "its readers have the source")]
#![allow(missing_docs, reason = "an application, not a library: only what needs an explanation has one")]

pub mod api;
pub mod app;
pub mod args;
pub mod bodies;
pub mod check;
pub mod client;
pub mod config;
pub mod connect;
pub mod db;
pub mod engine;
pub mod first;
pub mod health;
pub mod housekeeping;
pub mod key_checks;
pub mod leaks;
pub mod lease;
pub mod llm;
pub mod metrics;
pub mod people;
pub mod pepper;
pub mod printed;
pub mod random;
pub mod serve;
pub mod setup;
pub mod telemetry;
pub mod tokens;
pub mod web;
