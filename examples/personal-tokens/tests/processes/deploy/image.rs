//! Checks the Dockerfile and what Docker sends to its build, and runs its command.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{PROGRAM, folder, is_ready, passes, program, text, texts};
use crate::postgres;
use crate::support::process::Process;
use crate::support::tempdir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the arguments of the last instruction with this name, which is a list in JSON.
fn instruction(name: &str) -> Vec<String> {
    let file = text("Dockerfile");
    let list = file.lines().rev().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    texts(&serde_json::from_str(list.unwrap()).unwrap())
}

#[test]
fn hadolint_accepts_the_dockerfile() {
    let tools = root().join("target/ci-tools/bin/hadolint");
    let hadolint = if tools.exists() { tools } else { "hadolint".into() };
    passes(Command::new(hadolint).arg("--no-color").arg(folder().join("Dockerfile")));
}

#[test]
fn image_is_built_with_the_rust_of_the_gates() {
    let install = fs::read_to_string(root().join(".ci/install")).unwrap();
    let rust = install.lines().find_map(|line| line.strip_prefix("rust=")).unwrap();
    assert!(text("Dockerfile").contains(&format!("\nFROM rust:{rust}-bookworm AS build\n")), "{rust}");
}

/// Copies what the build gets, and lets cargo read it. So no manifest, no source of a target and no
/// member of the workspace is missing.
#[test]
fn build_gets_all_manifests_and_no_other_folder() {
    let ignored = text("Dockerfile.dockerignore");
    let mut lines = ignored.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    assert_eq!(lines.next(), Some("*"), "everything that is not named is left out");
    let (sent, left_out): (BTreeSet<_>, BTreeSet<_>) = lines.partition(|line| line.starts_with("!/"));
    assert!(left_out.contains("/examples/personal-tokens/deploy"), "it may hold secrets: {left_out:?}");
    let dir = tempdir();
    for name in sent.iter().map(|line| line.trim_start_matches("!/")) {
        let copied = Command::new("cp").args(["-r", "--"]).arg(root().join(name)).arg(dir.path()).status().unwrap();
        assert!(copied.success(), "{name}");
    }
    fs::remove_dir_all(dir.path().join("examples/personal-tokens/deploy")).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]);
    let read = cargo.current_dir(dir.path()).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
}

#[tokio::test]
async fn command_of_the_image_starts_a_ready_service() {
    assert_eq!(instruction("ENTRYPOINT"), [PROGRAM]);
    let Some(server) = postgres::shared() else { return };
    let (dir, database) = (tempdir(), server.database());
    let data = dir.path().join("data");
    let replaced = |argument: String| match argument.as_str() {
        "0.0.0.0:8088" | "0.0.0.0:9088" => "127.0.0.1:0".to_owned(),
        "/var/lib/personal-tokens" => data.to_str().unwrap().to_owned(),
        _ => argument,
    };
    let arguments: Vec<_> = instruction("CMD").into_iter().map(replaced).collect();
    let process = Process::start(program(&arguments).env("DATABASE_URL", database), 3);
    assert!(is_ready(&process).await);
}
