//! Tests the example `operator`, which moves tokens between engines and maintains a store.

mod commands;
mod engines;
mod killed;
mod mariadb;
mod serving;
mod steps;
#[allow(dead_code, unreachable_pub)]
#[path = "../../../examples/operator/tool/mod.rs"]
mod tool;
mod world;
