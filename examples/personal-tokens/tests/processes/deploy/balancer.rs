//! Starts nginx with the file of the folder, on free ports and with paths of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::text;
use crate::certificates::Authority;
use crate::process::{can_listen, free_port, run};
use crate::support::tempdir;

/// Returns a free port of the range that no engine uses.
pub(super) fn port() -> u16 {
    free_port(25_000, can_listen)
}

/// A running nginx. Dropping this value ends it.
pub(super) struct Balancer {
    child: Child,
    dir: TempDir,
    authority: Authority,
    port: u16,
}

impl Balancer {
    /// Starts nginx in front of two hosts, each an address with a port. If nginx or openssl is not
    /// installed, returns `None`, or panics if `CI` is `true`.
    pub fn start(hosts: [&str; 2]) -> Option<Self> {
        let Some(nginx) = nginx() else {
            test_summary::missing("nginx is not installed");
            return None;
        };
        test_summary::engine("nginx");
        let authority = Authority::new()?;
        let certificate = authority.issue("IP:127.0.0.1");
        let (dir, port) = (tempdir(), port());
        let path = |name: &str| dir.path().join(name).display().to_string();
        let own_paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("    {kind}_temp_path {};\n", path(kind)))
            .concat();
        let mut file = text("nginx.conf");
        for (before, after) in [
            ("host-1:8088", hosts[0]),
            ("host-2:8088", hosts[1]),
            ("listen 443 ", &format!("listen 127.0.0.1:{port} ")),
            ("/etc/nginx/tls/certificate.pem", certificate.certificate.to_str().unwrap()),
            ("/etc/nginx/tls/key.pem", certificate.key.to_str().unwrap()),
            ("/var/log/nginx/", &path("")),
            // Without these lines, nginx writes to the folders of the installation.
            ("http {\n", &format!("http {{\n{own_paths}")),
        ] {
            assert_eq!(file.matches(before).count(), if before.starts_with("/var") { 2 } else { 1 }, "{before}");
            file = file.replace(before, after);
        }
        fs::write(path("nginx.conf"), file).unwrap();
        let command = |options: &str| {
            let mut command = Command::new(&nginx);
            command.arg("-p").arg(dir.path()).args(["-c", &path("nginx.conf"), "-e", &path("error.log")]);
            command.args(["-g", &format!("pid {}; {options}", path("pid"))]);
            command
        };
        run(command("").arg("-t"));
        let child = command("daemon off;").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Some(Self { child, dir, authority, port })
    }

    pub fn address(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Returns a client that trusts the certificate of this nginx, and keeps its connections.
    pub fn client(&self) -> reqwest::Client {
        let root = reqwest::Certificate::from_pem(&fs::read(self.authority.root()).unwrap()).unwrap();
        let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        builder.add_root_certificate(root).build().unwrap()
    }

    /// Returns the log of the requests and the log of errors.
    pub fn logs(&self) -> [String; 2] {
        ["access.log", "error.log"].map(|name| fs::read_to_string(self.dir.path().join(name)).unwrap())
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // A signal that cannot be handled would leave the other processes of nginx.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the last lines of nginx: {}", last_lines(&self.logs()[0]));
        }
    }
}

fn last_lines(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Returns the path of nginx. Users other than root often lack its folder in their search path.
fn nginx() -> Option<PathBuf> {
    let works = |path: &PathBuf| Command::new(path).arg("-v").stderr(Stdio::null()).status().is_ok();
    ["nginx", "/usr/sbin/nginx"].map(|path| Path::new(path).to_owned()).into_iter().find(works)
}
