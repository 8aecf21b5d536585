//! Runs one test in a process of its own. The process runs the same test binary.

use std::env;
use std::process::Command;

/// The environment variable that names the only test that the process runs.
const ALONE: &str = "KEYFOB_TEST_ALONE";

/// Returns true if this process runs only this test. Otherwise runs the test in a process of its
/// own, waits for the end of that process, and returns false.
///
/// # Panics
/// Panics if the test fails in the other process.
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
