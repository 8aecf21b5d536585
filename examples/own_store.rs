//! Implements a first token store with the four operations of `BasicStore`, and runs the
//! conformance kit on it.
//!
//! `cargo run --example own_store --features conformance`
//!
//! This store keeps its records in a map under a lock. A store for a database has the same
//! structure: `commit` is a transaction that compares the mark of the project, and writes.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyfob::store::{BasicStore, Layered, StoreError, Write};
use keyfob::{ProjectId, TokenId, TokenKey, TokenRecord, conformance};

/// A project: the number of its commits, and its records.
type Project = (u64, BTreeMap<TokenId, Arc<TokenRecord>>);

#[derive(Default)]
struct OwnStore {
    projects: Mutex<BTreeMap<ProjectId, Project>>,
}

impl OwnStore {
    fn projects(&self) -> MutexGuard<'_, BTreeMap<ProjectId, Project>> {
        self.projects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BasicStore for OwnStore {
    type Mark = u64;

    async fn get(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        Ok(self.projects().get(&key.project).and_then(|(_, records)| records.get(&key.id)).cloned())
    }

    async fn scan(&self, project: &ProjectId) -> Result<(Vec<Arc<TokenRecord>>, u64), StoreError> {
        let projects = self.projects();
        let Some((commits, records)) = projects.get(project) else { return Ok((Vec::new(), 0)) };
        Ok((records.values().cloned().collect(), *commits))
    }

    async fn commit(&self, project: &ProjectId, mark: u64, writes: Vec<Write>) -> Result<bool, StoreError> {
        let mut projects = self.projects();
        let (commits, records) = projects.entry(*project).or_default();
        if *commits != mark {
            return Ok(false); // another commit was first: keyfob scans the project again
        }
        *commits += 1;
        for write in writes {
            match write {
                Write::Put(record) => records.insert(record.id, record),
                Write::Delete(id) => records.remove(&id),
            };
        }
        Ok(true)
    }

    async fn projects(&self, after: Option<&ProjectId>, most: usize) -> Result<Vec<ProjectId>, StoreError> {
        let projects = self.projects();
        let later = projects.range((after.map_or(Unbounded, Excluded), Unbounded));
        Ok(later.map(|(project, _)| *project).take(most).collect())
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let store = Layered::new(OwnStore::default());
    let reports = [conformance::token_store(&store).await, conformance::maintenance(&store).await];
    for report in &reports {
        println!("{report}");
    }
    if reports.iter().all(|report| report.failed.is_empty()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
