//! Tests reports of leaked tokens: which tokens they revoke, which responses they get, and how the
//! owners of the tokens learn of them.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyfob::{Clock, SystemClock};
use p256::PublicKey;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use p256::pkcs8::{EncodePublicKey, LineEnding};
use personal_tokens::db::query;
use personal_tokens::metrics;
use personal_tokens::setup::{self, Settings};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::postgres;
use crate::support::upstream::Upstream;
use crate::support::{Answer, Host, Person, WHOAMI, assert_holds_no_part, items_in, until};

const PAGE: &str = "/settings/tokens";
/// The path of the route that accepts leak reports from anybody.
const LEAKS: &str = "/api/v2/leaks";
/// The path of the route that accepts leak reports with a signature of GitHub.
const BY_GITHUB: &str = "/api/v2/leaks/github";
/// The web address of a leak, as a report contains it. The address contains HTML, which the page
/// must show as plain text.
const URL: &str = "https://paste.example/1?<script>alert(1)</script>";

/// Returns a report whose web address also contains the token. The address contains the token once
/// unchanged, and three times with a line break or an invisible character inside it.
fn report(token: &str) -> Vec<u8> {
    let (head, tail) = token.split_at(token.len().saturating_sub(25));
    let (start, rest) = head.split_at(head.len().min(4));
    let url = format!("{URL}\u{202e}&t={token}&t={start}\n{rest}{tail}&t={head}\u{202e}{tail}&t={head}\u{200b}{tail}");
    json!([{ "token": token, "type": "demo_pat", "url": url, "source": "content" }]).to_string().into_bytes()
}

async fn send(host: &Host, body: Vec<u8>) -> Answer {
    host.send(Request::post(LEAKS).header("content-type", "application/json").body(body.into()).unwrap()).await
}

#[tokio::test]
async fn whoever_has_a_token_may_end_it_and_its_owner_is_told() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.make("CI of the engine", None).await;
    let token = made["token"].as_str().unwrap();
    host.with_token(WHOAMI, token).await.is(200);

    let answer = send(&host, report(token)).await.is(202);
    assert_eq!(answer.json(), json!({ "received": 1 }));
    host.with_token(WHOAMI, token).await.is_problem(401, "revoked");

    let page = ada.get(PAGE).await.is(200);
    assert!(page.body.contains("id=\"leaked\"") && page.body.contains("CI of the engine"));
    assert!(page.body.contains("https://paste.example/1?&#60;script&#62;"), "{}", page.body);
    assert!(!page.body.contains(['\u{202e}', '\u{200b}']));
    assert!(!page.body.contains("<script>alert") && !page.body.contains("href=\"https://paste"));
    assert_holds_no_part(&page.body, token);

    // Other people do not see the notice, and cannot dismiss the notice of the owner.
    let eve = host.eve().await;
    let theirs = eve.get(PAGE).await.is(200);
    assert!(!theirs.body.contains("id=\"leaked\""));
    let form = page.body.split("action=\"/settings/leaks/").nth(1).unwrap().split('"').next().unwrap();
    let form = format!("/settings/leaks/{form}");
    eve.post_form(&form, &format!("csrf={}", theirs.field("csrf"))).await.is(303);
    ada.post_form(&form, "csrf=wrong").await.is(403);
    assert!(ada.get(PAGE).await.body.contains("id=\"leaked\""));

    ada.post_form(&form, &format!("csrf={}", page.field("csrf"))).await.is(303);
    assert!(!ada.get(PAGE).await.body.contains("id=\"leaked\""));
    // If the report is repeated, the dismissed notice does not appear again.
    send(&host, report(token)).await.is(202);
    assert!(!ada.get(PAGE).await.body.contains("id=\"leaked\""));
}

/// The holder of a stolen token could issue many agent tokens with it and report them all, to hide
/// the alarm about the stolen token.
#[tokio::test]
async fn alarms_name_tokens_of_people_before_those_of_agents() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.post(json!({"name": "Laptop", "scopes": "tokens:manage"})).await.is(200).json();
    let laptop = made["token"].as_str().unwrap();
    let mut reported = vec![laptop.to_owned()];
    for _ in 0..6 {
        let agent = host.delegate(laptop, &json!({"name": "harmless", "scopes": ""})).await.is(200).json();
        reported.push(agent["token"].as_str().unwrap().to_owned());
    }
    for token in reported {
        host.clock.advance(Duration::from_secs(1));
        let body = json!([{"token": token, "url": "https://paste.example/1"}]);
        send(&host, body.to_string().into_bytes()).await.is(202);
    }
    let shown = async || {
        let page = ada.get(PAGE).await.is(200);
        let (_, alarms) = page.body.split_once("id=\"leaked\"").unwrap();
        (alarms.split_once("</section>").unwrap().0.to_owned(), page.field("csrf"))
    };
    let (alarms, csrf) = shown().await;
    assert!(alarms.find("<b>Laptop</b>").unwrap() < alarms.find("<b>harmless</b>").unwrap(), "{alarms}");
    let cards = alarms.matches("was found in public and revoked").count();
    assert_eq!((cards, alarms.contains(">And 2 more</a>")), (5, true), "{alarms}");
    // The page does not count alarms that the owner has dismissed.
    for left in [true, false] {
        let (alarms, _) = shown().await;
        let form = alarms.split("action=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        ada.post_form(&form, &format!("csrf={csrf}")).await.is(303);
        assert_eq!(shown().await.0.contains(">And 1 more</a>"), left);
    }
}

