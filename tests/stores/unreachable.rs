//! Tests the checks of the conformance kit for a store whose engine cannot be reached, for a store
//! with a damaged record, for a store that hangs, and the ledger of crashes. Runs these checks on
//! the stores of the crate.

use std::collections::{BTreeMap, HashSet};
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyfob::conformance::{self, CrashLedger, Report, Watched};
use keyfob::store::{BasicStore, Layered, StoreError, StoreErrorKind, Write};
use keyfob::{MemoryStore, ProjectId, TokenId, TokenKey, TokenRecord};

/// The time within which each call must fail. The stores document 5 seconds for a call. The rest is
/// for a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A limit for calls that never end.
const SHORT: Duration = Duration::from_millis(50);

/// An engine that cannot be reached, as four kinds of stores report it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Down {
    Unavailable,
    Other,
    Absent,
    Frozen,
}

impl Down {
    async fn answer<T>(self, absent: T) -> Result<T, StoreError> {
        match self {
            Self::Unavailable => Err(StoreErrorKind::Unavailable.into()),
            Self::Other => Err(StoreErrorKind::Other.into()),
            Self::Absent => Ok(absent),
            Self::Frozen => pending().await,
        }
    }
}

impl BasicStore for Down {
    type Mark = ();

    async fn get(&self, _: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.answer(None).await
    }

    async fn scan(&self, _: &ProjectId) -> Result<(Vec<Arc<TokenRecord>>, ()), StoreError> {
        self.answer((Vec::new(), ())).await
    }

    async fn commit(&self, _: &ProjectId, (): (), _: Vec<Write>) -> Result<bool, StoreError> {
        self.answer(true).await
    }

    async fn projects(&self, _: Option<&ProjectId>, _: usize) -> Result<Vec<ProjectId>, StoreError> {
        self.answer(Vec::new()).await
    }
}

async fn reports(down: Down, limit: Duration) -> [Report; 2] {
    let store = Layered::new(down);
    [conformance::unreachable(&store, limit).await, conformance::unreachable_maintenance(&store, limit).await]
}

#[tokio::test]
async fn a_store_that_reports_its_engine_passes() {
    let [tokens, maintenance] = reports(Down::Unavailable, LIMIT).await;
    tokens.assert();
    maintenance.assert();
    assert_eq!((tokens.passed.len(), maintenance.passed.len()), (15, 5));
}

#[tokio::test]
async fn every_other_answer_fails() {
    for (down, limit, text) in [
        (Down::Other, LIMIT, "expected the error Unavailable, but got the error Other"),
        (Down::Absent, LIMIT, "expected the error Unavailable, but got success"),
        (Down::Frozen, SHORT, "expected an error within 50ms, but the call did not end"),
    ] {
        let mut calls = 0;
        for violation in reports(down, limit).await.iter().flat_map(|report| &report.failed) {
            assert!(violation.what.contains(text), "{violation}");
            calls += 1;
        }
        assert_eq!(calls, 20);
    }
    let store = MemoryStore::new();
    assert_eq!(conformance::unreachable_import(&store, LIMIT).await.failed.len(), 2);
}

#[tokio::test]
async fn a_law_that_hangs_names_the_call() {
    let store = Watched::new(Layered::new(Down::Frozen));
    let (calls, law) = (store.calls(), conformance::find_answers_none_for_the_absent(&store));
    let violation = conformance::within_limit("the law", SHORT, &calls, law).await.unwrap_err();
    let what = violation.what;
    assert!(what.starts_with("did not end within 50ms; under way: insert (call 1) since "), "{what}");
    assert!(calls.to_string().starts_with("no call is under way; the last one was insert"), "{calls}");
}

/// A store in memory that holds damaged records. It reports them, or hides them.
#[derive(Default)]
struct Damaged {
    projects: Mutex<BTreeMap<ProjectId, BTreeMap<TokenId, Arc<TokenRecord>>>>,
    damaged: Mutex<HashSet<TokenKey>>,
    hides: bool,
}

impl Damaged {
    fn is_damaged(&self, key: &TokenKey) -> bool {
        self.damaged.lock().unwrap().contains(key)
    }
}

impl BasicStore for &Damaged {
    type Mark = ();

    async fn get(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        match self.is_damaged(key) {
            true if self.hides => Ok(None),
            true => Err(StoreErrorKind::Corrupt.into()),
            false => Ok(self.projects.lock().unwrap().get(&key.project).and_then(|rows| rows.get(&key.id)).cloned()),
        }
    }

    async fn scan(&self, project: &ProjectId) -> Result<(Vec<Arc<TokenRecord>>, ()), StoreError> {
        let mut rows: Vec<_> = self.projects.lock().unwrap().entry(*project).or_default().values().cloned().collect();
        if !self.hides && rows.iter().any(|row| self.is_damaged(&row.key())) {
            return Err(StoreErrorKind::Corrupt.into());
        }
        rows.retain(|row| !self.is_damaged(&row.key()));
        Ok((rows, ()))
    }

    async fn commit(&self, project: &ProjectId, (): (), writes: Vec<Write>) -> Result<bool, StoreError> {
        let mut projects = self.projects.lock().unwrap();
        let rows = projects.entry(*project).or_default();
        for write in writes {
            match write {
                Write::Put(record) => rows.insert(record.id, record),
                Write::Delete(id) => rows.remove(&id),
            };
        }
        Ok(true)
    }

    async fn projects(&self, _: Option<&ProjectId>, _: usize) -> Result<Vec<ProjectId>, StoreError> {
        Ok(self.projects.lock().unwrap().keys().copied().collect())
    }
}

