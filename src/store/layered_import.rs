//! Imports through the layer over a basic store.

use std::collections::HashMap;
use std::sync::Arc;

use super::basic::BasicImportStore;
use super::import::{ImportRowOutcome, ImportStore};
use super::layered::{ATTEMPTS, Layered, too_many_writers};
use crate::rules::import_row::ImportRow;
use crate::rules::record::TokenRecord;
use crate::words::ids::{ProjectId, TokenKey};
use crate::words::import_key::ImportKey;
use crate::words::store_error::StoreError;

impl<S: BasicImportStore> ImportStore for Layered<S> {
    async fn import(&self, batch: Vec<ImportRow>) -> Result<Vec<ImportRowOutcome>, StoreError> {
        ImportRow::ensure_unbound(&batch)?;
        let mut outcomes = Vec::with_capacity(batch.len());
        while let Some(first) = batch.get(outcomes.len()) {
            let rest = &batch[outcomes.len()..];
            let some = &rest[..rows_of_one_commit(rest, S::MOST_WRITES)];
            outcomes.extend(self.import_some(first.record.project, some).await?);
        }
        Ok(outcomes)
    }

    async fn find_imported(&self, import_key: &ImportKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        match self.basic().linked(import_key).await? {
            Some(key) => self.basic().get(&key).await,
            None => Ok(None),
        }
    }
}

/// Returns how many of the first rows one commit takes: rows of one project, each of which counts
/// for its record, its link, and its import keys.
fn rows_of_one_commit(rows: &[ImportRow], most: usize) -> usize {
    let mut size = 0;
    let fits = |row: &&ImportRow| {
        size += 2 + row.keys().count();
        size <= most && row.record.project == rows[0].record.project
    };
    rows.iter().take_while(fits).count().max(1)
}

/// The links of the import keys of some rows, and where they lead.
#[derive(Default)]
struct Links {
    /// The link of each import key, as the store has it.
    seen: HashMap<ImportKey, Option<TokenKey>>,
    /// The token key of each import key whose record exists.
    existing: HashMap<ImportKey, TokenKey>,
}

impl<S: BasicImportStore> Layered<S> {
    /// Imports rows of one project in one commit.
    async fn import_some(&self, project: ProjectId, rows: &[ImportRow]) -> Result<Vec<ImportRowOutcome>, StoreError> {
        for _ in 0..ATTEMPTS {
            let (before, mark) = self.basic().scan(&project).await?;
            let Links { mut seen, mut existing } = self.links(rows).await?;
            let mut taken: HashMap<_, _> = before.iter().map(|record| (record.id, record.key())).collect();
            let (mut outcomes, mut inserted, mut checked) = (Vec::new(), Vec::new(), Vec::new());
            for row in rows {
                let linked = row.keys().find_map(|import_key| existing.get(import_key));
                if let Some(key) = linked.or_else(|| taken.get(&row.record.id)) {
                    outcomes.push(ImportRowOutcome::Exists(*key));
                    continue;
                }
                let key = row.record.key();
                taken.insert(key.id, key);
                existing.insert(row.import_key, key);
                checked.extend(row.keys().filter_map(|import_key| seen.remove_entry(import_key)));
                inserted.push(row.clone());
                outcomes.push(ImportRowOutcome::Inserted);
            }
            if inserted.is_empty() || self.basic().commit_imports(&project, mark, inserted, checked).await? {
                return Ok(outcomes);
            }
        }
        Err(too_many_writers())
    }

    /// Reads the links of these rows. A link to a deleted record is in `seen`, but leads nowhere.
    async fn links(&self, rows: &[ImportRow]) -> Result<Links, StoreError> {
        let mut links = Links::default();
        for import_key in rows.iter().flat_map(ImportRow::keys) {
            if links.seen.contains_key(import_key) {
                continue;
            }
            let linked = self.basic().linked(import_key).await?;
            links.seen.insert(*import_key, linked);
            if let Some(key) = linked
                && self.basic().get(&key).await?.is_some()
            {
                links.existing.insert(*import_key, key);
            }
        }
        Ok(links)
    }
}
