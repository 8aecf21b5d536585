//! Starts a chromedriver and a browser for a test, and controls the browser through the
//! chromedriver.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{self, Host};

/// The maximum time that a test waits until a page shows what the test expects. A busy machine
/// takes seconds to load a page.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time between two checks of the page.
const POLL: Duration = Duration::from_millis(20);

/// Starts a browser, and a host that listens on a port. Signs in the host's first person in the
/// browser.
pub async fn signed_in(driver: &Driver) -> (Host, Browser) {
    let host = Host::start().await;
    let browser = open(driver, &host, Scheme::Light).await;
    browser.sign_in(&host).await;
    (host, browser)
}

/// Starts a browser for this host, with light or dark pages. The browser shows no page at first.
pub async fn open(driver: &Driver, host: &Host, scheme: Scheme) -> Browser {
    let address = host.serve().await;
    Browser { client: driver.client(scheme).await, address, downloads: driver.downloads.path().into() }
}

/// The colour scheme that the browser prefers.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Scheme {
    Light,
    Dark,
}

/// Sends a GET request with this Bearer token. Returns the status and the JSON body of the
/// response.
pub async fn get(url: &str, token: &str) -> (u16, Value) {
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let request = axum::http::Request::get(url).header("authorization", format!("Bearer {token}"));
    let response = client.request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

/// A browser that shows the pages of one host.
pub struct Browser {
    pub client: Client,
    /// The address of the host.
    pub address: SocketAddr,
    /// The folder to which the browser downloads files.
    downloads: PathBuf,
}

impl Browser {
    /// Signs in the host's first person.
    pub async fn sign_in(&self, host: &Host) {
        self.goto("/").await;
        self.fill("#name", &host.first.name).await;
        self.fill("#password", &host.first.password).await;
        self.follow("button").await;
        self.find("#new").await;
    }

    /// Writes a screenshot of the page to `target/screenshots/NAME.png`, so that people can look at
    /// it.
    pub async fn keep(&self, name: &str) {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
        std::fs::create_dir_all(&kept).unwrap();
        std::fs::write(kept.join(format!("{name}.png")), self.client.screenshot().await.unwrap()).unwrap();
    }

    /// Returns the text of a downloaded file, and deletes the file.
    pub async fn downloaded(&self, name: &str) -> String {
        let path = self.downloads.join(name);
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            // The browser first reserves the name with an empty file. It writes to a file of
            // another name, and moves that file here when it is complete.
            if let Some(text) = std::fs::read_to_string(&path).ok().filter(|text| !text.is_empty()) {
                std::fs::remove_file(&path).unwrap();
                return text;
            }
            tokio::time::sleep(POLL).await;
        }
        panic!("{name} was not downloaded");
    }

    /// Returns the text of the first element that matches the selector, including hidden text.
    pub async fn text(&self, css: &str) -> String {
        self.find(css).await;
        let script = "return document.querySelector(arguments[0]).textContent";
        self.client.execute(script, vec![json!(css)]).await.unwrap().as_str().unwrap().into()
    }

    /// Returns the number of elements that match the selector.
    pub async fn count(&self, css: &str) -> u64 {
        let script = "return document.querySelectorAll(arguments[0]).length";
        self.client.execute(script, vec![json!(css)]).await.unwrap().as_u64().unwrap()
    }

    pub async fn goto(&self, path: &str) {
        self.client.goto(&format!("http://{}{path}", self.address)).await.unwrap();
    }

    /// Waits until an element matches the selector, and returns the element.
    pub async fn find(&self, css: &str) -> Element {
        let found = self.client.wait().at_most(PATIENCE).every(POLL).for_element(Locator::Css(css)).await;
        found.unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    pub async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    /// Clicks an element that leads to another page, and waits until the other page has loaded.
    pub async fn follow(&self, css: &str) {
        self.find(css).await;
        self.arrive(self.click(css)).await;
    }

    /// Runs an action that leads to another page, and waits until the other page has loaded.
    ///
    /// It is not enough to wait for a text of the new page. The old page may contain the same text,
    /// because the list of tokens is also on the page while a dialog is open.
    pub async fn arrive(&self, act: impl Future<Output = ()>) {
        self.client.execute("window.isLeft = true", vec![]).await.unwrap();
        act.await;
        self.until("!window.isLeft && document.readyState === 'complete'", "html").await;
    }

    /// Replaces the text of an input.
    pub async fn fill(&self, css: &str, text: &str) {
        let input = self.find(css).await;
        input.clear().await.unwrap();
        input.send_keys(text).await.unwrap();
    }

    /// Waits until the first element that matches the selector has exactly this text.
    pub async fn see(&self, css: &str, text: &str) {
        self.until(&format!("document.querySelector(arguments[0])?.textContent.trim() === {}", json!(text)), css).await;
    }

    /// Waits until the message of the page ends with this text. The message begins with the name
    /// and the id of a token.
    pub async fn is_told(&self, end: &str) {
        let condition = format!("document.querySelector('.notice')?.textContent.trim().endsWith({})", json!(end));
        self.until(&condition, ".notice").await;
    }

    /// Waits until the first input that matches the selector has this value.
    pub async fn holds(&self, css: &str, value: &str) {
        self.until(&format!("document.querySelector(arguments[0])?.value === {}", json!(value)), css).await;
    }

    /// Waits until this JavaScript condition is true. The condition gets the selector as
    /// `arguments[0]`.
    pub async fn until(&self, condition: &str, css: &str) {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let holds = self.client.execute(&format!("return {condition}"), vec![json!(css)]).await;
            if holds.is_ok_and(|holds| holds == json!(true)) {
                return;
            }
            tokio::time::sleep(POLL).await;
        }
        panic!("never true at {css}: {condition}\n{}", self.client.source().await.unwrap());
    }

    /// Returns whether the dialog of the page is modal.
    pub async fn is_modal(&self) -> bool {
        self.client.execute("return document.querySelector('dialog').matches(':modal')", vec![]).await.unwrap() == true
    }

    /// Checks that the page contains no part of the token's secret.
    pub async fn holds_nothing_of(&self, token: &str) {
        support::assert_holds_no_part(&self.client.source().await.unwrap(), token);
    }

    /// Creates a token with the form, and returns the token's text. The pop-up that shows the token
    /// stays open.
    pub async fn make(&self, name: &str, amount: &str, unit: &str) -> String {
        self.follow("#new").await;
        self.fill("#token-name", name).await;
        self.choose_lifetime(amount, unit).await;
        self.follow("#generate").await;
        self.find("#token").await.text().await.unwrap()
    }

    /// Chooses a lifetime in the form for a token: a preset if the form offers this number of days,
    /// otherwise a custom number and unit.
    pub async fn choose_lifetime(&self, amount: &str, unit: &str) {
        let preset = format!("[name=preset][value='{amount}']");
        if unit == "Days" && self.count(&preset).await == 1 {
            return self.click(&preset).await;
        }
        self.click("[name=preset][value=custom]").await;
        self.fill("#amount", amount).await;
        self.find("#unit").await.select_by_label(unit).await.unwrap();
    }

    /// Copies the token in the pop-up, and closes the pop-up. It closes without a question, because
    /// the token was copied.
    pub async fn done(&self) {
        self.click("#copy").await;
        self.see("#copy", "Copied").await;
        self.follow("#done").await;
    }

    /// Chooses a project in the bar at the top of the page.
    pub async fn switch(&self, project: &str) {
        let script = "const [select, name] = [document.querySelector('#project'), arguments[0]];
            select.value = [...select.options].find((one) => one.text.startsWith(`${name} ·`)).value;
            select.dispatchEvent(new Event('change', { bubbles: true }))";
        self.find("#project").await;
        self.arrive(async { drop(self.client.execute(script, vec![json!(project)]).await.unwrap()) }).await;
    }

    /// Opens the menu of the first row of the list, and returns the selector of an item in it.
    pub async fn in_menu(&self, item: &str) -> String {
        self.open_menu().await;
        format!("tbody tr:first-child .menu {item}")
    }

    /// Opens the menu of the first row of the list.
    pub async fn open_menu(&self) {
        self.find("tbody .menu").await;
        let script = "document.querySelector('tbody .menu').open = true";
        self.client.execute(script, vec![]).await.unwrap();
    }
}

