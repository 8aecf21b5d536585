//! Starts several processes with data directories of their own on one database, as on several
//! machines.

use std::path::Path;
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use keyfob::SystemClock;
use personal_tokens::db::{Db, query};
use personal_tokens::setup::{self, Settings};
use serde_json::json;
use tokio::time::timeout;

use crate::support::process::{PEPPER, Process, Visitor, client, command, json as json_of, whoami};
use crate::support::{TOKENS, tempdir};
use crate::{mariadb, postgres};

/// Returns a command that starts the service with its own data directory on this database.
fn on(data: &Path, url: &str) -> Command {
    let mut command = command(data);
    command.env("DATABASE_URL", url).env("PEPPER", PEPPER);
    command
}

/// Starts eight processes at the same time on an empty database. One of them creates the first
/// person, and a session and a token of each work at every other.
async fn eight_start_at_once(url: &str) {
    let dirs: Vec<_> = (0..8).map(|_| tempdir()).collect();
    let starts: Vec<_> = dirs
        .iter()
        .map(|dir| {
            let mut command = on(dir.path(), url);
            tokio::task::spawn_blocking(move || Process::start_to_address(&mut command))
        })
        .collect();
    let mut processes = Vec::new();
    for start in starts {
        processes.push(start.await.unwrap());
    }
    let is_first = |process: &&Process| process.printed[0].starts_with("first sign-in, ");
    let firsts: Vec<_> = processes.iter().filter(is_first).collect();
    assert_eq!(firsts.len(), 1, "one process creates the first person");
    let addresses: Vec<String> = processes.iter().map(Process::address).collect();
    let visitor = Visitor::sign_in(&addresses[0], firsts[0].first()).await;
    for (number, at) in addresses.iter().enumerate() {
        let made = visitor.make(at).await;
        let token = made["token"].as_str().unwrap();
        let next = &addresses[(number + 1) % addresses.len()];
        assert_eq!(whoami(&client(), next, token).await.unwrap(), 200, "a token of another process works");
        let url = format!("{next}{TOKENS}{}", made["uuid"].as_str().unwrap());
        assert_eq!(visitor.of(visitor.client.delete(url)).send().await.unwrap().status(), 204);
        assert_eq!(whoami(&client(), at, token).await.unwrap(), 401, "it is revoked everywhere");
    }
    for dir in &dirs {
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the data directory stays empty");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_processes_start_at_once_on_postgresql() {
    let Some(server) = postgres::shared() else { return };
    eight_start_at_once(&server.database()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_processes_start_at_once_on_mariadb() {
    let Some(server) = mariadb::shared() else { return };
    eight_start_at_once(&server.database()).await;
}

/// Checks that a transaction waits for the transaction of another process. What it has read, for
/// example that another administrator is left, then stays true until it commits.
async fn transactions_take_turns(one: &Db, other: &Db) {
    one.create_tables().await.unwrap();
    let first = one.begin().await.unwrap();
    let mut second = pin!(other.begin());
    assert!(timeout(Duration::from_millis(300), &mut second).await.is_err(), "the turn is taken");
    first.commit().await.unwrap();
    second.await.unwrap().roll_back().await.unwrap();
}

#[tokio::test]
async fn transactions_of_two_processes_take_turns() {
    if let Some(server) = postgres::shared() {
        let url = server.database();
        transactions_take_turns(&Db::postgres(&url).await.unwrap(), &Db::postgres(&url).await.unwrap()).await;
    }
    if let Some(server) = mariadb::shared() {
        let url = server.database();
        transactions_take_turns(&Db::mariadb(&url).await.unwrap(), &Db::mariadb(&url).await.unwrap()).await;
    }
}

/// A process with another pepper would accept no token, and its tokens would be refused by the
/// others.
#[tokio::test]
async fn a_host_with_another_pepper_does_not_start() {
    let Some(server) = postgres::shared() else { return };
    let url = server.database();
    let (one, other) = (tempdir(), tempdir());
    let _process = Process::start(&mut on(one.path(), &url), 2);
    let output = command(other.path()).env("DATABASE_URL", &url).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("there is no pepper: restore "), "{said}");
    let wrong = "YW5vdGhlciBwZXBwZXIgb2YgdGhlIHNhbWUgbGVuZ3Ro";
    let output = on(other.path(), &url).env("PEPPER", wrong).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("wrong pepper for key 1: ") && said.contains("the environment variable PEPPER"), "{said}");
    assert!(!said.contains(wrong) && !said.contains(PEPPER), "{said}");
}

/// Runs a process as an earlier version would, which kept everything but the tokens in the data
/// directory. Then starts processes that take the state over into the database of the tokens.
async fn state_is_taken_over(url: &str) {
    let dir = tempdir();
    let data = dir.path();
    let file = format!("sqlite:{}", data.join("personal-tokens.db").display());
    let mut process = Process::start(command(data).env("DATABASE_URL", url).env("STATE_URL", file), 2);
    let (at, first) = (process.address(), process.first());
    let visitor = Visitor::sign_in(&at, first.clone()).await;
    let made = visitor.make(&at).await;
    let ended = visitor.make(&at).await;
    let delete = format!("{at}{TOKENS}{}", ended["uuid"].as_str().unwrap());
    assert_eq!(visitor.of(visitor.client.delete(delete)).send().await.unwrap().status(), 204);
    process.terminate();
    assert!(process.ended().0.success());

    let mut counts = Vec::new();
    for _ in 0..2 {
        let mut process = Process::start(command(data).env("DATABASE_URL", url), 1);
        let at = process.address();
        // The session that began before works, and so do the password and the token.
        let list = visitor.of(visitor.client.get(format!("{at}{TOKENS}"))).send().await.unwrap();
        assert_eq!(list.status(), 200);
        assert_eq!(json_of(list).await.unwrap()[0]["uuid"], made["uuid"]);
        Visitor::sign_in(&at, first.clone()).await;
        assert_eq!(whoami(&client(), &at, made["token"].as_str().unwrap()).await.unwrap(), 200);
        assert_eq!(whoami(&client(), &at, ended["token"].as_str().unwrap()).await.unwrap(), 401);
        process.terminate();
        assert!(process.ended().0.success());
        let log = process.log();
        assert_eq!(log.contains("taken over"), counts.is_empty(), "only the first start takes over: {log}");
        let settings = Settings { database: Some(url.parse().unwrap()), ..Settings::default() };
        let (app, _) = setup::open(data, settings, Arc::new(SystemClock)).await.unwrap();
        counts.push(rows(&app.db).await);
    }
    assert_eq!(counts[0], counts[1], "the second start changes nothing");
    assert_eq!(counts[0], json!({"users": 1, "projects": 4, "admins": 1, "memberships": 2, "revocations": 1}));
}

/// Returns the numbers of rows that no request of the test changes.
async fn rows(db: &Db) -> serde_json::Value {
    let count = async |sql: &'static str| query(sql).value::<i64>(db).await.unwrap();
    json!({
        "users": count("SELECT count(*) FROM users").await,
        "projects": count("SELECT count(*) FROM projects").await,
        "admins": count("SELECT count(*) FROM admins").await,
        "memberships": count("SELECT count(*) FROM memberships").await,
        "revocations": count("SELECT count(*) FROM token_events WHERE event = 'revoked'").await,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_of_a_data_directory_is_taken_over_into_postgresql() {
    let Some(server) = postgres::shared() else { return };
    state_is_taken_over(&server.database()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_of_a_data_directory_is_taken_over_into_mariadb() {
    let Some(server) = mariadb::shared() else { return };
    state_is_taken_over(&server.database()).await;
}
