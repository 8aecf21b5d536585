//! Checks that the service responds while strangers keep many connections open: connections without
//! a request, with incomplete requests, with bodies that never end, and with requests that wait in
//! the service's queues.
//!
//! With `KEYFOB_TEST_SIZE=full`, another test sends sign-ins and reports from 1,500 connections
//! without a pause.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use futures_util::future::join_all;
use keyfob::{Actor, Clock, Keyring, Name, NewToken, OwnerId, Pepper, Policy, Prefix, ProjectId, SystemClock, mint};
use personal_tokens::leaks::reports;
use personal_tokens::serve::{Limits, serve};
use personal_tokens::setup::{PREFIX, Settings};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::support::process::{PATIENCE, Process, client, command};
use crate::support::{Host, WHOAMI, size, tempdir};

/// A lock for tests that flood the service or open thousands of connections. If two of these tests
/// ran at the same time, they would overload the machine and need more open files than this process
/// may have.
static FLOOD: Mutex<()> = Mutex::const_new(());

/// The number of connections with an incomplete request.
const HALF_OPEN: usize = 2000;
/// The number of reports that are sent at the same time.
const POSTS: usize = 200;
/// The size of a report, in bytes.
const A_POST: usize = 4 << 20;
/// The maximum number of bytes by which the memory of the service may grow.
const MOST_GROWTH: u64 = 100 << 20;

/// Returns a value from `/proc/PID/status` of the process, in bytes. `name` is the beginning of the
/// line that contains the value.
fn memory(process: &Process, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

async fn connect(address: SocketAddr) -> TcpStream {
    connect_within(address, PATIENCE).await
}

/// Connects to an address, and repeats the attempt if the connection is refused or reset. Panics if
/// this takes longer than `patience`.
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

/// If the service has stopped or hangs, a test that waits for the service must fail within a time
/// limit.
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

/// Sends a report without its last byte, and returns the open connection. If the service does not
/// read all these bytes within five seconds, stops sending.
async fn hold_post(address: SocketAddr, signed: bool) -> TcpStream {
    let mut stream = connect(address).await;
    let signature = match signed {
        true => "github-public-key-identifier: k1\r\ngithub-public-key-signature: AAAA\r\n",
        false => "",
    };
    let head = format!("POST /api/v2/leaks/github HTTP/1.1\r\nhost: h\r\n{signature}content-length: {A_POST}\r\n\r\n");
    let body = vec![b' '; A_POST - 1];
    // The service may refuse the report before it has read the whole report.
    let sent = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), sent).await;
    stream
}

/// Sends a request whose headers are incomplete, and returns the open connection.
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

/// Checks that the service responds to a health check with 200.
///
/// # Errors
/// Returns a text that says how the health check failed.
async fn is_live(address: SocketAddr) -> Result<(), String> {
    let request = client().get(format!("http://{address}/health/live")).timeout(Duration::from_secs(10));
    match request.send().await {
        Ok(answer) if answer.status() == 200 => Ok(()),
        Ok(answer) => Err(answer.status().to_string()),
        Err(error) => Err(format!("{error:?}")),
    }
}

