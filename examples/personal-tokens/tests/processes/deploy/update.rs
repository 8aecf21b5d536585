//! Stops two hosts behind nginx, one after the other, while clients send requests without a pause.
//! So an update of both hosts makes no request fail.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::task::{JoinSet, block_in_place};

use super::balancer::{Balancer, port};
use super::{is_ready, metrics_of, pepper, unit};
use crate::postgres;
use crate::support::process::{Process, Visitor};
use crate::support::{TOKENS, WHOAMI, assert_holds_no_part, tempdir, until};

/// The kinds of clients.
const KINDS: [&str; 3] = ["pages", "tokens", "changes"];
/// The number of clients of each kind.
const CLIENTS: usize = 2;
/// The number of requests of each kind that get a response in each phase of the test.
const REQUESTS: usize = 20;

/// Two hosts with one database, behind nginx.
struct Site {
    hosts: Vec<Process>,
    addresses: [String; 2],
    database: String,
    dir: tempfile::TempDir,
    balancer: Balancer,
    load: Arc<Load>,
    clients: JoinSet<()>,
    _server: Arc<postgres::Server>,
}

/// What the clients share.
struct Load {
    at: String,
    /// The person, with a client that trusts the certificate of nginx.
    visitor: Visitor,
    csrf: String,
    token: String,
    /// For each kind, the number of requests that succeeded.
    succeeded: [AtomicUsize; 3],
    /// What happened to the other requests.
    failures: Mutex<Vec<String>>,
    over: AtomicBool,
}

impl Load {
    /// Sends a request, and reads the whole response. Records a failure if the status is another
    /// one, or if there is no response.
    async fn send(&self, kind: usize, request: RequestBuilder, status: u16) -> Option<Vec<u8>> {
        let response = async {
            let response = request.send().await?;
            Ok::<_, reqwest::Error>((response.status().as_u16(), response.bytes().await?))
        };
        match response.await {
            Ok((found, body)) if found == status => {
                self.succeeded[kind].fetch_add(1, Ordering::SeqCst);
                return Some(body.into());
            }
            Ok((found, body)) => self.fail(kind, &format!("{found} {}", String::from_utf8_lossy(&body))),
            Err(error) => self.fail(kind, &format!("{error:?}")),
        }
        None
    }

    fn fail(&self, kind: usize, why: &str) {
        self.failures.lock().unwrap().push(format!("{}: {why}", KINDS[kind]));
    }

    fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap().clone()
    }

    /// Sends requests of one kind until the test is over.
    async fn run(self: Arc<Self>, kind: usize, client: reqwest::Client) {
        let person = Visitor { client: client.clone(), ..self.visitor.clone() };
        while !self.over.load(Ordering::SeqCst) {
            match KINDS[kind] {
                "pages" => drop(self.send(kind, person.of(client.get(self.url("/settings/tokens"))), 200).await),
                "tokens" => drop(self.send(kind, client.get(self.url(WHOAMI)).bearer_auth(&self.token), 200).await),
                _ => self.change(kind, &person).await,
            }
        }
    }

    /// Creates a token and revokes it, with two requests of the method `POST`.
    async fn change(&self, kind: usize, person: &Visitor) {
        let create = person.of(person.client.post(self.url(TOKENS))).header("content-type", "application/json");
        let Some(made) = self.send(kind, create.body(json!({"name": "n"}).to_string()), 200).await else { return };
        let made: Value = serde_json::from_slice(&made).unwrap();
        let revoke = self.url(&format!("/settings/tokens/{}/delete", made["uuid"].as_str().unwrap()));
        let revoke = person.of(person.client.post(revoke)).header("content-type", "application/x-www-form-urlencoded");
        self.send(kind, revoke.body(format!("csrf={}&typed=n", self.csrf)), 303).await;
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.at)
    }

    /// Waits until more requests of each kind have succeeded.
    async fn goes_on(&self) {
        let counts = || self.succeeded.each_ref().map(|count| count.load(Ordering::SeqCst));
        let before = counts();
        let is_enough = || counts().iter().zip(before).all(|(now, before)| *now >= before + REQUESTS);
        until("the clients go on", async || is_enough()).await;
    }
}

