//! Tests the service as a process: start and stop, connections, engines, and several processes.

#![allow(clippy::unwrap_used, unreachable_pub)]

#[allow(dead_code, reason = "each test crate uses a part of it")]
#[path = "../../../../tests/support/notes.rs"]
mod notes;
#[allow(dead_code, reason = "each test crate uses a part of it")]
#[path = "../../../../tests/support/postgres.rs"]
mod postgres;
#[allow(dead_code, reason = "each test crate uses a part of it")]
#[path = "../../../../tests/support/redis.rs"]
mod redis;
#[path = "../support/mod.rs"]
mod support;

mod connections;
mod engines;
mod first_run;
mod first_sign_in;
mod housekeeping;
mod moved;
mod shutdown;
mod two_hosts;
