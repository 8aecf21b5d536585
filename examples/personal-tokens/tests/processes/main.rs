//! Tests the service as a process: its start and its end, its connections, its database engines,
//! and several processes on the same data.

#![allow(clippy::unwrap_used, unreachable_pub)]

#[allow(dead_code, reason = "each test crate uses only a part of this module")]
#[path = "../../../../tests/support/certificates.rs"]
mod certificates;
#[allow(dead_code, reason = "each test crate uses only a part of this module")]
#[path = "../../../../tests/support/mariadb.rs"]
mod mariadb;
#[allow(dead_code, reason = "each test crate uses only a part of this module")]
#[path = "../../../../tests/support/network.rs"]
mod network;
#[allow(dead_code, reason = "each test crate uses only a part of this module")]
#[path = "../../../../tests/support/notes.rs"]
mod notes;
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

mod configuration;
mod connections;
mod deploy;
mod earlier;
mod engines;
mod first_run;
mod first_sign_in;
mod housekeeping;
mod machines;
mod many_hosts;
mod messages;
mod moved;
mod pair;
mod shutdown;
mod skipped_rows;
mod telemetry;
mod tls;
mod two_hosts;
mod unusable;
