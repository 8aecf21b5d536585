//! Tests of each command: its result, that its dry run changes nothing, and that it prints no
//! secret.

use std::fs;
use std::path::Path;
use std::time::Duration;

use keyfob::{
    Clock, Name, NewToken, OwnerId, Policy, SystemClock, TokenStore, Tokens, mint, record::RevocationReason,
    store::sqlite::SqliteStore,
};
use sha2::{Digest, Sha256};

use crate::operator::tool::address::Address;
use crate::operator::world::{Ran, run};
use crate::support::postgres::shared;
use crate::support::{actor, changed, keyring, mariadb, project};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const PASSWORD: &str = "s3cr/t9x?q7z@w5v";

/// A SQLite file with 3 live tokens, a token whose notice is due, and 2 tokens that ended long ago.
struct Shop {
    folder: tempfile::TempDir,
    store: SqliteStore,
}

impl Shop {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
        for number in 0..6u32 {
            let new = NewToken::new(
                project(&format!("p{}", number % 2)),
                OwnerId::new("ada").unwrap(),
                Name::new(&format!("token {number}")).unwrap(),
            );
            let now = SystemClock.now();
            let minted = mint(&keyring(), &Policy::default(), new, &actor(), now).unwrap();
            let record = changed(minted.record, |record| match number {
                0..3 => record.expires_at = Some(now.saturating_add(200 * DAY)),
                3 => record.expires_at = Some(now.saturating_add(3 * DAY)),
                _ => {
                    record.created_at = now.saturating_sub(300 * DAY);
                    record.expires_at = Some(now.saturating_sub(100 * DAY));
                }
            });
            store.insert(record, None, None).await.unwrap();
        }
        Self { folder, store }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        run(arguments, &self.path("tokens.db"), &self.path("other.db"))
    }

    /// Returns a hash of the file and of its write-ahead log. The pool of `store` is open, so no
    /// other process moves the log into the file when it ends.
    fn bytes(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for name in ["tokens.db", "tokens.db-wal"] {
            hash.update(fs::read(self.path(name)).unwrap());
        }
        hash.finalize().into()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        path
    }
}

#[track_caller]
fn succeeded(ran: Ran, out: &str) {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains(out) || ran.err.contains(out), "{out}: {ran:?}");
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_says_what_the_command_does() {
    let shop = Shop::new().await;
    let before = shop.bytes();
    let hash = |number: u8| format!("{number:02x}").repeat(32);
    let line = |number| {
        format!(
            "{{\"hash\": \"{}\", \"project\": \"p7\", \"owner\": \"bob\", \"name\": \"CI\", \
             \"created_at\": \"2024-02-29T12:00:00Z\"}}\n",
            hash(number)
        )
    };
    let file = shop.write("old.jsonl", line(1) + &line(2));
    let pepper = shop.write("pepper", (0..32).collect::<Vec<u8>>());
    let import = ["import", "env:FROM", &file, "--prefix", "acme_pat", "--pepper-file", &pepper];
    let dry = |arguments: &[&str]| shop.run(&[arguments, &["--dry-run"]].concat());

    succeeded(dry(&["copy", "env:FROM", "env:TO"]), "6 tokens read, 6 written, 0 deleted");
    succeeded(dry(&["purge", "env:FROM", "--kept", "90d"]), "would delete 2 records in 2 projects");
    succeeded(dry(&["notices", "env:FROM"]), "1 notices are due");
    succeeded(dry(&import), "2 tokens would be imported, 0 exist already");
    succeeded(shop.run(&["keys", "env:FROM"]), "1      4      2\n");
    assert_eq!(shop.bytes(), before);
    assert!(!Path::new(&shop.path("other.db")).exists());

    // The commands do what the dry runs said.
    succeeded(shop.run(&["notices", "env:FROM"]), "/7d\"");
    succeeded(shop.run(&["notices", "env:FROM"]), "0 notices were printed");
    succeeded(shop.run(&["purge", "env:FROM", "--kept", "90d"]), "2 records deleted");
    succeeded(shop.run(&import), "2 tokens imported, 0 exist already");
    succeeded(shop.run(&import), "0 tokens imported, 2 exist already");
    succeeded(dry(&import), "0 tokens would be imported, 2 exist already");
    succeeded(shop.run(&["copy", "env:FROM", "env:TO"]), "6 tokens read, 6 written, 0 deleted");
    succeeded(shop.run(&["verify", "env:FROM", "env:TO"]), "equal, in 3 projects");
    // The tool has closed the copy: all of it is in the one file.
    assert!(!Path::new(&shop.path("other.db-wal")).exists());

    // A dry run changes no existing copy either.
    let tokens = Tokens::new(keyring(), shop.store.clone());
    let new = NewToken::new(project("p8"), OwnerId::new("ada").unwrap(), Name::new("late").unwrap());
    tokens.issue(&actor(), new).await.unwrap();
    let (before, other) = (shop.bytes(), fs::read(shop.path("other.db")).unwrap());
    succeeded(dry(&["copy", "env:FROM", "env:TO"]), "7 tokens read, 1 written, 0 deleted");
    assert_eq!(shop.bytes(), before);
    assert!(fs::read(shop.path("other.db")).unwrap() == other);
}

