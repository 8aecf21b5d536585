//! The rows of the store in memory, and their indexes. All rules for tokens are in other files.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::ops::Bound;
use std::sync::Arc;

use super::id_hash::{IdHash, hash_id};
use super::import::ImportRowOutcome;
use super::near::Changes;
use crate::rules::import_row::ImportRow;
use crate::rules::record::TokenRecord;
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::import_key::ImportKey;

/// The records of a store in memory, with indexes by token key, by project and by import key.
#[derive(Default)]
pub(super) struct Rows {
    by_key: HashSet<Row, IdHash>,
    by_project: BTreeMap<ProjectId, BTreeSet<TokenId>>,
    by_import_key: HashMap<ImportKey, TokenKey>,
    /// The import key of each imported record. A purge needs this map to free the import key.
    import_keys: HashMap<TokenKey, ImportKey>,
    /// The counts of changes, if there are copies of rows.
    changes: Option<Arc<Changes>>,
}

impl Rows {
    /// Returns no rows. Changes of rows are counted in `changes`.
    pub(super) fn counted(changes: &Arc<Changes>) -> Self {
        Self { changes: Some(Arc::clone(changes)), ..Self::default() }
    }

    /// Returns rows with these records, without links to import keys.
    pub(super) fn of(records: &[Arc<TokenRecord>]) -> Self {
        let mut rows = Self::default();
        records.iter().for_each(|record| rows.add(Arc::clone(record)));
        rows
    }

    /// Returns the number of rows in all projects.
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Returns the row with this key, if it exists.
    pub(super) fn get(&self, key: &TokenKey) -> Option<&Arc<TokenRecord>> {
        self.by_key.get(key as &dyn Keyed).map(|row| &row.0)
    }

    /// Returns the rows of a project in ascending order of their ids.
    pub(super) fn of_project(&self, project: ProjectId) -> impl Iterator<Item = &Arc<TokenRecord>> {
        let ids = self.by_project.get(&project).into_iter().flatten();
        ids.filter_map(move |id| self.get(&TokenKey { project, id: *id }))
    }

    /// Returns the keys of those rows of a project for which `wanted` returns true.
    pub(super) fn keys(&self, project: ProjectId, wanted: impl Fn(&TokenRecord) -> bool) -> Vec<TokenKey> {
        self.of_project(project).filter(|record| wanted(record)).map(|record| record.key()).collect()
    }

    /// Returns the projects that have rows, in ascending order. If `after` is set, starts with the
    /// first project after it.
    pub(super) fn projects(&self, after: Option<&ProjectId>) -> impl Iterator<Item = ProjectId> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_project.range::<ProjectId, _>((start, Bound::Unbounded)).map(|(project, _)| *project)
    }

    /// Returns the row that was imported under this key, if it exists.
    pub(super) fn imported(&self, import_key: &ImportKey) -> Option<&Arc<TokenRecord>> {
        self.by_import_key.get(import_key).and_then(|key| self.get(key))
    }

    /// Adds a row. The caller must have checked that no row with the same key exists.
    pub(super) fn insert(&mut self, record: TokenRecord) -> Arc<TokenRecord> {
        let record = Arc::new(record);
        self.add(Arc::clone(&record));
        record
    }

    fn add(&mut self, record: Arc<TokenRecord>) {
        self.by_project.entry(record.project).or_default().insert(record.id);
        self.by_key.insert(Row(record));
    }

    /// Imports one row. Changes nothing if the token or one of the row's import keys already
    /// exists.
    pub(super) fn import(&mut self, row: ImportRow) -> ImportRowOutcome {
        // The look-up keys are checked before the token key, and in all projects.
        if let Some(existing) = row.keys().find_map(|import_key| self.imported(import_key)) {
            return ImportRowOutcome::Exists(existing.key());
        }
        let key = row.record.key();
        if self.get(&key).is_some() {
            return ImportRowOutcome::Exists(key);
        }
        self.insert(row.record);
        self.link(row.import_key, key);
        ImportRowOutcome::Inserted
    }

    /// Links an import key to the row with this token key, so that [`imported`](Self::imported)
    /// finds the row.
    pub(super) fn link(&mut self, import_key: ImportKey, key: TokenKey) {
        self.by_import_key.insert(import_key, key);
        self.import_keys.insert(key, import_key);
    }

    /// Changes the row with this key and returns it, or `None` if there is no such row. `change`
    /// must not change the key. Callers that already hold the record keep its earlier state.
    pub(super) fn change<T>(
        &mut self,
        key: &TokenKey,
        change: impl FnOnce(&mut TokenRecord) -> T,
    ) -> Option<Arc<TokenRecord>> {
        let Row(mut record) = self.by_key.take(key as &dyn Keyed)?;
        change(Arc::make_mut(&mut record));
        self.by_key.insert(Row(Arc::clone(&record)));
        self.count_change(key);
        Some(record)
    }

    fn count_change(&self, key: &TokenKey) {
        if let Some(changes) = &self.changes {
            changes.changed(&key.id);
        }
    }

    /// Removes the row with this key, and the link from its import key.
    pub(super) fn remove(&mut self, key: &TokenKey) {
        self.by_key.remove(key as &dyn Keyed);
        self.count_change(key);
        if let Some(import_key) = self.import_keys.remove(key) {
            self.by_import_key.remove(&import_key);
        }
        if let Some(ids) = self.by_project.get_mut(&key.project) {
            ids.remove(&key.id);
            if ids.is_empty() {
                self.by_project.remove(&key.project);
            }
        }
    }
}

/// A record that is hashed and compared by the key inside it, for use in a set. A map would store
/// each key a second time: it would take eight times the memory, and twice the time for a look-up
/// among a million records.
struct Row(Arc<TokenRecord>);

/// The two parts of a token key. Rows and keys implement this trait, so that a set of rows can be
/// searched by a key.
trait Keyed {
    fn id(&self) -> &TokenId;
    fn project(&self) -> &ProjectId;
}

impl Keyed for Row {
    fn id(&self) -> &TokenId {
        &self.0.id
    }

    fn project(&self) -> &ProjectId {
        &self.0.project
    }
}

impl Keyed for TokenKey {
    fn id(&self) -> &TokenId {
        &self.id
    }

    fn project(&self) -> &ProjectId {
        &self.project
    }
}

impl<'k> Borrow<dyn Keyed + 'k> for Row {
    fn borrow(&self) -> &(dyn Keyed + 'k) {
        self
    }
}

impl Hash for dyn Keyed + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Two projects seldom have the same id.
        hash_id(self.id(), state);
    }
}

impl PartialEq for dyn Keyed + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id() && self.project() == other.project()
    }
}

impl Eq for dyn Keyed + '_ {}

impl Hash for Row {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self as &dyn Keyed).hash(state);
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id && self.0.project == other.0.project
    }
}

impl Eq for Row {}
