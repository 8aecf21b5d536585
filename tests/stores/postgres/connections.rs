//! Tests with connections that break, that fall silent, or that have other settings than the rest
//! of the pool.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use keyfob::{
    Policy, TokenRecord, TokenStore,
    import::{ImportKey, ImportStore},
    mint,
    record::{Revocation, RevocationReason},
    store::{
        CountQuery, ListQuery, LiveLimit, ProjectsQuery, StoreErrorKind, StoreMaintenance, postgres::PostgresStore,
    },
};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::support::postgres::{Server, shared};
use crate::support::{actor, keyring, new_token, now};

/// The maximum time that a test waits for something.
const PATIENCE: Duration = Duration::from_secs(60);

fn record() -> TokenRecord {
    mint(&keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap().record
}

/// Opens all connections of the pool, and makes the server close them.
async fn end_all(pool: &PgPool, admin: &PgPool) {
    let most = pool.options().get_max_connections();
    let mut held = Vec::new();
    for _ in 0..most {
        held.push(pool.acquire().await.unwrap());
    }
    drop(held);
    let asked = Instant::now();
    while pool.num_idle() < most as usize {
        assert!(asked.elapsed() < PATIENCE, "only {} of {most} connections came back", pool.num_idle());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let end = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity \
               WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    let ended: i64 = sqlx::query_scalar(end).fetch_one(admin).await.unwrap();
    assert!(ended >= i64::from(most), "only {ended} connections ended");
}

#[tokio::test]
async fn every_call_is_tried_again_on_a_connection_that_lives() {
    let Some(server) = shared() else { return };
    let store = server.store().await;
    let options = store.pool().connect_options().as_ref().clone();
    let admin = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let record = store.insert(record(), None, None).await.unwrap();
    let project = record.project;
    let revocation = Revocation { at: now(), by: actor(), reason: RevocationReason::KeyCompromise };
    for call in ["find", "list", "count", "find_imported", "projects", "insert", "revoke"] {
        end_all(store.pool(), &admin).await;
        let done = match call {
            "find" => store.find(&record.key()).await.map(drop),
            "list" => store.list(&ListQuery::new(project)).await.map(drop),
            "count" => store.count(&CountQuery::new(project)).await.map(drop),
            "find_imported" => store.find_imported(&ImportKey::from_bytes([7; 32])).await.map(drop),
            "projects" => store.projects(&ProjectsQuery::default()).await.map(drop),
            "insert" => store.insert(self::record(), None, None).await.map(drop),
            _ => store.revoke(&record.key(), &revocation).await.map(drop),
        };
        assert!(done.is_ok(), "{call}: {done:?}");
    }
}

/// A proxy in front of a server. While `armed` is true, it waits for certain bytes from a client.
/// The first connection on which a client sends them falls silent: it stays open, but the bytes and
/// all later bytes of the client do not reach the server. To the server, the client's machine seems
/// to be gone.
struct Proxy {
    port: u16,
    armed: Arc<AtomicBool>,
}

impl Proxy {
    fn before(server: u16, looks_for: fn(&[u8]) -> bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, armed) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(false)));
        let arms = Arc::clone(&armed);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let (to_server, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let arms = Arc::clone(&arms);
                let falls_silent = move |bytes: &[u8]| looks_for(bytes) && arms.swap(false, Ordering::SeqCst);
                thread::spawn(move || pass(client, to_server, falls_silent));
                thread::spawn(move || pass(server, to_client, |_| false));
            }
        });
        Self { port, armed }
    }
}

/// Passes bytes on until one side closes the connection. After `falls_silent` returns true, passes
/// no more bytes in this direction, but leaves the connection open.
fn pass(mut from: TcpStream, mut to: TcpStream, mut falls_silent: impl FnMut(&[u8]) -> bool) {
    let mut bytes = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if falls_silent(&bytes[..count]) {
            loop {
                thread::park();
            }
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // The thread for the other direction may have closed the connection already, so errors are
    // ignored.
    drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
}

#[tokio::test]
async fn a_connection_that_falls_silent_as_it_is_given_back_loses_its_place_in_the_pool() {
    let Some(server) = shared() else { return };
    let url = server.database();
    // sqlx sends exactly these bytes only when a connection returns to the pool.
    let proxy = Proxy::before(server.port, |bytes| bytes == b"S\0\0\0\x04");
    let pool = PgPoolOptions::new().max_connections(1).connect(&server.url_by(proxy.port, &url)).await.unwrap();
    let store = PostgresStore::from_pool(pool).await.unwrap();
    store.migrate().await.unwrap();
    let record = store.insert(record(), None, None).await.unwrap();
    proxy.armed.store(true, Ordering::SeqCst);
    let silenced = Instant::now();
    while proxy.armed.load(Ordering::SeqCst) {
        assert!(store.find(&record.key()).await.is_ok());
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(silenced.elapsed() < PATIENCE);
    }
    // A call waits for up to 5 seconds. After three calls, the pool must have replaced the
    // connection.
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(store.find(&record.key()).await.map(|found| found.is_some()));
    }
    assert!(outcomes.iter().any(Result::is_ok), "{outcomes:?}");
}