/// The web address in a report contains the token. A character that a browser does not show
/// interrupts the token: a filler, a tag, a selector or a joiner.
#[tokio::test]
async fn address_with_a_token_parted_by_hidden_characters_shows_no_part_of_it() {
    let host = Host::start().await;
    let ada = host.ada().await;
    for hidden in ['\u{180e}', '\u{fe0f}', '\u{34f}', '\u{3164}', '\u{e0041}', '\u{115f}', '\u{2800}', '\u{600}'] {
        let made = ada.make("CI", None).await;
        let token = made["token"].as_str().unwrap();
        let (head, tail) = token.split_at(token.len() - 40);
        let url = format!("https://paste.example/?t={head}{hidden}{tail}");
        send(&host, json!([{ "token": token, "url": url }]).to_string().into_bytes()).await.is(202);
        let page = ada.get(PAGE).await.is(200);
        assert!(page.body.contains("https://paste.example/?t="), "{}", page.body);
        assert_holds_no_part(&page.body, token);
        assert!(!page.body.contains(hidden), "U+{:04X}", u32::from(hidden));
        let kept: Vec<String> = query("SELECT url FROM token_leaks").column(&host.app.db).await.unwrap();
        kept.iter().for_each(|url| assert_holds_no_part(url, token));
    }
    // A row that an earlier version stored may contain a web address with the token.
    let token = ada.make("CI", None).await["token"].as_str().unwrap().to_owned();
    send(&host, report(&token)).await.is(202);
    let (head, tail) = token.split_at(token.len() - 40);
    let kept = query("UPDATE token_leaks SET url = ?").bind(format!("https://a/?t={head}\u{3164}{tail}"));
    kept.execute(&host.app.db).await.unwrap();
    let page = ada.get(PAGE).await.is(200);
    assert!(page.body.contains("https://a/?t="), "{}", page.body);
    assert_holds_no_part(&page.body, &token);
}

#[tokio::test]
async fn a_reported_token_ends_whatever_stands_around_it() {
    let host = Host::start().await;
    let ada = host.ada().await;
    for (before, behind) in [(" ", "\r\n"), ("\"", "\""), ("Bearer ", ""), ("token=", ";"), ("\u{200b}", "\u{feff}")] {
        let made = ada.make("CI", None).await;
        let token = made["token"].as_str().unwrap();
        send(&host, report_of(&[format!("{before}{token}{behind}")])).await.is(202);
        host.with_token(WHOAMI, token).await.is_problem(401, "revoked");
    }
    // This report contains the value of an `Authorization` header, as a log may contain it.
    let made = ada.make("CI", None).await;
    let token = made["token"].as_str().unwrap();
    send(&host, report_of(&[format!("Basic {}", STANDARD.encode(format!("{token}:x")))])).await.is(202);
    host.with_token(WHOAMI, token).await.is_problem(401, "revoked");
}

#[tokio::test]
async fn trail_and_metrics_record_a_leak() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let made = ada.make("CI", None).await;
    send(&host, report(made["token"].as_str().unwrap())).await.is(202);
    host.app.audit.written().await;
    // The owner reads in the history of the leaked token who found it and where.
    let page = ada.get(&format!("{PAGE}/{}", made["uuid"].as_str().unwrap())).await.is(200).body;
    let history = items_in(&page, "history");
    assert_eq!(history.len(), 2, "{history:?}");
    let start =
        "Found in public and revoked. Reported by somebody who had found it, found at https://paste.example/1?<script>";
    assert!(history[0].starts_with(start), "{history:?}");
    assert!(!page.contains("<script>alert") && !page.contains("href=\"https://paste"));
    assert_holds_no_part(&page, made["token"].as_str().unwrap());
    let metrics = metrics::page(&host.app);
    assert!(metrics.contains("keyfob_acts_total{act=\"leaked\"} 1\n"), "{metrics}");
    // A repeated report emits only a sampled event. The counter does not count sampled events.
    send(&host, report(made["token"].as_str().unwrap())).await.is(202);
    let metrics = metrics::page(&host.app);
    assert!(metrics.contains("keyfob_acts_total{act=\"leaked\"} 1\n"), "{metrics}");
}

