//! What the engines that tests start as processes have in common.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The longest time until a process has stopped.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns a folder in memory, where a sync costs nothing. If the system has no such folder,
/// returns the temporary folder.
pub fn quick() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { env::temp_dir() }
}

/// Returns a port among the 5,000 from `first` on, for which `is_free` holds. Each engine has its
/// own range, so that none takes the port of another. All ranges are below 32768: from there on,
/// the system gives ports to outgoing connections.
pub fn free_port(first: u16, is_free: impl Fn(u16) -> bool) -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Each process begins at another number, so two processes seldom try the same port.
        let number = std::process::id().wrapping_mul(7_919).wrapping_add(NEXT.fetch_add(1, Ordering::SeqCst));
        let port = first + (number % 5_000) as u16;
        if is_free(port) {
            return port;
        }
    }
}

/// Returns whether a server could listen on this port of the loopback interface.
pub fn can_listen(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Runs a command and panics if it fails. The output of the command goes into a file. If it went
/// into a pipe, a server that the command starts would keep the pipe open.
pub fn run(command: &mut Command) {
    let told = tempfile::NamedTempFile::new().unwrap();
    let told_to = || told.reopen().unwrap();
    let status = command.stdout(told_to()).stderr(told_to()).status().unwrap();
    assert!(status.success(), "{command:?}: {}", fs::read_to_string(told.path()).unwrap_or_default());
}

/// Suspends a process, as if its machine hung. Its connections stay open.
pub fn suspend(process: u32) {
    run(Command::new("kill").args(["-STOP", &process.to_string()]));
    // On a busy machine, threads of the process still run until its first thread runs, which stops
    // all of them. The state of this thread is the word after its name in parentheses.
    let asked = Instant::now();
    let state = || fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    while !state().rsplit(')').next().is_some_and(|rest| rest.starts_with(" T")) {
        assert!(asked.elapsed() < PATIENCE, "the process does not stop");
        sleep(Duration::from_millis(1));
    }
}

/// Resumes a suspended process.
pub fn resume(process: u32) {
    run(Command::new("kill").args(["-CONT", &process.to_string()]));
}
