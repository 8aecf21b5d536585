//! The public type of a migration.

/// A migration: an SQL script that creates or changes the schema of a store.
///
/// A store has a list of migrations, in the order in which they run. The files are also in the
/// folder `src/migrations` of the published crate, one folder for each engine, so that your own
/// migration tool can run them. A later version of keyfob may add a migration to the end of the
/// list. A published migration never changes, because tools store the checksums of the migrations
/// that they have run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Migration {
    /// The name of the file without its ending, such as `0001_keyfob_tokens`. The number is unique
    /// among the migrations of a store.
    pub name: &'static str,
    /// The SQL script. It may contain several statements. It neither begins nor commits a
    /// transaction. It may run more than once: a second run changes nothing.
    pub sql: &'static str,
}
