//! One call revokes a group of any size, while a concurrent task keeps rotating tokens of the
//! group.

use std::future::Future;
use std::mem::replace;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keyfob::{
    Access, ErrorKind, Name, NewToken, OwnerId, Status, Timestamp, TokenRecord, TokenStore, Tokens,
    record::RevocationReason,
    rotation::Rotation,
    store::{ListQuery, PageSize, RevokeGroup, StoreMaintenance, sqlite::SqliteStore},
};

use crate::support::{actor, keyring, project, size};
use crate::traps::world::{DAY, MS, Made};

const PROJECT: &str = "145";
/// The number of tokens that the concurrent task rotates while the test revokes all tokens of an
/// owner. While the test revokes a family, the task rotates only one token.
const CHAINS: u64 = 20;

/// An empty database of one engine.
trait Database {
    type Store: TokenStore + StoreMaintenance + 'static;

    /// Opens a new store on the database. The store shares no connection or other state with the
    /// stores opened before.
    fn open(&self) -> impl Future<Output = Self::Store>;

    /// Inserts copies of a record. The ids of the copies contain the given numbers. All copies get
    /// the given expiry. A copy cannot be verified, because no token text belongs to it.
    fn copy(
        &self,
        store: &Self::Store,
        row: &TokenRecord,
        numbers: RangeInclusive<u64>,
        expires_at: Option<Timestamp>,
    ) -> impl Future<Output = ()>;
}

#[derive(Clone, Copy, Debug)]
enum By {
    Owner,
    Family,
}

/// Runs `one_call_revokes` twice for each kind of group, each time on an empty database. The group
/// of the first run has many ended tokens and a few live ones. The group of the second run has many
/// live tokens and no ended ones.
macro_rules! for_each_group {
    ($database:expr) => {
        let many = if size::is_full() { 200_000 } else { 3_000 };
        for by in [By::Owner, By::Family] {
            for (dead, live) in [(many, 50), (0, many)] {
                one_call_revokes(&$database, by, dead, live).await;
            }
        }
    };
}

async fn one_call_revokes<D: Database>(database: &D, by: By, dead: u64, live: u64) {
    let tokens = Tokens::new(keyring(), database.open().await);
    let issue = async |owner: &str| {
        let new = NewToken::new(project(PROJECT), OwnerId::new(owner).unwrap(), Name::new("CI").unwrap());
        tokens.issue(&actor(), new).await.unwrap()
    };
    let (first, other) = (issue("ada").await, issue("grace").await);
    let template = Arc::clone(&first.record);
    let (group, rotated) = match by {
        By::Owner => (RevokeGroup::Owner(template.owner.clone()), CHAINS),
        By::Family => (RevokeGroup::Family(template.family), 1),
    };
    let mut heads = vec![first];
    while (heads.len() as u64) < rotated {
        heads.push(issue("ada").await);
    }
    // Half of the ended tokens ended so long ago that a revocation may skip them.
    let (long_ago, just_now) = (template.created_at.saturating_sub(2 * DAY), template.created_at.checked_add(MS));
    let kinds = [(dead / 2, Some(long_ago)), (dead - dead / 2, just_now), (live - rotated, template.expires_at)];
    let mut last = 0;
    for (count, expires_at) in kinds {
        if count > 0 {
            database.copy(tokens.store(), &template, last + 1..=last + count, expires_at).await;
        }
        last += count;
    }

    let progress = Arc::new(Progress::default());
    let writer = keep_rotating(Tokens::new(keyring(), database.open().await), heads, Arc::clone(&progress));
    let writer = tokio::spawn(writer);
    while progress.rotated(BEFORE) < 2 * rotated {
        assert!(!writer.is_finished(), "the writer failed");
        tokio::time::sleep(MS).await;
    }
    let begun = Instant::now();
    progress.phase.store(DURING, Ordering::SeqCst);
    let reason = RevocationReason::KeyCompromise;
    let count = match by {
        By::Owner => tokens.revoke_everywhere(&actor(), &group, reason, None).await.unwrap(),
        By::Family => tokens.revoke_group(&actor(), &project(PROJECT), &group, reason).await.unwrap(),
    };
    let (took, acknowledged) = (begun.elapsed(), tokens.now());
    progress.phase.store(AFTER, Ordering::SeqCst);
    let made = writer.await.unwrap();
    println!(
        "{by:?} with {dead} ended and {live} live tokens: one call revoked {count} in {took:?}, during {} rotations",
        progress.rotated(DURING)
    );

    assert!(count >= live, "{count} revoked");
    assert_eq!(progress.rotated(AFTER), 0, "a rotation succeeded after the acknowledgement");
    for made in &made {
        let access = Access::to(&made.record.project, &[]);
        let verified = tokens.verify(made.token.expose_secret(), &access).await;
        assert!(verified.unwrap_err().rejection().is_some(), "{}", made.record.id);
    }
    let mut query = ListQuery { most: PageSize::MAX, ..ListQuery::new(project(PROJECT)) };
    let mut of_group = 0;
    loop {
        let page = tokens.store().list(&query).await.unwrap();
        for record in page.items.iter().filter(|record| group.contains(record)) {
            assert!(!record.can_still_work(acknowledged), "{record:?}");
            of_group += 1;
        }
        let Some(next) = page.next else { break };
        query.after = Some(next);
    }
    assert!(of_group >= dead + live, "{of_group} rows");
    let access = Access::to(&other.record.project, &[]);
    assert!(
        tokens.verify(other.token.expose_secret(), &access).await.is_ok(),
        "the token of another owner must still work"
    );
}

