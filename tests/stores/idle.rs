//! Tests that a purge and a claim of notices write nothing and notify no cache if they change
//! nothing. Each test also makes a purge and a claim that change something, to show that it would
//! notice them.

use std::time::Duration;

use keyfob::{
    Policy, Timestamp, TokenKey, TokenStore, mint,
    notices::NoticeLead,
    store::{PageSize, ProjectsQuery, ProjectsWith, StoreMaintenance},
};

use crate::support::{actor, keyring, new_token, now};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Inserts a token and returns its key and its expiry.
async fn insert<S: TokenStore>(store: &S) -> (TokenKey, Timestamp) {
    let issued = mint(&keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap();
    let record = store.insert(issued.record, None, None).await.unwrap();
    (record.key(), record.expires_at.unwrap())
}

/// Runs the maintenance operations when nothing is due.
async fn idle<S: StoreMaintenance>(store: &S, key: &TokenKey) {
    let (project, leads) = (key.project, vec![NoticeLead::DAY]);
    for work in [
        ProjectsWith::EndedBefore(now()),
        ProjectsWith::DueNotices { leads: leads.clone(), now: now() },
        ProjectsWith::EndedIssuers(now()),
        ProjectsWith::KeyNumber(key.id.key_number()),
    ] {
        store.projects(&ProjectsQuery { with: Some(work), ..ProjectsQuery::default() }).await.unwrap();
    }
    assert_eq!(store.ended_issuers(&project, now(), PageSize::MAX).await.unwrap(), []);
    let purged = store.purge(&project, now(), PageSize::MAX).await.unwrap();
    assert_eq!((purged.count, purged.done), (0, true));
    let until = now().saturating_add(DAY);
    assert_eq!(store.claim_notices(&project, &leads, now(), until, PageSize::MAX).await.unwrap(), []);
    store.scan(None, PageSize::MAX).await.unwrap();
}

async fn claim<S: StoreMaintenance>(store: &S, key: &TokenKey, expires_at: Timestamp) {
    let due = expires_at.saturating_sub(DAY);
    let claimed = store.claim_notices(&key.project, &[NoticeLead::DAY], due, expires_at, PageSize::MAX).await.unwrap();
    assert!(claimed.iter().any(|claimed| claimed.key() == *key));
}

async fn purge<S: StoreMaintenance>(store: &S, key: &TokenKey) {
    assert!(store.purge(&key.project, Timestamp::MAX, PageSize::MAX).await.unwrap().count > 0);
}

/// Runs idle operations, a claim and a purge. `writes` returns a number that changes with each
/// write. `told` returns the number of notifications since its last call.
async fn writes_only_for_work<S: TokenStore + StoreMaintenance, W: PartialEq + std::fmt::Debug>(
    store: &S,
    writes: impl AsyncFn() -> W,
    mut told: impl AsyncFnMut() -> usize,
) {
    let (key, expires_at) = insert(store).await;
    told().await;
    let before = writes().await;
    for _ in 0..3 {
        idle(store, &key).await;
    }
    assert_eq!(writes().await, before, "idle operations wrote");
    assert_eq!(told().await, 0, "idle operations notified caches");
    claim(store, &key, expires_at).await;
    let claimed = writes().await;
    assert_ne!(claimed, before, "this test does not notice a claim");
    assert_eq!(told().await, 1, "this test does not notice the notification of a claim");
    purge(store, &key).await;
    assert_ne!(writes().await, claimed, "this test does not notice a purge");
    assert_eq!(told().await, 1, "this test does not notice the notification of a purge");
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn postgres_begins_no_transaction_that_writes_if_nothing_is_due() {
    use sqlx::postgres::PgListener;

    use crate::support::postgres::Server;

    // The automatic vacuum would write, too.
    let Some(server) = Server::start_in(std::env::temp_dir(), &["autovacuum=off"]) else { return };
    let store = server.store().await.telling_changes();
    let mut listener = PgListener::connect_with(store.pool()).await.unwrap();
    listener.listen("keyfob").await.unwrap();
    // Each transaction that writes or notifies takes the next number.
    let next = async || -> String {
        let next = sqlx::query_scalar("SELECT pg_snapshot_xmax(pg_current_snapshot())::text");
        next.fetch_one(store.pool()).await.unwrap()
    };
    let told = async || {
        let mut count = 0;
        while tokio::time::timeout(Duration::from_millis(300), listener.recv()).await.is_ok() {
            count += 1;
        }
        count
    };
    writes_only_for_work(&store, next, told).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn sqlite_needs_no_lock_to_write_if_nothing_is_due() {
    use keyfob::store::sqlite::SqliteStore;
    use sqlx::{ConnectOptions, Connection};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.db");
    let store = SqliteStore::open(&path).await.unwrap();
    // This number changes if another connection has written to the file.
    let watch = SqliteStore::connect_options(&path).connect().await.unwrap();
    let watch = tokio::sync::Mutex::new(watch);
    let version = async || -> i64 {
        let mut watch = watch.lock().await;
        sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut *watch).await.unwrap()
    };
    let (key, expires_at) = insert(&store).await;
    let before = version().await;
    // While another process writes for a long time, idle operations do not wait for it.
    let mut writer = SqliteStore::connect_options(&path).connect().await.unwrap();
    let lock = writer.begin_with("BEGIN IMMEDIATE").await.unwrap();
    idle(&store, &key).await;
    lock.rollback().await.unwrap();
    assert_eq!(version().await, before, "idle operations wrote");
    claim(&store, &key, expires_at).await;
    let claimed = version().await;
    assert_ne!(claimed, before, "this test does not notice a claim");
    purge(&store, &key).await;
    assert_ne!(version().await, claimed, "this test does not notice a purge");
}

#[cfg(all(feature = "mysql", feature = "conformance"))]
#[tokio::test]
async fn mysql_changes_no_row_if_nothing_is_due() {
    use crate::support::mariadb::Server;

    let Some(server) = Server::start() else { return };
    let store = server.store().await;
    let (key, expires_at) = insert(&store).await;
    // The numbers of statements that write, and of transactions.
    let writes = || {
        let names = ["begin", "insert", "insert_select", "update", "update_multi", "delete", "delete_multi"];
        let names = names.map(|name| format!("'Com_{name}'")).join(", ");
        server.ask(&format!("SHOW GLOBAL STATUS WHERE Variable_name IN ({names})"))
    };
    let before = writes();
    for _ in 0..3 {
        idle(&store, &key).await;
    }
    assert_eq!(writes(), before, "idle operations wrote");
    claim(&store, &key, expires_at).await;
    let claimed = writes();
    assert_ne!(claimed, before, "this test does not notice a claim");
    purge(&store, &key).await;
    assert_ne!(writes(), claimed, "this test does not notice a purge");
}

#[cfg(all(feature = "redis", feature = "conformance"))]
#[tokio::test]
async fn redis_changes_no_key_if_nothing_is_due() {
    use std::cell::Cell;

    use crate::support::redis::Servers;

    let Some(servers) = Servers::one() else { return };
    let store = servers.store().await.with_feed();
    let number = |section: &str, name: &str| -> usize {
        let told = servers.ask(&["INFO", section]);
        let line = told.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
        let digits = line.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
        digits.parse().unwrap()
    };
    let changes = async || number("persistence", "rdb_changes_since_last_save:");
    let published = Cell::new(0);
    let told = async || {
        let all = number("commandstats", "cmdstat_publish:calls=");
        all - published.replace(all)
    };
    writes_only_for_work(&store, changes, told).await;
}

#[cfg(feature = "cache")]
#[tokio::test]
async fn a_cache_keeps_what_maintenance_does_not_change() {
    use keyfob::MemoryStore;
    use keyfob::store::cache::Cached;

    let store = Cached::new(MemoryStore::new(), Duration::from_secs(60));
    let (key, expires_at) = insert(&store).await;
    let (other, _) = insert(&store).await;
    let cached = async |key: &TokenKey| {
        let misses = store.counts().misses;
        store.find_recent(key).await.unwrap();
        store.counts().misses == misses
    };
    assert!(!cached(&key).await && !cached(&other).await);
    idle(&store, &key).await;
    assert!(cached(&key).await && cached(&other).await, "idle operations emptied the cache");
    // Only the notice of the first token is acknowledged, so only the second one is claimed.
    store.acknowledge_notice(&key, NoticeLead::DAY).await.unwrap();
    assert!(cached(&key).await);
    claim(&store, &other, expires_at).await;
    assert!(cached(&key).await, "a claim dropped a token that it did not change");
    assert!(!cached(&other).await, "a claim kept a token that it changed");
    purge(&store, &key).await;
    assert!(!cached(&key).await, "a purge kept a token that it deleted");
}
