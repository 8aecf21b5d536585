//! Another process, which is this same test binary running a test that is ignored otherwise. Both speak in lines.

use std::env;
use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// What begins the lines that the other process says, among those of the test harness.
const SAYS: &str = "> ";

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
    process: Child,
    hears: ChildStdin,
    says: BufReader<ChildStdout>,
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
        Self { process, hears, says }
    }

    pub fn said(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.says.read_line(&mut line).unwrap(), 0, "the other process ended");
            if let Some(said) = line.trim_end().strip_prefix(SAYS) {
                return said.to_owned();
            }
        }
    }

    pub fn tell(&mut self, line: &str) {
        writeln!(self.hears, "{line}").unwrap();
    }

    pub fn end(self) {
        let Self { mut process, hears, says } = self;
        drop(hears);
        // Read to its end, so that it can say what it has to.
        assert!(says.lines().all(|line| line.is_ok()));
        assert!(process.wait().unwrap().success());
    }
}
