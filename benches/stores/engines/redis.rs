//! The engine Redis. The benchmark fills it by inserts through the store.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use keyfob::{TokenKey, TokenStore, store::redis::RedisStore};
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{Client, IntoConnectionInfo, Value, cmd};

use super::redis_server::Servers;
use super::{Engine, FOLDER, bytes_in};
use crate::tokens::Population;

/// The number of concurrent inserts. It is large, so that one sync of the server covers many
/// inserts.
const TASKS: usize = 512;
/// The number of connections for the inserts. Between two syncs, the server reads at most 16 KB
/// from each connection. With more connections, each sync therefore covers more inserts.
const CONNECTIONS: usize = 32;
/// Settings that keep the server from rewriting the append-only file during a measurement.
const SETTINGS: [&str; 2] = ["--auto-aof-rewrite-percentage", "0"];
/// The names of the fields of a record, in the order in which the store's script reads them.
const FIELDS: [&str; 27] = [
    "px", "dg", "na", "ow", "ki", "sc", "me", "ad", "ca", "cb", "co", "nb", "ex", "lu", "da", "db", "ra", "rb", "rr",
    "fa", "rf", "rt", "gr", "rq", "ns", "nl", "ve",
];

/// A folder in memory. If it exists, the server keeps its append-only file there. The server syncs
/// the file before it acknowledges an insert, so a million inserts take many minutes on a disk.
const QUICK: &str = "/dev/shm";

/// Returns whether the folder in memory, [`QUICK`], exists.
fn is_quick() -> bool {
    Path::new(QUICK).is_dir()
}

pub struct Redis {
    store: RedisStore,
    servers: Servers,
    /// The connection for the reads that do not use the store.
    bare: MultiplexedConnection,
    /// The memory that the server used before the benchmark loaded tokens, in bytes.
    empty: u64,
}

impl Engine for Redis {
    type Store = RedisStore;

    const NAME: &'static str = "Redis";
    const MOST: u64 = 1_000_000;
    const FLOOR: &'static str = "bare HMGET of the same fields, without a script, on the same kind of connection";
    const AT_MOST: Option<(f64, f64)> = None;

    async fn start() -> Option<Self> {
        let servers = Servers::one_in(if is_quick() { QUICK } else { FOLDER }, &SETTINGS)?;
        let tcp = TcpSettings::default().set_nodelay(true);
        let address = servers.urls().swap_remove(0).into_connection_info().unwrap().set_tcp_settings(tcp);
        let bare = Client::open(address).unwrap().get_multiplexed_async_connection().await.unwrap();
        let store = servers.store().await;
        let empty = told(&servers, "memory", "used_memory");
        Some(Self { store, servers, bare, empty })
    }

    async fn version(&self) -> String {
        let info = self.servers.ask(&["INFO", "server"]);
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
        let place = if is_quick() { ", append-only file in memory" } else { "" };
        format!("Redis {}{place}", version.unwrap_or_default().trim())
    }

    async fn load(&mut self, population: &Population, projects: Range<u64>) {
        let next = Arc::new(AtomicU64::new(projects.start * population.in_project));
        let end = projects.end * population.in_project;
        let mut stores = Vec::new();
        for _ in 0..CONNECTIONS {
            stores.push(self.servers.store().await);
        }
        let task = |task: usize| {
            let store = stores[task % CONNECTIONS].clone();
            let (population, next) = (population.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= end {
                        return;
                    }
                    store.insert(population.token(number).record, None, None).await.unwrap();
                }
            })
        };
        for task in (0..TASKS).map(task).collect::<Vec<_>>() {
            task.await.unwrap();
        }
    }

    fn store(&self) -> &RedisStore {
        &self.store
    }

    async fn read_barely(&self, key: &TokenKey) {
        let TokenKey { project, id } = key;
        let mut row = cmd("HMGET");
        row.arg(format!("keyfob:{{{project}}}:token:{id}")).arg(&FIELDS);
        let row: Value = row.query_async(&mut self.bare.clone()).await.unwrap();
        assert!(matches!(row, Value::Array(values) if values[0] != Value::Nil));
    }

    async fn room(&mut self, tokens: u64) -> Vec<(&'static str, f64)> {
        let memory = told(&self.servers, "memory", "used_memory") - self.empty;
        let files = self.servers.folder(0).join("appendonlydir");
        let appended = bytes_in(&files);
        self.servers.ask(&["BGREWRITEAOF"]);
        while told(&self.servers, "persistence", "aof_rewrite_in_progress") != 0
            || told(&self.servers, "persistence", "aof_rewrite_scheduled") != 0
        {
            sleep(Duration::from_millis(200));
        }
        let each = |bytes: u64| bytes as f64 / tokens as f64;
        vec![
            ("in memory", each(memory)),
            ("on disk, append-only file before its rewrite", each(appended)),
            ("on disk, append-only file after its rewrite", each(bytes_in(&files))),
        ]
    }

    async fn stop(self) {
        drop(self.servers);
    }
}

/// Returns the number with this name from a section of the server's reply to the command INFO.
fn told(servers: &Servers, section: &str, name: &str) -> u64 {
    let info = servers.ask(&["INFO", section]);
    let told = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    told.unwrap().trim().parse().unwrap()
}
