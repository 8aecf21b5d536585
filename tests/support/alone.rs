//! Runs a test in its own process. The process is the same test binary, started for this one test.

use std::env;
use std::process::Command;

/// The environment variable that names the test to the process that runs it alone.
const ALONE: &str = "KEYFOB_TEST_ALONE";

/// Returns whether this process runs only this test. If not, starts a process that does, and waits
/// for it.
///
/// # Panics
/// Panics if the test fails in that process.
#[track_caller]
pub fn is_alone(test: &str) -> bool {
    if env::var(ALONE).as_deref() == Ok(test) {
        return true;
    }
    let mut inner = Command::new(env::current_exe().unwrap());
    let inner = inner.args([test, "--exact", "--nocapture"]).env(ALONE, test).output().unwrap();
    let (out, errors) = (String::from_utf8_lossy(&inner.stdout), String::from_utf8_lossy(&inner.stderr));
    println!("{out}\n{errors}");
    assert!(inner.status.success() && out.contains("1 passed"), "{test} failed in its own process");
    false
}
