//! The whole way in a real browser: sign in, make a token, copy it, lose sight of it, use it, delete it.
//!
//! It needs `chromium` and `chromedriver` on the path. Without them it is skipped, except under `CI=true`.

#![allow(clippy::unwrap_used)]

mod support;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::body::Bytes;
use fantoccini::elements::Element;
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use support::Host;
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_from_sign_in_to_deletion() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    let address = browser.address;
    let station = host.ada().await.project("Weather station").await;
    let engine = host.ada().await.project("Difference engine").await;

    // One token, for one project, by its drop-down.
    browser.find("#project").await.select_by_label("Weather station").await.unwrap();
    browser.see("#no-tokens h2", "No tokens in this project yet").await;
    browser.click("#new").await;
    browser.fill("#token-name", "VSCode Integration").await;
    assert_eq!(browser.find("#amount").await.prop("value").await.unwrap().unwrap(), "30");
    assert_eq!(browser.find("#unit").await.prop("value").await.unwrap().unwrap(), "days");
    browser.click("#generate").await;
    browser.see("#warning b", "Copy it now: it is shown this once.").await;
    let token = browser.find("#token").await.text().await.unwrap();
    assert!(token.starts_with(&format!("demo_pat_{station}_")));
    assert!(browser.is_modal().await);
    browser.click("#copy").await;
    browser.see("#copy", "Copied").await;

    // Gone with the pop-up, and with each reload; the list has only its public part.
    browser.click("#done").await;
    browser.see("tbody .name", "VSCode Integration").await;
    browser.holds_nothing_of(&token).await;
    browser.client.refresh().await.unwrap();
    browser.see("tbody .expiry", "in 30 days").await;
    browser.holds_nothing_of(&token).await;
    browser.client.back().await.unwrap();
    browser.holds_nothing_of(&token).await;

    // A reload of the pop-up itself closes it too.
    browser.goto(&format!("/settings/tokens?project={engine}")).await;
    let short = browser.make("Night job", "1", "Minutes").await;
    browser.client.refresh().await.unwrap();
    browser.see("tbody .expiry", "in 1 minute").await;
    browser.holds_nothing_of(&short).await;

    // What the copy button put on the clipboard is the token: pasted where a name is typed.
    browser.click("#new").await;
    browser.find("#token-name").await.send_keys(&format!("{}v", char::from(Key::Control))).await.unwrap();
    browser.holds("#token-name", &token).await;

    // It opens its own project, and no other.
    let at = |path: &str| format!("http://{address}/api/v2/{path}");
    let (status, body) = get(&at("auth/whoami"), &token).await;
    assert_eq!((status, &body["project"]["name"]), (200, &json!("Weather station")));
    assert_eq!(get(&at(&format!("projects/{station}/whoami")), &token).await.0, 200);
    let (status, problem) = get(&at(&format!("projects/{engine}/whoami")), &token).await;
    assert_eq!((status, &problem["reason"]), (403, &json!("wrong_project")));

    // Deleted with its name typed, and not before.
    browser.goto(&format!("/settings/tokens?project={station}")).await;
    browser.see("tbody td:nth-child(3)", "just now").await;
    browser.click(".acts .danger").await;
    browser.fill("#typed", "VSCode").await;
    assert!(!browser.find("#delete").await.is_enabled().await.unwrap());
    assert_eq!(get(&at("auth/whoami"), &token).await.0, 200);
    browser.find("#typed").await.send_keys(" Integration").await.unwrap();
    browser.click("#delete").await;
    browser.see(".notice", "The token is deleted and has stopped working.").await;
    let (status, problem) = get(&at("auth/whoami"), &token).await;
    assert_eq!(
        (status, &problem["reason"], &problem["detail"]),
        (401, &json!("revoked"), &json!("the token was revoked"))
    );

    // A minute later the other one has ended by itself.
    assert_eq!(get(&at("auth/whoami"), &short).await.0, 200);
    host.clock.advance(Duration::from_secs(60));
    let (status, problem) = get(&at("auth/whoami"), &short).await;
    assert_eq!((status, &problem["reason"]), (401, &json!("expired")));
    browser.goto(&format!("/settings/tokens?project={engine}")).await;
    browser.see("tbody .badge", "Expired").await;

    browser.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_rotated_and_its_grace_ended() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    let old = browser.make("CI", "30", "Days").await;
    browser.click("#done").await;
    browser.click("a[href*='rotate=']").await;
    browser.find("#grace").await.select_by_label("1 more hour").await.unwrap();
    browser.click("#rotate").await;
    browser.see("#dialog-title", "Your new token").await;
    let new = browser.find("#token").await.text().await.unwrap();
    assert_ne!(old, new);
    let whoami = format!("http://{}/api/v2/auth/whoami", browser.address);
    host.clock.advance(Duration::from_secs(1));
    for token in [&old, &new] {
        assert_eq!(get(&whoami, token).await.0, 200, "both work");
    }
    browser.click("#done").await;
    browser.until("document.body.textContent.includes('Still in use.')", "body").await;
    host.clock.advance(Duration::from_secs(3598));
    assert_eq!(get(&whoami, &old).await.0, 200);

    browser.click("form[action$='/end-grace'] button").await;
    browser.see(".notice", "The old token has stopped working.").await;
    let (status, problem) = get(&whoami, &old).await;
    assert_eq!((status, &problem["reason"]), (401, &json!("revoked")));
    assert_eq!(get(&whoami, &new).await.0, 200);

    // What happened is told on the token's own page.
    browser.click("tbody a.name").await;
    browser.see("#history tbody tr:last-child td:nth-child(2)", "issued").await;
    browser.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_ends_all_tokens_of_a_person() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    let eve = host.eve().await;
    let shared = host.ada().await.project("Open library").await;
    let text = |made: Value| made["token"].as_str().unwrap().to_owned();
    let hers =
        [text(eve.make("a", None).await), text(eve.make("b", None).await), text(eve.make("c", Some(shared)).await)];
    let mine = text(host.ada().await.make("mine", None).await);
    let whoami = format!("http://{}/api/v2/auth/whoami", browser.address);
    for token in hers.iter().chain([&mine]) {
        assert_eq!(get(&whoami, token).await.0, 200);
    }
    let id: i64 = 2;
    browser.goto("/admin").await;
    browser.see(&format!("#person-{id} .live"), "3").await;
    // Suspended, she is locked out with all of them; reinstated, they work again.
    browser.click(&format!("#person-{id} form[action$='/suspend'] button")).await;
    browser.find(&format!("#person-{id} form[action$='/reinstate']")).await;
    let (status, problem) = get(&whoami, &hers[0]).await;
    assert_eq!((status, &problem["reason"]), (401, &json!("owner_suspended")));
    browser.click(&format!("#person-{id} form[action$='/reinstate'] button")).await;
    browser.find(&format!("#person-{id} form[action$='/suspend']")).await;
    assert_eq!(get(&whoami, &hers[0]).await.0, 200);

    browser.fill(&format!("#person-{id} input[name=typed]"), "eve").await;
    browser.click(&format!("#person-{id} .danger")).await;
    browser.see(".notice", "3 tokens are revoked, and have stopped working.").await;
    for token in &hers {
        let (status, problem) = get(&whoami, token).await;
        assert_eq!((status, &problem["reason"]), (401, &json!("revoked")), "at the next request");
    }
    assert_eq!(get(&whoami, &mine).await.0, 200);
    // Whoever is no administrator does not find the page.
    eve.get("/admin").await.is(404);
    browser.client.close().await.unwrap();
}