/// Starts a service with these options that accepts GitHub's reports and may open only 1,024 files.
/// Returns the process and its address.
async fn start_limited(dir: &Path, options: &[&str]) -> (Process, SocketAddr) {
    fs::write(dir.join("config.json"), r#"{"github_keys": "http://127.0.0.1:1/"}"#).unwrap();
    // Each connection also needs an open file in this process, which is the client.
    let own = rlimit::increase_nofile_limit(4096).unwrap();
    assert!(own > (HALF_OPEN + POSTS + 100) as u64, "this test may open {own} files only");
    let plain = command(dir);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 1024 && exec \"$0\" \"$@\""]).arg(plain.get_program()).args(plain.get_args());
    limited.args(options);
    let process = Process::start(&mut limited, 2);
    let address = process.address().trim_start_matches("http://").parse().unwrap();
    is_live(address).await.unwrap();
    (process, address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_answered_beside_2000_half_open_requests_and_200_reports() {
    let _alone = FLOOD.lock().await;
    let dir = tempdir();
    let (process, address) = start_limited(dir.path(), &[]).await;
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

    // The service has closed the oldest connections, and the latest connections are still open.
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
    // Anybody can create texts that look like tokens, because everybody can compute the checksum.
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

/// Returns a request for a sign-in with a wrong password. Each request has another name and comes
/// from another client of a proxy, so that no limit on wrong passwords applies.
fn sign_in() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let form = format!("name=stranger-{number}&password=wrong-wrong-wrong");
    format!(
        "POST /sign-in HTTP/1.1\r\nhost: h\r\nsec-fetch-site: same-origin\r\nx-forwarded-for: {}\r\ncontent-type: \
         application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        Ipv4Addr::from_bits(0x0a00_0000 + number),
        form.len()
    )
}

/// Returns the headers of a report. The test never sends the body.
fn report_without_body() -> String {
    "POST /api/v2/leaks/github HTTP/1.1\r\nhost: h\r\ngithub-public-key-identifier: k1\r\n\
     github-public-key-signature: AAAA\r\ncontent-length: 4194304\r\n\r\n"
        .into()
}

/// Sends a request, and returns the open connection.
async fn hold(address: SocketAddr, request: String) -> TcpStream {
    let mut stream = connect(address).await;
    // The service may close the connection to make room for another connection.
    let _ = stream.write_all(request.as_bytes()).await;
    stream
}

/// The test is an attack with wrong passwords, in which each connection sends only about 230 bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_answered_beside_600_sign_ins() {
    let _alone = FLOOD.lock().await;
    let dir = tempdir();
    let (_process, address) = start_limited(dir.path(), &["--behind-tls"]).await;
    let held = join_all((0..600).map(|_| hold(address, sign_in()))).await;
    for _ in 0..3 {
        is_live(address).await.unwrap();
    }
    drop(held);
}

