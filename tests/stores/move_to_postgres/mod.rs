//! Tests the example `move_to_postgres`, which moves the tokens of a SQLite file to PostgreSQL.

#[path = "../../../examples/move_to_postgres/moving/mod.rs"]
mod moving;
mod serving;
mod steps;
mod world;
