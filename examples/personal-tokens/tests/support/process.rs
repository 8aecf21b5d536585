//! Runs the service as a process, and sends requests to it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder, Response, redirect};
use serde_json::Value;

use super::{TOKENS, WHOAMI};

/// The maximum time that a test waits for a printed line, for the end of a process or for a
/// connection. After this time, the test fails and prints the log.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A process of the service. Dropping this value kills the process. If the test has failed, the
/// drop also prints the log of the process.
pub struct Process {
    child: Child,
    /// The lines of the process's standard output that the test has received so far.
    pub printed: Vec<String>,
    /// The next lines of the process's standard output. A thread reads them from the process, so
    /// that a wait for a line can time out.
    out: Receiver<String>,
    /// The file to which the process writes its log, on standard error.
    log: File,
}

/// A pepper for several data directories: 32 bytes in base64.
pub const PEPPER: &str = "MDEyMzQ1Njc4OWFiY2RlZiBhIHNoYXJlZCBwZXBwZXI=";

/// Returns the path of the service's program.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_personal-tokens"))
}

/// Returns a command that starts the service on a free port with this data directory.
pub fn command(data: &Path) -> Command {
    let mut command = Command::new(program());
    command.args(["--addr", "127.0.0.1:0", "--data-dir"]).arg(data);
    for variable in ["DATABASE_URL", "STATE_URL", "PEPPER"] {
        command.env_remove(variable);
    }
    command
}

/// Runs a command that should fail to start the service, and returns the output of the process. If
/// the process still runs after `time`, kills it.
pub fn output_within(command: &mut Command, time: Duration) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() && began.elapsed() < time {
        std::thread::sleep(Duration::from_millis(10));
    }
    if child.try_wait().unwrap().is_none() {
        child.kill().unwrap();
    }
    child.wait_with_output().unwrap()
}

impl Process {
    /// Starts the process, and waits until it has printed this number of lines.
    pub fn start(command: &mut Command, lines: usize) -> Self {
        Self::start_within(command, lines, PATIENCE)
    }

    /// Starts the process, and waits until it has printed this number of lines. Panics if this
    /// takes longer than `patience`.
    pub fn start_within(command: &mut Command, lines: usize, patience: Duration) -> Self {
        let log = tempfile::tempfile().unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log.try_clone().unwrap()).spawn().unwrap();
        let printed = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, out) = channel();
        // The thread ends when the process ends or when the test drops the receiver.
        std::thread::spawn(move || printed.map(Result::unwrap).try_for_each(|line| sender.send(line)));
        let mut process = Self { child, printed: Vec::new(), out, log };
        let began = Instant::now();
        while process.printed.len() < lines && process.read_line(patience.saturating_sub(began.elapsed())) {}
        let log = process.log();
        assert_eq!(process.printed.len(), lines, "after {:?}: {:?} {log}", began.elapsed(), process.printed);
        process
    }

    /// Waits for the next line of standard output, for at most `patience`. Returns whether the
    /// process printed a line in that time.
    fn read_line(&mut self, patience: Duration) -> bool {
        let line = self.out.recv_timeout(patience);
        self.printed.extend(line.iter().cloned());
        line.is_ok()
    }

    /// Starts the process, and waits until it has printed its address. The first start on a data
    /// directory prints a line with the first sign-in before the address.
    pub fn start_to_address(command: &mut Command) -> Self {
        let mut process = Self::start(command, 1);
        if !process.printed[0].starts_with("personal-tokens: ") {
            process.read_line(PATIENCE);
        }
        process
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the rest of the first printed line that begins with `start`.
    fn line(&self, start: &str) -> &str {
        let line = self.printed.iter().find_map(|line| line.strip_prefix(start));
        line.unwrap_or_else(|| panic!("no line {start}: {:?}", self.printed))
    }

    /// Returns the address that the process printed, as `http://HOST:PORT`.
    pub fn address(&self) -> String {
        self.line("personal-tokens: ").trim_end_matches('/').to_owned()
    }

    /// Returns the name and the password of the first person. Only the first start on a data
    /// directory prints them.
    pub fn first(&self) -> (String, String) {
        let said = self.line("first sign-in, shown only once: name ");
        let (name, password) = said.split_once(" password ").unwrap();
        (name.into(), password.into())
    }

    /// Returns the log so far.
    pub fn log(&mut self) -> String {
        let mut log = String::new();
        self.log.rewind().unwrap();
        self.log.read_to_string(&mut log).unwrap();
        log
    }

    /// Sends the signal SIGTERM to the process.
    pub fn terminate(&self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
    }

    /// Kills the process with the signal SIGKILL, and waits until it has ended.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until the process has ended. Returns its exit status and all lines that it printed.
    pub fn ended(&mut self) -> (ExitStatus, &[String]) {
        let until = Instant::now() + PATIENCE;
        let printed = loop {
            match self.out.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => self.printed.push(line),
                Err(end) => break end,
            }
        };
        let log = self.log();
        assert_eq!(printed, RecvTimeoutError::Disconnected, "it goes on: {:?} {log}", self.printed);
        (self.child.wait().unwrap(), &self.printed)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the log of the service: {}", self.log());
        }
    }
}

/// Returns an HTTP client that follows no redirects, so that the test sees each response.
pub fn client() -> Client {
    Client::builder().redirect(redirect::Policy::none()).build().unwrap()
}

/// A person with a session. Every process on the same data directory accepts the session.
#[derive(Clone)]
pub struct Visitor {
    pub client: Client,
    /// The session cookie: its name and its value.
    pub cookie: String,
}

impl Visitor {
    pub async fn sign_in(at: &str, (name, password): (String, String)) -> Self {
        let client = client();
        let request = client.post(format!("{at}/sign-in")).header("sec-fetch-site", "same-origin");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(format!("name={name}&password={password}")).send().await.unwrap();
        assert_eq!(answer.status(), 303);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        Self { client, cookie }
    }

    /// Adds the session cookie to a request, and the other headers that the person's browser would
    /// send.
    pub fn of(&self, request: RequestBuilder) -> RequestBuilder {
        request.header("cookie", &self.cookie).header("sec-fetch-site", "same-origin")
    }

    pub async fn post(&self, url: &str, body: &Value) -> reqwest::Result<Response> {
        let request = self.of(self.client.post(url)).header("content-type", "application/json");
        request.body(body.to_string()).send().await
    }

    /// Creates a token. Returns the response's JSON, which contains the token in clear text.
    pub async fn make(&self, at: &str) -> Value {
        let answer = self.post(&format!("{at}{TOKENS}"), &serde_json::json!({"name": "n"})).await.unwrap();
        assert_eq!(answer.status(), 200);
        json(answer).await.unwrap()
    }
}

pub async fn json(answer: Response) -> reqwest::Result<Value> {
    Ok(serde_json::from_slice(&answer.bytes().await?).unwrap())
}

/// Presents a token at the route `whoami`, and returns the status of the response.
pub async fn whoami(client: &Client, at: &str, token: &str) -> reqwest::Result<u16> {
    let answer = client.get(format!("{at}{WHOAMI}")).bearer_auth(token).send().await?;
    let status = answer.status().as_u16();
    // A response whose body does not arrive completely is an error.
    answer.bytes().await?;
    Ok(status)
}
