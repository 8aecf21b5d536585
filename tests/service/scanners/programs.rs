//! Runs each scanner in the way that the comments in its rules describe, and checks
//! that the scanner finds the tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::Stdio;

use keyfob::leak::ScannerFormat;
use serde_json::Value;

use crate::scanners::tool::{assert_all_tokens, assert_only_tokens, is_installed, program, read_json, run, texts_at};
use crate::scanners::tree::{PREFIXES, Tree};

#[test]
fn kingfisher_finds_the_tokens_alone() {
    if !is_installed("kingfisher") {
        return;
    }
    let tree = Tree::new();
    let (rules, report) = (tree.rules(ScannerFormat::Kingfisher), tree.beside().join("report.json"));
    let mut kingfisher = program("kingfisher", &tree);
    kingfisher.args(["--no-update-check", "scan", ".", "--no-validate", "--no-rule-cache", "--load-builtins=false"]);
    kingfisher.arg("--rules-path").arg(rules).args(["--format", "json", "--output"]).arg(&report);
    run(kingfisher, 200);
    let found = texts_at(&read_json(&report)["findings"], "/finding/snippet");
    assert_only_tokens("kingfisher", &found, &tree);
}

#[test]
fn detect_secrets_finds_the_tokens_alone() {
    if !is_installed("detect-secrets") {
        return;
    }
    let tree = Tree::new();
    let mut scan = program("detect-secrets", &tree);
    scan.arg("scan").arg("--plugin").arg(tree.rules(ScannerFormat::DetectSecrets));
    scan.args(["--disable-filter", "detect_secrets.filters.heuristic.is_indirect_reference"]);
    scan.args(["--no-verify", "--all-files", "."]);
    let report: Value = serde_json::from_slice(&run(scan, 0).stdout).unwrap();
    let findings = report["results"].as_object().unwrap().values().flat_map(|file| file.as_array().unwrap());
    // The scanner's own plug-ins also report other strings of high entropy.
    let types = PREFIXES.map(|prefix| format!("Access token ({prefix})"));
    let ours: Vec<_> = findings.filter(|finding| types.iter().any(|own| finding["type"] == **own)).collect();
    let names = by_sha1(&tree);
    let found = ours.iter().map(|finding| {
        let hash = finding["hashed_secret"].as_str().unwrap();
        names.get(hash).cloned().unwrap_or_else(|| hash.to_owned())
    });
    assert_only_tokens("detect-secrets", &found.collect(), &tree);
}

/// Returns the tokens and look-alikes by their SHA-1 digest, because detect-secrets reports only
/// digests. Python computes the digests, because detect-secrets uses Python's function too.
fn by_sha1(tree: &Tree) -> BTreeMap<String, String> {
    let all: Vec<&String> = tree.tokens.iter().chain(&tree.look_alikes).collect();
    let program_text =
        "import hashlib, sys\nfor line in sys.stdin: print(hashlib.sha1(line.strip().encode()).hexdigest())";
    let mut python = program("python3", tree);
    let mut python = python.args(["-c", program_text]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = python.stdin.take().unwrap();
    let lines: String = all.iter().map(|token| format!("{token}\n")).collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let hashes = String::from_utf8(output.stdout).unwrap();
    assert_eq!(hashes.lines().count(), all.len());
    hashes.lines().map(str::to_owned).zip(all.into_iter().cloned()).collect()
}

#[test]
fn betterleaks_finds_all_tokens() {
    if !is_installed("betterleaks") {
        return;
    }
    let tree = Tree::new();
    let report = tree.beside().join("report.json");
    let mut betterleaks = program("betterleaks", &tree);
    betterleaks.arg("--config").arg(tree.rules(ScannerFormat::Gitleaks)).args(["--no-banner", "--output"]).arg(&report);
    betterleaks.arg(".");
    run(betterleaks, 1);
    let found = texts_at(&read_json(&report)["findings"], "/match/value");
    assert_all_tokens("betterleaks", &found, &tree);
}

#[test]
fn secretlint_finds_all_tokens() {
    if !is_installed("secretlint") {
        return;
    }
    let tree = Tree::new();
    let report = tree.beside().join("report.json");
    let mut secretlint = program("secretlint", &tree);
    secretlint.arg("--secretlintrc").arg(tree.rules(ScannerFormat::Secretlint));
    // Without an output file, secretlint cuts its output if it is longer than the buffer of a pipe.
    // With an output file, it exits with 0 even if it finds a token.
    secretlint.args(["--format", "json", "--no-maskSecrets", "--output"]).arg(&report).arg("**/*");
    run(secretlint, 0);
    let report = read_json(&report);
    let files = report.as_array().unwrap().iter();
    let found: BTreeSet<_> = files.flat_map(|file| texts_at(&file["messages"], "/data/CREDENTIAL")).collect();
    assert_all_tokens("secretlint", &found, &tree);
}

#[test]
fn ripsecrets_finds_all_tokens() {
    if !is_installed("ripsecrets") {
        return;
    }
    let tree = Tree::new();
    let mut ripsecrets = program("sh", &tree);
    ripsecrets.arg(tree.rules(ScannerFormat::Ripsecrets)).arg("--only-matching").args(Tree::files());
    let output = String::from_utf8(run(ripsecrets, 1).stdout).unwrap();
    assert_all_tokens("ripsecrets", &tree.known_in(&output), &tree);
}

#[test]
fn git_secrets_finds_all_tokens() {
    if !is_installed("git-secrets") {
        return;
    }
    let tree = Tree::new();
    // git-secrets searches with grep if it scans folders, and with git in its hooks. git joins all
    // patterns into one expression, so the test runs both searches.
    for how in ["--recursive", "--no-index"] {
        let mut git_secrets = program("git-secrets", &tree);
        git_secrets.env("GIT_CONFIG_GLOBAL", tree.rules(ScannerFormat::GitSecrets)).env("GIT_CONFIG_NOSYSTEM", "1");
        git_secrets.args(["--scan", how, "."]);
        let output = String::from_utf8(run(git_secrets, 1).stderr).unwrap();
        assert_all_tokens("git-secrets", &tree.known_in(&output), &tree);
    }
}
