//! Measures the maintenance jobs of a service with one project for each user.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keyfob::{
    Actor, Policy, ProjectId, Timestamp, TokenId, TokenKey, TokenRecord, TokenStore,
    keys::KeyNumber,
    notices::NoticeLead,
    record::{Change, Revocation, RevocationReason},
    store::{
        BatchResult, CountQuery, IssuerCondition, LastUse, ListQuery, LiveLimit, Page, PageSize, ProjectsQuery,
        RevokeBatch, StoreError, StoreMaintenance,
    },
};

use super::engines::Engine;
use super::measure::{number, progress};
use super::table::Table;
use super::tokens::Population;

/// The number of projects, each with one token.
pub const PROJECTS: u64 = 1_000_000;
/// The number of projects for the comparison with a store that does not know which projects have
/// work.
const FEW: u64 = 20_000;
/// The number of notices that are due, and of ended tokens to purge.
const DUE: u64 = 100;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A store that counts its calls. If `narrows` is false, it returns all projects, and cannot read
/// several projects with one call, like a store that does not know which projects have work.
#[derive(Clone)]
struct Counting<S> {
    store: S,
    calls: Arc<AtomicU64>,
    narrows: bool,
}

impl<S> Counting<S> {
    fn call(&self) -> &S {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &self.store
    }
}

type Answer<T> = Result<T, StoreError>;
type Found = Option<Arc<TokenRecord>>;

impl<S: TokenStore> TokenStore for Counting<S> {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<LiveLimit>,
        issuer: Option<IssuerCondition>,
    ) -> Answer<Arc<TokenRecord>> {
        self.call().insert(record, limit, issuer).await
    }
    async fn find(&self, key: &TokenKey) -> Answer<Found> {
        self.call().find(key).await
    }
    async fn list(&self, query: &ListQuery) -> Answer<Page<Arc<TokenRecord>>> {
        self.call().list(query).await
    }
    async fn count(&self, query: &CountQuery) -> Answer<u64> {
        self.call().count(query).await
    }
    async fn update(&self, key: &TokenKey, version: u64, change: Change) -> Answer<Found> {
        self.call().update(key, version, change).await
    }
    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Answer<Found> {
        self.call().revoke(key, revocation).await
    }
    async fn revoke_owner(&self, project: &ProjectId, owner: &keyfob::OwnerId, revocation: &Revocation) -> Answer<u64> {
        self.call().revoke_owner(project, owner, revocation).await
    }
    async fn revoke_family(&self, project: &ProjectId, family: &TokenId, revocation: &Revocation) -> Answer<u64> {
        self.call().revoke_family(project, family, revocation).await
    }
    async fn revoke_issued_by(&self, project: &ProjectId, issuer: &TokenId, revocation: &Revocation) -> Answer<u64> {
        self.call().revoke_issued_by(project, issuer, revocation).await
    }
    async fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> Answer<BatchResult> {
        self.call().revoke_batch(project, revocation, batch, most).await
    }
    async fn rotate(
        &self,
        key: &TokenKey,
        version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> Answer<Found> {
        self.call().rotate(key, version, successor, grace_until, issuer).await
    }
    async fn touch_many(&self, touches: &[LastUse]) -> Answer<u64> {
        self.call().touch_many(touches).await
    }
}

impl<S: StoreMaintenance> StoreMaintenance for Counting<S> {
    async fn projects(&self, query: &ProjectsQuery) -> Answer<Vec<ProjectId>> {
        let mut query = query.clone();
        query.with = query.with.filter(|_| self.narrows);
        self.call().projects(&query).await
    }
    async fn purge(&self, project: &ProjectId, before: Timestamp, most: PageSize) -> Answer<BatchResult> {
        self.call().purge(project, before, most).await
    }
    async fn ended_issuers(&self, project: &ProjectId, now: Timestamp, most: PageSize) -> Answer<Vec<TokenId>> {
        self.call().ended_issuers(project, now, most).await
    }
    async fn claim_notices(
        &self,
        project: &ProjectId,
        leads: &[NoticeLead],
        now: Timestamp,
        until: Timestamp,
        most: PageSize,
    ) -> Answer<Vec<Arc<TokenRecord>>> {
        self.call().claim_notices(project, leads, now, until, most).await
    }
    async fn acknowledge_notice(&self, key: &TokenKey, lead: NoticeLead) -> Answer<Found> {
        self.call().acknowledge_notice(key, lead).await
    }
    async fn scan(&self, after: Option<TokenKey>, most: PageSize) -> Answer<Option<Vec<Arc<TokenRecord>>>> {
        if self.narrows { self.call().scan(after, most).await } else { Ok(None) }
    }
}