#[tokio::test]
async fn an_answer_tells_nobody_what_was_a_token() {
    let host = Host::start().await;
    let made = host.ada().await.make("CI", None).await;
    let token = made["token"].as_str().unwrap();
    let other = format!("{}x", &token[..token.len() - 1]);
    let known = send(&host, report(token)).await.is(202);
    for body in [report(token), report(&other), report("")] {
        assert_eq!(send(&host, body).await.is(202).body, known.body);
    }
}

#[tokio::test]
async fn what_is_no_report_is_refused() {
    let host = Host::start().await;
    for body in ["", "{}", "[1]", "nonsense"] {
        send(&host, body.into()).await.is_problem(400, "malformed");
    }
    send(&host, vec![b' '; 300_000]).await.is_problem(413, "too_large");
    let many = |tokens: usize| {
        json!(vec![json!({ "token": "none", "url": "u".repeat(100) }); tokens]).to_string().into_bytes()
    };
    assert!(many(1000).len() > 100_000);
    send(&host, many(1000)).await.is(202);
    send(&host, many(1001)).await.is_problem(413, "too_large");
    // If the configuration does not contain `github_keys`, the route for GitHub does not exist.
    host.send(Request::post(BY_GITHUB).body("[]".into()).unwrap()).await.is_problem(404, "not_found");
}

/// A stand-in for GitHub. It publishes a key and signs reports with it.
struct Signer256 {
    key: SigningKey,
    /// The name under which the server publishes the key. If the name is `None`, the server returns
    /// an error.
    name: Arc<Mutex<Option<&'static str>>>,
    /// Whether the server begins its response and never ends it.
    is_slow: Arc<AtomicBool>,
    /// The server that publishes the key.
    published: Upstream,
}

impl Signer256 {
    async fn start() -> Self {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let pem = PublicKey::from(VerifyingKey::from(&key)).to_public_key_pem(LineEnding::LF).unwrap();
        let name = Arc::new(Mutex::new(Some("k1")));
        let is_slow = Arc::<AtomicBool>::default();
        let (present, slow) = (Arc::clone(&name), Arc::clone(&is_slow));
        let published = Upstream::answering(move |_| match *present.lock().unwrap() {
            _ if slow.load(Ordering::Relaxed) => endless().into_response(),
            Some(name) => {
                let keys = json!({ "public_keys": [{ "key_identifier": name, "key": pem, "is_current": true }] });
                axum::Json(keys).into_response()
            }
            None => StatusCode::BAD_GATEWAY.into_response(),
        })
        .await;
        Self { key, name, is_slow, published }
    }

    fn publish(&self, name: Option<&'static str>) {
        *self.name.lock().unwrap() = name;
    }

    fn config(&self) -> Value {
        json!({ "github_keys": format!("http://{}/meta/public_keys/secret_scanning", self.published.address) })
    }

    fn sign(&self, body: &[u8]) -> String {
        let signature: DerSignature = self.key.sign(body);
        STANDARD.encode(signature.as_bytes())
    }
}

fn endless() -> Body {
    Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, Infallible>>())
}

fn delivery(key: &str, signature: &str, body: Vec<u8>) -> Request<Body> {
    let request = Request::post(BY_GITHUB).header("content-type", "application/json");
    let request = request.header("github-public-key-identifier", key).header("github-public-key-signature", signature);
    request.body(body.into()).unwrap()
}

async fn deliver(host: &Host, key: &str, signature: &str, body: Vec<u8>) -> Answer {
    host.send(delivery(key, signature, body)).await
}

/// Returns ada, a token of hers, a report that this token has leaked, and GitHub's signature of the
/// report.
async fn token_and_report<'h>(host: &'h Host, github: &Signer256) -> (Person<'h>, String, Vec<u8>, String) {
    let ada = host.ada().await;
    let made = ada.make("CI", None).await;
    let token = made["token"].as_str().unwrap().to_owned();
    let body = report(&token);
    let signature = github.sign(&body);
    (ada, token, body, signature)
}

