//! Checks that tests are easy to find: there are few test binaries, and `tests/README.md` names
//! every test file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The maximum number of integration-test binaries in the workspace. More binaries would make the
/// tests slower, because each binary is linked with all engines, and cargo runs the binaries one
/// after the other.
const MOST_BINARIES: usize = 10;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Returns the name and the root file of each test binary of the workspace.
fn binaries() -> Vec<(String, PathBuf)> {
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let targets = packages.flat_map(|package| package["targets"].as_array().unwrap());
    let tests = targets.filter(|target| target["kind"] == serde_json::json!(["test"]));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    tests.map(|target| (text(&target["name"]), PathBuf::from(text(&target["src_path"])))).collect()
}

/// Returns the folders of this package that contain the sources of a test binary.
fn folders() -> Vec<PathBuf> {
    let begins = binaries().into_iter().map(|(_, begin)| begin);
    let begins = begins.filter(|begin| begin.starts_with(root().join("tests")) && begin.ends_with("main.rs"));
    begins.map(|begin| begin.parent().unwrap().to_owned()).collect()
}

fn has_tests(file: &Path) -> bool {
    let text = fs::read_to_string(file).unwrap();
    text.lines().any(|line| ["#[test]", "#[tokio::test"].iter().any(|attribute| line.trim().starts_with(attribute)))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Returns the paths of files and folders in the tables of `tests/README.md`, such as
/// `rules/text.rs` or `service/axum/`.
fn named(readme: &str) -> Vec<&str> {
    let lines = readme.lines().filter(|line| line.starts_with('|'));
    let words = lines.flat_map(|line| line.split('`').skip(1).step_by(2));
    words.filter(|word| word.contains('/') && (word.ends_with('/') || word.ends_with(".rs"))).collect()
}

/// Returns whether `named` contains this file or a folder that holds it. `named` has the paths in
/// the tables of `tests/README.md`. The folder of a whole test binary does not count.
fn is_named(path: &str, named: &[&str]) -> bool {
    let is_it = |name: &&str| {
        *name == path || (name.matches('/').count() > 1 && name.ends_with('/') && path.starts_with(*name))
    };
    named.iter().any(is_it)
}

#[test]
fn the_workspace_has_few_test_binaries() {
    let names: Vec<String> = binaries().into_iter().map(|(name, _)| name).collect();
    assert!(names.len() > 2 && names.len() <= MOST_BINARIES, "{} test binaries: {names:?}", names.len());
}

#[test]
fn the_readme_of_the_tests_names_every_file_that_has_tests() {
    let readme = fs::read_to_string(root().join("tests/README.md")).unwrap();
    let named = named(&readme);
    let mut files = Vec::new();
    folders().iter().for_each(|folder| sources(folder, &mut files));
    files.retain(|file| has_tests(file));
    assert!(files.len() > 50, "{} files", files.len());
    let below = |file: &PathBuf| file.strip_prefix(root().join("tests")).unwrap().to_str().unwrap().to_owned();
    let unnamed: Vec<String> = files.iter().map(below).filter(|file| !is_named(file, &named)).collect();
    assert!(unnamed.is_empty(), "tests/README.md does not say what is tested in {unnamed:#?}");
}

#[test]
fn the_readme_of_the_tests_names_no_file_that_is_gone() {
    let readme = fs::read_to_string(root().join("tests/README.md")).unwrap();
    let gone: Vec<&str> = named(&readme)
        .into_iter()
        .filter(|path| !root().join("tests").join(path).exists() && !root().join(path).exists())
        .collect();
    assert!(gone.is_empty(), "tests/README.md names {gone:?}");
}

#[test]
fn a_file_is_named_by_its_path_or_its_folder_and_not_by_its_binary() {
    let named = named("| text | `rules/text.rs`, `service/axum/` | `service/` | `cargo test a/b` |\n`rules/keys.rs`");
    assert_eq!(named, ["rules/text.rs", "service/axum/", "service/"]);
    for (path, is) in [
        ("rules/text.rs", true),
        ("service/axum/answers.rs", true),
        ("service/usage.rs", false),
        ("rules/keys.rs", false),
        ("rules/text", false),
    ] {
        assert_eq!(is_named(path, &named), is, "{path}");
    }
}