#[tokio::test]
async fn a_dry_run_creates_no_table_in_postgres() {
    let Some(server) = shared() else { return };
    let (shop, url) = (Shop::new().await, server.database());
    let ran = run(&["copy", "env:FROM", "env:TO", "--dry-run"], &shop.path("tokens.db"), &url);
    succeeded(ran, "6 tokens read, 6 written");
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_class WHERE relname LIKE 'keyfob%'")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(tables, 0);
}

/// Runs each command on a MariaDB store, to which the tool has moved the tokens.
#[tokio::test]
async fn each_command_works_on_mariadb() {
    let Some(server) = mariadb::shared() else { return };
    let (shop, url) = (Shop::new().await, server.database());
    let pool = sqlx::MySqlPool::connect(&url).await.unwrap();
    let tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = database()";
    let file = shop.path("tokens.db");
    succeeded(run(&["copy", "env:FROM", "env:TO", "--dry-run"], &file, &url), "6 tokens read, 6 written");
    assert_eq!(sqlx::query_scalar::<_, i64>(tables).fetch_one(&pool).await.unwrap(), 0);
    let missing = run(&["keys", "env:FROM"], &url, "");
    assert!(missing.code == Some(1) && missing.err.contains("has no table keyfob_tokens"), "{missing:?}");
    for (command, out) in [
        ("copy", "6 tokens read, 6 written"),
        ("finish", "both stores are equal"),
        ("verify", "equal, in 2 projects"),
        ("reopen", "FROM takes writes again"),
        ("finish", "TO   (MariaDB): 6 tokens, 0 import keys"),
        ("open", "TO takes writes"),
    ] {
        succeeded(run(&[command, "env:FROM", "env:TO"], &file, &url), out);
    }

    let line = "{\"hash\": \"HASH\", \"project\": \"p7\", \"owner\": \"bob\", \"name\": \"CI\", \
                \"created_at\": \"2024-02-29T12:00:00Z\"}\n";
    let old = shop.write("old.jsonl", line.replace("HASH", &"ab".repeat(32)));
    let pepper = shop.write("pepper", (0..32).collect::<Vec<u8>>());
    let import = ["import", "env:FROM", &old, "--prefix", "acme_pat", "--pepper-file", &pepper];
    let on = |arguments: &[&str]| run(arguments, &url, &file);
    succeeded(on(&["purge", "env:FROM", "--kept", "90d", "--dry-run"]), "would delete 2 records in 2 projects");
    succeeded(on(&["keys", "env:FROM"]), "1      4      2\n");
    succeeded(on(&["notices", "env:FROM"]), "/7d\"");
    succeeded(on(&["purge", "env:FROM", "--kept", "90d"]), "2 records deleted");
    succeeded(on(&import), "1 tokens imported, 0 exist already");
    succeeded(on(&import), "0 tokens imported, 1 exist already");
}

