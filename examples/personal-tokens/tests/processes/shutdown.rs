//! Tests how the process ends after the operator has stopped it with SIGTERM.

use std::future::ready;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use keyfob::{ProjectId, TokenId, TokenKey, TokenStore, store::sqlite::SqliteStore};
use personal_tokens::serve::{Limits, serve};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::process::{Process, Visitor, client, command, whoami};
use crate::support::{TOKENS, WHOAMI, tempdir, until};

/// Waits until the process has ended, without blocking the other tasks of the test. Returns whether
/// the process ended successfully, and returns its log.
async fn ended(mut process: Process) -> (bool, String) {
    let ended = tokio::task::spawn_blocking(move || (process.ended().0.success(), process.log()));
    ended.await.unwrap()
}

/// Returns the number of stored uses of a token.
async fn uses(store: &SqliteStore, made: &Value) -> i64 {
    let id = made["token"].as_str().unwrap().rsplit('_').nth(1).unwrap();
    let sql = "SELECT coalesce(sum(times), 0) FROM token_uses WHERE token_id = ?";
    sqlx::query_scalar(sql).bind(id).fetch_one(store.pool()).await.unwrap()
}

/// Returns the stored time of the token's last use, if it is stored.
async fn last_use(store: &SqliteStore, made: &Value) -> Option<String> {
    // The parts of a token are prefix, project, id and secret.
    let text = made["token"].as_str().unwrap();
    let mut parts = text.rsplit('_').skip(1);
    let (id, project) = (parts.next().unwrap(), parts.next().unwrap());
    let key = TokenKey { project: ProjectId::new(project).unwrap(), id: TokenId::new(id).unwrap() };
    let record = store.find(&key).await.unwrap().unwrap();
    record.last_used_at.map(|time| time.to_string())
}

/// Returns the number of stored events in the audit trail.
async fn trail(store: &SqliteStore) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM token_events").fetch_one(store.pool()).await.unwrap()
}

/// Starts the service and signs in the first person. Also opens the store of the service.
async fn started(data: &Path) -> (Process, Visitor, SqliteStore) {
    let process = Process::start(command(data).args(["--metrics-addr", "127.0.0.1:0"]), 3);
    let visitor = Visitor::sign_in(&process.address(), process.first()).await;
    let store = SqliteStore::open(data.join("personal-tokens.db")).await.unwrap();
    (process, visitor, store)
}

#[tokio::test]
async fn last_uses_and_trail_in_memory_are_written_at_the_end() {
    let dir = tempdir();
    let (process, visitor, store) = started(dir.path()).await;
    let at = process.address();
    let made = loop {
        let made = visitor.make(&at).await;
        assert_eq!(whoami(&client(), &at, made["token"].as_str().unwrap()).await.unwrap(), 200);
        // If the periodic work has already written the last use, the test tries another token.
        if last_use(&store, &made).await.is_none() {
            break made;
        }
    };
    process.terminate();
    let (success, log) = ended(process).await;
    assert!(success, "{log}");
    assert!(last_use(&store, &made).await.is_some(), "{log}");
    assert_eq!(uses(&store, &made).await, 1, "{log}");
    // The trail contains at least the event that the token was issued.
    assert!(trail(&store).await >= 1);
}

#[tokio::test]
async fn trail_that_waits_for_the_database_is_written_at_the_end() {
    let dir = tempdir();
    let (process, visitor, store) = started(dir.path()).await;
    let at = process.address();
    let made = visitor.make(&at).await;
    let path = format!("{at}{TOKENS}{}", made["uuid"].as_str().unwrap());
    assert_eq!(visitor.of(visitor.client.delete(path)).send().await.unwrap().status(), 204);
    // The lock keeps the service from writing the trail. Nothing else remains to be written at the
    // end.
    let lock = store.pool().begin_with("BEGIN IMMEDIATE").await.unwrap();
    assert_eq!(whoami(&client(), &at, made["token"].as_str().unwrap()).await.unwrap(), 401);
    process.terminate();
    tokio::time::sleep(Duration::from_millis(500)).await;
    lock.rollback().await.unwrap();
    let (success, log) = ended(process).await;
    assert!(success, "{log}");
    let refusals = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM token_refusals").fetch_one(store.pool());
    assert_eq!(refusals.await.unwrap(), 1, "{log}");
}