/// Measures one engine with up to `most` projects. Returns `None` if the engine is not installed.
pub async fn measure<E: Engine>(most: u64, population: &Population) -> Option<Table> {
    let mut engine = E::start().await?;
    let title = format!("{}: maintenance jobs with one token in each project", engine.version().await);
    let head = ["projects", "job", "the store knows which projects have work", "time", "calls of the store"];
    let mut table = Table::new(title, &head);
    for (projects, narrows) in [(PROJECTS.min(most).min(E::MOST), true), (FEW.min(most), false)] {
        progress(&format!("maintenance: loading {} projects into {}", number(projects), E::NAME));
        engine.load(population, 0..projects).await;
        jobs(&engine, population, 0..projects, narrows, &mut table).await;
        engine.stop().await;
        engine = E::start().await?;
    }
    engine.stop().await;
    table.note("Idle: no notice is due, and no token has ended.");
    table.note("A call is one call of a method of the store. With nothing to change, it is one statement.");
    Some(table)
}

/// Runs each job once, first when nothing is due, and then the jobs that change tokens when there
/// is work in 100 projects.
async fn jobs<E: Engine>(engine: &E, population: &Population, projects: Range<u64>, narrows: bool, table: &mut Table) {
    let calls = Arc::new(AtomicU64::new(0));
    let store = Counting { store: engine.store().clone(), calls: Arc::clone(&calls), narrows };
    let service = population.tokens(store);
    let count = projects.end - projects.start;
    macro_rules! timed {
        ($job:literal, $run:expr) => {{
            progress(&format!("{}, {} projects", $job, number(count)));
            calls.store(0, Ordering::Relaxed);
            let began = Instant::now();
            let result = $run;
            let time = format!("{:.2} s", began.elapsed().as_secs_f64());
            let knows = if narrows { "yes" } else { "no" };
            let made = number(calls.load(Ordering::Relaxed));
            println!("{} {} {knows} {time} {made}", number(count), $job);
            table.row([number(count), $job.to_owned(), knows.to_owned(), time, made]);
            result
        }};
    }
    let claim = async || {
        let mut claimed = 0;
        loop {
            let notices = service.claim_notices(DAY, PageSize::MAX).await.unwrap().len() as u64;
            claimed += notices;
            if notices == 0 {
                return claimed;
            }
        }
    };
    assert_eq!(timed!("claim, idle", claim().await), 0);
    assert_eq!(timed!("purge, idle", service.purge(100 * DAY).await.unwrap()), 0);
    add_work(engine, population, &projects, narrows).await;
    assert_eq!(timed!("claim, 100 due", claim().await), DUE);
    assert_eq!(timed!("purge, 100 ended", service.purge(100 * DAY).await.unwrap()), DUE);
    let used = timed!("key use", service.key_use(KeyNumber::new(1).unwrap()).await.unwrap());
    assert!(used.live >= count);
    assert_eq!(timed!("dry run", service.dry_run(&Policy::default()).await.unwrap()).len(), 0);
}

/// Inserts a token that needs a notice, and a token that was revoked long ago, into each of 100
/// projects.
async fn add_work<E: Engine>(engine: &E, population: &Population, projects: &Range<u64>, narrows: bool) {
    let count = projects.end - projects.start;
    for place in 0..DUE {
        let mut record = population.token(projects.start + place * (count / DUE)).record;
        let insert = async |kind: u64, record: &mut TokenRecord| {
            // The ids of the other tokens are random, and do not end with these digits.
            let id = format!("1{count:09}{}{place:03}{kind}0", u8::from(narrows));
            record.id = TokenId::new(&id).unwrap();
            record.family = record.id;
            engine.store().insert(record.clone(), None, None).await.unwrap();
        };
        record.expires_at = Some(population.now().saturating_add(5 * DAY));
        insert(1, &mut record).await;
        let (at, by) = (population.now().saturating_sub(200 * DAY), Actor::new("admin").unwrap());
        record.revoked = Some(Revocation { at, by, reason: RevocationReason::CessationOfOperation });
        insert(2, &mut record).await;
    }
}
