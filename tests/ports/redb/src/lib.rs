//! A token store over redb, a key-value engine in one file.

use std::error::Error;
use std::sync::Arc;

use keyfob::import::{ImportKey, ImportRow};
use keyfob::store::StoreErrorKind::{Corrupt, Other};
use keyfob::store::{BasicImportStore, BasicStore, StoreError, Write};
use keyfob::{ProjectId, TokenId, TokenKey, TokenRecord};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use tokio::task::spawn_blocking;

/// The records in JSON, by project and id.
const RECORDS: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("keyfob_records");
/// The number of commits of each project.
const MARKS: TableDefinition<&str, u64> = TableDefinition::new("keyfob_marks");
/// The project and id of each imported record, by import key.
const LINKS: TableDefinition<&[u8], (&str, &str)> = TableDefinition::new("keyfob_links");

type Records<'t> = redb::Table<'t, (&'static str, &'static str), &'static [u8]>;

/// The tokens in a file. A commit is durable when it returns.
#[derive(Clone, Debug)]
pub struct Redb(Arc<Database>);

impl Redb {
    /// Opens the tables, and creates them if they are missing.
    ///
    /// # Errors
    /// Returns [`Other`] if the engine fails.
    pub fn new(database: Arc<Database>) -> Result<Self, StoreError> {
        let transaction = database.begin_write().map_err(failed)?;
        transaction.open_table(RECORDS).map_err(failed)?;
        transaction.open_table(MARKS).map_err(failed)?;
        transaction.open_table(LINKS).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(Self(database))
    }

    /// Runs a call of the engine, which blocks, on a thread for such calls. The call ends even if
    /// the caller stops waiting.
    async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.0);
        spawn_blocking(move || call(&database)).await.map_err(failed)?
    }
}

fn failed(error: impl Error + Send + Sync + 'static) -> StoreError {
    StoreError::with_source(Other, error)
}

/// Gives a project its next mark, and returns whether it had this one.
fn advance(transaction: &WriteTransaction, project: &ProjectId, mark: u64) -> Result<bool, StoreError> {
    let mut marks = transaction.open_table(MARKS).map_err(failed)?;
    let before = marks.insert(project.as_str(), mark + 1).map_err(failed)?;
    Ok(before.map_or(0, |before| before.value()) == mark)
}

fn put(records: &mut Records<'_>, record: &TokenRecord) -> Result<(), StoreError> {
    let json = serde_json::to_vec(record).map_err(failed)?;
    records.insert((record.project.as_str(), record.id.as_str()), json.as_slice()).map_err(failed)?;
    Ok(())
}

fn key((project, id): (&str, &str)) -> Result<TokenKey, StoreError> {
    let corrupt = |error| StoreError::with_source(Corrupt, error);
    Ok(TokenKey { project: ProjectId::new(project).map_err(corrupt)?, id: TokenId::new(id).map_err(corrupt)? })
}

fn parsed(json: &[u8]) -> Result<Arc<TokenRecord>, StoreError> {
    serde_json::from_slice(json).map(Arc::new).map_err(|error| StoreError::with_source(Corrupt, error))
}

impl BasicStore for Redb {
    type Mark = u64;

    async fn get(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let key = *key;
        self.run(move |database| {
            let records = database.begin_read().map_err(failed)?.open_table(RECORDS).map_err(failed)?;
            let found = records.get((key.project.as_str(), key.id.as_str())).map_err(failed)?;
            found.map(|json| parsed(json.value())).transpose()
        })
        .await
    }

    async fn scan(&self, project: &ProjectId) -> Result<(Vec<Arc<TokenRecord>>, u64), StoreError> {
        let project = *project;
        self.run(move |database| {
            // Both tables are read in one transaction.
            let transaction = database.begin_read().map_err(failed)?;
            let mark = transaction.open_table(MARKS).map_err(failed)?.get(project.as_str()).map_err(failed)?;
            let records = transaction.open_table(RECORDS).map_err(failed)?;
            // No character of an id comes after `~`.
            let of_project = records.range((project.as_str(), "")..(project.as_str(), "~")).map_err(failed)?;
            let read = of_project.map(|row| parsed(row.map_err(failed)?.1.value()));
            Ok((read.collect::<Result<_, _>>()?, mark.map_or(0, |mark| mark.value())))
        })
        .await
    }

    async fn commit(&self, project: &ProjectId, mark: u64, writes: Vec<Write>) -> Result<bool, StoreError> {
        let project = *project;
        self.run(move |database| {
            let transaction = database.begin_write().map_err(failed)?;
            if !advance(&transaction, &project, mark)? {
                return Ok(false); // the transaction is dropped, and changes nothing
            }
            let mut records = transaction.open_table(RECORDS).map_err(failed)?;
            for write in writes {
                match write {
                    Write::Put(record) => put(&mut records, &record)?,
                    Write::Delete(id) => {
                        records.remove((project.as_str(), id.as_str())).map_err(failed)?;
                    }
                }
            }
            drop(records);
            transaction.commit().map_err(failed)?;
            Ok(true)
        })
        .await
    }

    async fn projects(&self, after: Option<&ProjectId>, most: usize) -> Result<Vec<ProjectId>, StoreError> {
        let after = after.copied();
        self.run(move |database| {
            let marks = database.begin_read().map_err(failed)?.open_table(MARKS).map_err(failed)?;
            let after = after.as_ref().map_or("", ProjectId::as_str);
            let later = marks.range(after..).map_err(failed)?.map(|row| {
                let (project, _) = row.map_err(failed)?;
                ProjectId::new(project.value()).map_err(|error| StoreError::with_source(Corrupt, error))
            });
            let is_after =
                |project: &Result<ProjectId, _>| project.as_ref().map_or(true, |found| found.as_str() > after);
            later.filter(is_after).take(most).collect()
        })
        .await
    }
}

impl BasicImportStore for Redb {
    async fn linked(&self, import_key: &ImportKey) -> Result<Option<TokenKey>, StoreError> {
        let import_key = *import_key;
        self.run(move |database| {
            let links = database.begin_read().map_err(failed)?.open_table(LINKS).map_err(failed)?;
            let link = links.get(import_key.as_bytes().as_slice()).map_err(failed)?;
            link.map(|link| key(link.value())).transpose()
        })
        .await
    }

    async fn commit_imports(
        &self,
        project: &ProjectId,
        mark: u64,
        rows: Vec<ImportRow>,
        seen: Vec<(ImportKey, Option<TokenKey>)>,
    ) -> Result<bool, StoreError> {
        let project = *project;
        self.run(move |database| {
            let transaction = database.begin_write().map_err(failed)?;
            if !advance(&transaction, &project, mark)? {
                return Ok(false);
            }
            let mut links = transaction.open_table(LINKS).map_err(failed)?;
            for (import_key, seen) in seen {
                let link = links.get(import_key.as_bytes().as_slice()).map_err(failed)?;
                if link.map(|link| key(link.value())).transpose()? != seen {
                    return Ok(false);
                }
            }
            let mut records = transaction.open_table(RECORDS).map_err(failed)?;
            for ImportRow { record, import_key, .. } in rows {
                let to = (record.project.as_str(), record.id.as_str());
                links.insert(import_key.as_bytes().as_slice(), to).map_err(failed)?;
                put(&mut records, &record)?;
            }
            drop((links, records));
            transaction.commit().map_err(failed)?;
            Ok(true)
        })
        .await
    }
}