#[tokio::test]
async fn signed_reports_of_github_are_handled_and_answered() {
    let github = Signer256::start().await;
    let host = Host::start_configured(github.config()).await;
    let (ada, token, body, signature) = token_and_report(&host, &github).await;
    let token = token.as_str();

    deliver(&host, "k1", &signature, report("tampered")).await.is_problem(403, "not_signed");
    deliver(&host, "k1", "", body.clone()).await.is_problem(403, "not_signed");
    host.with_token(WHOAMI, token).await.is(200);

    let answer = deliver(&host, "k1", &signature, body.clone()).await.is(200).json();
    assert_eq!(answer[0]["label"], "true_positive");
    host.with_token(WHOAMI, token).await.is_problem(401, "revoked");
    assert!(ada.get(PAGE).await.body.contains("Reported by GitHub secret scanning."));
    deliver(&host, "k1", &signature, body).await.is_problem(409, "replayed");
    assert_eq!(github.published.asked().len(), 1);

    let mut body = b"[]".to_vec();
    body.resize(1_000_000, b' ');
    deliver(&host, "k1", &github.sign(&body), body).await.is(200);
    let body = vec![b' '; 10_000_000];
    deliver(&host, "k1", &github.sign(&body), body).await.is_problem(413, "too_large");
    deliver(&host, "k1", &github.sign(b"no JSON"), b"no JSON".to_vec()).await.is_problem(400, "malformed");
}

#[tokio::test]
async fn repeated_unknown_key_causes_one_fetch_of_the_keys() {
    let github = Signer256::start().await;
    let host = Host::start_configured(github.config()).await;
    for _ in 0..5 {
        deliver(&host, "k2", &github.sign(b"[]"), b"[]".to_vec()).await.is_problem(403, "not_signed");
    }
    assert_eq!(github.published.asked().len(), 1);
}

#[tokio::test]
async fn new_key_is_accepted_after_it_is_fetched() {
    let github = Signer256::start().await;
    let host = Host::start_configured(github.config()).await;
    let signed = async |key: &str, body: &str| deliver(&host, key, &github.sign(body.as_bytes()), body.into()).await;
    signed("k1", "[]").await.is(200);
    github.publish(Some("k2"));
    // The fetched keys are less than five minutes old. So the service does not fetch them again,
    // and does not know the new key.
    host.clock.advance(Duration::from_secs(10));
    signed("k2", " []").await.is_problem(503, "unavailable");
    host.clock.advance(Duration::from_secs(5 * 60 - 11));
    signed("k2", " []").await.is_problem(503, "unavailable");
    host.clock.advance(Duration::from_secs(1));
    signed("k2", " []").await.is(200);
    signed("k1", "  []").await.is_problem(403, "not_signed");
    assert_eq!(github.published.asked().len(), 2);
}

#[tokio::test]
async fn failed_fetch_of_keys_is_repeated_after_a_minute() {
    let github = Signer256::start().await;
    github.publish(None);
    let host = Host::start_configured(github.config()).await;
    let body = || b"[]".to_vec();
    deliver(&host, "k1", &github.sign(b"[]"), body()).await.is_problem(503, "unavailable");
    github.publish(Some("k1"));
    host.clock.advance(Duration::from_secs(59));
    deliver(&host, "k1", &github.sign(b"[]"), body()).await.is_problem(503, "unavailable");
    host.clock.advance(Duration::from_secs(1));
    deliver(&host, "k1", &github.sign(b"[]"), body()).await.is(200);
    assert_eq!(github.published.asked().len(), 2);
}

/// The test calls `keep_keys`, which the service calls every minute.
#[tokio::test]
async fn withdrawn_key_is_accepted_for_a_day_at_most() {
    let github = Signer256::start().await;
    let host = Host::start_configured(github.config()).await;
    let keys = host.app.github.as_ref().unwrap();
    keys.keep_keys().await;
    keys.keep_keys().await;
    github.publish(Some("k2"));
    host.clock.advance(Duration::from_secs(24 * 60 * 60 - 1));
    keys.keep_keys().await;
    assert_eq!(github.published.asked().len(), 1);
    deliver(&host, "k1", &github.sign(b"[]"), b"[]".to_vec()).await.is(200);
    host.clock.advance(Duration::from_secs(1));
    keys.keep_keys().await;
    deliver(&host, "k1", &github.sign(b" []"), b" []".to_vec()).await.is_problem(403, "not_signed");
    assert_eq!(github.published.asked().len(), 1);
    // If fetching the keys fails, the service tries again after a minute. Until then, the known key
    // stays valid.
    github.publish(None);
    host.clock.advance(Duration::from_secs(24 * 60 * 60));
    keys.keep_keys().await;
    deliver(&host, "k2", &github.sign(b"  []"), b"  []".to_vec()).await.is(200);
    github.publish(Some("k3"));
    host.clock.advance(Duration::from_secs(60));
    keys.keep_keys().await;
    deliver(&host, "k3", &github.sign(b"   []"), b"   []".to_vec()).await.is(200);
    assert_eq!(github.published.asked().len(), 2);
    // The service also fetches the keys if its clock was set back.
    github.publish(Some("k4"));
    host.clock.set(SystemClock.now().saturating_sub(Duration::from_secs(60)));
    keys.keep_keys().await;
    deliver(&host, "k4", &github.sign(b"    []"), b"    []".to_vec()).await.is(200);
}

