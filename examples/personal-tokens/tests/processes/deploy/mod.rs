//! Runs the files of the folder `deploy`, as far as a machine without systemd and without
//! containers can. Each command of a file runs as it is, apart from paths, addresses and ports.

mod balancer;
mod compose;
mod image;
mod metrics;
mod unit;
mod update;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::support::process::{Process, client};

/// The program, as the files name it.
const PROGRAM: &str = "/usr/local/bin/personal-tokens";
/// The longest time that a process needs to end after its drain: ten seconds for the requests in
/// progress, and ten for the last writes.
const END: Duration = Duration::from_secs(20);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

/// Returns the text of a file of the folder.
fn text(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

/// Runs a program. If it is not installed, returns `None`, or panics if `CI` is `true`.
fn output(command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(error) => {
            test_summary::missing(&format!("{} cannot be run: {error}", command.get_program().display()));
            None
        }
    }
}

/// Runs a program, and checks that it succeeds and prints nothing on standard error. If it is not
/// installed, panics if `CI` is `true`.
fn passes(command: &mut Command) {
    let Some(output) = output(command) else { return };
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stderr.is_empty(), "{command:?}: {said}");
}

/// Returns a file in YAML as JSON. If Python has no module for YAML, returns `None`, or panics if
/// `CI` is `true`.
fn yaml(name: &str) -> Option<Value> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/ci-tools/bin/python3");
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let outputs = [tools, "python3".into()]
        .map(|python| Command::new(python).args(["-c", script]).arg(folder().join(name)).output());
    match outputs.into_iter().flatten().find(|output| output.status.success()) {
        Some(output) => Some(serde_json::from_slice(&output.stdout).unwrap()),
        None => {
            test_summary::missing("Python cannot read YAML, or the file is wrong");
            None
        }
    }
}

/// Returns the texts of a list.
fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Writes a pepper with this mode, and returns its path.
fn pepper(folder: &Path, mode: u32) -> PathBuf {
    let path = folder.join("pepper");
    fs::write(&path, "a pepper of at least 32 bytes for a test").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

/// Returns a command that runs the program of this test with these arguments, and with no variables
/// of the service.
fn program(arguments: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_personal-tokens"));
    for variable in ["DATABASE_URL", "STATE_URL", "PEPPER", "CREDENTIALS_DIRECTORY", "PGPASSFILE"] {
        command.env_remove(variable);
    }
    command.args(arguments);
    command
}

/// Returns the time that an option names, in whole seconds.
fn seconds(arguments: &[String], option: &str) -> Duration {
    let at = arguments.iter().position(|argument| argument == option).unwrap();
    Duration::from_secs(arguments[at + 1].strip_suffix('s').unwrap().parse().unwrap())
}

/// Returns the address with the metrics and the health of a process, as `http://HOST:PORT`.
fn operators(process: &Process) -> String {
    let line = process.printed.iter().find_map(|line| line.strip_prefix("metrics: ")).unwrap();
    line.trim_end_matches("/metrics").to_owned()
}

/// Returns whether a process is ready.
async fn is_ready(process: &Process) -> bool {
    let answer = client().get(format!("{}/health/ready", operators(process))).send().await;
    answer.is_ok_and(|answer| answer.status() == 200)
}

/// Returns the page of the metrics.
async fn metrics_of(process: &Process) -> String {
    let answer = client().get(format!("{}/metrics", operators(process))).send().await.unwrap();
    answer.text().await.unwrap()
}
