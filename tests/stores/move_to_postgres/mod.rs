//! Tokens of a SQLite file move into PostgreSQL, by the same code as the example `move_to_postgres`.

#[path = "../../../examples/move_to_postgres/moving/mod.rs"]
mod moving;
mod serving;
mod steps;
mod world;