/// Sends requests repeatedly from 1,500 connections, and checks the health of the service at the
/// same time.
async fn flood(address: SocketAddr, request: fn() -> String) {
    let mut posting = JoinSet::new();
    for _ in 0..1500 {
        posting.spawn(async move {
            loop {
                let mut stream = hold(address, request()).await;
                // The loop continues after any response, or after the connection was closed.
                let _ = stream.read(&mut [0]).await;
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(8)).await;
    for _ in 0..6 {
        let begun = Instant::now();
        // On a busy machine, the connection of a health check may wait so long that the service
        // closes it. Real health checks are repeated, so the test repeats them too.
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
    let (reported, address) = start_limited(dir.path(), &[]).await;
    flood(address, report_without_body).await;
    drop(reported);
    let dir = tempdir();
    let (_process, address) = start_limited(dir.path(), &["--behind-tls"]).await;
    flood(address, sign_in).await;
}

/// The number of concurrent sign-ins. It is greater than the number of sign-ins that may wait for a
/// password hash.
const SIGN_INS: usize = 60;

#[tokio::test]
async fn sign_in_beyond_those_that_wait_is_told_to_come_back_and_delays_nobody_else() {
    let _alone = FLOOD.lock().await;
    let host = Host::start_with(Settings { behind_tls: true, ..Settings::default() }).await;
    let ada = host.ada().await;
    let token = ada.make("CI", None).await["token"].as_str().unwrap().to_owned();
    let csrf = ada.get("/settings/password").await.is(200).field("csrf");
    // Each sign-in has its own address and name, so that no limit on wrong passwords applies.
    let post = |number| {
        let request = Request::post("/sign-in").header("sec-fetch-site", "same-origin");
        let request = request.header("x-forwarded-for", format!("198.51.100.{number}"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let form = format!("name=stranger-{number}&password=wrong-wrong-wrong");
        host.router.clone().oneshot(request.body(Body::from(form)).unwrap())
    };
    let mut posts: JoinSet<_> = (0..SIGN_INS).map(post).collect();
    // The first response belongs to a sign-in for which the queue for password hashes was full.
    let refused = posts.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.headers()["content-type"], "text/html; charset=utf-8");

    host.with_token(WHOAMI, &token).await.is(200);
    ada.get("/settings/tokens").await.is(200);
    // A change of the password needs two hashes. A signed-in person does not have to wait for the
    // hashes of strangers.
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

/// If there are too many connections, the service closes only the connection that has waited
/// longest. The other connections get their responses.
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

/// All handlers except the health check wait without end, as if the database did not respond. The
/// service must still respond to health checks, and must not close the connections of requests in
/// progress.
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

/// The client of one connection reads no responses. If another connection needs room, the service
/// closes this connection without waiting for the usual 30 seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_whose_client_reads_nothing_makes_room() {
    let host = Host::start().await;
    let address = host.serve_within(Limits { connections: 1, ..Limits::default() }).await;
    let stream = connect(address).await;
    let request = "GET /static/style.css HTTP/1.1\r\nhost: h\r\n\r\n".repeat(100);
    let (_unread, mut writing) = stream.into_split();
    // The responses fill all buffers between the service and the client. Then the service stops
    // reading requests.
    while tokio::time::timeout(SOON, writing.write_all(request.as_bytes())).await.is_ok() {}
    is_live(address).await.unwrap();
}

/// A short time: a time limit of the service, or a pause of a test.
const SOON: Duration = Duration::from_millis(300);

/// Reads until the service closes the connection, and returns the received text.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // An error of the read also means that the connection is closed.
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut text)).await;
    assert!(read.is_ok(), "it is held for ever");
    String::from_utf8(text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_bodies_and_idle_connections_time_out() {
    let host = Host::start().await;
    // A connection without a request and a connection with incomplete headers are closed after the
    // time limit for headers. Idle connections have another time limit, so a proxy can keep them
    // longer.
    let limits = Limits { headers: SOON, ..Limits::default() };
    let address = host.serve_within(limits).await;
    let mut silent = connect(address).await;
    assert_eq!(rest(&mut silent).await, "");
    let mut half_open = hold_half_open(address).await;
    let begun = Instant::now();
    assert_eq!(rest(&mut half_open).await, "");
    assert!(begun.elapsed() < Duration::from_secs(10));
    // A connection that sends no second request is closed after the time limit for idle
    // connections.
    let address = host.serve_within(Limits { idle: SOON, body: SOON, ..limits }).await;
    let mut idle = connect(address).await;
    idle.write_all(b"GET /health/live HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    assert!(rest(&mut idle).await.starts_with("HTTP/1.1 200 "));

    // A request whose body never arrives gets 408. So does a request whose body arrives too slowly.
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
    // The other two connections are still open, and their requests are completed.
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
    // The responses fill all buffers between the service and the client. Then the service stops
    // reading requests.
    let request = "GET /static/style.css HTTP/1.1\r\nhost: h\r\n\r\n".repeat(100);
    let (_unread, mut writing) = stream.into_split();
    let asking = async { while writing.write_all(request.as_bytes()).await.is_ok() {} };
    assert!(tokio::time::timeout(Duration::from_secs(20), asking).await.is_ok(), "it is held for ever");
    is_live(address).await.unwrap();
}

/// Returns the head of a request that the service refuses before it reads the body.
fn refused_head(length: usize, more: &str) -> String {
    format!("POST /mcp HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\ncontent-length: {length}\r\n{more}\r\n")
}

/// Many clients send the headers and the body of a request separately.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_before_the_body_arrives_leaves_the_connection_open() {
    let host = Host::start().await;
    let mut stream = connect(host.serve().await).await;
    for _ in 0..2 {
        stream.write_all(refused_head(2, "").as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        stream.write_all(b"{}").await.unwrap();
        let answer = answer(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 401 ") && !answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200 "));
}

/// Returns the next response, whose head and body arrive together.
async fn answer(stream: &mut TcpStream) -> String {
    let mut buffer = vec![0; 4096];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
    String::from_utf8(buffer[..read].to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_that_the_connection_ends_if_the_body_does_not_arrive() {
    let host = Host::start().await;
    let address = host.serve().await;
    let heads = [refused_head(2, ""), refused_head(1 << 20, ""), refused_head(2, "expect: 100-continue\r\n")];
    for head in heads {
        let mut stream = connect(address).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
}
