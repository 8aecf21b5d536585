//! Starts a MariaDB server for a test, with the installed program and on a free loopback port.
//! Stops the server when the test ends.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::sleep;
use std::time::{Duration, Instant};

use keyfob::store::mysql::MysqlStore;
use tempfile::TempDir;

use super::process::{self, can_listen, free_port, is_root, quick, run};

/// The longest time that a start or a stop of the server may take.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Server {
    folder: TempDir,
    settings: Vec<String>,
    process: Mutex<Option<Child>>,
    pub port: u16,
}

/// Returns the server that the tests of this process share. The server runs as long as a test holds
/// it. If MariaDB is not installed, returns `None`, or panics if `CI` is `true`.
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
    /// Starts a server. If MariaDB is not installed, returns `None`, or panics if `CI` is `true`.
    pub fn start() -> Option<Self> {
        Self::start_in(quick(), &[])
    }

    /// Starts a server with its data in a new folder in `parent`. The settings have the form
    /// `name=value`.
    ///
    /// In `/dev/shm`, MariaDB maps its log into memory, so a kill loses nothing. A test of a crash
    /// needs a folder on a disk.
    pub fn start_in(parent: impl AsRef<Path>, settings: &[&str]) -> Option<Self> {
        Some(Self::place(parent, settings)?.begin())
    }

    /// Starts a server that offers TLS with this certificate and key, which are files in PEM
    /// format.
    pub fn start_with_tls(certificate: &Path, key: &Path) -> Option<Self> {
        let mut server = Self::place(quick(), &[])?;
        for (file, setting) in [(certificate, "ssl-cert"), (key, "ssl-key")] {
            let copy = server.path(setting);
            fs::copy(file, &copy).unwrap();
            if is_root() {
                run(Command::new("chown").arg("mysql").arg(&copy));
            }
            server.settings.push(format!("--{setting}={copy}"));
        }
        Some(server.begin())
    }

    /// Creates the folder of a server and chooses a port, but does not start the server.
    fn place(parent: impl AsRef<Path>, settings: &[&str]) -> Option<Self> {
        let Some(version) = version() else {
            test_summary::missing("MariaDB is not installed");
            return None;
        };
        test_summary::engine(&format!("MariaDB {version}"));
        let folder = tempfile::tempdir_in(parent).unwrap();
        if is_root() {
            // The server runs as the user `mysql`. That user must be able to enter this folder.
            run(Command::new("chown").arg("mysql").arg(folder.path()));
        }
        let mut install = Command::new("mariadb-install-db");
        install.arg("--no-defaults").arg(format!("--datadir={}", folder.path().join("data").display()));
        install.args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
        install.arg("--innodb-log-file-size=32M");
        // Another server that starts would delete temporary tables in the folder of all.
        install.arg(format!("--tmpdir={}", folder.path().display()));
        if is_root() {
            install.arg("--user=mysql");
        }
        run(&mut install);
        let settings = settings.iter().map(|setting| format!("--{setting}")).collect();
        Some(Self { folder, settings, process: Mutex::default(), port: free_port(20_000, can_listen) })
    }

    /// Starts the server for the first time.
    fn begin(self) -> Self {
        self.go();
        // The tests connect over TCP, so the user needs a host other than `localhost`.
        self.ask("CREATE USER tests@'127.0.0.1'; GRANT ALL ON *.* TO tests@'127.0.0.1' WITH GRANT OPTION");
        self
    }

    /// Starts the server, or starts it again after it was stopped. Waits until it accepts
    /// connections.
    pub fn go(&self) {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut server = Command::new("/usr/sbin/mariadbd");
        server.args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve", "--max-connections=500"]);
        server.args(["--innodb-buffer-pool-size=128M", "--innodb-log-file-size=32M"]);
        // Some administrators allow only statements of 1 MB. The default is 16 MB.
        server.arg("--max-allowed-packet=1M");
        server.arg(format!("--datadir={}", self.path("data")));
        server.arg(format!("--socket={}", self.path("socket")));
        server.arg(format!("--pid-file={}", self.path("pid")));
        // A server that starts deletes the temporary tables of others in its folder.
        server.arg(format!("--tmpdir={}", self.folder.path().display()));
        server.arg(format!("--port={}", self.port)).args(&self.settings);
        if is_root() {
            server.arg("--user=mysql");
        }
        let server = server.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).current_dir("/");
        *self.process.lock().unwrap() = Some(server.spawn().unwrap());
        let asked = Instant::now();
        while !self.client("SELECT 1").output().unwrap().status.success() {
            let log = || fs::read_to_string(self.path("log")).unwrap_or_default();
            let ended = self.process.lock().unwrap().as_mut().is_none_or(|server| server.try_wait().unwrap().is_some());
            assert!(!ended && asked.elapsed() < PATIENCE, "the server does not start: {}", log());
            sleep(Duration::from_millis(50));
        }
    }

    /// Kills the server with SIGKILL, like a crash of its process.
    pub fn kill(&self) {
        let mut process = self.process.lock().unwrap().take().expect("the server runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Suspends the server, as if its machine hung. The connections stay open.
    pub fn suspend(&self) {
        process::suspend(self.pid());
    }

    /// Resumes a suspended server.
    pub fn resume(&self) {
        process::resume(self.pid());
    }

    /// Returns the id of the server's process.
    fn pid(&self) -> u32 {
        self.process.lock().unwrap().as_ref().expect("the server runs").id()
    }

    /// Creates a database and returns its URL.
    pub fn database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tokens_{}", NEXT.fetch_add(1, Ordering::SeqCst));
        self.ask(&format!("CREATE DATABASE {name}"));
        format!("mysql://tests@127.0.0.1:{}/{name}", self.port)
    }

    /// Returns the URL `database` with the given port instead of the port of this server.
    pub fn url_by(&self, port: u16, database: &str) -> String {
        database.replace(&format!(":{}/", self.port), &format!(":{port}/"))
    }

    /// Creates a store in a new database.
    pub async fn store(&self) -> MysqlStore {
        let store = MysqlStore::connect(&self.database()).await.unwrap();
        store.migrate().await.unwrap();
        store
    }

    /// Runs SQL as the administrator and returns its output.
    pub fn ask(&self, sql: &str) -> String {
        let told = self.client(sql).output().unwrap();
        assert!(told.status.success(), "{sql}: {}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8_lossy(&told.stdout).trim().to_owned()
    }

    fn client(&self, sql: &str) -> Command {
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "-uroot", "-BN", "-e", sql]).arg(format!("--socket={}", self.path("socket")));
        client
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            self.kill();
        }
    }
}

/// Returns the version of the installed MariaDB, or `None` if it is not installed.
fn version() -> Option<String> {
    let told = Command::new("/usr/sbin/mariadbd").arg("--version").output().ok()?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let (_, version) = told.split_once("Ver ")?;
    version.split(['-', ' ']).next().map(str::to_owned)
}