/// A chromedriver process. It ends when the test drops this value, even if the test panics.
pub struct Driver {
    child: Child,
    port: u16,
    /// The folder for the profile of the browser.
    profile: TempDir,
    /// The folder to which the browser downloads files.
    downloads: TempDir,
    /// The path of the browser's program.
    chromium: PathBuf,
    _turn: Turn,
}

/// The maximum number of browsers that run at the same time. On two cores, the tests take longer in
/// total if more browsers run.
const MOST_BROWSERS: usize = 3;

/// The number of browsers that run.
static BROWSERS: Mutex<usize> = Mutex::new(0);
/// The condition variable that is notified when a browser has ended.
static ENDED: Condvar = Condvar::new();

/// A permit to run a browser. There are [`MOST_BROWSERS`] permits. Dropping a permit makes it
/// available again.
struct Turn;

impl Turn {
    /// Waits until a permit is available, and takes it. Blocks the thread, because the test has no
    /// other work until its browser starts.
    fn take() -> Self {
        let browsers = BROWSERS.lock().unwrap_or_else(PoisonError::into_inner);
        let mut browsers =
            ENDED.wait_while(browsers, |browsers| *browsers >= MOST_BROWSERS).unwrap_or_else(PoisonError::into_inner);
        *browsers += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *BROWSERS.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}

impl Driver {
    /// Starts a chromedriver. Returns `None` if chromium or chromedriver is not installed.
    pub fn start() -> Option<Self> {
        let (Some(chromium), Some(chromedriver)) = (on_path("chromium"), on_path("chromedriver")) else {
            test_summary::missing("chromium and chromedriver are not installed");
            return None;
        };
        let turn = Turn::take();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut command = Command::new(chromedriver);
        command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        Some(Self {
            child: command.spawn().unwrap(),
            port,
            profile: tempfile::tempdir().unwrap(),
            downloads: tempfile::tempdir().unwrap(),
            chromium,
            _turn: turn,
        })
    }

