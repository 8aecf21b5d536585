//! Runs the scanners and reads their reports.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::scanners::tree::{PREFIXES, Tree};

/// Returns the folders in which the tests look for programs: first the folders in which `.ci/run`
/// installs tools, then the folders of the PATH.
fn folders() -> Vec<PathBuf> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/ci-tools");
    let mut folders = vec![ours.join("bin"), ours.join("node_modules/.bin")];
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    folders
}

/// Returns whether a scanner is installed. Panics if the scanner is not installed and `CI=true` is
/// set.
pub fn is_installed(name: &str) -> bool {
    if folders().iter().any(|folder| folder.join(name).is_file()) {
        return true;
    }
    test_summary::missing(&format!("{name} is not installed"));
    false
}

/// Returns a command that runs a program in the folder of the scanned files. The program does not
/// read the user's configuration, and writes no cache into the user's home folder.
pub fn program(name: &str, tree: &Tree) -> Command {
    let mut command = Command::new(name);
    let path = env::join_paths(folders()).unwrap();
    command.current_dir(tree.path()).env("PATH", path).env("HOME", tree.beside()).env_remove("XDG_CONFIG_HOME");
    command
}

/// Runs a command and returns its output.
///
/// # Panics
/// Panics if the exit status is not the expected one. The message contains the output, except for
/// lines with a token.
#[track_caller]
pub fn run(mut command: Command, expected: i32) -> Output {
    let name = command.get_program().to_owned();
    let output = command.output().unwrap_or_else(|error| panic!("{name:?}: {error}"));
    if output.status.code() != Some(expected) {
        let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        let lines = said.iter().flat_map(|text| text.lines());
        let quiet: Vec<_> =
            lines.filter(|line| !PREFIXES.iter().any(|prefix| line.contains(prefix))).take(20).collect();
        panic!("{name:?} ended with {:?}, not {expected}: {quiet:#?}", output.status.code());
    }
    output
}

pub fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Returns the texts of the findings: from each finding, the text at the JSON pointer `place`.
pub fn texts_at(findings: &Value, place: &str) -> BTreeSet<String> {
    let findings = findings.as_array().unwrap();
    findings.iter().map(|finding| finding.pointer(place).unwrap().as_str().unwrap().to_owned()).collect()
}

/// Checks that a scanner found all tokens and nothing else.
#[track_caller]
pub fn assert_only_tokens(name: &str, found: &BTreeSet<String>, tree: &Tree) {
    count(name, found, tree);
    assert!(*found == tree.tokens, "{name} did not find exactly the tokens");
}

/// Checks that a scanner found all tokens. It may also have found look-alikes.
#[track_caller]
pub fn assert_all_tokens(name: &str, found: &BTreeSet<String>, tree: &Tree) {
    count(name, found, tree);
    assert!(found.is_superset(&tree.tokens), "{name} did not find all tokens");
}

fn count(name: &str, found: &BTreeSet<String>, tree: &Tree) {
    let (tokens, look_alikes) = (found.intersection(&tree.tokens), found.intersection(&tree.look_alikes));
    let (tokens, look_alikes) = (tokens.count(), look_alikes.count());
    let others = found.len() - tokens - look_alikes;
    println!(
        "{name}: {tokens} of {} tokens, {look_alikes} of {} look-alikes, {others} others",
        tree.tokens.len(),
        tree.look_alikes.len()
    );
}
