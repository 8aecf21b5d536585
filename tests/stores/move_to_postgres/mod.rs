//! Moves the tokens of a SQLite file to PostgreSQL, with the code of the example
//! `move_to_postgres`.

#[path = "../../../examples/move_to_postgres/moving/mod.rs"]
mod moving;
mod serving;
mod steps;
mod world;