const BEFORE: usize = 0;
const DURING: usize = 1;
const AFTER: usize = 2;

/// The current phase of the test (before, during or after the revocation), and the number of
/// successful rotations that began in each phase.
#[derive(Default)]
struct Progress {
    phase: AtomicUsize,
    rotated: [AtomicU64; 3],
}

impl Progress {
    fn rotated(&self, phase: usize) -> u64 {
        self.rotated[phase].load(Ordering::SeqCst)
    }
}

/// Rotates the last token of each chain in turn. After the group's revocation is acknowledged,
/// tries once more to rotate each chain, and then stops. Returns all tokens of the chains.
async fn keep_rotating<S: TokenStore>(tokens: Tokens<S>, mut heads: Vec<Made>, progress: Arc<Progress>) -> Vec<Made> {
    let mut outdated = Vec::new();
    loop {
        let round = progress.phase.load(Ordering::SeqCst);
        for head in &mut heads {
            // The phase in which the rotation begins. The rotation may end in a later phase.
            let phase = progress.phase.load(Ordering::SeqCst);
            let outcome = tokens.rotate(&actor(), &head.record.key(), Rotation::with_grace(Duration::ZERO)).await;
            let has_begun = progress.phase.load(Ordering::SeqCst) != BEFORE;
            match outcome {
                Ok(next) => {
                    outdated.push(replace(head, next.issued));
                    progress.rotated[phase].fetch_add(1, Ordering::SeqCst);
                }
                Err(error) if error.kind() == ErrorKind::Ended(Status::Revoked) && has_begun => {}
                // The rotation waited so long for the store that the store gave up.
                Err(error) if phase == DURING && error.kind() == ErrorKind::Unavailable => {}
                Err(error) => panic!("{error:?} in phase {phase}"),
            }
        }
        if round == AFTER {
            outdated.append(&mut heads);
            return outdated;
        }
    }
}

/// Returns the SQL statement that inserts copies of a record, for SQLite and PostgreSQL.
fn copy_in_sql(row: &TokenRecord, numbers: RangeInclusive<u64>, expires_at: Option<Timestamp>) -> String {
    let columns = "prefix, project, digest, name, name_folded, owner, kind, scopes, metadata, addresses, created_at, created_by, \
                   family, notice_leases, version";
    let (first, last) = numbers.into_inner();
    let expires_at = expires_at.map_or("NULL".to_owned(), |time| time.as_unix_millis().to_string());
    format!(
        "INSERT INTO keyfob_tokens (id, expires_at, {columns}) \
         WITH RECURSIVE numbers (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last}) \
         SELECT CAST(1000000000000000 + n AS TEXT), {expires_at}, {columns} \
         FROM keyfob_tokens, numbers WHERE project = '{}' AND id = '{}'",
        row.project, row.id
    )
}

