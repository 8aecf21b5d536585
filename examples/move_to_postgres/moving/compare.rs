//! Compares the SQLite file and the PostgreSQL database: row by row, by counts, and by a digest
//! over all rows.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use super::row::{self, Key, Page, Row};
use super::{Failure, Tell};

/// The maximum number of differing tokens that the printed result names. The result also names at
/// most this many projects whose numbers of tokens differ between the two sides.
const NAMED: usize = 10;

/// The counts and the digest of the rows on one side of the move: in the file or in PostgreSQL.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Side {
    /// The number of tokens.
    pub tokens: u64,
    /// The number of import keys.
    pub imports: u64,
    /// The number of projects that have tokens.
    pub projects: u64,
    /// The SHA-256 digest over all columns of all rows, in hex.
    pub digest: String,
}

/// The result of a comparison of the SQLite file with the PostgreSQL database.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Compared {
    /// The counts and the digest of the SQLite file.
    pub source: Side,
    /// The counts and the digest of the PostgreSQL database.
    pub target: Side,
    /// The number of tokens that exist on only one side or that differ between the two sides.
    pub differing: u64,
    /// The number of tokens that are on both sides and have a later state in PostgreSQL than in the
    /// file.
    pub newer: u64,
    /// The projects and ids of some differing tokens.
    pub named: Vec<String>,
    /// The projects with different numbers of tokens on the two sides. The value is the number in
    /// the file minus the number in PostgreSQL.
    pub uneven: BTreeMap<String, i64>,
}

impl Compared {
    /// Returns whether both sides have the same rows.
    pub fn is_equal(&self) -> bool {
        self.source == self.target && self.differing == 0 && self.uneven.is_empty()
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, side) in [("SQLite    ", &self.source), ("PostgreSQL", &self.target)] {
            let Side { tokens, imports, projects, digest } = side;
            writeln!(f, "{name} {tokens} tokens in {projects} projects, {imports} imported, SHA-256 {digest}")?;
        }
        for (project, more) in self.uneven.iter().take(NAMED) {
            writeln!(f, "project {project}: SQLite has {more:+} tokens")?;
        }
        for token in &self.named {
            writeln!(f, "differs: {token}")?;
        }
        write!(f, "{} tokens differ", self.differing)
    }
}

/// The counts and the digest of the rows that were read so far from one side.
#[derive(Default)]
struct Reading {
    side: Side,
    digest: Sha256,
    /// The project of the row that was added last.
    project: String,
}

impl Reading {
    fn add(&mut self, row: &Row) {
        let project = row.key().project;
        self.side.tokens += 1;
        self.side.imports += u64::from(row.import_key().is_some());
        self.side.projects += u64::from(self.project != project);
        self.project = project;
        row.add_to(&mut self.digest);
    }

    fn end(self) -> Side {
        let digest = self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Side { digest, ..self.side }
    }
}

/// Compares all rows of the file with all rows of the PostgreSQL database.
///
/// The rows are not all read at the same time. So the result is exact only if no other connection
/// writes to the file or to the database during the comparison.
///
/// # Errors
/// Returns a failure if a query fails.
pub async fn compare(
    source: &mut SqliteConnection,
    target: &mut PgConnection,
    tell: &mut Tell,
) -> Result<Compared, Failure> {
    let all = row::count(source).await?;
    let mut compared = Compared::default();
    let (mut of_source, mut of_target) = (Reading::default(), Reading::default());
    let mut after = Some(Key::default());
    while let Some(key) = &after {
        let page = Page::behind(key, source, target).await?;
        page.source.iter().for_each(|row| of_source.add(row));
        page.target.iter().for_each(|row| of_target.add(row));
        if page.source != page.target {
            compared.add(&page);
        }
        tell("compare", of_source.side.tokens, all);
        after = page.next;
    }
    (compared.source, compared.target) = (of_source.end(), of_target.end());
    // This count includes import keys in PostgreSQL that belong to no token. The pages contain no
    // such import keys.
    let imports = sqlx::query_scalar("SELECT count(*) FROM keyfob_imports").fetch_one(target).await;
    compared.target.imports = imports.map(i64::unsigned_abs)?;
    Ok(compared)
}

impl Compared {
    /// Adds the differences in this page to the result of the comparison.
    fn add(&mut self, page: &Page) {
        let mut keys: BTreeMap<Key, (Option<&Row>, Option<&Row>)> = BTreeMap::new();
        for row in &page.source {
            keys.entry(row.key()).or_default().0 = Some(row);
        }
        for row in &page.target {
            keys.entry(row.key()).or_default().1 = Some(row);
        }
        for (key, (source, target)) in keys.into_iter().filter(|(_, (source, target))| source != target) {
            self.differing += 1;
            if let (Some(source), Some(target)) = (source, target) {
                self.newer += u64::from(target.age() > source.age());
            } else {
                let more = self.uneven.entry(key.project.clone()).or_default();
                *more += if source.is_some() { 1 } else { -1 };
            }
            if self.named.len() < NAMED {
                self.named.push(key.to_string());
            }
        }
        self.uneven.retain(|_, more| *more != 0);
    }
}
