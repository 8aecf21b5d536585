//! Checks that the service answers while strangers hold half-open requests, idle connections,
//! bodies that never end, and requests that wait in the service's queues.
//!
//! With `KEYFOB_TEST_SIZE=full`, 1,500 connections also send endless sign-ins and reports.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use futures_util::future::join_all;
use keyfob::{Actor, Clock, Keyring, Name, NewToken, OwnerId, Pepper, Policy, Prefix, ProjectId, SystemClock, mint};
use personal_tokens::leaks::reports;
use personal_tokens::serve::{Limits, serve};
use personal_tokens::setup::PREFIX;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::support::process::{PATIENCE, Process, client, command};
use crate::support::{Host, WHOAMI, size, tempdir};

/// Held by a test that measures a service under a flood or opens thousands of connections. Two such
/// tests at the same time would overload the machine and exceed the files that this process may
/// open.
static FLOOD: Mutex<()> = Mutex::const_new(());

const HALF_OPEN: usize = 2000;
const POSTS: usize = 200;
const A_POST: usize = 4 << 20;
const MOST_GROWTH: u64 = 100 << 20;

/// Returns a line of `/proc/PID/status`, in bytes.
fn memory(process: &Process, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

async fn connect(address: SocketAddr) -> TcpStream {
    connect_within(address, PATIENCE).await
}

async fn connect_within(address: SocketAddr, patience: Duration) -> TcpStream {
    let began = Instant::now();
    loop {
        match TcpStream::connect(address).await {
            Ok(stream) => return stream,
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused) => {
                assert!(began.elapsed() < patience, "no connection to {address} in {patience:?}: {error}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// A test that waits for a stopped or hanging service must fail in time.
#[tokio::test]
#[should_panic(expected = "no connection to 127.0.0.1:")]
async fn wait_for_a_service_that_is_gone_ends() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    connect_within(address, SOON).await;
}

#[test]
#[should_panic(expected = "what the log says")]
fn wait_for_a_line_that_is_not_printed_ends_with_the_log() {
    let mut hanging = Command::new("sh");
    Process::start_within(hanging.args(["-c", "echo what the log says >&2; exec sleep 60"]), 1, SOON);
}

/// Sends all of a report except its last byte, as far as the service reads it, and holds the
/// connection.
async fn hold_post(address: SocketAddr, signed: bool) -> TcpStream {
    let mut stream = connect(address).await;
    let signature = match signed {
        true => "github-public-key-identifier: k1\r\ngithub-public-key-signature: AAAA\r\n",
        false => "",
    };
    let head = format!("POST /api/v2/leaks/github HTTP/1.1\r\nhost: h\r\n{signature}content-length: {A_POST}\r\n\r\n");
    let body = vec![b' '; A_POST - 1];
    // The service may refuse the report before it has read all of it.
    let sent = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), sent).await;
    stream
}

async fn hold_half_open(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address).await;
    let _ = stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: h\r\n").await;
    stream
}

/// Returns whether the service has closed the connection.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    !matches!(tokio::time::timeout(Duration::from_millis(1), stream.read(&mut byte)).await, Ok(Ok(1)) | Err(_))
}

async fn is_live(address: SocketAddr) -> Result<(), String> {
    let request = client().get(format!("http://{address}/health/live")).timeout(Duration::from_secs(10));
    match request.send().await {
        Ok(answer) if answer.status() == 200 => Ok(()),
        Ok(answer) => Err(answer.status().to_string()),
        Err(error) => Err(format!("{error:?}")),
    }
}

