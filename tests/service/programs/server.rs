//! A server with guarded routes, which notes what clients send, and functions that run programs.

use std::env;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyfob::axum::Guard;
use keyfob::{MemoryStore, ScopeSet, Tokens};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::support::{actor, keyring, new_token};

/// A server on a loopback port, with a good and a bad token for it.
pub struct Server {
    pub address: SocketAddr,
    pub good: String,
    /// The text of the good token, with another last character.
    pub bad: String,
    seen: Seen,
    /// The home folder of the programs.
    home: TempDir,
}

/// The requests that the server got. See [`Server::seen`].
#[derive(Clone)]
struct Seen {
    lines: Arc<Mutex<Vec<String>>>,
    good: String,
    bad: String,
}

/// The end of a program.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Server {
    /// Starts a server. `routes` returns its routes, for a guard and the address of the server.
    pub async fn start(routes: impl FnOnce(Guard, SocketAddr) -> Router) -> Self {
        let tokens = Tokens::new(keyring(), MemoryStore::new());
        let scopes = ScopeSet::new("repo:read").unwrap();
        let made = tokens.issue(&actor(), new_token().with_scopes(scopes)).await.unwrap();
        let good = made.token.expose_secret().to_owned();
        let last = if good.ends_with('0') { '1' } else { '0' };
        let bad = format!("{}{last}", &good[..good.len() - 1]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Seen { lines: Arc::default(), good: good.clone(), bad: bad.clone() };
        let guard = Guard::new(tokens).with_realm("acme");
        let app = routes(guard, address).layer(from_fn_with_state(seen.clone(), note));
        tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        Self { address, good, bad, seen, home: tempfile::tempdir().unwrap() }
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Returns the requests since the last call: the status, the method, the path with its query,
    /// and the values of `Authorization`. A Basic value is decoded. The tokens read `GOOD` and
    /// `BAD`.
    pub fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lines.lock().unwrap())
    }

    /// Returns a command that runs a program in the home folder. The program gets no input, no
    /// settings of the user and no proxy. It is ended after a minute.
    pub fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("timeout");
        command.arg("60").arg(program).current_dir(self.home()).stdin(Stdio::null()).env_clear();
        command.env("PATH", env::join_paths(folders()).unwrap()).env("HOME", self.home()).env("LANG", "C");
        command
    }

    /// Runs a command, and checks that it prints no part of a secret.
    pub async fn run(&self, mut command: Command) -> Ended {
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ended = Ended { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) };
        self.assert_shows_no_secret(&ended.stdout);
        self.assert_shows_no_secret(&ended.stderr);
        ended
    }

    /// Checks that a text contains neither half of the secret of a token.
    #[track_caller]
    pub fn assert_shows_no_secret(&self, text: &str) {
        for token in [&self.good, &self.bad] {
            let (_, secret) = token.rsplit_once('_').unwrap();
            assert!(!text.contains(&secret[..16]) && !text.contains(&secret[16..32]), "a program prints a secret");
        }
    }
}

impl Ended {
    /// Checks that the program succeeded, and that its output contains this text.
    #[track_caller]
    pub fn printed(&self, text: &str) {
        let Self { code, stdout, stderr } = self;
        assert!(*code == Some(0) && stdout.contains(text), "{code:?}\n{stdout}\n{stderr}");
    }

    /// Checks that the program failed with this exit code, and that it printed this text as an
    /// error.
    #[track_caller]
    pub fn failed(&self, expected: i32, text: &str) {
        let Self { code, stdout, stderr } = self;
        assert!(*code == Some(expected) && stderr.contains(text), "{code:?}\n{stdout}\n{stderr}");
    }
}

async fn note(State(seen): State<Seen>, request: Request, next: Next) -> Response {
    let values = request.headers().get_all(header::AUTHORIZATION).iter().map(decoded);
    let sent: Vec<String> = values.map(|value| value.replace(&seen.good, "GOOD").replace(&seen.bad, "BAD")).collect();
    let of = format!("{} {}", request.method(), request.uri());
    let response = next.run(request).await;
    let line = format!("{} {of} {}", response.status().as_u16(), sent.join(" + "));
    seen.lines.lock().unwrap().push(line.trim_end().to_owned());
    response
}

/// Returns the value of a header, with a Basic credential as clear text.
fn decoded(value: &HeaderValue) -> String {
    let value = value.to_str().unwrap();
    match value.strip_prefix("Basic ").map(|encoded| STANDARD.decode(encoded).unwrap()) {
        Some(pair) => format!("Basic {}", String::from_utf8(pair).unwrap()),
        None => value.to_owned(),
    }
}

/// Returns the folders in which the tests look for programs: first the folder in which `.ci/run`
/// installs tools, then the folders of the PATH.
fn folders() -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/ci-tools/bin")];
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    folders
}

pub fn exists(program: &str) -> bool {
    folders().iter().any(|folder| folder.join(program).is_file())
}

/// Returns whether a program is installed. Panics if it is not and `CI=true` is set.
pub fn is_installed(program: &str) -> bool {
    if !exists(program) {
        test_summary::missing(&format!("{program} is not installed"));
    }
    exists(program)
}
