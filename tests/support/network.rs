//! Runs a test in a network of its own, which it may split.

use std::env;
use std::process::Command;

use super::process::run;

/// The environment variable that is set in a process inside the network namespace.
const INSIDE: &str = "KEYFOB_TEST_NETWORK";

/// Returns whether this process has its own network. If it does not, runs the test again in a child
/// process that does.
pub fn is_in_own_network(test: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        run(Command::new("ip").args(["link", "set", "lo", "up"]));
        return true;
    }
    let unshare = |program: &str, arguments: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--net", program]).args(arguments);
        unshare
    };
    let trial = "ip link set lo up && iptables -A INPUT -s 127.0.0.11 -d 127.0.0.12 -j DROP";
    if !unshare("sh", &["-c", trial]).output().is_ok_and(|output| output.status.success()) {
        test_summary::skip("this process may not create a network namespace, or ip or iptables is not installed");
        return false;
    }
    let program = env::current_exe().unwrap();
    let mut inner = unshare(program.to_str().unwrap(), &["--exact", test, "--nocapture"]);
    let inner = inner.env(INSIDE, "1").output().unwrap();
    let (out, errors) = (String::from_utf8_lossy(&inner.stdout), String::from_utf8_lossy(&inner.stderr));
    println!("{out}\n{errors}");
    assert!(inner.status.success() && out.contains("1 passed"), "the test failed in its own network");
    false
}
