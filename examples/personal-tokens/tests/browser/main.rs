//! Tests the service in a real browser.
//!
//! The tests need the programs `chromium` and `chromedriver` on the path. Without these programs,
//! the tests are skipped. With `CI=true`, they fail instead.

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

mod accessibility;
mod administration;
mod agents;
mod driver;
mod guide;
mod layout;
mod list;
mod pane;
mod password;
mod pictures;
mod product;
mod token_page;