#[tokio::test]
async fn request_in_progress_completes_while_readiness_reports_stopping() {
    let dir = tempdir();
    let (process, visitor, _) = started(dir.path()).await;
    let metrics = process.printed[2].strip_prefix("metrics: ").unwrap().trim_end_matches("/metrics").to_owned();
    let ready = async || {
        let answer = client().get(format!("{metrics}/health/ready")).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(ready().await, (200, r#"{"status":"ready"}"#.into()));

    let mut under_way = begin(&visitor, &process.address()).await;
    process.terminate();
    // The process needs some time until it has handled the signal.
    until("not ready after the signal", async || ready().await.0 != 200).await;
    assert_eq!(ready().await, (503, r#"{"status":"stopping"}"#.into()));
    let address = process.address();
    let refuses = async || TcpStream::connect(address.trim_start_matches("http://")).await.is_err();
    until("no more connections", refuses).await;

    under_way.write_all(REST).await.unwrap();
    let mut answer = String::new();
    under_way.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let (success, log) = ended(process).await;
    assert!(success, "{log}");
}

/// A load balancer needs some time to notice that the process is about to stop. In this time, it
/// may still send requests.
#[tokio::test]
async fn a_process_that_drains_serves_requests_until_a_second_signal() {
    let dir = tempdir();
    let mut process = Process::start(command(dir.path()).args(["--drain", "5m"]), 2);
    let (at, visitor) = (process.address(), Visitor::sign_in(&process.address(), process.first()).await);
    let made = visitor.make(&at).await;
    let get = async |path: &str| {
        let request = client().get(format!("{at}{path}")).bearer_auth(made["token"].as_str().unwrap());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.headers().get("connection").map(|value| value.to_str().unwrap().to_owned()))
    };
    assert_eq!(get(WHOAMI).await, (200, None));
    process.terminate();
    until("not ready after the signal", async || get("/health/ready").await.0 == 503).await;
    for _ in 0..3 {
        assert_eq!(get(WHOAMI).await, (200, Some("close".into())));
    }
    process.terminate();
    assert!(process.ended().0.success());
}

#[tokio::test]
async fn endless_request_is_cut_off() {
    let dir = tempdir();
    let (process, visitor, store) = started(dir.path()).await;
    let at = process.address();
    let made = visitor.make(&at).await;
    assert_eq!(whoami(&client(), &at, made["token"].as_str().unwrap()).await.unwrap(), 200);
    let under_way = begin(&visitor, &at).await;
    process.terminate();
    let (success, log) = ended(process).await;
    drop(under_way);
    assert!(success, "{log}");
    assert!(log.contains("requests in progress are cut off"), "{log}");
    assert!(last_use(&store, &made).await.is_some(), "{log}");
}

/// A proxy connects and sends its request without waiting. If the service reset the connection, the
/// proxy could not know whether a `POST` has been read, and would report an error to its client.
#[tokio::test]
async fn requests_on_connections_that_were_not_accepted_yet_are_served() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut streams = Vec::new();
    for _ in 0..16 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
        streams.push(stream);
    }
    // The server is stopped before it accepts the first of these connections.
    serve(listener, Router::new().route("/", get(|| async { "served" })), Limits::default(), ready(())).await;
    for stream in &mut streams {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("served"), "{answer}");
    }
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn first_request_after_the_signal_is_served_on_an_open_connection() {
    let dir = tempdir();
    let (process, ..) = started(dir.path()).await;
    let address = process.address();
    let address = address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    process.terminate();
    until("no more connections", async || TcpStream::connect(address).await.is_err()).await;
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let (success, log) = ended(process).await;
    assert!(success, "{log}");
}

/// The body of the request that [`begin`] sends in part.
const BODY: &[u8] = br#"{"name": "under way"}"#;
/// The rest of the body, which [`begin`] does not send.
const REST: &[u8] = BODY.split_at(5).1;

/// Begins a request, and sends the first five bytes of its body. The service then waits for the
/// other bytes, which are in [`REST`].
async fn begin(visitor: &Visitor, at: &str) -> TcpStream {
    let request = visitor.of(visitor.client.post(format!("{at}{TOKENS}"))).build().unwrap();
    let mut head = format!("POST {TOKENS} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n");
    for (name, value) in request.headers() {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    // The service sends `100 Continue` when its handler wants to read the body. From then on, the
    // request is in progress.
    head +=
        &format!("content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n", BODY.len());
    let mut stream = TcpStream::connect(at.trim_start_matches("http://")).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut wanted = [0; 25];
    stream.read_exact(&mut wanted).await.unwrap();
    assert_eq!(&wanted, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&BODY[..5]).await.unwrap();
    stream
}
