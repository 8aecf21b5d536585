//! Tests the service on each engine. The engine holds the tokens, the data directory holds the
//! host's own data, and several processes share both.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyfob::{Access, Actor, ProjectId, SystemClock, record::RevocationReason, store::sqlite::SqliteStore};
use personal_tokens::setup::{self, Settings};
use serde_json::json;

use crate::support::{Host, WHOAMI, tempdir, until};
use crate::{postgres, redis};

/// Longer than any engine takes to answer on a busy machine.
const CACHE: Duration = Duration::from_secs(2);

/// Checks that the service works on the engine at this address.
async fn is_an_engine(url: &str) {
    let settings = Settings { database: Some(url.parse().unwrap()), cache: CACHE, ..Settings::default() };
    let host = Host::start_with(settings.clone()).await;
    let ada = host.ada().await;
    let (token, ended) = (ada.make("n", None).await, ada.make("other", None).await);
    let [token, ended] = [token, ended].map(|made| made["token"].as_str().unwrap().to_owned());
    host.with_token(WHOAMI, &token).await.is(200);
    host.with_token(WHOAMI, &ended).await.is(200);
    host.with_headers("/health/ready", &[]).await.is(200);

    // The data directory's file holds no token.
    let file = SqliteStore::open(host.dir().join("personal-tokens.db")).await.unwrap();
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM keyfob_tokens").fetch_one(file.pool()).await.unwrap();
    assert_eq!(rows, 0, "{url}");

    // No name contains a NUL, so a search or a page position that contains one reaches no engine.
    let refused = ada.get("/settings/tokens?q=%00").await.is(400);
    assert!(refused.body.contains("The search contains a character that is not allowed."), "{}", refused.body);
    let place = URL_SAFE_NO_PAD.encode("1abcdefghijklmnon\0");
    for parameter in ["after", "before"] {
        let start = ada.get(&format!("/settings/tokens?sort=name&{parameter}={place}")).await.is(200);
        assert!(start.body.contains("<tr id=\"token-"), "{}", start.body);
    }

    // A second process creates no first person, and it revokes one token. The other token still
    // works there.
    let (app, first) = setup::open(host.dir(), settings.clone(), Arc::new(SystemClock)).await.unwrap();
    assert!(first.is_none());
    let own = Access::to_own_project(&[]);
    let key = app.tokens.verify(&ended, &own).await.unwrap().key();
    app.tokens.revoke(&Actor::new("1").unwrap(), &key, RevocationReason::KeyCompromise).await.unwrap();
    tokio::time::sleep(CACHE).await;
    host.with_token(WHOAMI, &ended).await.is_problem(401, "revoked");
    assert!(app.tokens.verify(&token, &Access::to(&ProjectId::new("1").unwrap(), &[])).await.is_ok());

    // With another pepper, the host would reject all of these tokens as forged.
    let pepper = std::fs::read(host.dir().join("pepper")).unwrap();
    std::fs::write(host.dir().join("pepper"), b"0123456789abcdef a wrong pepper!").unwrap();
    let refused = setup::open(host.dir(), settings.clone(), Arc::new(SystemClock)).await.err().unwrap();
    assert!(refused.to_string().starts_with("wrong pepper for key 1: "), "{refused}");
    std::fs::write(host.dir().join("pepper"), pepper).unwrap();
    assert!(setup::open(host.dir(), settings.clone(), Arc::new(SystemClock)).await.is_ok());

    // A second data directory would have another pepper, and would reject these tokens as forged.
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
    // Both answers can be up to a second old.
    tokio::time::sleep(Duration::from_secs(1)).await;
    host.with_token(WHOAMI, &token).await.is_problem(503, "unavailable");
    let answer = host.with_headers("/health/ready", &[]).await.is(503);
    assert_eq!(answer.json(), json!({"status": "unavailable"}));
    host.with_headers("/health/live", &[]).await.is(200);

    server.go();
    until("it is ready again", async || host.with_headers("/health/ready", &[]).await.status == 200).await;
    host.with_token(WHOAMI, &token).await.is(200);
}

/// The address contains a password. The error says why the start failed, without the password.
#[tokio::test]
async fn failed_start_does_not_print_the_password() {
    // All start at the same time, because some wait for their engine for seconds.
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
        "mysql://ada:s3cr3t@127.0.0.1",
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
        assert!(said.starts_with("personal-tokens: the "), "{said}");
        assert!(!said.contains("s3cr3t"), "{url}: {said}");
        println!("{url}: {said}");
    }
}
