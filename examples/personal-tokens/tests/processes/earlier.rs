//! Starts the service on a data directory of an earlier version, from before all state could be in
//! one database. The folder `earlier` has its database as SQL, and what its people know.
//!
//! The earlier version had two people, with an open session each, and tokens in different states.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyfob::store::sqlite::SqliteStore;
use personal_tokens::db::{Db, Dialect, query};
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

use super::moved::tool::{address::Address, moving::Move, progress::Progress};
use crate::support::process::{Process, Visitor, client, command, json as json_of, output_within, whoami};
use crate::support::{TOKENS, tempdir};
use crate::{mariadb, postgres};

/// SQL that moves all times, as if the earlier version had just stopped. Otherwise the sessions
/// would be over, and a purge would delete the tokens that have ended.
const AGED: &str = "
    CREATE TEMP TABLE later AS SELECT unixepoch() * 1000 - 1796025305000 AS by;
    UPDATE keyfob_tokens SET created_at = created_at + by, expires_at = expires_at + by,
        last_used_at = last_used_at + by, disabled_at = disabled_at + by, revoked_at = revoked_at + by,
        grace_until = grace_until + by FROM later;
    UPDATE token_events SET at = at + by FROM later;
    UPDATE token_leaks SET at = at + by FROM later;
    UPDATE sessions SET expires_at = expires_at + by / 1000 FROM later";

/// A data directory of the earlier version.
struct Earlier {
    dir: TempDir,
    /// The pepper, the first person with the cookie of her session, and the tokens by their names.
    known: Value,
}

impl Earlier {
    async fn new() -> Self {
        let known: Value = serde_json::from_str(include_str!("earlier/known.json")).unwrap();
        let dir = tempdir();
        let pepper = dir.path().join("pepper");
        fs::write(&pepper, STANDARD.decode(known["pepper"].as_str().unwrap()).unwrap()).unwrap();
        fs::set_permissions(&pepper, fs::Permissions::from_mode(0o600)).unwrap();
        let file = SqliteConnectOptions::new().filename(dir.path().join("personal-tokens.db")).create_if_missing(true);
        // The tables are in the order of their names. So a row may come before the one to which it
        // refers.
        let mut connection = file.foreign_keys(false).connect().await.unwrap();
        sqlx::raw_sql(include_str!("earlier/database.sql")).execute(&mut connection).await.unwrap();
        sqlx::raw_sql(AGED).execute(&mut connection).await.unwrap();
        Self { dir, known }
    }

    fn text(&self, name: &str) -> &str {
        self.known[name].as_str().unwrap()
    }

    fn token(&self, name: &str) -> &str {
        self.known["tokens"][name]["token"].as_str().unwrap()
    }

    fn command(&self, url: Option<&str>) -> std::process::Command {
        let mut command = command(self.dir.path());
        if let Some(url) = url {
            command.env("DATABASE_URL", url);
        }
        command
    }

    /// Starts the service, and checks that what the earlier version knew is there.
    async fn is_served(&self, url: Option<&str>) -> String {
        let mut process = Process::start(&mut self.command(url), 1);
        let at = process.address();
        let status = async |name: &str| whoami(&client(), &at, self.token(name)).await.unwrap();
        for (name, expected) in [
            ("forever", 200),
            ("rotated", 200),
            ("of grace", 200),
            ("to rotate", 401),
            ("to end", 401),
            ("to leak", 401),
            ("to disable", 401),
        ] {
            assert_eq!(status(name).await, expected, "{name}");
        }
        let session = Visitor { client: client(), cookie: self.text("cookie").to_owned() };
        let names = async |visitor: &Visitor| -> Vec<String> {
            let list = visitor.of(visitor.client.get(format!("{at}{TOKENS}"))).send().await.unwrap();
            assert_eq!(list.status(), 200);
            let list = json_of(list).await.unwrap();
            let name = |token: &Value| token["name"].as_str().unwrap().to_owned();
            list.as_array().unwrap().iter().map(name).collect()
        };
        let listed = names(&session).await;
        assert!(
            ["forever", "thirty days", "to disable"].iter().all(|name| listed.iter().any(|of| of == name)),
            "{listed:?}"
        );
        // The people and their passwords are there, too.
        let password = self.text("password").to_owned();
        let ada = Visitor::sign_in(&at, (self.text("name").to_owned(), password.clone())).await;
        assert_eq!(names(&ada).await, listed);
        let grace = Visitor::sign_in(&at, ("grace".to_owned(), password)).await;
        assert_eq!(names(&grace).await, ["of grace"]);
        // The trail says who ended a token.
        let ended = self.known["tokens"]["to end"]["uuid"].as_str().unwrap();
        let page = session.of(session.client.get(format!("{at}/settings/tokens/{ended}"))).send().await.unwrap();
        assert_eq!(page.status(), 200);
        assert!(page.text().await.unwrap().contains("revoked"));
        process.terminate();
        assert!(process.ended().0.success());
        process.log()
    }