#[tokio::test]
async fn verify_names_what_differs_and_exits_with_3() {
    let shop = Shop::new().await;
    succeeded(shop.run(&["copy", "env:FROM", "env:TO"]), "6 written");
    let tokens = Tokens::new(keyring(), shop.store.clone());
    let new = NewToken::new(project("p8"), OwnerId::new("ada").unwrap(), Name::new("late").unwrap());
    let late = tokens.issue(&actor(), new).await.unwrap().record;
    tokens.revoke(&actor(), &late.key(), RevocationReason::default()).await.unwrap();
    let ran = shop.run(&["verify", "env:FROM", "env:TO"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("project p8: 1 tokens in FROM, 0 in TO"), "{ran:?}");
    assert!(ran.err.contains(&format!("token p8 {}: only in FROM", late.id)), "{ran:?}");
    assert!(ran.err.contains("1 tokens differ, in 1 projects"), "{ran:?}");
}

#[tokio::test]
async fn a_rejected_line_is_named_by_its_number_and_the_others_are_imported() {
    let shop = Shop::new().await;
    let secret = "ab".repeat(32);
    let good = format!(
        "{{\"hash\": \"{secret}\", \"project\": \"p7\", \"owner\": \"bob\", \"name\": \"CI\", \
         \"created_at\": \"2024-02-29T12:00:00Z\"}}"
    );
    let wrong = good.replace("created_at", "createdat");
    let file = shop.write("old.jsonl", format!("{good}\n{wrong}\n{secret}\n"));
    let pepper = shop.write("pepper", (0..32).collect::<Vec<u8>>());
    let ran = shop.run(&["import", "env:FROM", &file, "--prefix", "acme_pat", "--pepper-file", &pepper]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("1 tokens imported"), "{ran:?}");
    assert!(ran.err.contains("line 2: unknown field createdat"), "{ran:?}");
    assert!(ran.err.contains("line 3: not a JSON object"), "{ran:?}");
    assert!(!ran.err.contains(&secret) && !ran.out.contains(&secret), "{ran:?}");
}

#[test]
fn no_output_has_a_password() {
    let tricky = format!("postgres://acme:{PASSWORD}@127.0.0.1:1/acme?sslmode=disable");
    let query = format!("postgres://acme@127.0.0.1:1/acme?password={PASSWORD}");
    let mysql = format!("mysql://acme:{PASSWORD}@127.0.0.1:1/acme");
    let redis = format!("redis://:{PASSWORD}@127.0.0.1:1");
    for url in [&tricky, &query, &mysql, &redis] {
        // As an argument, the address is refused.
        let ran = run(&["keys", url], "", "");
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains("env:NAME"), "{ran:?}");
        let shown = Address::parse(url).unwrap().to_string();
        // In a variable, the address is used. No server listens on this port.
        let failed = run(&["keys", "env:FROM"], url, "");
        assert_eq!(failed.code, Some(1), "{failed:?}");
        assert!(failed.err.contains("cannot open"), "{failed:?}");
        for text in [&ran.err, &ran.out, &failed.err, &failed.out, &shown] {
            for part in ["s3cr", "t9x", "q7z", "w5v"] {
                assert!(!text.contains(part), "{part}: {text}");
            }
        }
    }
    let shown = Address::parse("postgres://acme:secret@db.internal:5432/acme?sslmode=require").unwrap();
    assert_eq!(
        format!("{shown} {shown:?}"),
        "postgres://acme@db.internal:5432/acme postgres://acme@db.internal:5432/acme"
    );
}

#[test]
fn errors_name_the_option_or_the_path_and_the_exit_code_is_2_or_1() {
    let help = run(&["--help"], "", "");
    assert_eq!(help.code, Some(0));
    for text in ["Exit codes:", "  3  the two stores differ", "copy FROM TO [--dry-run]", "--pepper-file"] {
        assert!(help.out.contains(text), "{help:?}");
    }
    for (arguments, expected) in [
        (&["purge", "x.db"] as &[_], "purge needs --kept"),
        (&["purge", "x.db", "--kept", "90"], "--kept must be a number with the unit d, h or m, such as 90d"),
        (&["copy", "x.db"], "copy needs TO"),
        (&["copy", "x.db", "x.db"], "FROM and TO are the same store"),
        (&["keys", "x.db", "--dry-run"], "keys has no option --dry-run"),
        (&["keys", "env:KEYFOB_NO_SUCH"], "STORE: the environment variable KEYFOB_NO_SUCH is not set"),
        (&["remove", "x.db"], "there is no command remove"),
        (&["import", "x.db", "f", "--prefix", "acme_pat", "--pepper-file", "p", "--hash", "md5"], "--hash must be"),
    ] {
        let ran = run(arguments, "", "");
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains(expected), "{expected}: {ran:?}");
    }
    let ran = run(&["keys", "/no/such/tokens.db"], "", "");
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("operator: cannot open sqlite:/no/such/tokens.db: no such file\n"), "{ran:?}");
    let there = tempfile::NamedTempFile::new().unwrap();
    let ran = run(&["verify", there.path().to_str().unwrap(), "/no/such/other.db"], "", "");
    assert!(ran.code == Some(1) && ran.err.contains("has no table keyfob_tokens"), "{ran:?}");
    let ran = run(&["keys", "mongodb://127.0.0.1"], "", "");
    assert!(ran.err.contains("the tool does not know this kind of address"), "{ran:?}");
}
