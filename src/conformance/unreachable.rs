//! The checks of a store whose engine cannot be reached, and of a store with a damaged record.

use core::future::Future;
use core::pin::Pin;
use core::time::Duration;

use super::alarm::{NoResult, within};
use super::list::all_of;
use super::sample::{at, import_key, kept, name, project, put, record, revocation, successor};
use super::together::all;
use super::verdict::{Broken, Report, Verdict, ensure, refused};
use crate::rules::change::Change;
use crate::rules::import_row::ImportRow;
use crate::rules::issuer::Issuer;
use crate::rules::notice_lead::NoticeLead;
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::store::group::RevokeBatch;
use crate::store::import::ImportStore;
use crate::store::last_use::LastUse;
use crate::store::maintenance::{ProjectsQuery, StoreMaintenance};
use crate::store::order::ListOrder;
use crate::store::query::{CountQuery, ListQuery, PageSize};
use crate::words::ids::TokenKey;
use crate::words::store_error::StoreErrorKind::{Corrupt, Unavailable};
use crate::words::store_error::{StoreError, StoreErrorKind};

/// Checks that a call fails with [`Unavailable`](StoreErrorKind::Unavailable) within the limit.
async fn unavailable<T>(limit: Duration, call: impl Future<Output = Result<T, StoreError>>) -> Verdict {
    match within(limit, || {}, call).await {
        Ok(result) => refused(result, Unavailable, "a call while the engine cannot be reached"),
        Err(NoResult::TimedOut) => Err(Broken::new(format!(
            "a call while the engine cannot be reached: expected an error within {limit:?}, but the call did not end"
        ))),
        Err(NoResult::NoThread) => Err(Broken::new("cannot start a thread for the time limit")),
    }
}

type Call<'c> = Pin<Box<dyn Future<Output = Verdict> + Send + 'c>>;

/// Returns the result of `make`. The future that it boxes is on the stack only during this call.
#[inline(never)]
fn made<'c>(make: impl FnOnce() -> Call<'c>) -> Call<'c> {
    make()
}

