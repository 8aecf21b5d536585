//! Checks that `Layered` keeps every law over a store with four operations: if operations overlap,
//! if a commit takes only three writes, and if other commits always come first.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use keyfob::import::{ImportKey, ImportRow};
use keyfob::record::{Revocation, RevocationReason};
use keyfob::store::{
    BasicImportStore, BasicStore, DynStore, Layered, PageSize, StoreError, StoreErrorKind, StoreMaintenance, Write,
};
use keyfob::{OwnerId, Policy, ProjectId, TokenId, TokenKey, TokenRecord, TokenStore, conformance, mint};
use tokio::task::yield_now;

use crate::support::{actor, keyring, new_token, now, project};

type Project = (u64, BTreeMap<TokenId, Arc<TokenRecord>>);

/// A store in memory, each of whose operations lets others run first. `MOST` is the maximum number
/// of writes in one commit.
///
/// A clone shares the projects.
#[derive(Clone, Default)]
struct Basic<const MOST: usize> {
    projects: Arc<Mutex<BTreeMap<ProjectId, Project>>>,
    links: Arc<Mutex<HashMap<ImportKey, TokenKey>>>,
    commits: Arc<AtomicUsize>,
    /// The number of commits that a commit of another process still precedes.
    late: Arc<AtomicUsize>,
}

impl<const MOST: usize> Basic<MOST> {
    fn projects(&self) -> MutexGuard<'_, BTreeMap<ProjectId, Project>> {
        self.projects.lock().unwrap()
    }

    /// Returns the records of a project for a commit, or `None` if another commit came first.
    fn records<'p>(
        &self,
        projects: &'p mut BTreeMap<ProjectId, Project>,
        project: &ProjectId,
        mark: u64,
    ) -> Option<&'p mut BTreeMap<TokenId, Arc<TokenRecord>>> {
        let (commits, records) = projects.entry(*project).or_default();
        if self.late.fetch_update(Relaxed, Relaxed, |late| late.checked_sub(1)).is_ok() {
            *commits += 1;
        }
        if *commits != mark {
            return None;
        }
        *commits += 1;
        self.commits.fetch_add(1, Relaxed);
        Some(records)
    }
}

impl<const MOST: usize> BasicImportStore for Basic<MOST> {
    async fn linked(&self, import_key: &ImportKey) -> Result<Option<TokenKey>, StoreError> {
        yield_now().await;
        Ok(self.links.lock().unwrap().get(import_key).copied())
    }

    async fn commit_imports(
        &self,
        project: &ProjectId,
        mark: u64,
        rows: Vec<ImportRow>,
        seen: Vec<(ImportKey, Option<TokenKey>)>,
    ) -> Result<bool, StoreError> {
        assert!(rows.len() == 1 || 2 * rows.len() + seen.len() <= MOST, "{} rows", rows.len());
        yield_now().await;
        let (mut projects, mut links) = (self.projects(), self.links.lock().unwrap());
        if seen.iter().any(|(import_key, key)| links.get(import_key) != key.as_ref()) {
            return Ok(false);
        }
        let Some(records) = self.records(&mut projects, project, mark) else { return Ok(false) };
        for row in rows {
            assert_eq!(row.record.project, *project);
            links.insert(row.import_key, row.record.key());
            records.insert(row.record.id, Arc::new(row.record));
        }
        Ok(true)
    }
}

impl<const MOST: usize> BasicStore for Basic<MOST> {
    type Mark = u64;
    const MOST_WRITES: usize = MOST;

    async fn get(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        yield_now().await;
        Ok(self.projects().get(&key.project).and_then(|(_, records)| records.get(&key.id)).cloned())
    }

    async fn scan(&self, project: &ProjectId) -> Result<(Vec<Arc<TokenRecord>>, u64), StoreError> {
        yield_now().await;
        let projects = self.projects();
        let Some((commits, records)) = projects.get(project) else { return Ok((Vec::new(), 0)) };
        Ok((records.values().cloned().collect(), *commits))
    }