    /// Starts and stops the service without any request.
    fn starts(&self, url: Option<&str>) -> String {
        let mut process = Process::start(&mut self.command(url), 1);
        process.terminate();
        assert!(process.ended().0.success());
        process.log()
    }
}

/// Returns the rows of all tables that are not about the process itself.
async fn rows(db: &Db) -> Value {
    let mut rows = json!({});
    for (table, columns) in [
        ("users", "id || name || password_hash || suspended || sessions_ended"),
        ("projects", "id || name || kind"),
        ("memberships", "project_id || ' ' || user_id"),
        ("admins", "user_id || ''"),
        ("sessions", "data || expires_at"),
        ("token_names", "id || uuid || user_id || project || token_id"),
        ("token_events", "id || ' ' || at || project || token_id || event || actor || detail"),
        ("token_leaks", "project || token_id || owner || name || at || reporter || url || seen"),
        ("token_notices", "project || token_id || owner"),
        ("models", "id || name || upstream || is_default"),
        ("keyfob_tokens", "project || id || name || version"),
    ] {
        let columns = match db.dialect() == Dialect::MariaDb {
            true => format!("concat({})", columns.replace("||", ",")),
            false => columns.to_owned(),
        };
        let found: Vec<String> = query(format!("SELECT {columns} FROM {table} ORDER BY 1")).column(db).await.unwrap();
        rows[table] = found.into();
    }
    rows
}

#[tokio::test]
async fn the_data_directory_of_an_earlier_version_is_served() {
    let earlier = Earlier::new().await;
    earlier.is_served(None).await;
    let file = async || Db::of_store(&SqliteStore::open(earlier.dir.path().join("personal-tokens.db")).await.unwrap());
    let before = rows(&file().await).await;
    assert_eq!(before["users"].as_array().unwrap().len(), 2);
    earlier.starts(None);
    assert_eq!(rows(&file().await).await, before, "a second start changes nothing");
}

/// Moves the tokens with the operator's tool, and lets the service take the rest over.
async fn is_taken_over(url: &str, db: impl AsyncFn() -> Db) {
    let earlier = Earlier::new().await;
    let refused: Output = output_within(&mut earlier.command(Some(url)), Duration::from_secs(60));
    let said = String::from_utf8(refused.stderr).unwrap();
    let file = earlier.dir.path().join("personal-tokens.db");
    let expected = format!(
        "personal-tokens: {} holds tokens and the new database holds none: copy them first (cargo run --example \
         operator -- copy), or move the file away\n",
        file.display()
    );
    assert_eq!((refused.status.code(), said), (Some(1), expected));

    let (from, to) = (format!("sqlite://{}", file.display()), url.to_owned());
    let (from, to) = (Address::parse(&from).unwrap(), Address::parse(&to).unwrap());
    let mut moving = Move::between(&from, &to, Progress::silent()).await.unwrap();
    moving.copy().await.unwrap();
    moving.fence().await.unwrap();
    moving.finish().await.unwrap();
    moving.open().await.unwrap();
    moving.close().await.unwrap();

    let log = earlier.is_served(Some(url)).await;
    assert!(log.contains("has been taken over; the file is no longer used"), "{log}");
    assert!(log.contains("table=\"users\" rows=2") || log.contains("table=users rows=2"), "{log}");
    let before = rows(&db().await).await;
    let log = earlier.starts(Some(url));
    assert!(!log.contains("taken over"), "{log}");
    assert_eq!(rows(&db().await).await, before, "a second start changes nothing");
}

#[tokio::test]
async fn the_data_directory_of_an_earlier_version_is_taken_over_into_postgresql() {
    let Some(server) = postgres::shared() else { return };
    let url = server.database();
    is_taken_over(&url, async || Db::postgres(&url).await.unwrap()).await;
}

#[tokio::test]
async fn the_data_directory_of_an_earlier_version_is_taken_over_into_mariadb() {
    let Some(server) = mariadb::shared() else { return };
    let url = server.database();
    is_taken_over(&url, async || Db::mariadb(&url).await.unwrap()).await;
}
