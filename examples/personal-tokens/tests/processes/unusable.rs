//! Asserts the exact texts of starts that are refused because of a database: its name, its address,
//! the cause once, and what to do. No text has a part of a password.

use std::fs;

use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::support::process::{command, refusal};
use crate::support::tempdir;
use crate::{mariadb, postgres, redis};

/// Returns the message with which the service refuses this database, with `--database-url`. Checks
/// that `DATABASE_URL` gives the same message with its own name, and that `--check-config` does.
#[track_caller]
fn said(url: &str) -> String {
    let dir = tempdir();
    let said = refusal(command(dir.path()).args(["--database-url", url]));
    let by_variable = refusal(command(dir.path()).env("DATABASE_URL", url));
    assert_eq!(by_variable, said.replace("--database-url", "the environment variable DATABASE_URL"));
    assert_eq!(refusal(command(dir.path()).args(["--check-config", "--database-url", url])), said);
    assert!(!dir.path().join("pepper").exists());
    assert!(!said.contains("s3cr3t"), "{said}");
    said
}

const REFUSED: &str =
    "cannot be used: Connection refused (os error 111) (start the server, or correct the address in --database-url)";

#[test]
fn server_that_does_not_run_is_named_with_its_address() {
    for (url, name) in [
        ("postgres://ada:s3cr3t@127.0.0.1:1/tokens", "the PostgreSQL database at 127.0.0.1:1"),
        ("mysql://ada:s3cr3t@127.0.0.1:1/tokens", "the MariaDB database at 127.0.0.1:1"),
        ("redis://ada:s3cr3t@127.0.0.1:1", "the Redis server at 127.0.0.1:1"),
    ] {
        assert_eq!(said(url), format!("{name} {REFUSED}"));
    }
    let dir = tempdir();
    let state = "postgres://ada:s3cr3t@127.0.0.1:1/tokens";
    let said = refusal(command(dir.path()).args(["--database-url", "redis://127.0.0.1:1", "--state-url", state]));
    let text = format!("the PostgreSQL database at 127.0.0.1:1 {REFUSED}");
    assert_eq!(said, text.replace("--database-url", "--state-url"));
}

#[test]
fn urls_with_a_fault_are_named() {
    const FAULT: &str = "cannot be used: a part of its URL is not valid (correct --database-url)";
    for (url, text) in [
        ("postgres://ada:s3cr3t@127.0.0.1:port/tokens", format!("the PostgreSQL database {FAULT}")),
        ("postgres://ada@127.0.0.1/tokens?sslmode=s3cr3t", format!("the PostgreSQL database at 127.0.0.1 {FAULT}")),
        ("mysql://ada:s3cr3t@127.0.0.1:port/tokens", format!("the MariaDB database {FAULT}")),
        (
            "redis://ada:s3cr3t@127.0.0.1:port",
            "the Redis server cannot be used: Redis URL did not parse (correct --database-url)".into(),
        ),
        (
            "redis://ada:s3cr3t@127.0.0.1:1/s3cr3t",
            "the Redis server at 127.0.0.1:1 cannot be used: Invalid database number (correct --database-url)".into(),
        ),
        (
            "redis://127.0.0.1:1?protocol=s3cr3t",
            "the Redis server at 127.0.0.1:1 cannot be used: Invalid protocol version (correct --database-url)".into(),
        ),
    ] {
        assert_eq!(said(url), text);
    }
}

