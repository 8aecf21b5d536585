//! Tests the service's answers, most of them from a router without a network. Each subject is a
//! module.

#![allow(clippy::unwrap_used, unreachable_pub)]

#[allow(dead_code, reason = "each test crate uses a part of it")]
#[path = "../../../../tests/support/postgres.rs"]
mod postgres;
#[path = "../support/mod.rs"]
mod support;

mod admin;
mod agents;
mod api;
mod api_verbs;
mod attacks;
mod connect;
mod leaks;
mod llm;
mod many;
mod mcp;
mod metrics;
mod openapi;
mod page;
mod password;
mod settings;