    /// Starts a browser, and returns the client that controls it.
    pub async fn client(&self, scheme: Scheme) -> Client {
        let flags = "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run \
            --disable-background-networking --disable-component-update --disable-sync --window-size=1280,900";
        let mut args: Vec<String> = flags.split_whitespace().map(String::from).collect();
        args.push(format!("--user-data-dir={}", self.profile.path().display()));
        args.push(format!("--blink-settings=preferredColorScheme={}", if scheme == Scheme::Dark { 0 } else { 1 }));
        let prefs = json!({"download.default_directory": self.downloads.path(), "download.prompt_for_download": false});
        let options = json!({"goog:chromeOptions": {"args": args, "binary": self.chromium, "prefs": prefs}});
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(options.as_object().unwrap().clone());
        let url = format!("http://127.0.0.1:{}", self.port);
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_ok() {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        builder.connect(&url).await.unwrap()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A shutdown request makes chromedriver end its browser. If chromedriver were killed, the
        // browser would continue to run.
        if let Ok(mut stream) = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) {
            let _ = std::io::Write::write_all(&mut stream, b"GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(3) {
                if matches!(self.child.try_wait(), Ok(Some(_))) {
                    return;
                }
                std::thread::sleep(POLL);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the path of a program in the folders of the variable `PATH`, if it is installed there.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir: PathBuf| dir.join(name)).find(|file: &PathBuf| Path::is_file(file))
}
