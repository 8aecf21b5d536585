//! Records what a run of `cargo test` has tested: the engines that its tests started, and the tests
//! that were skipped because a program is not installed. Each record is a line in a file that
//! belongs to the run. The last test binary of the workspace, `tests/summary.rs`, prints the file.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::{env, thread};

/// Records that a test started an engine. `name` contains the name and the version of the engine.
///
/// # Panics
/// Panics if the line cannot be written, because the summary would then be incomplete.
pub fn engine(name: &str) {
    note(&format!("engine\t{name}"));
}

/// Records and prints that a test is skipped because something is missing, such as a program. `why`
/// names what is missing.
///
/// # Panics
/// Panics if `CI` is `true`, because in CI, nothing may be missing. Panics if the line cannot be
/// written.
#[track_caller]
pub fn missing(why: &str) {
    assert_ne!(env::var("CI").as_deref(), Ok("true"), "{why}");
    skip(why);
}

/// Records and prints that a test is skipped, even if `CI` is `true`.
///
/// # Panics
/// Panics if the line cannot be written.
pub fn skip(why: &str) {
    println!("skipped: {why}");
    let test = thread::current().name().unwrap_or("a test").to_owned();
    note(&format!("skipped\t{}::{test}: {why}", binary()));
}

/// Returns the recorded lines of this run. Removes the file of this run, and the files of all runs
/// that have ended.
///
/// # Panics
/// Panics if a file cannot be read or removed.
#[must_use]
pub fn take_notes() -> String {
    let own = file();
    let notes = if own.exists() { fs::read_to_string(&own).expect("the notes are text") } else { String::new() };
    for entry in fs::read_dir(folder()).into_iter().flatten() {
        let path = entry.expect("the folder can be read").path();
        let run = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_over = run.split_once('-').is_none_or(|(id, began)| began_at(id) != began);
        if path == own || is_over {
            fs::remove_file(&path).expect("a file of notes can be removed");
        }
    }
    notes
}

fn note(line: &str) {
    fs::create_dir_all(folder()).expect("the folder of notes can be created");
    let mut file = File::options().create(true).append(true).open(file()).expect("the file of notes can be opened");
    // The whole line is written in one call, because other tests write at the same time.
    file.write_all(format!("{line}\n").as_bytes()).expect("a note can be written");
}

/// Returns the path of the file of this run. All test processes of a run have the same parent
/// process, cargo. So the name of the file is cargo's process id and start time. The start time is
/// included because process ids are reused.
fn file() -> PathBuf {
    let cargo = std::os::unix::process::parent_id().to_string();
    folder().join(format!("{cargo}-{}", began_at(&cargo)))
}

/// Returns the start time of a process, in clock ticks since the machine started. Returns an empty
/// text if the process does not exist.
fn began_at(process: &str) -> String {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name of the process is in brackets and may contain any characters. The start time is the
    // 20th word after the name.
    let words = stat.rsplit_once(") ").map_or("", |(_, words)| words);
    words.split(' ').nth(19).unwrap_or_default().to_owned()
}

/// Returns the folder `target/tested`. Finds it from the path of this test binary, which is in
/// `target/debug/deps`.
fn folder() -> PathBuf {
    let program = env::current_exe().expect("a test binary has a path");
    program.ancestors().nth(3).expect("a test binary is in a target folder").join("tested")
}

fn binary() -> String {
    let program = env::current_exe().expect("a test binary has a path");
    let name = program.file_stem().and_then(|name| name.to_str()).unwrap_or("a test binary");
    // Removes the hash that cargo appends to the name.
    name.rsplit_once('-').map_or(name, |(name, _)| name).to_owned()
}
