//! Tests the service in a real browser.
//!
//! The tests need `chromium` and `chromedriver` on the path. Without these programs, the tests are
//! skipped. Under `CI=true` they fail.

#![allow(clippy::unwrap_used, unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;

mod accessibility;
mod administration;
mod agents;
mod driver;
mod guide;
mod list;
mod password;
mod pictures;
