//! Tests the service on each database engine.
//!
//! The engine holds the tokens and the state of the service, except that Redis holds only tokens.
//! Several processes can share the engine.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyfob::{Access, Actor, ProjectId, SystemClock, record::RevocationReason, store::sqlite::SqliteStore};
use personal_tokens::setup::{self, Settings};
use serde_json::json;

use crate::support::{Host, WHOAMI, tempdir, until};
use crate::{mariadb, postgres, redis};

/// The staleness bound of the cache. It is longer than any engine takes to respond on a busy
/// machine.
const CACHE: Duration = Duration::from_secs(2);

/// Checks that the service works on the engine with this database URL.
async fn is_an_engine(url: &str) {
    let settings = Settings { database: Some(url.parse().unwrap()), cache: CACHE, ..Settings::default() };
    let host = Host::start_with(settings.clone()).await;
    let ada = host.ada().await;
    let (token, ended) = (ada.make("n", None).await, ada.make("other", None).await);
    let [token, ended] = [token, ended].map(|made| made["token"].as_str().unwrap().to_owned());
    host.with_token(WHOAMI, &token).await.is(200);
    host.with_token(WHOAMI, &ended).await.is(200);
    host.with_headers("/health/ready", &[]).await.is(200);

    // The data directory holds only the pepper. With Redis, it also holds a SQLite file, which
    // contains no tokens.
    let file = host.dir().join("personal-tokens.db");
    assert_eq!(file.exists(), url.starts_with("redis:"), "{url}");
    if file.exists() {
        let file = SqliteStore::open(file).await.unwrap();
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM keyfob_tokens").fetch_one(file.pool()).await.unwrap();
        assert_eq!(rows, 0, "{url}");
    }

    // No name contains a NUL character. So the service does not query the engine for a search or a
    // page position that contains a NUL character.
    let refused = ada.get("/settings/tokens?q=%00").await.is(400);
    assert!(refused.body.contains("The search contains a character that is not allowed."), "{}", refused.body);
    let place = URL_SAFE_NO_PAD.encode("1abcdefghijklmnon\0");
    for parameter in ["after", "before"] {
        let start = ada.get(&format!("/settings/tokens?sort=name&{parameter}={place}")).await.is(200);
        assert!(start.body.contains("<tr id=\"token-"), "{}", start.body);
    }

    // The same holds for the name of a person or a project. A sign-in with such a name counts as a
    // wrong password.
    for _ in 0..5 {
        host.try_sign_in("ada%00", "wrong").await.is(401);
    }
    host.try_sign_in("ada%00", "wrong").await.is(429);
    for list in ["people", "projects", "projects/2/members"] {
        let page = ada.get(&format!("/admin/{list}?q=a%00")).await.is(200);
        assert!(page.body.contains("id=\"no-hits\""), "{list}: {}", page.body);
    }
    let csrf = ada.get("/admin/projects").await.is(200).field("csrf");
    let refused = ada.post_form("/admin/projects/2/members", &format!("csrf={csrf}&name=ada%00")).await.is(400);
    assert!(refused.body.contains("Nobody has this name."), "{}", refused.body);

    // A second process on the same data does not create the first person again. It revokes one
    // token, and the first process then rejects this token. The other token still works in the
    // second process.
    let (app, first) = setup::open(host.dir(), settings.clone(), Arc::new(SystemClock)).await.unwrap();
    assert!(first.is_none());
    let own = Access::to_own_project(&[]);
    let key = app.tokens.verify(&ended, &own).await.unwrap().key();
    app.tokens.revoke(&Actor::new("1").unwrap(), &key, RevocationReason::KeyCompromise).await.unwrap();
    tokio::time::sleep(CACHE).await;
    host.with_token(WHOAMI, &ended).await.is_problem(401, "revoked");
    assert!(app.tokens.verify(&token, &Access::to(&ProjectId::new("1").unwrap(), &[])).await.is_ok());

    // With another pepper, the service would reject all of these tokens as forged. So it does not
    // start with another pepper.
    let pepper = std::fs::read(host.dir().join("pepper")).unwrap();
    std::fs::write(host.dir().join("pepper"), b"0123456789abcdef a wrong pepper!").unwrap();
    let refused = setup::open(host.dir(), settings.clone(), Arc::new(SystemClock)).await.err().unwrap();
    assert!(refused.to_string().starts_with("wrong pepper for key 1: "), "{refused}");
    std::fs::write(host.dir().join("pepper"), pepper).unwrap();
    assert!(setup::open(host.dir(), settings.clone(), Arc::new(SystemClock)).await.is_ok());

    // A new data directory would get a new pepper, and the service would reject these tokens as
    // forged. So it does not start with a new data directory.
    let dir = tempdir();
    let refused = setup::open(dir.path(), settings, Arc::new(SystemClock)).await.err().unwrap();
    assert!(refused.to_string().contains("no pepper"), "{refused}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the refused start leaves no file");
}

