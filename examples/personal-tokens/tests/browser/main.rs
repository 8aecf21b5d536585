//! The service in a real browser.
//!
//! It needs `chromium` and `chromedriver` on the path. Without them it is skipped, except under `CI=true`.

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
