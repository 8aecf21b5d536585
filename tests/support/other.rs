//! Another process, which is this same test binary running a test that is ignored otherwise. Both speak in lines.

use std::env;
use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What begins the lines that the other process says, among those of the test harness.
const SAYS: &str = "> ";
/// A process that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(180);

/// Says a line, in the other process.
pub fn say(line: impl Display) {
    println!("\n{SAYS}{line}");
}

/// The time, which is the same in both.
pub fn nanos() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

/// The other process, as this one sees it. It ends when it hears no more.
pub struct Other {
    watched: Arc<Mutex<Watched>>,
    hears: ChildStdin,
    says: BufReader<ChildStdout>,
    told: String,
}

/// What the watchdog looks at.
struct Watched {
    process: Child,
    /// Since when this process waits for a line of the other.
    since: Option<Instant>,
    /// Whether it was killed, as it said nothing.
    killed: bool,
}

impl Other {
    pub fn start(test: &str, environment: &[(&str, &str)]) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args([test, "--exact", "--ignored", "--nocapture"])
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (hears, says) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let watched = Arc::new(Mutex::new(Watched { process, since: None, killed: false }));
        let weak = Arc::downgrade(&watched);
        thread::spawn(move || watch(&weak));
        Self { watched, hears, says, told: String::new() }
    }

    pub fn said(&mut self) -> String {
        self.waits(true);
        let said = loop {
            let mut line = String::new();
            if self.says.read_line(&mut line).unwrap() == 0 {
                self.fail();
            }
            if let Some(said) = line.trim_end().strip_prefix(SAYS) {
                break said.to_owned();
            }
        };
        self.waits(false);
        said
    }

    pub fn tell(&mut self, line: &str) {
        self.told.clear();
        self.told.push_str(line);
        writeln!(self.hears, "{line}").unwrap();
    }

    pub fn end(mut self) {
        self.waits(true);
        let Self { watched, hears, says, .. } = self;
        drop(hears);
        // Read to its end, so that it can say what it has to.
        assert!(says.lines().all(|line| line.is_ok()));
        assert!(watched.lock().unwrap().process.wait().unwrap().success());
    }

    fn waits(&mut self, waits: bool) {
        self.watched.lock().unwrap().since = waits.then(Instant::now);
    }

    fn fail(&self) -> ! {
        let why = if self.watched.lock().unwrap().killed { "was killed, as it said nothing" } else { "ended" };
        panic!("the other process {why}; it was told last: {:?}", self.told);
    }
}

/// Kills a process that says nothing, so that whoever reads its lines waits no longer. It reads by itself, without a thread
/// between, as the moment of a line matters.
fn watch(watched: &Weak<Mutex<Watched>>) {
    while let Some(watched) = watched.upgrade() {
        {
            let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
            if watched.since.is_some_and(|since| since.elapsed() > PATIENCE) {
                watched.killed = true;
                watched.process.kill().expect("it is a child that was not waited for");
                return;
            }
        }
        drop(watched);
        thread::sleep(Duration::from_secs(1));
    }
}