impl Site {
    /// Starts the hosts, nginx and the clients. If a program is not installed, returns `None`, or
    /// panics if `CI` is `true`.
    async fn start() -> Option<Self> {
        let server = postgres::shared()?;
        let (dir, database) = (tempdir(), server.database());
        pepper(dir.path(), 0o400);
        let addresses = [port(), port()].map(|port| format!("127.0.0.1:{port}"));
        let balancer = Balancer::start([&addresses[0], &addresses[1]])?;
        let on =
            |host: usize, lines| Process::start(&mut unit::command(dir.path(), &addresses[host], &database), lines);
        let hosts = vec![on(0, 3), on(1, 2)];

        let visitor = Visitor::sign_in(&hosts[0].address(), hosts[0].first()).await;
        let visitor = Visitor { client: balancer.client(), ..visitor };
        let at = balancer.address();
        let page = visitor.of(visitor.client.get(format!("{at}/settings/tokens"))).send().await.unwrap();
        let page = page.text().await.unwrap();
        let (_, csrf) = page.split_once("name=\"csrf\" value=\"").unwrap();
        let csrf = csrf.split('"').next().unwrap().to_owned();
        let token = visitor.make(&at).await["token"].as_str().unwrap().to_owned();
        let load = Arc::new(Load {
            at,
            visitor,
            csrf,
            token,
            succeeded: Default::default(),
            failures: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS * KINDS.len() {
            clients.spawn(Arc::clone(&load).run(number % KINDS.len(), balancer.client()));
        }
        load.goes_on().await;
        Some(Self { hosts, addresses, database, dir, balancer, load, clients, _server: server })
    }

    /// Starts a host again. Waits until it is ready and until nginx sends requests to it.
    async fn start_again(&mut self, host: usize) {
        let mut command = unit::command(self.dir.path(), &self.addresses[host], &self.database);
        self.hosts[host] = block_in_place(|| Process::start(&mut command, 2));
        let process = &self.hosts[host];
        until("the host is ready", async || is_ready(process).await).await;
        let verified = "keyfob_verifications_total{outcome=\"verified\"} ";
        let serves =
            async || metrics_of(process).await.lines().any(|line| line.starts_with(verified) && !line.ends_with(" 0"));
        until("nginx sends requests to the host", serves).await;
    }

    /// Ends the clients. Returns the failures.
    async fn end(mut self) -> Vec<String> {
        self.load.over.store(true, Ordering::SeqCst);
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        let [accesses, errors] = self.balancer.logs();
        for log in [&accesses, &errors] {
            assert_holds_no_part(log, &self.load.token);
            assert!(!log.contains("/settings/"), "a path may have the code of an invitation: {log}");
        }
        let repeated = accesses.lines().filter(|line| line.contains(", ")).count();
        let counts = KINDS
            .iter()
            .zip(&self.load.succeeded)
            .map(|(kind, count)| format!("{} {kind}", count.load(Ordering::SeqCst)));
        let counts: Vec<_> = counts.collect();
        let failures = self.load.failures();
        println!(
            "succeeded: {}; {repeated} were sent to the other host, because the first did not take them; {} failed",
            counts.join(", "),
            failures.len()
        );
        failures
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn update_of_both_hosts_under_load_fails_no_request() {
    let Some(mut site) = Site::start().await else { return };
    for host in 0..2 {
        let stopping = &mut site.hosts[host];
        stopping.terminate();
        let success = block_in_place(|| stopping.ended().0.success());
        assert!(success, "{}", stopping.log());
        site.load.goes_on().await;
        site.start_again(host).await;
        site.load.goes_on().await;
    }
    let failures = site.end().await;
    assert!(failures.is_empty(), "{}: {:#?}", failures.len(), &failures[..failures.len().min(10)]);
}

/// Shows that the clients notice a host that ends without a drain. nginx does not repeat a `POST`
/// that the host has begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_host_under_load_fails_requests() {
    let Some(mut site) = Site::start().await else { return };
    for round in 0..20 {
        let host = round % 2;
        site.hosts[host].kill();
        site.load.goes_on().await;
        if !site.load.failures().is_empty() {
            break;
        }
        site.start_again(host).await;
    }
    assert!(!site.end().await.is_empty(), "no request failed although hosts were killed");
}
