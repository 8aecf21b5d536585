//! Tests the first start of the service on an empty data directory, and later starts. Most tests
//! are about the pepper and its stored check value.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyfob::{
    Access, Actor, Keyring, MemoryStore, Name, NewToken, Pepper, Prefix, ProjectId, SystemClock,
    store::sqlite::SqliteStore,
};
use personal_tokens::db::Db;
use personal_tokens::key_checks;
use personal_tokens::people::directory::{self, Filter};
use personal_tokens::people::projects;
use personal_tokens::setup::{self, PREFIX, Settings};

use crate::support::process::{Process, Visitor, client, command, output_within, whoami};
use crate::support::tempdir;

/// Starts the process, and stops it after it has printed this number of lines. Returns the printed
/// lines.
fn printed(data: &Path, lines: usize) -> Vec<String> {
    let mut process = Process::start(&mut command(data), lines);
    process.terminate();
    let (status, printed) = process.ended();
    assert!(status.success(), "it stops cleanly");
    printed.to_vec()
}

#[test]
fn the_first_sign_in_is_printed_once_and_the_pepper_stays() {
    let dir = tempdir();
    let data = dir.path().join("data");

    let first = printed(&data, 2);
    assert!(first[0].starts_with("first sign-in, shown only once: name ada password "));
    assert!(first[1].starts_with("personal-tokens: http://127.0.0.1:"));
    // Below, the first start says what to try and what to back up.
    let below = first[2..].join("\n");
    let whoami = format!("{}/api/v2/auth/whoami", first[1]["personal-tokens: ".len()..].trim_end_matches('/'));
    for part in [&whoami, data.join("pepper").to_str().unwrap(), data.join("personal-tokens.db").to_str().unwrap()] {
        assert!(below.contains(part), "{part}: {below}");
    }
    let mode = |name: &str| fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("pepper"), mode("personal-tokens.db")), (0o700, 0o600, 0o600));
    let pepper = fs::read(data.join("pepper")).unwrap();

    let second = printed(&data, 1);
    assert_eq!(second.len(), 1, "{second:?}");
    assert_eq!(fs::read(data.join("pepper")).unwrap(), pepper);

    // The data directory contains the pepper and the database, and no temporary files.
    let mut names: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.retain(|name| !name.to_string_lossy().starts_with("personal-tokens.db"));
    assert_eq!(names, ["pepper"]);
}