#[tokio::test]
async fn a_process_that_is_gone_in_the_middle_of_a_call_does_not_keep_the_turn() {
    let Some(server) = shared() else { return };
    let url = server.database();
    let proxy = Proxy::before(server.port, |bytes| bytes.windows(6).any(|word| word == b"COMMIT"));
    let (gone, other) = (server.url_by(proxy.port, &url), PostgresStore::connect(&url).await.unwrap());
    let gone = PostgresStore::connect(&gone).await.unwrap();
    other.migrate().await.unwrap();
    let limit = Some(LiveLimit { most: 100, now: now() });
    proxy.armed.store(true, Ordering::SeqCst);
    let unknown = gone.insert(record(), limit, None).await.unwrap_err();
    assert_eq!(unknown.kind(), StoreErrorKind::Unavailable);
    assert!(!proxy.armed.load(Ordering::SeqCst), "the connection fell silent before it held the project's lock");
    let begun = Instant::now();
    while let Err(error) = other.insert(record(), limit, None).await {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(begun.elapsed() < PATIENCE, "the project's lock is still held");
    }
}

/// A pool has one connection with weaker settings. `from_pool` checks only one connection of a
/// pool. In this test, it checks the other connection.
#[tokio::test]
async fn what_is_acknowledged_on_a_weaker_connection_of_the_pool_survives_a_crash() {
    // With this setting, only a COMMIT that waits for the disk writes the log during this test.
    let Some(server) = Server::start_in(std::env::temp_dir(), &["wal_writer_delay=10000ms"]) else { return };
    let opened = Arc::new(AtomicU32::new(0));
    let pool = PgPoolOptions::new().max_connections(2).after_connect(move |connection, _| {
        let number = opened.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if number > 0 {
                sqlx::raw_sql("SET synchronous_commit = off").execute(connection).await?;
            }
            Ok(())
        })
    });
    let store = PostgresStore::from_pool(pool.connect(&server.database()).await.unwrap()).await.unwrap();
    store.migrate().await.unwrap();
    // The test holds the good connection, so that the store uses the weaker one.
    let held = [store.pool().acquire().await.unwrap(), store.pool().acquire().await.unwrap()];
    let mut good = None;
    for mut connection in held {
        let setting: String = sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&mut *connection).await.unwrap();
        good = if setting == "on" { Some(connection) } else { good };
    }
    assert!(good.is_some());
    let record = store.insert(record(), None, None).await.unwrap();
    server.halt("immediate");
    drop(good);
    server.go();
    let found = store.find(&record.key()).await.unwrap();
    assert_eq!(found, Some(record));
}

/// A trigger of the test notes the setting that each transaction of the store has.
#[tokio::test]
async fn the_server_ends_a_frozen_transaction_after_at_most_10_seconds() {
    let Some(server) = shared() else { return };
    let store = server.store().await;
    let notes = "CREATE TABLE notes (setting text); \
                 CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 INSERT INTO notes VALUES (current_setting('idle_in_transaction_session_timeout')); RETURN NULL; END $$; \
                 CREATE TRIGGER note AFTER INSERT ON keyfob_tokens FOR EACH STATEMENT EXECUTE FUNCTION note()";
    sqlx::raw_sql(notes).execute(store.pool()).await.unwrap();
    for (of_pool, of_store) in
        [("0", "10s"), ("3s", "3s"), ("10s", "10s"), ("10001ms", "10s"), ("5min", "10s"), ("2d", "10s")]
    {
        let options = store.pool().connect_options().as_ref().clone();
        let options = options.options([("idle_in_transaction_session_timeout", of_pool)]);
        let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        let weaker = PostgresStore::from_pool(pool).await.unwrap();
        weaker.insert(record(), None, None).await.unwrap();
        let noted: Vec<String> =
            sqlx::query_scalar("DELETE FROM notes RETURNING setting").fetch_all(store.pool()).await.unwrap();
        assert!(!noted.is_empty() && noted.iter().all(|setting| setting == of_store), "{of_pool}: {noted:?}");
    }
}