/// GitHub answers few requests, so one process asks for all. The others read its keys from the
/// database.
#[tokio::test]
async fn one_process_fetches_the_keys_for_all() {
    let github = Signer256::start().await;
    let host = Host::start_configured(github.config()).await;
    let mut apps = vec![Arc::clone(&host.app)];
    for _ in 0..3 {
        let opened = setup::open(host.dir(), host.settings.clone(), Arc::new(host.clock.clone())).await;
        apps.push(opened.unwrap().0);
    }
    for key in ["k1", "k2"] {
        github.publish(Some(key));
        let mut tasks = JoinSet::new();
        for app in &apps {
            let keys = Arc::clone(app.github.as_ref().unwrap());
            tasks.spawn(async move { keys.keep_keys().await });
        }
        tasks.join_all().await;
        for app in &apps {
            let keys = app.github.as_ref().unwrap();
            keys.keep_keys().await;
            let held = keys.fetch_keys().await.unwrap();
            assert_eq!(held.current_ids().collect::<Vec<_>>(), [key]);
        }
        assert_eq!(github.published.asked().len(), 1);
        host.clock.advance(Duration::from_secs(24 * 60 * 60));
    }
}

/// A process that dies while it fetches the keys keeps the others waiting for a minute.
#[tokio::test]
async fn the_fetch_of_a_process_that_died_is_taken_over() {
    let github = Signer256::start().await;
    let host = Host::start_configured(github.config()).await;
    let began = host.clock.now().as_unix_millis();
    query("UPDATE github_keys SET asked_at = ?").bind(began).execute(&host.app.db).await.unwrap();
    let keys = host.app.github.as_ref().unwrap();
    host.clock.advance(Duration::from_secs(59));
    assert!(keys.fetch_keys().await.is_none());
    host.clock.advance(Duration::from_secs(1));
    assert!(keys.fetch_keys().await.is_some());
}

/// Creates a database trigger that refuses the revocation of this token.
async fn refuse_to_end(host: &Host, token: &str) {
    let id = token.rsplit('_').nth(1).unwrap();
    let trigger = format!(
        "CREATE TRIGGER refusing BEFORE UPDATE OF revoked_at ON keyfob_tokens WHEN old.id = '{id}' \
         BEGIN SELECT RAISE(ABORT, 'refused'); END"
    );
    query(trigger).execute(&host.app.db).await.unwrap();
}

async fn run(host: &Host, sql: &'static str) {
    query(sql).execute(&host.app.db).await.unwrap();
}

async fn make_two(host: &Host) -> [String; 2] {
    let ada = host.ada().await;
    [ada.make("a", None).await, ada.make("b", None).await].map(|made| made["token"].as_str().unwrap().to_owned())
}

fn report_of(tokens: &[String]) -> Vec<u8> {
    json!(tokens.iter().map(|token| json!({ "token": token })).collect::<Vec<_>>()).to_string().into_bytes()
}

#[tokio::test]
async fn failure_of_one_token_does_not_save_the_others() {
    let host = Host::start().await;
    if !host.is_on_sqlite() {
        return;
    }
    let [a, b] = make_two(&host).await;
    refuse_to_end(&host, &a).await;
    let report = || report_of(&[a.clone(), b.clone()]);
    send(&host, report()).await.is_problem(503, "unavailable");
    host.with_token(WHOAMI, &a).await.is(200);
    host.with_token(WHOAMI, &b).await.is_problem(401, "revoked");
    run(&host, "DROP TRIGGER refusing").await;
    send(&host, report()).await.is(202);
    host.with_token(WHOAMI, &a).await.is_problem(401, "revoked");
}

/// If a revocation fails, the service itself tries it again, because the reporter may never send
/// the report again.
#[tokio::test]
async fn brief_failure_is_retried_before_the_answer() {
    let github = Signer256::start().await;
    for by_github in [false, true] {
        let host = Host::start_configured(github.config()).await;
        if !host.is_on_sqlite() {
            return;
        }
        let [a, b] = make_two(&host).await;
        refuse_to_end(&host, &a).await;
        let body = report_of(&[a.clone(), b.clone()]);
        let signature = github.sign(&body);
        let report = async {
            match by_github {
                true => deliver(&host, "k1", &signature, body).await.is(200),
                false => send(&host, body).await.is(202),
            }
        };
        let moment = async {
            // As soon as the second token is revoked, the first attempt to revoke the first token
            // has failed.
            until("the second ends", async || host.with_token(WHOAMI, &b).await.status != 200).await;
            run(&host, "DROP TRIGGER refusing").await;
        };
        let (answer, ()) = tokio::join!(report, moment);
        host.with_token(WHOAMI, &a).await.is_problem(401, "revoked");
        let label = answer.json()[0]["label"].clone();
        assert_eq!(label == "true_positive", by_github, "{label}");
    }
}

