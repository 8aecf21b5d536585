//! A test in a process of its own, which is this same test binary running that test only.

use std::env;
use std::process::Command;

/// Names to a process the test that it runs alone.
const ALONE: &str = "KEYFOB_TEST_ALONE";

/// Returns whether this process runs this test and no other. If it does not, runs the test in a process that does.
///
/// # Panics
/// If the test fails there.
#[track_caller]
pub fn is_alone(test: &str) -> bool {
    if env::var(ALONE).as_deref() == Ok(test) {
        return true;
    }
    let mut inner = Command::new(env::current_exe().unwrap());
    let inner = inner.args([test, "--exact", "--nocapture"]).env(ALONE, test).output().unwrap();
    let (out, errors) = (String::from_utf8_lossy(&inner.stdout), String::from_utf8_lossy(&inner.stderr));
    println!("{out}\n{errors}");
    assert!(inner.status.success() && out.contains("1 passed"), "{test} in a process of its own");
    false
}
