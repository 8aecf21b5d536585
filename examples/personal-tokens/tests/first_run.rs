//! The first start and the second, as a person runs them.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use keyfob::{Access, Actor, Name, NewToken, ProjectId, SystemClock};
use personal_tokens::setup::{self, Settings};
use support::process::{Process, Visitor, client, command, whoami};

/// What it prints until it is stopped.
fn printed(data: &Path, lines: usize) -> Vec<String> {
    let mut process = Process::start(&mut command(data), lines);
    process.terminate();
    let (status, printed) = process.ended();
    assert!(status.success(), "it stops cleanly");
    printed.to_vec()
}

#[test]
fn the_first_sign_in_is_printed_once_and_the_pepper_stays() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");

    let first = printed(&data, 2);
    assert_eq!(first.len(), 2);
    assert!(first[0].starts_with("first sign-in, shown this once: name ada password "));
    assert!(first[1].starts_with("personal-tokens: http://127.0.0.1:"));
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
    assert!(!command(&data).output().unwrap().status.success());
    fs::remove_file(&pepper).unwrap();
    assert!(!command(&data).output().unwrap().status.success());
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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_first_starts_at_once_one_makes_the_first_person() {
    for _ in 0..2 {
        let dir = tempfile::tempdir().unwrap();
        let starts: Vec<_> = (0..4)
            .map(|_| {
                let data = dir.path().to_owned();
                tokio::spawn(async move { setup::open(&data, Settings::default(), Arc::new(SystemClock)).await })
            })
            .collect();
        let mut apps = Vec::new();
        let mut firsts = 0;
        for start in starts {
            let (app, first) = start.await.unwrap().unwrap();
            firsts += usize::from(first.is_some());
            apps.push(app);
        }
        assert_eq!(firsts, 1);
        let projects = apps[0].projects.all().await.unwrap();
        assert_eq!((apps[0].accounts.all().await.unwrap().len(), projects.len()), (1, 4));
        // All have one pepper: what one makes, each knows.
        let (user, project) = (apps[0].accounts.find(1).await.unwrap().unwrap(), ProjectId::new("1").unwrap());
        let new = NewToken::new(project, user.owner_id(), Name::new("n").unwrap());
        let issued = apps[0].tokens.issue(&Actor::from(&user.owner_id()), new).await.unwrap();
        for app in &apps {
            assert!(app.tokens.verify(issued.token.expose_secret(), &Access::to(&project, &[])).await.is_ok());
        }
    }
}

#[tokio::test]
async fn two_processes_share_a_data_directory_from_their_first_start() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let start = || {
        let data = data.clone();
        std::thread::spawn(move || Process::start_to_address(&mut command(&data)))
    };
    let (one, other) = (start(), start());
    let mut both = [one.join().unwrap(), other.join().unwrap()];

    // Whoever prints a sign-in has printed it by the end.
    let addresses = [both[0].address(), both[1].address()];
    let mut firsts = Vec::new();
    for process in &mut both {
        process.terminate();
        assert!(process.ended().0.success());
        firsts.extend((process.printed.len() > 1).then(|| process.first()));
    }
    assert_eq!(firsts.len(), 1, "{addresses:?}");

    let both = [(); 2].map(|()| Process::start(&mut command(&data), 1));
    let visitor = Visitor::sign_in(&both[0].address(), firsts.remove(0)).await;
    let made = visitor.make(&both[1].address()).await;
    for process in &both {
        assert_eq!(whoami(&client(), &process.address(), made["token"].as_str().unwrap()).await.unwrap(), 200);
    }
}