/// Each retry of a report stores only the leaks that are not stored yet.
#[tokio::test]
async fn ended_bound_tokens_are_counted_once_if_another_revocation_is_retried() {
    let host = Host::start().await;
    if !host.is_on_sqlite() {
        return;
    }
    let ada = host.ada().await;
    let made = ada.post(json!({"name": "Laptop", "scopes": "tokens:manage"})).await.is(200).json();
    let laptop = made["token"].as_str().unwrap().to_owned();
    for name in ["one", "two"] {
        host.delegate(&laptop, &json!({"name": name, "scopes": ""})).await.is(200);
    }
    let other = ada.make("other", None).await["token"].as_str().unwrap().to_owned();
    refuse_to_end(&host, &other).await;
    let report = async { send(&host, report_of(&[other.clone(), laptop.clone()])).await.is(202) };
    let moment = async {
        // The alarm is stored after the first attempt to revoke the other token has failed.
        let noted = || query("SELECT bound_ended FROM leaked_issuers").column::<i64>(&host.app.db);
        until("the leak is stored", async || noted().await.unwrap().len() == 1).await;
        run(&host, "DROP TRIGGER refusing").await;
    };
    tokio::join!(report, moment);
    host.with_token(WHOAMI, &other).await.is_problem(401, "revoked");
    let list = ada.get(PAGE).await.is(200);
    assert!(list.body.contains("2 tokens that it had issued ended with it."), "{}", list.body);
}

#[tokio::test]
async fn report_is_accepted_again_if_its_owner_could_not_be_notified() {
    let github = Signer256::start().await;
    let host = Host::start_configured(github.config()).await;
    let (ada, _, body, signature) = token_and_report(&host, &github).await;
    run(&host, "ALTER TABLE token_leaks RENAME TO away").await;
    deliver(&host, "k1", &signature, body.clone()).await.is_problem(503, "unavailable");
    run(&host, "ALTER TABLE away RENAME TO token_leaks").await;
    deliver(&host, "k1", &signature, body).await.is(200);
    assert!(ada.get(PAGE).await.body.contains("id=\"leaked\""));
}

#[tokio::test]
async fn report_whose_connection_was_lost_is_answered_when_repeated() {
    let github = Signer256::start().await;
    let host = Host::start_configured(github.config()).await;
    let (ada, _, body, signature) = token_and_report(&host, &github).await;
    // The connection is lost after the request has begun.
    let lost = tokio::time::timeout(Duration::ZERO, deliver(&host, "k1", &signature, body.clone())).await;
    assert!(lost.is_err());
    until("its owner is notified", async || ada.get(PAGE).await.body.contains("id=\"leaked\"")).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let answer = deliver(&host, "k1", &signature, body).await.is(200).json();
    assert_eq!(answer[0]["label"], "true_positive");
}

#[tokio::test]
async fn concurrent_first_reports_are_all_accepted() {
    let github = Signer256::start().await;
    let host = Host::start_configured(github.config()).await;
    let bodies = ["[]", " []", "  []"].map(|body| body.as_bytes().to_vec());
    let [a, b, c] = bodies.map(|body| {
        let signature = github.sign(&body);
        let host = &host;
        async move { deliver(host, "k1", &signature, body).await.status }
    });
    let (a, b, c) = tokio::join!(a, b, c);
    assert_eq!([a, b, c].map(|status| status.as_u16()), [200; 3]);
}

#[tokio::test]
async fn report_is_answered_503_if_the_keys_cannot_be_fetched() {
    let host = Host::start_configured(json!({ "github_keys": "http://127.0.0.1:1/" })).await;
    deliver(&host, "k1", "AAAA", b"[]".to_vec()).await.is_problem(503, "unavailable");
}

#[tokio::test]
async fn address_of_the_keys_must_be_https_or_on_loopback() {
    for (address, starts) in [
        ("https://api.github.com/meta", true),
        ("http://127.0.0.1:1/", true),
        ("http://[::1]:1/", true),
        ("http://localhost/", true),
        ("api.github.com", false),
        ("file:///etc/passwd", false),
        ("http://api.github.com/meta", false),
        ("http://127.0.0.1.example/", false),
        ("http://192.168.0.1/", false),
    ] {
        let refused = Host::refused(&json!({ "github_keys": address }), 0o600).await;
        assert_eq!(refused.is_empty(), starts, "{address}: {refused}");
        assert!(starts || refused.contains("must be https:// and a host, or http:// on loopback"), "{refused}");
    }
}

