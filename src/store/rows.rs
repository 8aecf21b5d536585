//! The rows of the store in memory, and their indexes. No rule is decided here.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::ops::Bound;
use std::sync::Arc;

use super::import::ImportKey;
use crate::rules::record::TokenRecord;
use crate::words::ids::{ProjectId, TokenId, TokenKey};

/// The records by token key, by project in the order of their ids, and by import key.
#[derive(Default)]
pub(super) struct Rows {
    by_key: HashSet<Row>,
    by_project: BTreeMap<ProjectId, BTreeSet<TokenId>>,
    by_import_key: HashMap<ImportKey, TokenKey>,
    /// The import key of each imported record, for its purge.
    import_keys: HashMap<TokenKey, ImportKey>,
}

impl Rows {
    /// Returns the number of rows.
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Returns the row of a key.
    pub(super) fn get(&self, key: &TokenKey) -> Option<&Arc<TokenRecord>> {
        self.by_key.get(key as &dyn Keyed).map(|row| &row.0)
    }

    /// Returns the rows of a project, in the order of their ids.
    pub(super) fn of_project(&self, project: ProjectId) -> impl Iterator<Item = &Arc<TokenRecord>> {
        let ids = self.by_project.get(&project).into_iter().flatten();
        ids.filter_map(move |id| self.get(&TokenKey { project, id: *id }))
    }

    /// Returns the keys of the rows of a project for which `wanted` is true.
    pub(super) fn keys(&self, project: ProjectId, wanted: impl Fn(&TokenRecord) -> bool) -> Vec<TokenKey> {
        self.of_project(project).filter(|record| wanted(record)).map(|record| record.key()).collect()
    }

    /// Returns the projects that have rows, in ascending order, starting after `after`.
    pub(super) fn projects(&self, after: Option<&ProjectId>) -> impl Iterator<Item = ProjectId> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_project.range::<ProjectId, _>((start, Bound::Unbounded)).map(|(project, _)| *project)
    }

    /// Returns the row that was imported under this key.
    pub(super) fn imported(&self, import_key: &ImportKey) -> Option<&Arc<TokenRecord>> {
        self.by_import_key.get(import_key).and_then(|key| self.get(key))
    }

    /// Adds a row. The caller must have checked that no row has its key.
    pub(super) fn insert(&mut self, record: TokenRecord) -> Arc<TokenRecord> {
        let (key, record) = (record.key(), Arc::new(record));
        self.by_key.insert(Row(Arc::clone(&record)));
        self.by_project.entry(key.project).or_default().insert(key.id);
        record
    }

    /// Makes the row of a key available under an import key too.
    pub(super) fn link(&mut self, import_key: ImportKey, key: TokenKey) {
        self.by_import_key.insert(import_key, key);
        self.import_keys.insert(key, import_key);
    }

    /// Changes the row of a key. The change must not touch the key. A record that was returned
    /// earlier stays as it was.
    pub(super) fn change<T>(
        &mut self,
        key: &TokenKey,
        change: impl FnOnce(&mut TokenRecord) -> T,
    ) -> Option<Arc<TokenRecord>> {
        let Row(mut record) = self.by_key.take(key as &dyn Keyed)?;
        change(Arc::make_mut(&mut record));
        self.by_key.insert(Row(Arc::clone(&record)));
        Some(record)
    }

    /// Removes the row of a key, and frees its import key.
    pub(super) fn remove(&mut self, key: &TokenKey) {
        self.by_key.remove(key as &dyn Keyed);
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

/// A record that is found by the key inside it. A map with separate keys takes eight times the
/// memory, and a look-up among a million records takes twice as long.
struct Row(Arc<TokenRecord>);

/// The parts of a key, which a row and a key share for hashing and comparison.
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
        // The id alone is hashed: it is random, so the same id rarely occurs in two projects.
        state.write(self.id().as_bytes());
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
        self.0.key() == other.0.key()
    }
}

impl Eq for Row {}