/// A host behind a port, and a browser in which its first person is signed in.
async fn signed_in(driver: &Driver) -> (Host, Browser) {
    let host = Host::start().await;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = axum::serve(listener, host.router.clone());
    tokio::spawn(async move { server.await });
    let browser = Browser { client: driver.client().await, address };
    browser.goto("/").await;
    browser.fill("#name", &host.first.name).await;
    browser.fill("#password", &host.first.password).await;
    browser.click("button").await;
    browser.find("#new").await;
    (host, browser)
}

/// By real HTTP, with the token as Bearer.
async fn get(url: &str, token: &str) -> (u16, Value) {
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let request = axum::http::Request::get(url).header("authorization", format!("Bearer {token}"));
    let response = client.request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

struct Browser {
    client: Client,
    address: SocketAddr,
}

impl Browser {
    async fn goto(&self, path: &str) {
        self.client.goto(&format!("http://{}{path}", self.address)).await.unwrap();
    }

    async fn find(&self, css: &str) -> Element {
        let found = self.client.wait().at_most(Duration::from_secs(10)).for_element(Locator::Css(css)).await;
        found.unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    async fn fill(&self, css: &str, text: &str) {
        let input = self.find(css).await;
        input.clear().await.unwrap();
        input.send_keys(text).await.unwrap();
    }

    /// Waits until the first such element has this text.
    async fn see(&self, css: &str, text: &str) {
        self.until(&format!("document.querySelector(arguments[0])?.textContent.trim() === {}", json!(text)), css).await;
    }

    /// Waits until the input has this value.
    async fn holds(&self, css: &str, value: &str) {
        self.until(&format!("document.querySelector(arguments[0])?.value === {}", json!(value)), css).await;
    }

    async fn until(&self, condition: &str, css: &str) {
        for _ in 0..100 {
            let holds = self.client.execute(&format!("return {condition}"), vec![json!(css)]).await;
            if holds.is_ok_and(|holds| holds == json!(true)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never so at {css}: {condition}\n{}", self.client.source().await.unwrap());
    }

    async fn is_modal(&self) -> bool {
        self.client.execute("return document.querySelector('dialog').matches(':modal')", vec![]).await.unwrap() == true
    }

    async fn holds_nothing_of(&self, token: &str) {
        support::assert_holds_no_part(&self.client.source().await.unwrap(), token);
    }

    /// A token by the form; the pop-up stays open.
    async fn make(&self, name: &str, amount: &str, unit: &str) -> String {
        self.click("#new").await;
        self.fill("#token-name", name).await;
        self.fill("#amount", amount).await;
        self.find("#unit").await.select_by_label(unit).await.unwrap();
        self.click("#generate").await;
        self.find("#token").await.text().await.unwrap()
    }
}

/// A chromedriver of our own, ended with the test, by a panic too.
struct Driver {
    child: Child,
    port: u16,
    profile: TempDir,
    chromium: PathBuf,
}

impl Driver {
    fn start() -> Option<Self> {
        let (Some(chromium), Some(chromedriver)) = (on_path("chromium"), on_path("chromedriver")) else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "chromium and chromedriver are not installed");
            println!("skipped: chromium and chromedriver are not installed");
            return None;
        };
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut command = Command::new(chromedriver);
        command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        Some(Self { child: command.spawn().unwrap(), port, profile: tempfile::tempdir().unwrap(), chromium })
    }

    async fn client(&self) -> Client {
        let flags = "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run \
            --disable-background-networking --disable-component-update --disable-sync --window-size=1280,900";
        let mut args: Vec<String> = flags.split_whitespace().map(String::from).collect();
        args.push(format!("--user-data-dir={}", self.profile.path().display()));
        let options = json!({"goog:chromeOptions": {"args": args, "binary": self.chromium}});
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(options.as_object().unwrap().clone());
        let url = format!("http://127.0.0.1:{}", self.port);
        for _ in 0..100 {
            if tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        builder.connect(&url).await.unwrap()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Asked first, chromedriver ends its browser; killed, it would leave it behind.
        if let Ok(mut stream) = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) {
            let _ = std::io::Write::write_all(&mut stream, b"GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
            for _ in 0..30 {
                if matches!(self.child.try_wait(), Ok(Some(_))) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir: PathBuf| dir.join(name)).find(|file: &PathBuf| Path::is_file(file))
}