/// Runs all calls concurrently, and adds one case to the report for each call. In a build without
/// optimization, all futures of a function are on its stack at the same time. Those of some stores
/// would not fit there, so each is made in a function of its own.
macro_rules! each_call {
    ($report:ident, $limit:ident; $($case:ident: $call:expr;)+) => {
        let calls: [Call<'_>; _] = [$(made(|| Box::pin(unavailable($limit, $call)))),+];
        for (case, result) in [$(stringify!($case)),+].into_iter().zip(all(calls).await) {
            $report.add(case, result.map_err(|broken| broken.of(case)));
        }
    };
}

/// Tests a store whose engine is stopped, frozen or cut off: each call of [`TokenStore`] fails with
/// [`Unavailable`](StoreErrorKind::Unavailable) within the limit. No call succeeds, and none
/// returns `None` or an empty list.
///
/// Stop the engine before this call, for example with `SIGSTOP` or by closing its port. `limit` is
/// the time that the docs of the store state for one call. The calls run concurrently, so give the
/// store a pool of at least 15 connections: otherwise some calls only wait for a connection. The
/// limit needs no timer of an executor, but it cannot end a call that blocks its thread.
///
/// The cases of the report have the names of the methods.
pub async fn unreachable<S: TokenStore>(store: &S, limit: Duration) -> Report {
    let mut report = Report::default();
    let samples = || Ok::<_, Broken>((record(project()?)?, revocation("root", 1)?, name("renamed")?));
    let (sample, revocation, renamed) = match samples() {
        Ok(samples) => samples,
        Err(broken) => {
            report.add("unreachable", Err(broken.of("unreachable")));
            return report;
        }
    };
    let (key, project) = (sample.key(), sample.project);
    let next = TokenRecord { rotated_from: Some(sample.id), ..sample.clone() };
    let touches = [LastUse { key, used_at: at(2), from: None }];
    let batch = RevokeBatch::CreatedBefore(at(0));
    let (query, count) = (all_of(project), CountQuery::new(project));
    each_call! { report, limit;
        insert: store.insert(sample.clone(), None, None);
        find: store.find(&key);
        find_recent: store.find_recent(&key);
        find_recent_chain: store.find_recent_chain(&key);
        find_durable: store.find_durable(&key);
        list: store.list(&query);
        count: store.count(&count);
        update: store.update(&key, 1, Change::Rename(renamed));
        revoke: store.revoke(&key, &revocation);
        revoke_owner: store.revoke_owner(&project, &sample.owner, &revocation);
        revoke_family: store.revoke_family(&project, &sample.family, &revocation);
        revoke_issued_by: store.revoke_issued_by(&project, &sample.id, &revocation);
        revoke_batch: store.revoke_batch(&project, &revocation, batch, PageSize::MAX);
        rotate: store.rotate(&key, 1, next, at(20), None);
        touch_many: store.touch_many(&touches);
    }
    report
}

/// Tests the calls of [`StoreMaintenance`] as [`unreachable`](unreachable()) tests those of
/// [`TokenStore`].
pub async fn unreachable_maintenance<S: StoreMaintenance>(store: &S, limit: Duration) -> Report {
    let mut report = Report::default();
    let key = match project().and_then(super::sample::absent) {
        Ok(key) => key,
        Err(broken) => {
            report.add("unreachable_maintenance", Err(broken.of("unreachable_maintenance")));
            return report;
        }
    };
    let TokenKey { project, .. } = key;
    let query = ProjectsQuery::default();
    each_call! { report, limit;
        projects: store.projects(&query);
        purge: store.purge(&project, at(0), PageSize::MAX);
        ended_issuers: store.ended_issuers(&project, at(0), PageSize::MAX);
        claim_notices: store.claim_notices(&project, &NoticeLead::ALL, at(0), at(1000), PageSize::MAX);
        acknowledge_notice: store.acknowledge_notice(&key, NoticeLead::WEEK);
    }
    report
}

/// Tests the calls of [`ImportStore`] as [`unreachable`](unreachable()) tests those of
/// [`TokenStore`].
pub async fn unreachable_import<S: ImportStore>(store: &S, limit: Duration) -> Report {
    let mut report = Report::default();
    let samples = || Ok::<_, Broken>((record(project()?)?, import_key()?));
    let (sample, key) = match samples() {
        Ok(samples) => samples,
        Err(broken) => {
            report.add("unreachable_import", Err(broken.of("unreachable_import")));
            return report;
        }
    };
    each_call! { report, limit;
        import: store.import(vec![ImportRow::new(sample, key)]);
        find_imported: store.find_imported(&key);
    }
    report
}

/// Tests that a damaged record is an error: each call that reads it fails with
/// [`Corrupt`](StoreErrorKind::Corrupt), and none returns `None`, another record or a list without
/// it.
///
/// For each case, this function inserts a token and calls `damage` with its key. `damage` must make
/// the record unreadable in the engine, for example with `UPDATE keyfob_tokens SET owner = '' WHERE
/// project = … AND id = …`, and must fail the test if it cannot. The cases of the report have the
/// names of the methods.
///
/// ```no_run
/// # use keyfob::{MemoryStore, conformance};
/// # async fn update(_: &keyfob::TokenKey) {}
/// # async fn example(store: MemoryStore) {
/// let report = conformance::damaged(&store, async |key| update(&key).await).await;
/// report.assert();
/// # }
/// ```
pub async fn damaged<S: TokenStore>(store: &S, damage: impl AsyncFn(TokenKey)) -> Report {
    let mut report = Report::default();
    for call in Read::ALL {
        let result = read_damaged(store, &damage, call).await;
        report.add(call.name(), result.map_err(|broken| broken.of(call.name())));
    }
    report
}

/// The calls that read a record.
#[derive(Clone, Copy)]
enum Read {
    Find,
    Recent,
    Durable,
    Chain,
    ChainOfBound,
    List(ListOrder),
    Update,
    Revoke,
    Rotate,
}

impl Read {
    const ALL: [Self; 11] = [
        Self::Find,
        Self::Recent,
        Self::Durable,
        Self::Chain,
        Self::ChainOfBound,
        Self::List(ListOrder::Created),
        Self::List(ListOrder::Name),
        Self::List(ListOrder::Expires),
        Self::Update,
        Self::Revoke,
        Self::Rotate,
    ];

    /// Returns the name of the method, and what is special about the call.
    fn name(self) -> &'static str {
        match self {
            Self::Find => "find",
            Self::Recent => "find_recent",
            Self::Durable => "find_durable",
            Self::Chain => "find_recent_chain",
            Self::ChainOfBound => "find_recent_chain of a token that is bound to the damaged one",
            Self::List(ListOrder::Created) => "list by creation",
            Self::List(ListOrder::Name) => "list by name",
            Self::List(_) => "list by expiry",
            Self::Update => "update",
            Self::Revoke => "revoke",
            Self::Rotate => "rotate",
        }
    }
}

async fn read_damaged<S: TokenStore>(store: &S, damage: &impl AsyncFn(TokenKey), call: Read) -> Verdict {
    let before = kept(store, &record(project()?)?).await?;
    let bound = TokenRecord { issuer: Some(Issuer { id: before.id, bound: true }), ..record(before.project)? };
    put(store, &bound).await?;
    damage(before.key()).await;
    let (key, version) = (before.key(), before.version);
    let failed = match call {
        Read::Find => corrupt(store.find(&key).await),
        Read::Recent => corrupt(store.find_recent(&key).await),
        Read::Durable => corrupt(store.find_durable(&key).await),
        Read::Chain => corrupt(store.find_recent_chain(&key).await),
        Read::ChainOfBound => corrupt(store.find_recent_chain(&bound.key()).await),
        Read::List(order) => corrupt(store.list(&ListQuery { order, ..all_of(before.project) }).await),
        Read::Update => corrupt(store.update(&key, version, Change::Rename(name("renamed")?)).await),
        Read::Revoke => corrupt(store.revoke(&key, &revocation("root", 1)?).await),
        Read::Rotate => corrupt(store.rotate(&key, version, successor(&before)?, at(20), None).await),
    };
    ensure!(failed == Some(Corrupt), "of a damaged record: expected the error Corrupt, but {}", said(failed));
    Ok(())
}

/// Returns the kind of the error, or `None` if the call succeeded.
fn corrupt<T>(result: Result<T, StoreError>) -> Option<StoreErrorKind> {
    result.err().map(|error| error.kind())
}

fn said(kind: Option<StoreErrorKind>) -> String {
    kind.map_or_else(|| "the call succeeded".to_owned(), |kind| format!("the error was {kind:?}"))
}