/// The test repeats a report at a second process on the same data directory and at a process that
/// started later. It does so with the tokens in SQLite and with the tokens in PostgreSQL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replay_is_known_to_other_processes_and_after_a_restart() {
    let server = postgres::Server::start();
    let github = Signer256::start().await;
    for database in [None, server.as_ref().map(|server| server.database().parse().unwrap())] {
        let settings = Settings { database, ..Settings::default() };
        let host = Host::start_configured_with(github.config(), settings.clone()).await;
        let other = host.another(settings.clone()).await;
        let (_, token, body, signature) = token_and_report(&host, &github).await;
        deliver(&host, "k1", &signature, body.clone()).await.is(200);
        host.with_token(WHOAMI, &token).await.is_problem(401, "revoked");
        let restarted = host.another(settings).await;
        for router in [&other, &restarted] {
            let answer = host.send_to(router, delivery("k1", &signature, body.clone())).await;
            answer.is_problem(409, "replayed");
            // A sender without a valid signature does not learn that the service has already
            // processed the report.
            host.send_to(router, delivery("k1", "AAAA", body.clone())).await.is_problem(403, "not_signed");
        }
    }
}

/// Adds the header `X-Forwarded-For` to a request. In this header, a proxy names the address of its
/// client.
fn sent_by(address: impl AsRef<[u8]>, request: Request<Body>) -> Request<Body> {
    let mut request = request;
    request.headers_mut().insert("x-forwarded-for", HeaderValue::from_bytes(address.as_ref()).unwrap());
    request
}

/// Returns an unsigned report without tokens.
fn small_report() -> Request<Body> {
    Request::post(LEAKS).header("content-type", "application/json").body("[]".into()).unwrap()
}

/// Returns the number of seconds in the header `Retry-After` of the response.
fn retry_after(answer: &Answer) -> u64 {
    answer.header("retry-after").parse().unwrap()
}

#[tokio::test]
async fn flood_of_one_reporter_delays_neither_others_nor_github() {
    let github = Signer256::start().await;
    let settings = Settings { behind_tls: true, ..Settings::default() };
    let host = Host::start_configured_with(github.config(), settings).await;
    let flooder = "198.51.100.1";
    let mut taken = 0;
    let refused = loop {
        let answer = host.send(sent_by(flooder, small_report())).await;
        match answer.status.as_u16() {
            202 => taken += 1,
            _ => break answer,
        }
        assert!(taken < 100, "nothing bounds them");
    };
    refused.is_problem(429, "too_many");
    assert!((1..=3).contains(&retry_after(&refused)) && taken >= 20, "{taken}");
    // The service uses only the address that the proxy appended. The client itself wrote the
    // address before it.
    host.send(sent_by(format!("192.0.2.9, {flooder}"), small_report())).await.is_problem(429, "too_many");
    host.send(sent_by("198.51.100.2", small_report())).await.is(202);

    // Reports with false signatures do not delay GitHub's reports either.
    let sign = |body: &[u8]| delivery("k1", &github.sign(body), body.to_vec());
    host.send(sent_by("192.0.2.1", sign(b"[]"))).await.is(200);
    let mut falsely = 0;
    let refused = loop {
        let answer = host.send(sent_by(flooder, delivery("k1", "AAAA", b"[]".to_vec()))).await;
        match answer.status.as_u16() {
            403 => falsely += 1,
            _ => break answer,
        }
        assert!(falsely < 100, "nothing bounds them");
    };
    refused.is_problem(429, "too_many");
    assert!((1..=6).contains(&retry_after(&refused)));
    for number in 0..50 {
        let body = " ".repeat(number + 1) + "[]";
        host.send(sent_by("192.0.2.1", sign(body.as_bytes()))).await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_bodies_of_one_sender_leave_room_for_github() {
    let github = Signer256::start().await;
    let settings = Settings { behind_tls: true, ..Settings::default() };
    let host = Host::start_configured_with(github.config(), settings).await;
    let held = hold_endless(&host, "198.51.100.1").await;
    sent_by_github_is(200, &host, &github, "[]").await;
    let refused = host.send(endless_of("198.51.100.1")).await;
    refused.is_problem(503, "busy");
    assert!(retry_after(&refused) > 0);
    drop(held);
    // The service refuses a request without a signature before it reads the body. So this request
    // does not wait for other requests.
    let unsigned = Request::post(BY_GITHUB).body(endless());
    host.send(unsigned.unwrap()).await.is_problem(403, "not_signed");
}

/// Returns a report of this sender, with a body that never ends.
fn endless_of(sender: impl AsRef<[u8]>) -> Request<Body> {
    let mut request = delivery("k1", "AAAA", Vec::new());
    *request.body_mut() = endless();
    sent_by(sender, request)
}

/// Sends eight reports of one sender, with bodies that never end. The requests stay open until the
/// returned set is dropped.
async fn hold_endless(host: &Host, sender: impl AsRef<[u8]>) -> JoinSet<Result<Response<Body>, Infallible>> {
    let held = (0..8).map(|_| host.router.clone().oneshot(endless_of(&sender))).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    held
}

/// Sends a report that is signed with GitHub's known key, from the address 192.0.2.1. Checks the
/// status of the response. Panics if the response takes longer than four seconds, because then the
/// report had to wait for other reports.
async fn sent_by_github_is(status: u16, host: &Host, github: &Signer256, body: &str) {
    let signed = sent_by("192.0.2.1", delivery("k1", &github.sign(body.as_bytes()), body.into()));
    let answer = tokio::time::timeout(Duration::from_secs(4), host.send(signed)).await;
    answer.expect("there is room").is(status);
}

/// The header `X-Forwarded-For` can begin with bytes that are not text, because a proxy only
/// appends the client's address. The header can also lack an address. In both cases, requests with
/// endless bodies must leave room for reports from GitHub.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_bodies_leave_room_for_github_whatever_their_sender_forwards() {
    let github = Signer256::start().await;
    let settings = Settings { behind_tls: true, ..Settings::default() };
    for forwarded in [&b"\xff, 198.51.100.1"[..], b"unknown"] {
        let host = Host::start_configured_with(github.config(), settings.clone()).await;
        let _held = hold_endless(&host, forwarded).await;
        sent_by_github_is(200, &host, &github, "[]").await;
    }
}

/// If a report names an unknown key, the service fetches the keys from GitHub. An attacker can send
/// many reports with unknown keys. These reports must not delay the reports that are signed with a
/// known key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_key_is_believed_while_keys_are_awaited_for_others() {
    let github = Signer256::start().await;
    let settings = Settings { behind_tls: true, ..Settings::default() };
    let host = Host::start_configured_with(github.config(), settings).await;
    sent_by_github_is(200, &host, &github, "[]").await;
    github.is_slow.store(true, Ordering::Relaxed);
    // After this time, the service may fetch the keys again.
    host.clock.advance(Duration::from_secs(5 * 60));
    let unknown = |sender: &str| sent_by(sender, delivery("k2", "AAAA", b"[]".to_vec()));
    let senders = ["198.51.100.1", "198.51.100.1", "198.51.100.2", "198.51.100.2"];
    let _waiting: JoinSet<_> = senders.iter().map(|sender| host.router.clone().oneshot(unknown(sender))).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    for number in 1..=20 {
        sent_by_github_is(200, &host, &github, &(" ".repeat(number) + "[]")).await;
    }
    // The number of reports that may wait for keys is limited.
    host.send(unknown("198.51.100.3")).await.is_problem(503, "busy");
}