struct Sqlite(tempfile::TempDir);

impl Database for Sqlite {
    type Store = SqliteStore;

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(self.0.path().join("tokens.db")).await.unwrap()
    }

    async fn copy(
        &self,
        store: &SqliteStore,
        row: &TokenRecord,
        numbers: RangeInclusive<u64>,
        expires_at: Option<Timestamp>,
    ) {
        let sql = copy_in_sql(row, numbers, expires_at);
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(store.pool()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_revokes_a_large_group_on_sqlite() {
    for_each_group!(Sqlite(tempfile::tempdir().unwrap()));
}

#[cfg(feature = "postgres")]
mod postgres {
    use keyfob::store::postgres::PostgresStore;

    use super::*;
    use crate::support::postgres::shared;

    struct Postgres(String);

    impl Database for Postgres {
        type Store = PostgresStore;

        async fn open(&self) -> PostgresStore {
            let store = PostgresStore::connect(&self.0).await.unwrap();
            store.migrate().await.unwrap();
            store
        }

        async fn copy(
            &self,
            store: &PostgresStore,
            row: &TokenRecord,
            numbers: RangeInclusive<u64>,
            expires_at: Option<Timestamp>,
        ) {
            let sql = copy_in_sql(row, numbers, expires_at);
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(store.pool()).await.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_call_revokes_a_large_group_on_postgres() {
        let Some(server) = shared() else { return };
        for_each_group!(Postgres(server.database()));
    }
}

#[cfg(feature = "redis")]
mod redis_cluster {
    use keyfob::store::redis::RedisStore;

    use super::*;
    use crate::support::redis::Servers;

    /// The number of records that one run of the Lua script in `copy` inserts. The node is busy
    /// during the run. The run must end long before the cluster assumes that the node has failed.
    const AT_ONCE: u64 = 2_000;

    struct Cluster<'s>(&'s Servers);

    impl<'s> Cluster<'s> {
        fn emptied(servers: &'s Servers) -> Self {
            servers.flush();
            Self(servers)
        }
    }

    impl Database for Cluster<'_> {
        type Store = RedisStore;

        async fn open(&self) -> RedisStore {
            self.0.store().await
        }

        async fn copy(
            &self,
            _: &RedisStore,
            row: &TokenRecord,
            numbers: RangeInclusive<u64>,
            expires_at: Option<Timestamp>,
        ) {
            let script = concat!(
                include_str!("../../../src/adapters/redis/lua/rows.lua"),
                include_str!("../../../src/adapters/redis/lua/change.lua"),
                "local row = read(ARGV[2]) \
                 row.ex = ARGV[5] ~= '' and ARGV[5] or nil \
                 for n = tonumber(ARGV[3]), tonumber(ARGV[4]) do add(string.format('1%015d', n), row) end \
                 return 'OK'"
            );
            let prefix = format!("keyfob:{{{}}}:", row.project);
            let fences = format!("{prefix}fences");
            let expires_at = expires_at.map_or(String::new(), |time| time.as_unix_millis().to_string());
            let master = self.0.master_of(&row.project);
            for first in numbers.clone().step_by(AT_ONCE as usize) {
                let last = (first + AT_ONCE - 1).min(*numbers.end());
                let (first, last) = (first.to_string(), last.to_string());
                let arguments = ["0", row.id.as_str(), &first, &last, &expires_at];
                let mut command = vec!["EVAL", script, "2", &prefix, &fences];
                command.extend(arguments);
                assert_eq!(self.0.ask_node(master, &command).trim(), "OK");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_call_revokes_a_large_group_on_a_redis_cluster() {
        // This test needs its own cluster, because other tests empty the shared one.
        let Some(servers) = Servers::cluster(0) else { return };
        for_each_group!(Cluster::emptied(&servers));
    }
}
