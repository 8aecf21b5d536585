//! A small service whose users have personal access tokens: the reference host of `keyfob`.
//!
//! What the crate leaves to its host stands here: people, passwords and projects ([`people`]), what people do with their
//! tokens ([`tokens`]), what becomes of leaked ones ([`leaks`]), the files by which tools reach the service ([`connect`]), the models behind it ([`llm`]), the pages ([`web`]) and the JSON API ([`api`]). Start reading at [`app`], which puts them together.
//!
//! Two doors, which never mix: a **session** makes and deletes tokens and is guarded against forged requests; a
//! **token** opens the routes of its project, and touches no tokens but those that it issues to agents, bound to itself.

#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "an application, not a library: what needs words has them")]

pub mod api;
pub mod app;
pub mod args;
pub mod bodies;
pub mod config;
pub mod connect;
pub mod engine;
pub mod health;
pub mod key_checks;
pub mod leaks;
pub mod llm;
pub mod metrics;
pub mod people;
pub mod printed;
pub mod random;
pub mod serve;
pub mod setup;
pub mod tokens;
pub mod web;
