//! Tests the service's HTTP responses. Most tests send requests directly to the router, without a
//! network. Each subject has its own module.

#![allow(clippy::unwrap_used, unreachable_pub)]

#[allow(dead_code, reason = "each test crate uses only a part of this module")]
#[path = "../../../../tests/support/mariadb.rs"]
mod mariadb;
#[allow(dead_code, reason = "each test crate uses only a part of this module")]
#[path = "../../../../tests/support/postgres.rs"]
mod postgres;
#[allow(dead_code, reason = "each test crate uses only a part of this module")]
#[path = "../../../../tests/support/process.rs"]
mod process;
#[allow(dead_code, reason = "each test crate uses only a part of this module")]
#[path = "../../../../tests/support/redis.rs"]
mod redis;
#[path = "../support/mod.rs"]
mod support;

mod agents;
mod alarm;
mod all_tokens;
mod api;
mod api_verbs;
mod attacks;
mod changes;
mod clients;
mod connect;
mod extension;
mod forms;
mod guessing;
mod invitations;
mod leaks;
mod list;
mod llm;
mod many;
mod many_people;
mod mcp;
mod metrics;
mod models;
mod openapi;
mod operation;
mod page;
mod password;
mod people;
mod policy;
mod projects;
mod retention;
mod settings;
mod sign_in;
mod token_page;
mod trail;
