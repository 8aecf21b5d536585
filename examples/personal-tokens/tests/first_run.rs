//! The first start and the second, as a person runs them.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use keyfob::{Access, Actor, Name, NewToken, ProjectId, SystemClock};
use personal_tokens::setup::{self, Settings};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_personal-tokens"));
    command.args(["--addr", "127.0.0.1:0", "--data-dir"]).arg(data).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// What it prints until it is stopped.
fn printed(data: &Path, lines: usize) -> Vec<String> {
    let mut running = Running(start(data).spawn().unwrap());
    let mut out = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let mut printed: Vec<String> = (0..lines).map(|_| out.next().unwrap().unwrap()).collect();
    let stopped = Command::new("kill").arg(running.0.id().to_string()).status().unwrap();
    assert!(stopped.success());
    printed.extend(out.map(Result::unwrap));
    assert!(running.0.wait().unwrap().success(), "it stops cleanly");
    printed
}

#[test]
fn the_first_sign_in_is_printed_once_and_the_pepper_stays() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");

    let first = printed(&data, 2);
    assert_eq!(first.len(), 2);
    assert!(first[0].starts_with("personal-tokens: http://127.0.0.1:"));
    assert!(first[1].starts_with("first sign-in, shown this once: name ada password "));
    let mode = |name: &str| fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("pepper"), mode("personal-tokens.db")), (0o700, 0o600, 0o600));
    let pepper = fs::read(data.join("pepper")).unwrap();

    let second = printed(&data, 1);
    assert_eq!(second.len(), 1, "{second:?}");
    assert_eq!(fs::read(data.join("pepper")).unwrap(), pepper);

    // Nothing but these, and nothing left aside.
    let mut names: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.retain(|name| !name.to_string_lossy().starts_with("personal-tokens.db"));
    assert_eq!(names, ["pepper"]);
}

#[test]
fn a_pepper_that_is_open_to_others_or_lost_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    printed(&data, 2);
    let pepper = data.join("pepper");

    fs::set_permissions(&pepper, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(!start(&data).status().unwrap().success());
    fs::remove_file(&pepper).unwrap();
    assert!(!start(&data).status().unwrap().success());
    assert!(!pepper.exists(), "no new one in place of a lost one");
}

#[tokio::test]
async fn tokens_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let open = async || setup::open(dir.path(), Settings::default(), Arc::new(SystemClock)).await.unwrap();

    let (app, first) = open().await;
    assert!(!format!("{first:?}").contains(&first.as_ref().unwrap().password));
    let (user, project) = (app.accounts.find(1).await.unwrap().unwrap(), ProjectId::new("1").unwrap());
    let new = NewToken::new(project, user.owner_id(), Name::new("VSCode Integration").unwrap());
    let issued = app.tokens.issue(&Actor::from(&user.owner_id()), new).await.unwrap();
    app.pool.close().await;
    drop(app);

    let (app, first) = open().await;
    assert!(first.is_none());
    let access = Access::to(&project, &[]);
    assert_eq!(app.tokens.verify(issued.token.expose_secret(), &access).await.unwrap().owner(), &user.owner_id());
}