#[tokio::test]
async fn file_that_is_no_database_of_the_service_is_named_and_kept() {
    let dir = tempdir();
    let text = dir.path().join("text.db");
    fs::write(&text, [7; 1000]).unwrap();
    let shown = text.display();
    assert_eq!(
        said(&format!("sqlite:{shown}")),
        format!("{shown} cannot be used: file is not a database (name another file in --database-url)")
    );

    let other = dir.path().join("other.db");
    let shown = other.display();
    let mut connection = SqliteConnection::connect(&format!("sqlite:{shown}?mode=rwc")).await.unwrap();
    sqlx::raw_sql("CREATE TABLE users (name TEXT)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let before = fs::read(&other).unwrap();
    assert_eq!(
        said(&format!("sqlite:{shown}")),
        format!(
            "{shown} cannot be used: it is a SQLite database of another program (name another file in --database-url)"
        )
    );
    assert!(fs::read(&other).unwrap() == before, "the file is changed");

    let nowhere = dir.path().join("nowhere/tokens.db");
    let shown = nowhere.display();
    let refused = refusal(command(dir.path()).arg("--database-url").arg(format!("sqlite:{shown}")));
    assert_eq!(
        refused,
        format!("{shown} cannot be used: No such file or directory (os error 2) (name another file in --database-url)")
    );

    // The file of the data directory.
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::copy(&text, data.join("personal-tokens.db")).unwrap();
    assert_eq!(
        refusal(&mut command(&data)),
        format!(
            "{}/personal-tokens.db cannot be used: file is not a database (choose another directory with --data-dir)",
            data.display()
        )
    );
}

#[tokio::test]
async fn postgresql_that_refuses_the_user_or_the_database_is_named() {
    let Some(server) = postgres::Server::start() else { return };
    let database = server.database();
    let name = format!("the PostgreSQL database at 127.0.0.1:{}", server.port);
    let (server_url, own) = database.rsplit_once('/').unwrap();
    assert_eq!(
        said(&format!("{server_url}/absent")),
        format!(
            "{name} cannot be used: database \"absent\" does not exist (create it, or name another in --database-url)"
        )
    );

    let mut admin = PgConnection::connect(&database).await.unwrap();
    sqlx::raw_sql("CREATE USER ada PASSWORD 'right'").execute(&mut admin).await.unwrap();
    let rules: String = sqlx::query_scalar("SHOW hba_file").fetch_one(&mut admin).await.unwrap();
    fs::write(rules, "host all ada 127.0.0.1/32 scram-sha-256\n").unwrap();
    sqlx::raw_sql("SELECT pg_reload_conf()").execute(&mut admin).await.unwrap();
    let of = |user: &str| database.replace("postgres@", user);
    // The server reads its rules again soon after it has answered.
    crate::support::until("the rules apply", async || PgConnection::connect(&of("ada:wrong@")).await.is_err()).await;
    assert_eq!(
        said(&of("ada:s3cr3t@")),
        format!(
            "{name} cannot be used: password authentication failed for user \"ada\" (correct the user or the password in \
             --database-url)"
        )
    );
    assert_eq!(
        said(&of("eve:s3cr3t@")),
        format!(
            "{name} cannot be used: no pg_hba.conf entry for host \"127.0.0.1\", user \"eve\", database \"{own}\", no \
             encryption (correct the user or the password in --database-url)"
        )
    );
}

#[tokio::test]
async fn mariadb_that_refuses_the_user_or_the_database_is_named() {
    let Some(server) = mariadb::shared() else { return };
    let database = server.database();
    let name = format!("the MariaDB database at 127.0.0.1:{}", server.port);
    let (server_url, _) = database.rsplit_once('/').unwrap();
    assert_eq!(
        said(&format!("{server_url}/absent")),
        format!("{name} cannot be used: Unknown database 'absent' (create it, or name another in --database-url)")
    );
    server.ask("CREATE OR REPLACE USER ada@'127.0.0.1' IDENTIFIED BY 'right'");
    for user in ["ada:s3cr3t@", "eve:s3cr3t@"] {
        let person = user.split(':').next().unwrap();
        assert_eq!(
            said(&database.replace("tests@", user)),
            format!(
                "{name} cannot be used: Access denied for user '{person}'@'127.0.0.1' (using password: YES) (correct \
                 the user or the password in --database-url)"
            )
        );
    }
}

#[tokio::test]
async fn redis_that_refuses_the_password_is_named() {
    let Some(servers) = redis::Servers::one() else { return };
    servers.ask(&["CONFIG", "SET", "requirepass", "right"]);
    let url = servers.urls().remove(0);
    let name = url.replace("redis://", "the Redis server at ");
    const HELP: &str = "(correct the user or the password in --database-url)";
    assert_eq!(said(&url), format!("{name} cannot be used: \"NOAUTH\": Authentication required. {HELP}"));
    assert_eq!(
        said(&url.replace("redis://", "redis://:s3cr3t@")),
        format!("{name} cannot be used: Password authentication failed {HELP}")
    );
}