#[tokio::test]
async fn another_sqlite_file_is_an_engine() {
    let dir = tempdir();
    is_an_engine(&format!("sqlite:{}", dir.path().join("tokens.db").display())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_is_an_engine() {
    let Some(server) = postgres::Server::start() else { return };
    is_an_engine(&server.database()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_is_an_engine() {
    let Some(server) = mariadb::Server::start() else { return };
    is_an_engine(&server.database()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_an_engine() {
    let Some(server) = redis::Servers::one() else { return };
    is_an_engine(&server.urls().join(",")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_cluster_is_an_engine() {
    let Some(cluster) = redis::Servers::cluster(0) else { return };
    is_an_engine(&cluster.urls().join(",")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_engine_the_service_is_not_ready_and_accepts_no_token() {
    let Some(server) = postgres::Server::start() else { return };
    let settings = Settings { database: Some(server.database().parse().unwrap()), cache: CACHE, ..Settings::default() };
    let host = Host::start_with(settings).await;
    let token = host.ada().await.make("n", None).await["token"].as_str().unwrap().to_owned();
    host.with_token(WHOAMI, &token).await.is(200);
    host.with_headers("/health/ready", &[]).await.is(200);

    server.halt("immediate");
    // For both of the next requests, the service may use results that are up to a second old. So
    // the test waits for a second.
    tokio::time::sleep(Duration::from_secs(1)).await;
    host.with_token(WHOAMI, &token).await.is_problem(503, "unavailable");
    let answer = host.with_headers("/health/ready", &[]).await.is(503);
    assert_eq!(answer.json(), json!({"status": "unavailable"}));
    host.with_headers("/health/live", &[]).await.is(200);

    server.go();
    until("it is ready again", async || host.with_headers("/health/ready", &[]).await.status == 200).await;
    host.with_token(WHOAMI, &token).await.is(200);
}

/// The database URL contains a password. The error says why the start failed, and does not contain
/// the password.
#[tokio::test]
async fn failed_start_does_not_print_the_password() {
    // The test starts all processes at the same time, because some of them wait several seconds for
    // their engine.
    let mut started = Vec::new();
    for url in [
        "postgres://ada:s3cr3t@127.0.0.1:1/tokens",
        "postgres://ada:s3cr3t@127.0.0.1:port/tokens",
        "postgres://ada:s3cr3t@127.0.0.1/tokens?sslmode=s3cr3t",
        "postgres://ada:s3cr3t%zz@127.0.0.1:1/tokens",
        "redis://ada:s3cr3t@127.0.0.1:1",
        "redis://ada:s3cr3t@127.0.0.1:port",
        "redis://ada:s3cr3t@127.0.0.1:1/s3cr3t",
        "redis://ada:s3cr3t",
        "mysql://ada:s3cr3t@127.0.0.1:1/tokens",
        "oracle://ada:s3cr3t@127.0.0.1",
        "sqlite:/nowhere/s3cr3t.db?s3cr3t",
    ] {
        for by_option in [false, true] {
            let dir = tempdir();
            let mut command = crate::support::process::command(dir.path());
            match by_option {
                true => command.args(["--database-url", url]),
                false => command.env("DATABASE_URL", url),
            };
            command.env("RUST_LOG", "trace").stdout(Stdio::piped()).stderr(Stdio::piped());
            started.push((url, command.spawn().unwrap(), dir));
        }
    }
    for (url, child, _dir) in started {
        let output = child.wait_with_output().unwrap();
        assert!(!output.status.success(), "{url}");
        let said = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
        let named = ["the ", "--database-url must be "].map(|start| format!("personal-tokens: {start}"));
        assert!(named.iter().any(|start| said.starts_with(start)), "{said}");
        assert!(!said.contains("s3cr3t"), "{url}: {said}");
        println!("{url}: {said}");
    }
}
