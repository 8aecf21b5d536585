//! Tests that the first start prints the password of the first person before it creates the
//! account, and that the operator can replace a lost password.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use keyfob::store::sqlite::SqliteStore;
use personal_tokens::first::{self, FirstSignIn};
use personal_tokens::setup::Settings;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::support::process::{Process, Visitor, client, command};
use crate::support::{TOKENS, tempdir, until};

/// Writes this `config.json` to the data directory.
fn configure(data: &Path, config: &Value) {
    let path = data.join("config.json");
    fs::write(&path, config.to_string()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Checks that the process failed and printed no password. Returns the text that the process wrote
/// to stderr.
#[track_caller]
fn refused(output: &Output) -> String {
    let (said, printed) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(!output.status.success(), "the service started: {said}");
    assert!(!printed.contains("password"), "a useless password was printed: {printed}");
    said.into_owned()
}

/// Checks that the next start creates the account of the first person, and that the printed
/// password works.
async fn is_still_to_come(data: &Path) {
    let process = Process::start_to_address(&mut command(data));
    Visitor::sign_in(&process.address(), process.first()).await;
}

#[tokio::test]
async fn start_with_a_bad_configuration_makes_no_account() {
    let upstream = |url: &str, credentials: Value| json!({ "main": { "url": url, "credentials": credentials } });
    let upstreams = || upstream("http://127.0.0.1:9/v1", json!({ "2": "c" }));
    let model = |project: i64, upstream: &str| json!({ "project_id": project, "name": "m", "upstream": upstream });
    let default = |name: &str| json!({ "project_id": 2, "name": name, "upstream": "main", "default": true });
    for (config, said) in [
        (json!({ "upstreams": upstreams(), "models": [model(9, "main")] }), "the project does not exist"),
        (json!({ "upstreams": upstreams(), "models": [model(2, "other")] }), "does not define this upstream"),
        (json!({ "upstreams": upstreams(), "models": [model(3, "main")] }), "no credential for this project"),
        (
            json!({ "upstreams": upstreams(), "models": [model(2, "main"), model(2, "main")] }),
            "already has a model of this name",
        ),
        (json!({ "upstreams": upstreams(), "models": [default("a"), default("b")] }), "already has a default model"),
        (json!({ "upstreams": upstream("ftp://x", json!({})) }), "url must be"),
        (json!({ "upstreams": upstream("http://x", json!({ "2": "a\nb" })) }), "a credential contains a character"),
        (json!({ "policy": 1 }), "policy must be an object"),
        (json!({ "github_keys": "ftp://x" }), "github_keys must be"),
    ] {
        let dir = tempdir();
        configure(dir.path(), &config);
        let refused = refused(&command(dir.path()).output().unwrap());
        let file = dir.path().join("config.json");
        let start = format!("personal-tokens: {}: ", file.display());
        assert!(refused.starts_with(&start) && refused.contains(said), "{config}: {refused}");
        fs::remove_file(file).unwrap();
        is_still_to_come(dir.path()).await;
    }
    // The configuration of a model may name a project that does not exist before the first start
    // creates it.
    let dir = tempdir();
    configure(dir.path(), &json!({ "upstreams": upstreams(), "models": [model(2, "main")] }));
    is_still_to_come(dir.path()).await;
}

/// Returns a command that starts the service through a shell. `redirected` follows the arguments of
/// the service, for example the redirection `>/dev/full`.
fn in_shell(data: &Path, redirected: &str) -> Command {
    let plain = command(data);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("exec \"$0\" \"$@\" {redirected}")).arg(plain.get_program()).args(plain.get_args());
    shell.env_remove("DATABASE_URL");
    shell
}

/// Starts the process and waits until it ends by itself. Returns its output. Panics after 60
/// seconds.
#[track_caller]
fn ended(command: &mut Command) -> Output {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("the process did not end: {command:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

#[tokio::test]
async fn password_that_cannot_be_printed_makes_no_account() {
    for redirected in [">&-", ">/dev/null", ">/dev/full"] {
        let dir = tempdir();
        let said = refused(&ended(&mut in_shell(dir.path(), redirected)));
        assert!(said.contains("the first sign-in"), "{redirected}: {said}");
        is_still_to_come(dir.path()).await;
    }
    // The standard output is a pipe without a reader.
    let dir = tempdir();
    let mut piped = command(dir.path());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let said = refused(&ended(piped.stdout(writer)));
    assert!(said.contains("the first sign-in"), "{said}");
    is_still_to_come(dir.path()).await;
}

/// The test runs the service as in `personal-tokens | head -1`. The program `head` reads only one
/// line.
#[tokio::test]
async fn first_line_of_a_first_start_has_the_password() {
    let dir = tempdir();
    let mut child = command(dir.path()).stdout(Stdio::piped()).spawn().unwrap();
    let head = Command::new("head").arg("-1").stdin(child.stdout.take().unwrap()).output().unwrap();
    let printed = String::from_utf8(head.stdout).unwrap();
    let said = printed.trim_end().strip_prefix("first sign-in, shown only once: name ");
    let (name, password) = said.unwrap_or_else(|| panic!("{printed}")).split_once(" password ").unwrap();
    // The service creates the account after it has printed the password.
    let pool = SqliteStore::open(dir.path().join("personal-tokens.db")).await.unwrap().pool().clone();
    let exists = "SELECT EXISTS (SELECT 1 FROM users)";
    until("the account is created", async || sqlx::query_scalar(exists).fetch_one(&pool).await.unwrap()).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let process = Process::start(&mut command(dir.path()), 1);
    Visitor::sign_in(&process.address(), (name.into(), password.into())).await;
}

/// Runs the command that resets the password of this person.
fn reset(data: &Path, name: &str) -> Output {
    command(data).args(["--reset-password", name]).output().unwrap()
}

/// Tries to sign in, and returns the status of the response. A successful sign-in gets 303.
async fn sign_in_status(at: &str, name: &str, password: &str) -> u16 {
    let request = client().post(format!("{at}/sign-in")).header("sec-fetch-site", "same-origin");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    request.body(format!("name={name}&password={password}")).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn lost_password_is_replaced_on_the_command_line() {
    let dir = tempdir();
    let nowhere = dir.path().join("nowhere");
    let said = String::from_utf8(reset(&nowhere, "ada").stderr).unwrap();
    assert!(said.contains("there is no database") && !nowhere.exists(), "{said}");

    let process = Process::start(&mut command(dir.path()), 2);
    let at = process.address();
    let (name, old) = process.first();
    let visitor = Visitor::sign_in(&at, (name.clone(), old.clone())).await;
    let page = async || visitor.of(client().get(format!("{at}/settings/tokens"))).send().await.unwrap().status();
    assert_eq!(page().await, 200);

    let unknown = reset(dir.path(), "eve");
    assert!(refused(&unknown).contains("there is no person named \"eve\""), "{unknown:?}");
    // If the new password cannot be printed, the old password stays valid.
    for redirected in [">&-", ">/dev/full"] {
        let mut shell = in_shell(dir.path(), &format!("--reset-password ada {redirected}"));
        let output = shell.output().unwrap();
        assert!(refused(&output).contains("the new password"), "{output:?}");
    }
    assert_eq!(page().await, 200);

    // The password can be reset while the service runs.
    let output = reset(dir.path(), "ada");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && printed.lines().count() == 1, "{printed}");
    let said = printed.trim_end().strip_prefix("new password, shown only once: name ada password ").unwrap();
    assert_eq!(page().await, 303, "the earlier sessions have ended");
    assert_eq!(sign_in_status(&at, &name, &old).await, 401);
    assert_eq!(sign_in_status(&at, &name, said).await, 303);
}

/// Printing the password can take a long time, because a terminal stopped with ctrl-S, a pager or a
/// full pipe blocks the output.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_goes_on_while_a_new_password_waits_to_be_printed() {
    let dir = tempdir();
    let process = Process::start(&mut command(dir.path()), 2);
    let at = process.address();
    let (name, old) = process.first();
    let visitor = Visitor::sign_in(&at, (name.clone(), old.clone())).await;
    let made = visitor.make(&at).await;
    let act = async || {
        let url = format!("{at}{TOKENS}{}", made["uuid"].as_str().unwrap());
        let ended = visitor.of(client().delete(&url)).send().await.unwrap().status().as_u16();
        let issued = visitor.post(&format!("{at}{TOKENS}"), &json!({ "name": "n" })).await.unwrap().status().as_u16();
        (ended, issued)
    };
    let (mut acted, mut new) = (None, String::new());
    let waiting = |first: &FirstSignIn| {
        new = first.password.clone();
        acted = Some(block_in_place(|| Handle::current().block_on(act())));
        Ok(())
    };
    first::reset_password(dir.path(), &Settings::default(), &name, waiting).await.unwrap();
    assert_eq!(acted, Some((204, 200)));
    assert_eq!(sign_in_status(&at, &name, &old).await, 401);
    assert_eq!(sign_in_status(&at, &name, &new).await, 303);

    // If the person is renamed while the password is printed, the password is not changed.
    let pool = SqliteStore::open(dir.path().join("personal-tokens.db")).await.unwrap().pool().clone();
    let renaming = |_: &FirstSignIn| {
        let rename = sqlx::query("UPDATE users SET name = 'eve'").execute(&pool);
        block_in_place(|| Handle::current().block_on(rename))?;
        Ok(())
    };
    let error = first::reset_password(dir.path(), &Settings::default(), &name, renaming).await.unwrap_err();
    assert!(error.to_string().contains("the password that was printed is void"), "{error}");
    assert_eq!(sign_in_status(&at, "eve", &new).await, 303);
}

#[test]
fn first_start_prints_its_sign_in_before_its_address() {
    let dir = tempdir();
    let mut child = command(dir.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().starts_with("first sign-in, shown only once: name ada password "));
    assert!(lines.next().unwrap().starts_with("personal-tokens: http://127.0.0.1:"));
    child.kill().unwrap();
    child.wait().unwrap();
}
