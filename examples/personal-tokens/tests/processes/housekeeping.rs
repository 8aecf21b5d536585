//! Tests the periodic work of the process, which runs beside the requests.

use std::time::Duration;

use keyfob::{ProjectId, TokenId, TokenKey, TokenStore, store::sqlite::SqliteStore};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::support::process::{Process, Visitor, client, command, whoami};
use crate::support::{TOKENS, tempdir, until};

/// The server that publishes GitHub's keys accepts the connection and never responds.
#[tokio::test]
async fn slow_fetch_of_keys_does_not_delay_last_uses() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dir = tempdir();
    let config = json!({ "github_keys": format!("http://{}/", silent.local_addr().unwrap()) });
    std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    let process = Process::start(&mut command(dir.path()), 2);
    let (mut asked, _) = silent.accept().await.unwrap();
    let at = process.address();
    let visitor = Visitor::sign_in(&at, process.first()).await;
    let made = visitor.make(&at).await;
    let token = made["token"].as_str().unwrap();
    assert_eq!(whoami(&client(), &at, token).await.unwrap(), 200);

    let mut parts = token.rsplit('_').skip(1);
    let (id, project) = (parts.next().unwrap(), parts.next().unwrap());
    let key = TokenKey { project: ProjectId::new(project).unwrap(), id: TokenId::new(id).unwrap() };
    let store = SqliteStore::open(dir.path().join("personal-tokens.db")).await.unwrap();
    let written = async {
        while store.find(&key).await.unwrap().unwrap().last_used_at.is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let given_up = async {
        // The loop reads the request, and then waits until the service closes the connection.
        while asked.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
    };
    tokio::select! {
        () = written => {}
        () = given_up => panic!("the last use waited for the keys"),
    }
}

#[tokio::test]
async fn tokens_that_ended_long_ago_are_deleted() {
    let dir = tempdir();
    let mut process = Process::start(&mut command(dir.path()), 2);
    let at = process.address();
    let visitor = Visitor::sign_in(&at, process.first()).await;
    let made = visitor.make(&at).await;
    let url = format!("{at}{TOKENS}{}", made["uuid"].as_str().unwrap());
    assert_eq!(visitor.of(visitor.client.delete(url)).send().await.unwrap().status(), 204);
    process.terminate();
    assert!(process.ended().0.success());

    // The first process has done the work of this day. So it is made due again.
    let store = SqliteStore::open(dir.path().join("personal-tokens.db")).await.unwrap();
    sqlx::query("UPDATE jobs SET due = 0").execute(store.pool()).await.unwrap();
    std::fs::write(dir.path().join("config.json"), json!({ "purge_after_days": 0 }).to_string()).unwrap();
    let process = Process::start(&mut command(dir.path()), 1);
    let mut parts = made["token"].as_str().unwrap().rsplit('_').skip(1);
    let (id, project) = (parts.next().unwrap(), parts.next().unwrap());
    let key = TokenKey { project: ProjectId::new(project).unwrap(), id: TokenId::new(id).unwrap() };
    until("the token is deleted", async || store.find(&key).await.unwrap().is_none()).await;
    drop(process);
}