#[test]
fn a_pepper_that_is_open_to_others_or_lost_stops_the_start() {
    let dir = tempdir();
    let data = dir.path().join("data");
    printed(&data, 2);
    let pepper = data.join("pepper");

    fs::set_permissions(&pepper, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(!command(&data).output().unwrap().status.success());
    fs::remove_file(&pepper).unwrap();
    assert!(!command(&data).output().unwrap().status.success());
    assert!(!pepper.exists(), "a lost pepper is not replaced by a new one");
}

#[tokio::test]
async fn tokens_outlive_a_restart() {
    let dir = tempdir();
    let open = async || setup::open(dir.path(), Settings::default(), Arc::new(SystemClock)).await.unwrap();

    let (app, first) = open().await;
    assert!(!format!("{first:?}").contains(&first.as_ref().unwrap().password));
    let (user, project) = (app.accounts.find(1).await.unwrap().unwrap(), ProjectId::new("1").unwrap());
    let new = NewToken::new(project, user.owner_id(), Name::new("VSCode Integration").unwrap());
    let issued = app.tokens.issue(&Actor::from(&user.owner_id()), new).await.unwrap();
    app.db.close().await;
    drop(app);

    let (app, first) = open().await;
    assert!(first.is_none());
    let access = Access::to(&project, &[]);
    assert_eq!(app.tokens.verify(issued.token.expose_secret(), &access).await.unwrap().owner(), &user.owner_id());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_concurrent_first_starts_one_creates_the_first_person() {
    for _ in 0..2 {
        let dir = tempdir();
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
        let projects = projects::all(&apps[0].db).await.unwrap();
        let people = directory::people(&apps[0].db, "", Filter::Current, 1).await.unwrap();
        assert_eq!((people.total, projects.len()), (1, 4));
        // All of these starts use the same pepper, so each of them accepts a token of any other.
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
    let dir = tempdir();
    let data = dir.path().join("data");
    let start = || {
        let data = data.clone();
        std::thread::spawn(move || Process::start_to_address(&mut command(&data)))
    };
    let (one, other) = (start(), start());
    let mut both = [one.join().unwrap(), other.join().unwrap()];

    // The process that created the first person has printed the sign-in before it ends.
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

/// The time after which a test kills a process that should have failed to start.
const PATIENCE: Duration = Duration::from_secs(20);
/// A pepper that the service did not generate. It is a wrong pepper for every data directory.
const ANOTHER: &[u8; 32] = b"0123456789abcdef a wrong pepper!";

/// Opens the service on a data directory, issues a token, and closes the service. Returns the text
/// of the token.
async fn one_live_token(data: &Path) -> String {
    let (app, _) = setup::open(data, Settings::default(), Arc::new(SystemClock)).await.unwrap();
    let user = app.accounts.find(1).await.unwrap().unwrap();
    let new = NewToken::new(ProjectId::new("1").unwrap(), user.owner_id(), Name::new("n").unwrap());
    let issued = app.tokens.issue(&Actor::from(&user.owner_id()), new).await.unwrap();
    app.db.close().await;
    issued.token.expose_secret().into()
}

/// Runs SQL statements on the service's SQLite database. No process may have the database open.
async fn change(data: &Path, statements: &'static str) {
    let db = Db::open_file(&data.join("personal-tokens.db")).await.unwrap();
    sqlx::raw_sql(statements).execute(db.sqlite().unwrap()).await.unwrap();
    db.close().await;
}

/// Starts the process, and stops it after it has printed this number of lines. Returns its log.
fn log_of_start(data: &Path, lines: usize) -> String {
    let mut process = Process::start(&mut command(data), lines);
    process.terminate();
    assert!(process.ended().0.success());
    process.log()
}

/// Starts the process with a wrong pepper, and checks that the start fails. Then restores the right
/// pepper. Returns the text that the process wrote to stderr.
fn refusal_of_another_pepper(data: &Path) -> String {
    let right = fs::read(data.join("pepper")).unwrap();
    fs::write(data.join("pepper"), ANOTHER).unwrap();
    let output = output_within(&mut command(data), PATIENCE);
    fs::write(data.join("pepper"), right).unwrap();
    assert!(!output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "", "nothing is printed");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn a_wrong_pepper_beside_live_tokens_is_refused_before_anything_is_written() {
    let dir = tempdir();
    let data = dir.path();
    let token = one_live_token(data).await;
    let before = fs::read(data.join("personal-tokens.db")).unwrap();

    let said = refusal_of_another_pepper(data);
    assert_eq!(
        said.trim_end(),
        format!(
            "personal-tokens: wrong pepper for key 1: the stored check value was made with another pepper (restore the right \
             pepper from its back-up) as {}; if this pepper is the right one, an earlier start that could not check its \
             pepper stored the wrong value: then delete it with DELETE FROM key_checks WHERE number IN (1) in {}",
            data.join("pepper").display(),
            data.join("personal-tokens.db").display()
        )
    );
    assert_eq!(fs::read(data.join("personal-tokens.db")).unwrap(), before, "nothing is written");

    let process = Process::start(&mut command(data), 1);
    assert_eq!(whoami(&client(), &process.address(), &token).await.unwrap(), 200);
}

#[tokio::test]
async fn a_wrong_pepper_is_found_before_another_engine_is_opened() {
    let dir = tempdir();
    let data = dir.path();
    one_live_token(data).await;
    fs::write(data.join("pepper"), ANOTHER).unwrap();
    // If the service opened this engine, it would create the file.
    let elsewhere = data.join("elsewhere.db");
    let database = Some(format!("sqlite:{}", elsewhere.display()).parse().unwrap());
    let settings = Settings { database, ..Settings::default() };
    let refused = setup::open(data, settings, Arc::new(SystemClock)).await.err().unwrap();
    assert!(refused.to_string().starts_with("wrong pepper for key 1: "), "{refused}");
    assert!(!elsewhere.exists());
}

/// The state of the data directory is taken over into another database, so its pepper is needed
/// there, too.
#[tokio::test]
async fn no_pepper_is_made_for_another_engine_beside_a_file_that_had_one() {
    let dir = tempdir();
    let data = dir.path();
    one_live_token(data).await;
    fs::remove_file(data.join("pepper")).unwrap();
    let database = Some(format!("sqlite:{}", data.join("elsewhere.db").display()).parse().unwrap());
    let settings = Settings { database, ..Settings::default() };
    let refused = setup::open(data, settings, Arc::new(SystemClock)).await.err().unwrap();
    assert!(refused.to_string().contains("there is no pepper: restore "), "{refused}");
    assert!(!data.join("pepper").exists() && !data.join("elsewhere.db").exists());
}

#[tokio::test]
async fn a_wrong_pepper_is_found_before_the_first_account_is_made() {
    let dir = tempdir();
    let data = dir.path();
    one_live_token(data).await;
    const NOBODY: &str = "PRAGMA foreign_keys = OFF; DELETE FROM memberships; DELETE FROM projects; \
                          DELETE FROM token_names; DELETE FROM admins; DELETE FROM users;";
    change(data, NOBODY).await;

    assert!(refusal_of_another_pepper(data).contains("wrong pepper for key 1"));
    // No person exists in the database, so a start with the right pepper prints the first sign-in.
    assert!(printed(data, 2)[0].starts_with("first sign-in, shown only once: name ada password "));
}

#[tokio::test]
async fn a_database_without_a_check_value_gets_one_with_one_warning() {
    let dir = tempdir();
    let data = dir.path();
    // Before the first start, there are no tokens that another pepper could belong to. So the first
    // start needs no warning.
    assert_eq!(log_of_start(data, 2), "");
    one_live_token(data).await;
    change(data, "DROP TABLE IF EXISTS key_checks").await;

    let log = log_of_start(data, 1);
    assert_eq!((log.matches("WARN").count(), log.matches("could not check the pepper").count()), (1, 1), "{log}");
    assert_eq!(log_of_start(data, 1), "", "the value is stored now");
    assert!(refusal_of_another_pepper(data).contains("wrong pepper for key 1"));
}

/// After an upgrade from a version without check values, the next start cannot check its pepper. If
/// the pepper is wrong, this start stores a wrong check value.
#[tokio::test]
async fn right_pepper_starts_after_an_unchecked_start_with_a_wrong_one() {
    let dir = tempdir();
    let data = dir.path();
    let token = one_live_token(data).await;
    change(data, "DROP TABLE key_checks").await;
    let right = fs::read(data.join("pepper")).unwrap();
    fs::write(data.join("pepper"), ANOTHER).unwrap();
    let mut process = Process::start(&mut command(data), 1);
    assert_eq!(whoami(&client(), &process.address(), &token).await.unwrap(), 401);
    process.terminate();
    process.ended();
    assert_eq!(process.log().matches("could not check the pepper").count(), 1);

    fs::write(data.join("pepper"), right).unwrap();
    let refused = output_within(&mut command(data), PATIENCE);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success(), "{said}");
    // The error message says how to delete the wrong check value.
    const TAKE_BACK: &str = "DELETE FROM key_checks WHERE number IN (1)";
    let file = data.join("personal-tokens.db").display().to_string();
    assert!(said.contains(TAKE_BACK) && said.contains(&file), "{said}");
    change(data, TAKE_BACK).await;
    let process = Process::start(&mut command(data), 1);
    assert_eq!(whoami(&client(), &process.address(), &token).await.unwrap(), 200);
    drop(process);
    assert!(refusal_of_another_pepper(data).contains("wrong pepper for key 1"));
}

/// A start that cannot check its pepper must emit a warning, and then store the check value. If it
/// stored the check value first and then failed, the next start would find the value and not emit
/// the warning.
#[tokio::test]
async fn no_value_is_stored_before_its_warning() {
    let dir = tempdir();
    let data = dir.path();
    one_live_token(data).await;
    change(data, "DELETE FROM key_checks").await;
    let db = Db::open_file(&data.join("personal-tokens.db")).await.unwrap();
    let engine = SqliteStore::open(data.join("engine.db")).await.unwrap();
    engine.pool().close().await;
    let wrong = Keyring::new(Prefix::new(PREFIX).unwrap(), Pepper::new(ANOTHER.to_vec()).unwrap());
    key_checks::settle(&db, &wrong, &engine).await.unwrap_err();
    let stored: i64 =
        sqlx::query_scalar("SELECT count(*) FROM key_checks").fetch_one(db.sqlite().unwrap()).await.unwrap();
    assert_eq!(stored, 0, "the start failed without its warning");
}

#[tokio::test]
async fn a_key_that_the_host_lacks_is_refused() {
    let dir = tempdir();
    let data = dir.path();
    one_live_token(data).await;
    change(data, "INSERT INTO key_checks (number, value) VALUES (2, zeroblob(16))").await;
    let output = output_within(&mut command(data), PATIENCE);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the database has a check value for key 2, and this host has no pepper for it"), "{said}");
    assert!(!output.status.success() && output.stdout.is_empty());
}

#[tokio::test]
async fn check_value_is_in_no_output() {
    let dir = tempdir();
    let data = dir.path();
    one_live_token(data).await;
    change(data, "DROP TABLE IF EXISTS key_checks").await;
    let mut said = log_of_start(data, 1) + &refusal_of_another_pepper(data);
    change(data, "UPDATE key_checks SET value = zeroblob(16)").await;
    let refused = output_within(&mut command(data), PATIENCE);
    assert!(!refused.status.success());
    said += &String::from_utf8(refused.stderr).unwrap();

    let pepper = Pepper::new(fs::read(data.join("pepper")).unwrap()).unwrap();
    let right = Keyring::new(Prefix::new(PREFIX).unwrap(), pepper);
    let other = Keyring::new(Prefix::new(PREFIX).unwrap(), Pepper::new(ANOTHER.to_vec()).unwrap());
    for (_, check) in right.key_checks().chain(other.key_checks()) {
        for bytes in check.as_bytes().windows(4) {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            for part in [hex.clone(), hex.to_uppercase(), format!("{bytes:?}").replace(['[', ']'], "")] {
                assert!(!said.contains(&part), "{part}: {said}");
            }
        }
        for part in URL_SAFE_NO_PAD.encode(check.as_bytes()).as_bytes().windows(6) {
            assert!(!said.contains(str::from_utf8(part).unwrap()), "{said}");
        }
    }
}

#[tokio::test]
async fn of_two_first_starts_with_different_peppers_one_is_refused() {
    let ring = |pepper: &[u8; 32]| Keyring::new(Prefix::new(PREFIX).unwrap(), Pepper::new(pepper.to_vec()).unwrap());
    let (one, other) = (ring(ANOTHER), ring(b"fedcba9876543210 another pepper!"));
    let engine = MemoryStore::new();
    for _ in 0..20 {
        let dir = tempdir();
        let file = dir.path().join("personal-tokens.db");
        let database = async || Db::open_file(&file).await.unwrap();
        let dbs = (database().await, database().await);
        // Neither of the two starts finds a check value. Then both starts try to write one.
        key_checks::compare_in(&dbs.0, &one).await.unwrap();
        key_checks::compare_in(&dbs.1, &other).await.unwrap();
        let started =
            tokio::join!(key_checks::settle(&dbs.0, &one, &engine), key_checks::settle(&dbs.1, &other, &engine));
        let (first, second, error) = match started {
            (Ok(()), Err(error)) => (&one, &other, error),
            (Err(error), Ok(())) => (&other, &one, error),
            started => panic!("exactly one starts: {started:?}"),
        };
        assert!(error.to_string().starts_with("wrong pepper for key 1: "), "{error}");
        key_checks::settle(&dbs.0, first, &engine).await.unwrap();
        key_checks::compare_in(&dbs.1, second).await.unwrap_err();
    }
}
