//! Starts a second process and exchanges lines with it. The process runs one ignored test of the
//! same test binary.

use std::env;
use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The prefix of the lines that the other process sends to the test. It distinguishes them from the
/// output of the test harness.
const SAYS: &str = "> ";
/// The maximum time that the test waits for a line. After that time, the test kills the other
/// process.
const PATIENCE: Duration = Duration::from_secs(180);

/// Sends a line to the test. The other process calls this function.
pub fn say(line: impl Display) {
    println!("\n{SAYS}{line}");
}

/// Returns the system time in nanoseconds since 1970. The two processes can compare their times.
pub fn nanos() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

/// A second process that a test has started. It ends when its standard input is closed.
pub struct Other {
    watched: Arc<Mutex<Watched>>,
    hears: ChildStdin,
    says: BufReader<ChildStdout>,
    told: String,
}

/// The state that the watchdog thread reads.
struct Watched {
    process: Child,
    /// The time at which the test began to wait for a line, or `None` if it is not waiting.
    since: Option<Instant>,
    /// Whether the watchdog has killed the process because it sent no line in time.
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
        // Reads the remaining output, so that the process is not blocked while it writes.
        assert!(says.lines().all(|line| line.is_ok()));
        assert!(watched.lock().unwrap().process.wait().unwrap().success());
    }

    fn waits(&mut self, waits: bool) {
        self.watched.lock().unwrap().since = waits.then(Instant::now);
    }

    fn fail(&self) -> ! {
        let why = if self.watched.lock().unwrap().killed {
            "was killed because it sent no line for too long"
        } else {
            "ended"
        };
        panic!("the other process {why}; the last line sent to it was {:?}", self.told);
    }
}

/// Kills the other process if the test has waited too long for a line. The test then stops waiting.
/// This function runs in a thread of its own. The thread of the test itself reads the lines,
/// because a queue between two threads would blur the arrival time of a line.
fn watch(watched: &Weak<Mutex<Watched>>) {
    while let Some(watched) = watched.upgrade() {
        {
            let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
            if watched.since.is_some_and(|since| since.elapsed() > PATIENCE) {
                watched.killed = true;
                watched.process.kill().expect("the child has not been waited for");
                return;
            }
        }
        drop(watched);
        thread::sleep(Duration::from_secs(1));
    }
}
