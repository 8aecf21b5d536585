//! Starts a PostgreSQL server for a test, with the installed program and on a free loopback port.
//! Stops the server when the test ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::sleep;
use std::time::{Duration, Instant};

use keyfob::store::postgres::PostgresStore;
use tempfile::TempDir;

use super::process::{can_listen, free_port, is_root, quick, run};

pub struct Server {
    folder: TempDir,
    programs: PathBuf,
    settings: Vec<String>,
    pub port: u16,
}

/// Returns the server that the tests of this process share. The server runs as long as a test holds
/// it. If PostgreSQL is not installed, returns `None`, or panics if `CI` is `true`.
pub fn shared() -> Option<Arc<Server>> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return Some(server);
    }
    let server = Arc::new(Server::start()?);
    *shared = Arc::downgrade(&server);
    Some(server)
}

impl Server {
    /// Starts a server. If PostgreSQL is not installed, returns `None`, or panics if `CI` is
    /// `true`.
    pub fn start() -> Option<Self> {
        Self::start_in(quick(), &[])
    }

    /// Starts a server with its data in a new folder in `parent`. The settings have the form
    /// `name=value`.
    pub fn start_in(parent: impl AsRef<Path>, settings: &[&str]) -> Option<Self> {
        let server = Self::place(parent, settings)?;
        run(server.program("initdb").args(["-D", &server.data(), "-A", "trust", "-U", "postgres", "--no-sync"]));
        server.go();
        Some(server)
    }

    /// Starts a server that offers TLS with this certificate and key, which are files in PEM
    /// format.
    pub fn start_with_tls(certificate: &Path, key: &Path) -> Option<Self> {
        let mut server = Self::place(quick(), &[])?;
        // PostgreSQL refuses a key that other users can read.
        for (file, name) in [(certificate, "certificate.pem"), (key, "key.pem")] {
            let copy = server.folder.path().join(name);
            fs::copy(file, &copy).unwrap();
            run(Command::new("chmod").arg("600").arg(&copy));
            if is_root() {
                run(Command::new("chown").arg("postgres").arg(&copy));
            }
        }
        let file = |name: &str| server.folder.path().join(name).display().to_string();
        let (certificate, key) = (file("certificate.pem"), file("key.pem"));
        server.settings = vec![format!(" -c ssl=on -c ssl_cert_file={certificate} -c ssl_key_file={key}")];
        run(server.program("initdb").args(["-D", &server.data(), "-A", "trust", "-U", "postgres", "--no-sync"]));
        server.go();
        Some(server)
    }

    /// Starts a standby of this server. The standby may lag without a limit.
    pub fn replica(&self) -> Self {
        let replica = Self::place(quick(), &[]).unwrap();
        let mut copy = replica.program("pg_basebackup");
        copy.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres", "-D", &replica.data()]);
        run(copy.args(["-R", "-X", "stream", "-c", "fast", "--no-sync"]));
        replica.go();
        replica
    }

    /// Creates the folder of a server and chooses a port, but does not start the server.
    fn place(parent: impl AsRef<Path>, settings: &[&str]) -> Option<Self> {
        let Some(programs) = programs() else {
            test_summary::missing("PostgreSQL is not installed");
            return None;
        };
        let version = programs.parent().and_then(Path::file_name).expect("the folder of a version");
        test_summary::engine(&format!("PostgreSQL {}", version.display()));
        let folder = tempfile::tempdir_in(parent).unwrap();
        let settings = settings.iter().map(|setting| format!(" -c {setting}")).collect();
        let port = free_port(10_000, can_listen);
        let server = Self { folder, programs, settings, port };
        if is_root() {
            // PostgreSQL refuses to run as root, so the server runs as the user `postgres`. That
            // user must be able to enter this folder.
            run(Command::new("chown").arg("postgres").arg(server.folder.path()));
        }
        Some(server)
    }