    async fn commit(&self, project: &ProjectId, mark: u64, writes: Vec<Write>) -> Result<bool, StoreError> {
        assert!((1..=MOST).contains(&writes.len()), "{} writes", writes.len());
        yield_now().await;
        let mut projects = self.projects();
        let Some(records) = self.records(&mut projects, project, mark) else { return Ok(false) };
        for write in writes {
            match write {
                Write::Put(record) => records.insert(record.id, record),
                Write::Delete(id) => records.remove(&id),
            };
        }
        Ok(true)
    }

    async fn projects(&self, after: Option<&ProjectId>, most: usize) -> Result<Vec<ProjectId>, StoreError> {
        yield_now().await;
        let projects = self.projects();
        let later = projects.range((after.map_or(Unbounded, Excluded), Unbounded));
        Ok(later.map(|(project, _)| *project).take(most).collect())
    }
}

mod every_law {
    use super::*;

    conformance::for_each_law! {
        #[tokio::test]
        laws = [token_store, maintenance, import, rules],
        store = DynStore::with_imports(Layered::new(Basic::<1000>::default())),
    }
}

mod with_two_handles {
    use super::*;

    async fn handles() -> conformance::Handles<DynStore, DynStore> {
        let basic = Basic::<1000>::default();
        let [first, second] = [basic.clone(), basic].map(|basic| DynStore::with_imports(Layered::new(basic)));
        conformance::Handles::new(first, second)
    }

    conformance::for_each_law! {
        #[tokio::test]
        laws = [shared, shared_maintenance, shared_import],
        store = handles().await,
    }
}

/// Operations on many tokens then take several commits.
#[tokio::test]
async fn the_laws_are_kept_with_three_writes_in_a_commit() {
    let store = DynStore::with_imports(Layered::new(Basic::<3>::default()));
    conformance::maintenance(&store).await.assert();
    conformance::import(&store).await.assert();
    conformance::owner_and_family_take_all_that_can_still_work(&store).await.unwrap();
    conformance::a_group_is_an_owner(&store).await.unwrap();
    conformance::no_rotation_slips_past_a_group(&store).await.unwrap();
    conformance::a_dropped_revoke_owner_can_be_repeated(&store).await.unwrap();
    conformance::the_latest_touch_at_once_stays(&store).await.unwrap();
}

/// Returns a store with five tokens of ada in project 145.
async fn with_five_tokens() -> Layered<Basic<3>> {
    let store = Layered::new(Basic::default());
    for _ in 0..5 {
        let record = mint(&keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap().record;
        store.insert(record, None, None).await.unwrap();
    }
    store
}

fn revocation() -> Revocation {
    Revocation { at: now(), by: actor(), reason: RevocationReason::Unspecified }
}

#[tokio::test]
async fn what_changes_nothing_commits_nothing() {
    let store = with_five_tokens().await;
    let (project, ada) = (project("145"), OwnerId::new("ada").unwrap());
    assert_eq!(store.revoke_owner(&project, &ada, &revocation()).await.unwrap(), 5);
    // Two commits: three writes, and two.
    assert_eq!(store.basic().commits.load(Relaxed), 5 + 2);
    assert_eq!(store.revoke_owner(&project, &ada, &revocation()).await.unwrap(), 0);
    let purged = store.purge(&project, now(), PageSize::MAX).await.unwrap();
    assert_eq!((purged.count, purged.done), (0, true));
    let lease = now().saturating_add(Duration::from_secs(60));
    assert!(store.claim_notices(&project, &[], now(), lease, PageSize::MAX).await.unwrap().is_empty());
    assert_eq!(store.basic().commits.load(Relaxed), 5 + 2);
}

#[tokio::test]
async fn an_operation_is_tried_a_hundred_times() {
    let store = with_five_tokens().await;
    let (project, ada) = (project("145"), OwnerId::new("ada").unwrap());
    store.basic().late.store(100, Relaxed);
    let error = store.revoke_owner(&project, &ada, &revocation()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    store.basic().late.store(99, Relaxed);
    assert_eq!(store.revoke_owner(&project, &ada, &revocation()).await.unwrap(), 5);
}
