//! The check that a database has the schema that a store needs.

use core::fmt;
use std::collections::HashMap;

use super::migration::Migration;
use crate::store::columns::{COLUMNS, Column, ColumnKind};
use crate::words::store_error::{StoreError, StoreErrorKind};

/// A part of a schema, such as `column keyfob_tokens.name`, and the definition of this part, such
/// as `TEXT NOT NULL`. A part may have an empty definition.
pub(in crate::adapters) type Part = (String, String);

/// Returns the columns of a record as parts of the table `keyfob_tokens`. `type_of` returns the
/// type that a column has in the engine.
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    allow(dead_code, reason = "the store on MySQL has its own form")
)]
pub(in crate::adapters) fn columns(type_of: fn(ColumnKind) -> &'static str) -> impl Iterator<Item = Part> {
    COLUMNS.iter().map(move |Column { name, kind, optional }| {
        let suffix = if *optional { "" } else { " NOT NULL" };
        part(format_args!("column keyfob_tokens.{name}"), format_args!("{}{suffix}", type_of(*kind)))
    })
}

/// Returns the indices that the migrations create. The definition is `UNIQUE` for a unique index.
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    allow(dead_code, reason = "the store on MySQL has its own form")
)]
pub(in crate::adapters) fn indices(migrations: &'static [Migration]) -> impl Iterator<Item = Part> {
    migrations.iter().flat_map(|migration| migration.sql.lines()).filter_map(|line| {
        let (definition, rest) = match line.strip_prefix("CREATE UNIQUE INDEX IF NOT EXISTS ") {
            Some(rest) => ("UNIQUE", rest),
            None => ("", line.strip_prefix("CREATE INDEX IF NOT EXISTS ")?),
        };
        let name = rest.split_once(' ').map_or(rest, |(name, _)| name);
        Some(part(format_args!("index {name}"), definition))
    })
}

pub(in crate::adapters) fn part(name: impl ToString, definition: impl ToString) -> Part {
    (name.to_string(), definition.to_string())
}

/// Checks that each wanted part was found, with the same definition. Other parts may exist too.
///
/// # Errors
/// Returns [`Schema`](StoreErrorKind::Schema) for the first part that is missing or different.
pub(in crate::adapters) fn check(
    wanted: impl IntoIterator<Item = Part>,
    found: impl IntoIterator<Item = Part>,
) -> Result<(), StoreError> {
    let mut found: HashMap<String, String> = found.into_iter().collect();
    for (name, definition) in wanted {
        let found = found.remove(&name);
        if found.as_ref() != Some(&definition) {
            let fault = SchemaFault { name, wanted: definition, found };
            return Err(StoreError::with_source(StoreErrorKind::Schema, fault));
        }
    }
    Ok(())
}

/// A part of a schema that is missing or different.
#[derive(Debug)]
struct SchemaFault {
    name: String,
    wanted: String,
    found: Option<String>,
}

impl fmt::Display for SchemaFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, wanted, found } = self;
        match found {
            None if wanted.is_empty() => write!(f, "the database has no {name}")?,
            None => write!(f, "the database has no {name} ({wanted})")?,
            Some(found) => write!(f, "the {name} is \"{found}\", but must be \"{wanted}\"")?,
        }
        f.write_str(": run the migrations of this version of keyfob")
    }
}

impl core::error::Error for SchemaFault {}

#[cfg(test)]
mod tests {
    use core::error::Error;

    use super::*;

    fn text(found: &[(&str, &str)]) -> Option<String> {
        let wanted = [part("table keyfob_tokens", ""), part("column keyfob_tokens.id", "TEXT NOT NULL")];
        let found = found.iter().map(|(name, definition)| part(name, definition));
        let error = check(wanted, found).err()?;
        assert_eq!(error.kind(), StoreErrorKind::Schema);
        Some(error.source().unwrap().to_string())
    }

    #[test]
    fn a_difference_is_named() {
        let (table, more) = (("table keyfob_tokens", ""), ("table users", ""));
        let column = |definition| ("column keyfob_tokens.id", definition);
        assert_eq!(text(&[column("TEXT NOT NULL"), more, table]), None);
        for (found, fault) in [
            (&[column("TEXT NOT NULL")][..], "the database has no table keyfob_tokens"),
            (&[table], "the database has no column keyfob_tokens.id (TEXT NOT NULL)"),
            (&[table, column("TEXT")], "the column keyfob_tokens.id is \"TEXT\", but must be \"TEXT NOT NULL\""),
        ] {
            let advice = "run the migrations of this version of keyfob";
            assert_eq!(text(found), Some(format!("{fault}: {advice}")));
        }
    }

    #[test]
    fn indices_are_read_from_the_scripts() {
        const SQL: &str = "CREATE INDEX IF NOT EXISTS one ON a (b);\n-- CREATE INDEX IF NOT EXISTS two\n\
             CREATE UNIQUE INDEX IF NOT EXISTS three\n    ON a (b);\n";
        const LIST: &[Migration] = &[Migration { name: "0001", sql: SQL }];
        assert_eq!(indices(LIST).collect::<Vec<_>>(), [part("index one", ""), part("index three", "UNIQUE")]);
    }
}
