//! Asserts the exact texts of starts that are refused because of `config.json`. Each text names the
//! path of the file and the field, and repeats no value that may be a credential.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::support::process::{Process, command, refusal};
use crate::support::tempdir;

/// Writes `config.json` with these Unix permissions. Returns its path.
fn configure(data: &Path, text: &str, mode: u32) -> PathBuf {
    let path = data.join("config.json");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

/// Checks that a start and `--check-config` refuse this `config.json` with this message after the
/// path of the file.
#[track_caller]
fn is_refused(config: &str, options: &[&str], text: &str) {
    let dir = tempdir();
    let path = configure(dir.path(), config, 0o600);
    for check in [&[][..], &["--check-config"]] {
        let said = refusal(command(dir.path()).args(options).args(check));
        assert_eq!(said, format!("{}: {text}", path.display()), "{config}");
    }
    assert!(!dir.path().join("pepper").exists());
}

#[test]
fn faults_of_the_configuration_file_are_named_with_its_path() {
    let upstreams = |rest: &str| format!(r#"{{"upstreams": {{"main": {{"url": "http://a/v1"{rest}}}}}}}"#);
    const TOP: &str = "`policy`, `public_url`, `verify_ssl`, `upstreams`, `models`, `github_keys`, `purge_after_days`, \
                       `purge_alarms_after_days`";
    const NAME: &str = "upstreams: a name must have 1 to 255 characters, without control characters";
    for (config, text) in [
        ("", "not valid JSON: EOF while parsing a value (line 1, column 0)"),
        ("{", "not valid JSON: EOF while parsing an object (line 1, column 1)"),
        ("{}\n,", "not valid JSON: trailing characters (line 2, column 1)"),
        ("[]", "must be an object"),
        (r#"{"policy": []}"#, "policy must be an object"),
        (r#"{"polcy": {}}"#, &format!("unknown field `polcy`, expected one of {TOP} (line 1, column 8)")),
        (
            r#"{"policy": {"human": {"max": 1}}}"#,
            "policy.human: unknown field `max`, expected one of `default_seconds`, `min_seconds`, `max_seconds`, \
             `never_expiring` (line 1, column 27)",
        ),
        (
            r#"{"policy": {"human": {"max_seconds": "secret"}}}"#,
            "policy.human.max_seconds must be a whole number, not below 0 (line 1, column 45)",
        ),
        (
            r#"{"policy": {"human": {"default_seconds": null}}}"#,
            "policy.human.default_seconds must be a whole number, not below 0 (line 1, column 45)",
        ),
        (r#"{"policy": {}, "policy": {}}"#, "duplicate field `policy` (line 1, column 23)"),
        (
            r#"{"purge_after_days": -1}"#,
            "purge_after_days must be a whole number from 0 to 4294967295 (line 1, column 23)",
        ),
        (r#"{"verify_ssl": 1}"#, "verify_ssl must be true or false (line 1, column 16)"),
        (
            r#"{"public_url": "https://a/"}"#,
            "public_url must be http:// or https:// and a host, without a slash at the end",
        ),
        (
            r#"{"github_keys": "http://secret"}"#,
            "github_keys must be https:// and a host, or http:// on loopback (line 1, column 32)",
        ),
        (
            &upstreams(r#", "credentials": "secret""#),
            "upstreams.main.credentials must be an object (line 1, column 69)",
        ),
        (
            &upstreams(r#", "credentials": {"secret": "2"}"#),
            "upstreams.main.credentials: each key must be the number of a project (line 1, column 63)",
        ),
        (
            &upstreams(r#", "credentials": {"2": 1234}"#),
            "upstreams.main.credentials must be a string (line 1, column 71)",
        ),
        (
            &upstreams(r#", "credentials": {"2": "secret\n"}"#),
            "upstreams.main.credentials: a credential contains a character that a header cannot hold (line 1, column 78)",
        ),
        (r#"{"upstreams": {"main": "secret"}}"#, "upstreams.main must be an object (line 1, column 31)"),
        (
            r#"{"upstreams": {"main": {"url": "ftp://secret"}}}"#,
            "upstreams.main.url must be http:// or https://, a host and a path (line 1, column 46)",
        ),
        (r#"{"upstreams": {"main": {}}}"#, "upstreams.main: missing field `url` (line 1, column 25)"),
        (r#"{"upstreams": {"": {"url": "http://a"}}}"#, NAME),
        (r#"{"models": [{"project_id": 1}]}"#, "models[0]: missing field `name` (line 1, column 29)"),
    ] {
        is_refused(config, &[], text);
    }
    let name = |length: usize| json!({"upstreams": {"ä".repeat(length): {"url": "http://a"}}}).to_string();
    is_refused(&name(256), &[], NAME);
    let dir = tempdir();
    configure(dir.path(), &name(255), 0o600);
    Process::start(&mut command(dir.path()), 2);
}

#[test]
fn model_that_is_not_accepted_is_named_with_the_path_of_the_file() {
    let dir = tempdir();
    let config = r#"{"models": [{"project_id": 2, "name": "m", "upstream": "main"}]}"#;
    let path = configure(dir.path(), config, 0o600);
    let text = "model \"m\": the configuration file does not define this upstream";
    assert_eq!(refusal(&mut command(dir.path())), format!("{}: {text}", path.display()));
}

#[test]
fn configuration_file_that_cannot_be_read_is_named() {
    let dir = tempdir();
    let path = dir.path().join("config.json");
    fs::create_dir(&path).unwrap();
    let text = format!("{} cannot be read: Is a directory (os error 21)", path.display());
    assert_eq!(refusal(&mut command(dir.path())), text);
    fs::remove_dir(&path).unwrap();
    let config = r#"{"upstreams": {"main": {"url": "http://a", "credentials": {"2": "secret"}}}}"#;
    configure(dir.path(), config, 0o640);
    let path = path.display();
    let text = format!("{path} holds credentials, and other users may read it: run chmod 600 {path}");
    assert_eq!(refusal(&mut command(dir.path())), text);
    assert_eq!(refusal(command(dir.path()).arg("--check-config")), text);
}

#[test]
fn contradictory_policies_are_refused() {
    for (policy, text) in [
        (
            r#"{"human": {"default_seconds": 7776000, "max_seconds": 2592000}}"#,
            "policy.human.default_seconds is 7776000, and must not be above policy.human.max_seconds, which is 2592000",
        ),
        (
            r#"{"agent": {"min_seconds": 604801}}"#,
            "policy.agent.min_seconds is 604801, and must not be above policy.agent.max_seconds, which is 604800 by default",
        ),
        (
            r#"{"most_live_per_owner": 0}"#,
            "policy.most_live_per_owner must be above 0: with 0, no token could be issued",
        ),
        (
            r#"{"human": {"max_seconds": 86400}, "max_grace_seconds": 86401}"#,
            "policy.max_grace_seconds is 86401, and must not be above policy.human.max_seconds, which is 86400",
        ),
    ] {
        is_refused(&format!(r#"{{"policy": {policy}}}"#), &[], text);
    }
    is_refused(
        r#"{"policy": {"human": {"never_expiring": true}}}"#,
        &["--no-never"],
        "policy.human.never_expiring is true, and --no-never forbids it: leave out one of the two",
    );
    // The option alone forbids what the policy without a file allows.
    let dir = tempdir();
    Process::start(command(dir.path()).arg("--no-never"), 2);
}