/// A sender has sent too many reports that name unknown keys. The service immediately refuses the
/// sender's next report that names an unknown key. It still accepts the sender's reports that name
/// a known key, because the sender can be GitHub. If GitHub starts to use a new key, GitHub's
/// reports name an unknown key until the service has fetched the new key.
#[tokio::test]
async fn sender_of_too_many_reports_by_unknown_keys_does_not_wait_for_keys() {
    let github = Signer256::start().await;
    let settings = Settings { behind_tls: true, ..Settings::default() };
    let host = Host::start_configured_with(github.config(), settings).await;
    sent_by_github_is(200, &host, &github, "[]").await;
    // After a minute, the keys may be outdated, but the service does not fetch them again yet.
    host.clock.advance(Duration::from_secs(60));
    let unknown = |sender: &str| sent_by(sender, delivery("k2", "AAAA", b"[]".to_vec()));
    let mut taken = 0;
    let refused = loop {
        let answer = host.send(unknown("192.0.2.1")).await;
        match answer.status.as_u16() {
            503 => taken += 1,
            _ => break answer,
        }
        assert!(taken < 100, "nothing bounds them");
    };
    refused.is_problem(429, "too_many");
    assert!((1..=6).contains(&retry_after(&refused)));
    host.send(unknown("198.51.100.1")).await.is_problem(503, "unavailable");
    // The refused sender may be GitHub, so its reports with a known key are still accepted.
    sent_by_github_is(200, &host, &github, " []").await;
}

#[tokio::test]
async fn reports_of_a_withdrawn_key_are_forgotten() {
    let github = Signer256::start().await;
    let host = Host::start_configured(github.config()).await;
    deliver(&host, "k1", &github.sign(b"[]"), b"[]".to_vec()).await.is(200);
    let remembered =
        async || -> i64 { query("SELECT count(*) FROM github_deliveries").value(&host.app.db).await.unwrap() };
    let keys = host.app.github.as_ref().unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    host.clock.advance(day);
    keys.keep_keys().await;
    assert_eq!(remembered().await, 1);
    github.publish(Some("k2"));
    host.clock.advance(day);
    keys.keep_keys().await;
    assert_eq!(remembered().await, 0);
    deliver(&host, "k1", &github.sign(b"[]"), b"[]".to_vec()).await.is_problem(403, "not_signed");
}
