//! A small service whose users have personal access tokens: the reference host of `keyfob`.
//!
//! What the crate leaves to its host stands here: people and their passwords ([`accounts`]), sign-in sessions
//! ([`sessions`]), projects and who is in them ([`projects`]), the page ([`page`]), the JSON API ([`api`]), and the
//! guard of the routes that tokens open ([`guard`], [`whoami`]). Start reading at [`app`], which puts them together.
//!
//! Two doors, which never mix: a **session** makes and deletes tokens and is guarded against forged requests; a
//! **token** opens the routes of its project and cannot touch tokens.

#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "an application, not a library: what needs words has them")]

pub mod accounts;
pub mod admin;
pub mod api;
pub mod app;
pub mod assets;
pub mod audit;
pub mod csrf;
pub mod expiry;
pub mod guard;
pub mod history;
pub mod names;
pub mod own_tokens;
pub mod owners;
pub mod page;
pub mod problem;
pub mod projects;
pub mod random;
pub mod rows;
pub mod sessions;
pub mod setup;
pub mod sign_in;
pub mod time_words;
pub mod whoami;