/// Starts a service that may open 1,024 files and accepts GitHub's reports.
async fn start_limited(dir: &Path) -> (Process, SocketAddr) {
    fs::write(dir.join("config.json"), r#"{"github_keys": "http://127.0.0.1:1/"}"#).unwrap();
    // This process holds the other ends of the connections.
    let own = rlimit::increase_nofile_limit(4096).unwrap();
    assert!(own > (HALF_OPEN + POSTS + 100) as u64, "this test may open {own} files only");
    let plain = command(dir);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 1024 && exec \"$0\" \"$@\""]).arg(plain.get_program()).args(plain.get_args());
    let process = Process::start(&mut limited, 2);
    let address = process.address().trim_start_matches("http://").parse().unwrap();
    is_live(address).await.unwrap();
    (process, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_answered_beside_2000_half_open_requests_and_200_reports() {
    let _alone = FLOOD.lock().await;
    let dir = tempdir();
    let (process, address) = start_limited(dir.path()).await;
    let before = memory(&process, "VmRSS:");

    let mut posting = JoinSet::new();
    for number in 0..POSTS {
        posting.spawn(hold_post(address, number % 2 == 0));
    }
    let mut half_open = Vec::new();
    while half_open.len() < HALF_OPEN {
        let opening: JoinSet<_> = (0..100).map(|_| hold_half_open(address)).collect();
        half_open.extend(opening.join_all().await);
    }
    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.push(is_live(address).await);
    }
    let posts = posting.join_all().await;
    answers.push(is_live(address).await);
    let most = memory(&process, "VmHWM:");
    println!(
        "{} half-open and {} posts held; resident {} MB before, {} MB at most",
        half_open.len(),
        posts.len(),
        before >> 20,
        most >> 20
    );
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(most - before <= MOST_GROWTH, "{} MB more", (most - before) >> 20);

    // The oldest connections were closed, and the latest ones are still open.
    let (mut oldest, mut latest) = (0, 0);
    for stream in &mut half_open[..100] {
        oldest += usize::from(is_closed(stream).await);
    }
    for stream in half_open.iter_mut().rev().take(100) {
        latest += usize::from(is_closed(stream).await);
    }
    assert_eq!((oldest, latest), (100, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_take_memory_in_proportion_to_their_size() {
    let _alone = FLOOD.lock().await;
    // Anybody can make texts that look like tokens, because the checksum is public.
    let keyring = Keyring::new(Prefix::new(PREFIX).unwrap(), Pepper::generate().unwrap());
    let look_alike = |_| {
        let new = NewToken::new(ProjectId::new("1").unwrap(), OwnerId::new("x").unwrap(), Name::new("x").unwrap());
        let made = mint(&keyring, &Policy::default(), new, &Actor::new("x").unwrap(), SystemClock.now()).unwrap();
        made.token.expose_secret().to_owned()
    };
    let text = (0..1000).map(look_alike).collect::<Vec<_>>().join(" ");
    let url = "u".repeat(reports::MOST_BYTES - text.len() - 64);
    let body = json!([{ "token": text, "url": url }]).to_string();
    assert!(body.len() <= reports::MOST_BYTES);

    let dir = tempdir();
    let process = Process::start(&mut command(dir.path()), 2);
    let url = format!("{}/api/v2/leaks", process.address());
    let before = memory(&process, "VmRSS:");
    let sending: JoinSet<_> = (0..16).map(|_| client().post(&url).body(body.clone()).send()).collect();
    let answers = sending.join_all().await;
    let most = memory(&process, "VmHWM:");
    println!("resident {} MB before, {} MB at most", before >> 20, most >> 20);
    assert!(answers.into_iter().all(|answer| answer.unwrap().status() == 202));
    assert!(most - before <= MOST_GROWTH, "{} MB more", (most - before) >> 20);
}

const WRONG: &str = "name=ada&password=wrong-wrong-wrong";

fn sign_in() -> String {
    format!(
        "POST /sign-in HTTP/1.1\r\nhost: h\r\nsec-fetch-site: same-origin\r\ncontent-type: \
         application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{WRONG}",
        WRONG.len()
    )
}

/// Returns the headers of a report whose body never comes.
fn report_without_body() -> String {
    "POST /api/v2/leaks/github HTTP/1.1\r\nhost: h\r\ngithub-public-key-identifier: k1\r\n\
     github-public-key-signature: AAAA\r\ncontent-length: 4194304\r\n\r\n"
        .into()
}

async fn hold(address: SocketAddr, request: String) -> TcpStream {
    let mut stream = connect(address).await;
    // The service may close the connection to make room for another one.
    let _ = stream.write_all(request.as_bytes()).await;
    stream
}

/// This attack needs no password, and each connection sends only 190 bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_answered_beside_600_sign_ins() {
    let _alone = FLOOD.lock().await;
    let dir = tempdir();
    let (_process, address) = start_limited(dir.path()).await;
    let held = join_all((0..600).map(|_| hold(address, sign_in()))).await;
    for _ in 0..3 {
        is_live(address).await.unwrap();
    }
    drop(held);
}

/// Sends a request repeatedly from 1,500 connections, and requests the health meanwhile.
async fn flood(address: SocketAddr, request: String) {
    let mut posting = JoinSet::new();
    for _ in 0..1500 {
        let request = request.clone();
        posting.spawn(async move {
            loop {
                let mut stream = hold(address, request.clone()).await;
                // The loop continues after any answer, or after the connection has ended.
                let _ = stream.read(&mut [0]).await;
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(8)).await;
    for _ in 0..6 {
        let begun = Instant::now();
        // On a busy machine the connection of a probe may wait so long that it is closed. Real
        // probes repeat, so this one does too.
        let mut answer = is_live(address).await;
        for _ in 0..2 {
            if answer.is_err() {
                answer = is_live(address).await;
            }
        }
        answer.unwrap();
        println!("health beside 1,500 connections: {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_answered_beside_endless_floods_of_sign_ins_and_reports() {
    if !size::is_full() {
        return;
    }
    let _alone = FLOOD.lock().await;
    let dir = tempdir();
    let (_process, address) = start_limited(dir.path()).await;
    flood(address, report_without_body()).await;
    flood(address, sign_in()).await;
}

/// More sign-ins than may wait for a password hash.
const SIGN_INS: usize = 60;

#[tokio::test]
async fn sign_in_beyond_those_that_wait_is_told_to_come_back_and_delays_nobody_else() {
    let _alone = FLOOD.lock().await;
    let host = Host::start().await;
    let ada = host.ada().await;
    let token = ada.make("CI", None).await["token"].as_str().unwrap().to_owned();
    let csrf = ada.get("/settings/password").await.is(200).field("csrf");
    let post = || {
        let request = Request::post("/sign-in").header("sec-fetch-site", "same-origin");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        host.router.clone().oneshot(request.body(Body::from(WRONG)).unwrap())
    };
    let mut posts: JoinSet<_> = (0..SIGN_INS).map(|_| post()).collect();
    // The first answer goes to a sign-in that did not get into the queue for a hash.
    let refused = posts.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.headers()["content-type"], "text/html; charset=utf-8");

    host.with_token(WHOAMI, &token).await.is(200);
    ada.get("/settings/tokens").await.is(200);
    // A signed-in person needs two hashes, and does not queue behind strangers.
    let (old, new) = (&host.first.password, "a+battery+of+new+words");
    let form = format!("csrf={csrf}&present={old}&new={new}&again={new}");
    ada.post_form("/settings/password", &form).await.is(303);
    let mut answered = 1;
    while let Some(answer) = posts.try_join_next() {
        answer.unwrap().unwrap();
        answered += 1;
    }
    assert!(answered < SIGN_INS, "some of the strangers' sign-ins still wait");
}

/// The service closes only the connection that has waited longest. The others get their answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_whose_request_waits_in_a_queue_makes_room() {
    let host = Host::start().await;
    let token = host.ada().await.make("CI", None).await["token"].as_str().unwrap().to_owned();
    let questions = &host.app.questions;
    let rooms = join_all((0..16).map(|number| questions.take(Some(1000 + number)))).await;
    assert!(rooms.iter().all(Option::is_some));
    let address = host.serve_within(Limits { connections: 3, ..Limits::default() }).await;
    let body = r#"{"model": "echo", "messages": [{"role": "user", "content": "Hello"}]}"#;
    let request = format!(
        "POST /llm/v1/chat/completions HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(hold(address, request.clone()).await);
        tokio::time::sleep(SOON).await;
    }
    is_live(address).await.unwrap();
    assert_eq!(rest(&mut held[0]).await, "");
    drop(rooms);
    for stream in &mut held[1..] {
        let answer = rest(stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

/// Requests wait for an engine that does not answer, so the service does not close their
/// connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_answered_while_no_other_request_ends() {
    let router = Router::new().route("/health/live", get(async || "")).fallback(std::future::pending::<()>);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits { connections: 64, ..Limits::default() };
    tokio::spawn(serve(listener, router, limits, std::future::pending()));
    let ask = || "GET /api/v2/auth/whoami HTTP/1.1\r\nhost: h\r\n\r\n".into();
    let mut held = Vec::new();
    for _ in 0..62 {
        held.push(hold(address, ask()).await);
    }
    tokio::time::sleep(SOON).await;
    let beyond = rest(&mut hold(address, ask()).await).await;
    assert!(beyond.starts_with("HTTP/1.1 503 ") && beyond.contains("\"reason\":\"busy\""), "{beyond}");
    assert!(beyond.contains("retry-after: 1") && beyond.contains("cache-control: no-store"), "{beyond}");
    held.extend(join_all((0..40).map(|_| hold(address, ask()))).await);
    for _ in 0..3 {
        is_live(address).await.unwrap();
    }
    for stream in &mut held[..62] {
        assert!(!is_closed(stream).await, "a connection whose request is in progress stays open");
    }
}

/// The client reads none of its answers, and the service would wait 30 seconds for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_whose_client_reads_nothing_makes_room() {
    let host = Host::start().await;
    let address = host.serve_within(Limits { connections: 1, ..Limits::default() }).await;
    let stream = connect(address).await;
    let request = "GET /static/style.css HTTP/1.1\r\nhost: h\r\n\r\n".repeat(100);
    let (_unread, mut writing) = stream.into_split();
    // The answers fill all buffers on their way, and then the service stops reading.
    while tokio::time::timeout(SOON, writing.write_all(request.as_bytes())).await.is_ok() {}
    is_live(address).await.unwrap();
}

const SOON: Duration = Duration::from_millis(300);

/// Reads until the connection is closed.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset ends the connection too.
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut text)).await;
    assert!(read.is_ok(), "it is held for ever");
    String::from_utf8(text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_bodies_and_idle_connections_time_out() {
    let host = Host::start().await;
    // A silent connection, and one that sends only some of the headers. Each has its own time
    // limit, so a proxy may keep idle connections longer.
    let limits = Limits { headers: SOON, ..Limits::default() };
    let address = host.serve_within(limits).await;
    let mut silent = connect(address).await;
    assert_eq!(rest(&mut silent).await, "");
    let mut half_open = hold_half_open(address).await;
    let begun = Instant::now();
    assert_eq!(rest(&mut half_open).await, "");
    assert!(begun.elapsed() < Duration::from_secs(10));
    // A connection that sends no second request.
    let address = host.serve_within(Limits { idle: SOON, body: SOON, ..limits }).await;
    let mut idle = connect(address).await;
    idle.write_all(b"GET /health/live HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    assert!(rest(&mut idle).await.starts_with("HTTP/1.1 200 "));

    // A body that does not come, and one that comes byte by byte.
    let head = "POST /sign-in HTTP/1.1\r\nhost: h\r\nsec-fetch-site: same-origin\r\n\
                content-type: application/x-www-form-urlencoded\r\ncontent-length: 9000\r\n\r\n";
    let mut slow = connect(address).await;
    slow.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(&mut slow).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"reason\":\"too_slow\""), "{answer}");
    assert!(answer.contains("cache-control: no-store") && answer.contains("connection: close"), "{answer}");
    let (mut reading, mut writing) = connect(address).await.into_split();
    writing.write_all(head.as_bytes()).await.unwrap();
    let trickle = tokio::spawn(async move {
        while writing.write_all(b"n").await.is_ok() {
            tokio::time::sleep(SOON / 10).await;
        }
    });
    let mut answer = [0; 12];
    tokio::time::timeout(Duration::from_secs(20), reading.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    trickle.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_connection_takes_the_place_of_the_one_that_waited_longest() {
    let host = Host::start().await;
    let address = host.serve_within(Limits { connections: 3, ..Limits::default() }).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(hold_half_open(address).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    is_live(address).await.unwrap();
    assert_eq!(rest(&mut held[0]).await, "");
    // The other two are still open, and complete their requests.
    for stream in &mut held[1..] {
        stream.write_all(b"connection: close\r\n\r\n").await.unwrap();
        assert!(rest(stream).await.starts_with("HTTP/1.1 200 "));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_whose_client_reads_nothing_is_closed() {
    let host = Host::start().await;
    let limits = Limits { connections: 1, write: SOON, idle: SOON, ..Limits::default() };
    let address = host.serve_within(limits).await;
    let stream = connect(address).await;
    // The answers fill all buffers on their way, and then the service stops reading.
    let request = "GET /static/style.css HTTP/1.1\r\nhost: h\r\n\r\n".repeat(100);
    let (_unread, mut writing) = stream.into_split();
    let asking = async { while writing.write_all(request.as_bytes()).await.is_ok() {} };
    assert!(tokio::time::timeout(Duration::from_secs(20), asking).await.is_ok(), "it is held for ever");
    is_live(address).await.unwrap();
}