#[tokio::test]
async fn a_store_that_hides_a_damaged_record_fails() {
    for hides in [false, true] {
        let store = Damaged { hides, ..Damaged::default() };
        let damage = async |key| assert!(store.damaged.lock().unwrap().insert(key));
        let report = conformance::damaged(&Layered::new(&store), damage).await;
        assert_eq!(report.passed.len() + report.failed.len(), 11);
        assert_eq!(report.failed.len(), if hides { 11 } else { 0 }, "{report}");
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn sqlite_reports_damaged_records() {
    use keyfob::store::sqlite::SqliteStore;

    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
    let damage = async |key: TokenKey| {
        let damage = sqlx::query("UPDATE keyfob_tokens SET kind = 'unknown' WHERE project = $1 AND id = $2");
        let damage = damage.bind(key.project.as_str().to_owned()).bind(key.id.as_str().to_owned());
        assert_eq!(damage.execute(store.pool()).await.unwrap().rows_affected(), 1);
    };
    conformance::damaged(&store, damage).await.assert();
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn postgres_reports_a_stopped_server_and_damaged_records() {
    use crate::support::postgres::Server;

    let Some(server) = Server::start() else { return };
    let store = server.store().await;
    let damage = async |key: TokenKey| {
        let damage = sqlx::query("UPDATE keyfob_tokens SET kind = 'unknown' WHERE project = $1 AND id = $2");
        let damage = damage.bind(key.project.as_str().to_owned()).bind(key.id.as_str().to_owned());
        assert_eq!(damage.execute(store.pool()).await.unwrap().rows_affected(), 1);
    };
    conformance::damaged(&store, damage).await.assert();
    server.halt("immediate");
    conformance::unreachable(&store, LIMIT).await.assert();
    conformance::unreachable_maintenance(&store, LIMIT).await.assert();
    conformance::unreachable_import(&store, LIMIT).await.assert();
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn redis_reports_a_frozen_server() {
    use crate::support::redis::Servers;

    let Some(servers) = Servers::one() else { return };
    let store = servers.store().await;
    servers.suspend(0);
    let reports =
        [conformance::unreachable(&store, LIMIT).await, conformance::unreachable_maintenance(&store, LIMIT).await];
    servers.resume(0);
    reports.iter().for_each(Report::assert);
}

/// Runs the load on a store for a while. Returns the ledger, with the lines of the load.
async fn loaded(store: &Layered<&Damaged>, project: ProjectId) -> CrashLedger {
    let told = Mutex::new(Vec::new());
    let load = conformance::crash_load(store, project, |line| told.lock().unwrap().push(line.to_owned()));
    // The load runs until it has acknowledged operations of each kind.
    let enough = async {
        while told.lock().unwrap().iter().filter(|line| line.starts_with("group")).count() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = load => panic!("the load ended: {ended:?}"),
        () = enough => {}
    }
    let mut ledger = CrashLedger::new(project);
    told.into_inner().unwrap().iter().for_each(|line| ledger.read(line));
    ledger
}

#[tokio::test]
async fn the_ledger_finds_each_loss() {
    let project = ProjectId::new("145").unwrap();
    let engine = Damaged::default();
    let store = Layered::new(&engine);
    let ledger = loaded(&store, project).await;
    ledger.check(&store).await.assert();
    for kind in ["inserted", "renamed", "revoked", "rotated", "group"] {
        assert!(ledger.acknowledged(kind) > 0, "{kind}");
    }
    let whole = engine.projects.lock().unwrap()[&project].clone();
    let first = |wanted: fn(&TokenRecord) -> bool| TokenRecord::clone(whole.values().find(|row| wanted(row)).unwrap());
    let lost = |id: TokenId, change: Option<fn(&mut TokenRecord)>| {
        let mut rows = whole.clone();
        match change {
            None => rows.remove(&id),
            Some(change) => rows.get_mut(&id).map(|row| {
                let mut changed = TokenRecord::clone(row);
                change(&mut changed);
                core::mem::replace(row, Arc::new(changed))
            }),
        };
        rows
    };
    let revoked = first(|row| row.revoked.is_some());
    let rotated = first(|row| row.rotated_to.is_some());
    let renamed = first(|row| row.name.as_str() == "renamed");
    let plain = first(|row| row.version == 1 && row.rotated_from.is_none());
    let losses: [(&str, BTreeMap<_, _>); 6] = [
        ("acknowledged_calls_survive", lost(plain.id, None)),
        ("acknowledged_calls_survive", lost(revoked.id, Some(|row| row.revoked = None))),
        ("acknowledged_calls_survive", lost(rotated.id, Some(|row| row.rotated_to = None))),
        ("acknowledged_calls_survive", lost(renamed.id, Some(|row| row.name = keyfob::Name::new("old").unwrap()))),
        ("unacknowledged_calls_are_whole", lost(rotated.id, Some(|row| row.grace_until = None))),
        ("unacknowledged_calls_are_whole", lost(revoked.id, Some(|row| row.version = 1))),
    ];
    for (case, rows) in losses {
        engine.projects.lock().unwrap().insert(project, rows);
        let report = ledger.check(&store).await;
        assert!(report.failed.iter().any(|violation| violation.case == case), "{case}: {report}");
    }
    let stranger = crate::support::changed(plain, |row| row.id = TokenId::new("1strangerstrange").unwrap());
    let mut rows = whole.clone();
    rows.insert(stranger.id, Arc::new(stranger));
    engine.projects.lock().unwrap().insert(project, rows);
    let report = ledger.check(&store).await;
    assert!(report.failed.iter().any(|violation| violation.case == "reads_agree"), "{report}");
}