    /// Starts the server, or starts it again after it was stopped.
    pub fn go(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200{}",
            self.port,
            self.settings.concat()
        );
        let log = self.folder.path().join("log");
        run(self.program("pg_ctl").args([
            "-D",
            &self.data(),
            "-w",
            "-l",
            log.to_str().unwrap(),
            "-o",
            &options,
            "start",
        ]));
    }

    /// Stops the server. The mode `fast` is a regular stop, and the mode `immediate` is like a
    /// crash.
    pub fn halt(&self, mode: &str) {
        run(self.program("pg_ctl").args(["-D", &self.data(), "-w", "-m", mode, "stop"]));
    }

    /// Suspends all processes of the server, as if its machine hung. The connections stay open.
    pub fn suspend(&self) {
        self.signal("-STOP");
    }

    /// Resumes a suspended server.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let file = fs::read_to_string(Path::new(&self.data()).join("postmaster.pid")).unwrap();
        let main = file.lines().next().unwrap();
        let send = |process: &str| Command::new("kill").args([signal, process]).output().unwrap().status.success();
        assert!(send(main));
        let children = fs::read_to_string(format!("/proc/{main}/task/{main}/children")).unwrap();
        // A process that served a connection may end meanwhile.
        assert!(children.split_whitespace().filter(|child| send(child)).count() > 0, "the server has no processes");
    }

    /// Pauses the replay on a standby. The standby then applies no more changes from its primary.
    pub fn pause_replay(&self) {
        self.ask("SELECT pg_wal_replay_pause()");
        let asked = Instant::now();
        while self.ask("SELECT pg_get_wal_replay_pause_state()") != "paused" {
            assert!(asked.elapsed() < Duration::from_secs(60), "the standby does not pause its replay");
            sleep(Duration::from_millis(5));
        }
    }

    pub fn resume_replay(&self) {
        self.ask("SELECT pg_wal_replay_resume()");
    }

    /// Promotes a standby to a primary.
    pub fn promote(&self) {
        run(self.program("pg_ctl").args(["-D", &self.data(), "-w", "promote"]));
    }

    /// Runs an SQL statement and returns its output.
    fn ask(&self, sql: &str) -> String {
        let mut ask = self.program("psql");
        ask.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres", "-Atc", sql]);
        let told = ask.output().unwrap();
        assert!(told.status.success(), "{sql}: {}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8_lossy(&told.stdout).trim().to_owned()
    }

    /// Creates a database and returns its URL.
    pub fn database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tokens_{}", NEXT.fetch_add(1, Ordering::SeqCst));
        let port = self.port.to_string();
        run(self.program("createdb").args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", &name]));
        format!("postgres://postgres@127.0.0.1:{port}/{name}")
    }

    /// Returns the URL `database` with the given port instead of the port of this server, for
    /// example with the port of a standby.
    pub fn url_by(&self, port: u16, database: &str) -> String {
        database.replace(&format!(":{}/", self.port), &format!(":{port}/"))
    }

    /// Creates a store in a new database.
    pub async fn store(&self) -> PostgresStore {
        let store = PostgresStore::connect(&self.database()).await.unwrap();
        store.migrate().await.unwrap();
        store
    }

    fn data(&self) -> String {
        self.folder.path().join("data").to_str().unwrap().to_owned()
    }

    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir("/").env("LC_ALL", "C.UTF-8");
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut stop = self.program("pg_ctl");
        let _ = stop.args(["-D", &self.data(), "-m", "immediate", "stop"]).output();
        let pid = Path::new(&self.data()).join("postmaster.pid");
        let asked = Instant::now();
        while pid.exists() && asked.elapsed() < Duration::from_secs(10) {
            sleep(Duration::from_millis(20));
        }
    }
}

/// Returns the folder with the programs of the newest installed PostgreSQL, or `None` if PostgreSQL
/// is not installed.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|version| version.path()).max_by_key(number).map(|version| version.join("bin"));
    newest.filter(|programs| programs.join("initdb").exists())
}
