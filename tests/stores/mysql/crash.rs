//! Kills the server with SIGKILL while tasks issue, revoke and rotate tokens. Every acknowledged
//! operation must be complete afterwards, and no operation may be half done.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keyfob::conformance::{self, CrashLedger};
use keyfob::store::mysql::MysqlStore;

use crate::support::mariadb::Server;
use crate::support::project;
use crate::support::size::is_full;

const KILLS: usize = 3;
const TASKS: usize = 6;
const KINDS: [&str; 5] = ["inserted", "renamed", "revoked", "rotated", "group"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_three_kills_of_the_server() {
    // The number of operations that each life of the server acknowledges.
    let each = if is_full() { 3_500 } else { 400 };
    let Some(server) = Server::start_in(std::env::temp_dir(), &[]) else { return };
    let url = server.database();
    let began = Instant::now();
    let ledger = Arc::new(Mutex::new(CrashLedger::new(project("145"))));
    let count = |ledger: &CrashLedger| KINDS.iter().map(|kind| ledger.acknowledged(kind)).sum::<usize>();
    MysqlStore::connect(&url).await.unwrap().migrate().await.unwrap();
    for kill in 1..=KILLS {
        let store = MysqlStore::connect(&url).await.unwrap();
        let work = |store: MysqlStore, ledger: Arc<Mutex<CrashLedger>>| async move {
            conformance::crash_load(&store, project("145"), |line| ledger.lock().unwrap().read(line)).await
        };
        let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(work(store.clone(), Arc::clone(&ledger)))).collect();
        while count(&ledger.lock().unwrap()) < each * kill {
            assert!(tasks.iter().all(|task| !task.is_finished()), "a task ended before the kill");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.kill();
        for task in tasks {
            assert!(task.await.unwrap().is_err(), "each task ends with an error");
        }
        server.go();
        let ledger = ledger.lock().unwrap().clone();
        ledger.check(&MysqlStore::connect(&url).await.unwrap()).await.assert();
    }
    let ledger = ledger.lock().unwrap();
    println!(
        "{KILLS} kills of MariaDB in {:?}: acknowledged {:?} of {KINDS:?}; 0 lost",
        began.elapsed(),
        KINDS.map(|kind| ledger.acknowledged(kind)),
    );
    let least = each * KILLS;
    assert!(count(&ledger) >= least && KINDS.iter().all(|kind| ledger.acknowledged(kind) * 20 > least));
}

/// With `innodb_flush_log_at_trx_commit=0`, the log of acknowledged commits is in the memory of the
/// server. The same kill then loses them. This shows that the test above can fail. The store
/// refuses this setting, so the test writes with plain SQL.
#[tokio::test]
async fn the_same_kill_loses_what_was_acknowledged_without_a_sync() {
    const ROWS: i64 = 200;
    // Otherwise the server would write its log once per second.
    let settings = ["innodb-flush-log-at-timeout=2700"];
    let Some(server) = Server::start_in(std::env::temp_dir(), &settings) else { return };
    let url = server.database();
    let store = MysqlStore::connect(&url).await.unwrap();
    store.migrate().await.unwrap();
    for (setting, loses) in [(1, false), (0, true)] {
        server.ask(&format!("SET GLOBAL innodb_flush_log_at_trx_commit = {setting}"));
        let pool = sqlx::MySqlPool::connect(&url).await.unwrap();
        for number in 0..ROWS {
            let insert = sqlx::query("INSERT INTO keyfob_turns (project) VALUES (?)");
            insert.bind(format!("s{setting}n{number}")).execute(&pool).await.unwrap();
        }
        server.kill();
        server.go();
        let pool = sqlx::MySqlPool::connect(&url).await.unwrap();
        let left = "SELECT count(*) FROM keyfob_turns WHERE project LIKE ?";
        let left: i64 = sqlx::query_scalar(left).bind(format!("s{setting}n%")).fetch_one(&pool).await.unwrap();
        println!("innodb_flush_log_at_trx_commit={setting}: {} of {ROWS} acknowledged rows lost", ROWS - left);
        assert_eq!(left < ROWS, loses);
    }
}
