//! Tests of the SQLite store: its file, its settings, its schema and its errors. Other files test
//! the store against the store contract.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use keyfob::{
    Actor, Clock, Keyring, Name, NewToken, OwnerId, Policy, Prefix, ProjectId, SystemClock, TokenRecord, TokenStore,
    import::{ImportKey, ImportRow, ImportStore},
    mint,
    notices::NoticeLead,
    record::Revocation,
    store::{
        COLUMNS, LastUse, ListQuery, PageSize, RevokeBatch, StoreError, StoreErrorKind, StoreMaintenance,
        sqlite::SqliteStore,
    },
};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Row};
use tempfile::TempDir;

use crate::support::changed;

fn fresh() -> TokenRecord {
    let keyring = Keyring::unkeyed(Prefix::new("acme_pat").unwrap());
    let (project, owner) = (ProjectId::new("145").unwrap(), OwnerId::new("ada").unwrap());
    let new = NewToken::new(project, owner, Name::new("CI").unwrap());
    mint(&keyring, &Policy::default(), new, &Actor::new("ada").unwrap(), SystemClock.now()).unwrap().record
}

async fn opened() -> (SqliteStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
    (store, folder)
}

/// Returns the texts of an error and of all its causes.
fn told(error: &StoreError) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told += &format!(": {error}");
        cause = error.source();
    }
    told
}

#[tokio::test]
async fn the_migration_may_run_again() {
    let (store, folder) = opened().await;
    let record = store.insert(fresh(), None, None).await.unwrap();
    store.migrate().await.unwrap();
    store.migrate().await.unwrap();
    let again = SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
    assert_eq!(again.find(&record.key()).await.unwrap(), Some(record));
}

/// Before the first release, the table had one index for all lists of an owner's tokens. `open`
/// must replace this index.
#[tokio::test]
async fn an_earlier_file_gets_the_current_indices() {
    let (store, folder) = opened().await;
    let indices = async |store: &SqliteStore| {
        let names = "SELECT name FROM pragma_index_list('keyfob_tokens') ORDER BY name";
        sqlx::query_scalar::<_, String>(names).fetch_all(store.pool()).await.unwrap()
    };
    let today = indices(&store).await;
    let record = store.insert(fresh(), None, None).await.unwrap();
    let earlier = "DROP INDEX keyfob_tokens_owner_created; DROP INDEX keyfob_tokens_owner_name; \
         DROP INDEX keyfob_tokens_owner_expires; DROP INDEX keyfob_tokens_owner_ends; \
         DROP INDEX keyfob_tokens_family_ends; \
         CREATE INDEX keyfob_tokens_family ON keyfob_tokens (project, family); \
         CREATE INDEX keyfob_tokens_owner ON keyfob_tokens (owner, project, created_at, id)";
    sqlx::raw_sql(earlier).execute(store.pool()).await.unwrap();
    store.pool().close().await;

    let store = SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
    assert_eq!(indices(&store).await, today);
    let sound: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(store.pool()).await.unwrap();
    assert_eq!(sound, "ok");
    let query = ListQuery { owner: Some(record.owner.clone()), ..ListQuery::new(record.project) };
    assert_eq!(store.list(&query).await.unwrap().items, [record]);
}

#[tokio::test]
async fn a_host_brings_its_own_pool_and_tool() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteStore::connect_options(folder.path().join("host.db")).create_if_missing(true);
    let pool = SqlitePoolOptions::new().max_connections(3).connect_with(options).await.unwrap();
    // Migration tools often create the host's tables and the tables of keyfob in one transaction.
    let mut transaction = pool.begin().await.unwrap();
    sqlx::raw_sql("CREATE TABLE users (id TEXT PRIMARY KEY) STRICT").execute(&mut *transaction).await.unwrap();
    for migration in SqliteStore::MIGRATIONS {
        sqlx::raw_sql(migration.sql).execute(&mut *transaction).await.unwrap();
    }
    transaction.commit().await.unwrap();

    let store = SqliteStore::from_pool(pool).await.unwrap();
    let record = store.insert(fresh(), None, None).await.unwrap();
    assert_eq!(store.find(&record.key()).await.unwrap(), Some(record));
    store.migrate().await.unwrap();
}

#[tokio::test]
async fn from_pool_does_not_migrate() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteStore::connect_options(folder.path().join("host.db")).create_if_missing(true);
    let store = SqliteStore::from_pool(SqlitePoolOptions::new().connect_with(options).await.unwrap()).await.unwrap();
    let error = store.insert(fresh(), None, None).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Other);
    assert!(told(&error).contains("no such table: keyfob_tokens"), "{}", told(&error));
}

#[tokio::test]
async fn the_check_of_the_schema_names_each_missing_or_different_part() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteStore::connect_options(folder.path().join("host.db")).create_if_missing(true);
    // With a single connection, the check sees the open transaction of the test.
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let run = async |sql: String| drop(sqlx::raw_sql(AssertSqlSafe(sql)).execute(&pool).await.unwrap());
    let store = SqliteStore::from_pool(pool.clone()).await.unwrap();
    let fault = async || {
        let error = store.check_schema().await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Schema, "{}", told(&error));
        told(&error)
    };
    assert!(fault().await.contains("the database has no table keyfob_tokens (STRICT): run the migrations"));

    store.migrate().await.unwrap();
    store.check_schema().await.unwrap();
    run("ALTER TABLE keyfob_tokens ADD COLUMN team TEXT; CREATE INDEX teams ON keyfob_tokens (team)".to_owned()).await;
    store.check_schema().await.unwrap();

    let names = "SELECT name FROM pragma_index_list('keyfob_tokens') WHERE origin = 'c' AND name <> 'teams'";
    let indices: Vec<String> = sqlx::query_scalar(names).fetch_all(&pool).await.unwrap();
    let names = "SELECT name FROM pragma_table_xinfo('keyfob_tokens') WHERE name <> 'team'";
    let columns: Vec<String> = sqlx::query_scalar(names).fetch_all(&pool).await.unwrap();
    assert!(indices.len() > 10 && columns.len() == COLUMNS.len() + 3, "{indices:?} {columns:?}");
    let index = |name: &String| (format!("DROP INDEX {name}"), format!("no index {name}"));
    let column = |name: &String| {
        let gone = format!("no column keyfob_tokens.{name} ");
        (format!("ALTER TABLE keyfob_tokens RENAME COLUMN {name} TO renamed"), gone)
    };
    for (change, named) in indices.iter().map(index).chain(columns.iter().map(column)) {
        run(format!("BEGIN; {change}")).await;
        let fault = fault().await;
        assert!(fault.contains(&named), "{change}: {fault}");
        run("ROLLBACK".to_owned()).await;
    }

    let script = SqliteStore::MIGRATIONS[0].sql;
    for (part, other, named) in [
        (") STRICT;", ");", "the table keyfob_tokens is \"\", but must be \"STRICT\""),
        (
            "owner TEXT NOT NULL",
            "owner TEXT",
            "the column keyfob_tokens.owner is \"TEXT\", but must be \"TEXT NOT NULL\"",
        ),
        ("version INTEGER", "version TEXT", "the column keyfob_tokens.version is \"TEXT NOT NULL\""),
        ("PRIMARY KEY (project, id)", "PRIMARY KEY (id)", "the primary key of keyfob_tokens is \"id\""),
        ("CREATE UNIQUE INDEX", "CREATE INDEX", "the index keyfob_tokens_import is \"\", but must be \"UNIQUE\""),
    ] {
        assert_eq!(script.matches(part).count(), 1, "{part}");
        run(format!("DROP TABLE keyfob_tokens; {}", script.replace(part, other))).await;
        let fault = fault().await;
        assert!(fault.contains(named), "{other}: {fault}");
    }
}

#[tokio::test]
async fn every_connection_of_the_pool_syncs_each_commit() {
    let (store, _folder) = opened().await;
    let most = store.pool().options().get_max_connections();
    assert!(most > 1);
    let mut held = Vec::new();
    for _ in 0..most {
        held.push(store.pool().acquire().await.unwrap());
    }
    assert_eq!(store.pool().size(), most);
    for connection in &mut held {
        let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut **connection).await.unwrap();
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut **connection).await.unwrap();
        let patience: i64 = sqlx::query_scalar("PRAGMA busy_timeout").fetch_one(&mut **connection).await.unwrap();
        assert_eq!((journal.as_str(), synchronous, patience), ("wal", 2, 5_000));
    }
}

#[tokio::test]
async fn a_pool_that_may_lose_acknowledged_operations_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = async |options: SqliteConnectOptions| {
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        let error = SqliteStore::from_pool(pool).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Other);
        told(&error)
    };
    let rollback_journal = SqliteConnectOptions::new().filename(folder.path().join("a")).create_if_missing(true);
    assert!(refused(rollback_journal).await.contains("journal_mode=delete and synchronous=2"));
    let good = SqliteStore::connect_options(folder.path().join("b")).create_if_missing(true);
    assert!(refused(good.clone().synchronous(SqliteSynchronous::Normal)).await.contains("wal and synchronous=1"));
    assert!(refused(good.in_memory(true)).await.contains("journal_mode=memory"));
}

#[tokio::test]
async fn a_new_file_is_its_owners_alone() {
    let (store, folder) = opened().await;
    store.insert(fresh(), None, None).await.unwrap();
    #[cfg(unix)]
    for name in ["tokens.db", "tokens.db-wal", "tokens.db-shm"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = folder.path().join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

/// The first `open` of a new file switches the file to WAL mode. `busy_timeout` does not apply to
/// this switch.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_file_can_be_opened_many_times_concurrently() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let path = folder.path().join(format!("{round}.db"));
        let opening: Vec<_> = (0..8).map(|_| tokio::spawn(SqliteStore::open(path.clone()))).collect();
        for opening in opening {
            let store = opening.await.unwrap().map_err(|error| told(&error)).unwrap();
            store.insert(fresh(), None, None).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_table_is_the_record_and_every_column_is_explained() {
    let (store, _folder) = opened().await;
    let rows = sqlx::query("PRAGMA table_info(keyfob_tokens)").fetch_all(store.pool()).await.unwrap();
    let columns: Vec<String> = rows.iter().map(|row| row.get("name")).collect();
    let known: Vec<&str> = COLUMNS.iter().map(|column| column.name).chain(["name_folded", "import_key"]).collect();
    let sorted = |mut names: Vec<&str>| {
        names.sort_unstable();
        names.join(" ")
    };
    assert_eq!(sorted(columns.iter().map(String::as_str).collect()), sorted(known.clone()));
    // `table_info` leaves out columns that SQLite computes. `table_xinfo` lists them.
    let more = "SELECT name FROM pragma_table_xinfo('keyfob_tokens') WHERE hidden <> 0";
    let computed: Vec<String> = sqlx::query_scalar(more).fetch_all(store.pool()).await.unwrap();
    assert_eq!(computed, ["expires_order"]);
    let lines: Vec<&str> =
        SqliteStore::MIGRATIONS.iter().flat_map(|migration| migration.sql.lines()).map(str::trim).collect();
    for column in known.into_iter().chain(["expires_order"]) {
        let at = lines.iter().position(|line| line.starts_with(&format!("{column} "))).unwrap();
        assert!(lines[at - 1].starts_with("-- "), "{column} is not explained");
    }
    let strict: bool = sqlx::query_scalar("SELECT strict FROM pragma_table_list WHERE name = 'keyfob_tokens'")
        .fetch_one(store.pool())
        .await
        .unwrap();
    assert!(strict);
}

#[tokio::test]
async fn a_row_that_does_not_fit_its_types_is_corrupt() {
    let (store, _folder) = opened().await;
    for damage in [
        "name = ''",
        "owner = char(7)",
        "prefix = 'ACME'",
        "kind = 'robot'",
        "scopes = '\"'",
        "addresses = '10.0.0.1/8'",
        "created_at = 253402300800000",
        "expires_at = -62135596800001",
        "notice_lead = 0",
        "revoked_at = 1, revoked_by = 'ada', revoked_reason = 'spite'",
        "family = '-'",
        "rotated_to = '-'",
        "request_id = ''",
        "metadata = CAST(x'ff' AS TEXT)",
    ] {
        let record = store.insert(fresh(), None, None).await.unwrap();
        let sql = format!("UPDATE keyfob_tokens SET {damage} WHERE id = $1");
        sqlx::query(AssertSqlSafe(sql)).bind(record.id.as_str()).execute(store.pool()).await.unwrap();
        let error = store.find(&record.key()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{damage}: {}", told(&error));
        assert!(error.source().is_some(), "{damage}");
    }
    for refused in
        ["digest = x'00'", "version = 0", "disabled_at = 1", "revoked_at = 1", "id = 'a'", "created_at = 'b'"]
    {
        let sql = format!("UPDATE keyfob_tokens SET {refused}");
        assert!(sqlx::query(AssertSqlSafe(sql)).execute(store.pool()).await.is_err(), "{refused}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokens.db"), "no database".repeat(1000)).unwrap();
    let error = SqliteStore::open(folder.path().join("tokens.db")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{}", told(&error));
}

#[tokio::test]
async fn a_file_that_cannot_be_reached_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let error = SqliteStore::open(folder.path().join("no such folder/tokens.db")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{}", told(&error));

    let (store, _folder) = opened().await;
    let record = store.insert(fresh(), None, None).await.unwrap();
    store.pool().close().await;
    assert_eq!(store.find(&record.key()).await.unwrap_err().kind(), StoreErrorKind::Unavailable);
    assert_eq!(store.insert(fresh(), None, None).await.unwrap_err().kind(), StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn a_locked_database_is_unavailable_and_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.db");
    let record = SqliteStore::open(&path).await.unwrap().insert(fresh(), None, None).await.unwrap();
    let patient = Duration::from_millis(50);
    let pool = SqlitePoolOptions::new().connect_with(SqliteStore::connect_options(&path).busy_timeout(patient));
    let store = SqliteStore::from_pool(pool.await.unwrap()).await.unwrap();

    let other = SqlitePoolOptions::new().connect_with(SqliteStore::connect_options(&path)).await.unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let error = store.insert(fresh(), None, None).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{}", told(&error));
    assert!(told(&error).contains("database is locked"), "{}", told(&error));
    let error = store.update(&record.key(), 1, keyfob::record::Change::Confirm).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{}", told(&error));
    assert!(store.find(&record.key()).await.unwrap().is_some(), "readers do not wait for writers");
    drop(lock);
    assert!(store.update(&record.key(), 1, keyfob::record::Change::Confirm).await.unwrap().is_some());
}

/// While an operator moves the tokens to another engine, triggers refuse every write. Each write
/// fails with `Unavailable`, so that callers repeat it. Reads still succeed.
#[tokio::test]
async fn tokens_that_are_fenced_are_unavailable_to_writers_and_still_read() {
    let (store, _folder) = opened().await;
    let record = store.insert(fresh(), None, None).await.unwrap();
    for act in ["INSERT", "UPDATE", "DELETE"] {
        let sql = format!("CREATE TRIGGER no_{act} BEFORE {act} ON keyfob_tokens BEGIN SELECT RAISE(ABORT, 'no'); END");
        sqlx::query(AssertSqlSafe(sql)).execute(store.pool()).await.unwrap();
    }
    let (key, at, most) = (record.key(), record.created_at, PageSize::MAX);
    let revocation = Revocation { at, by: Actor::new("ada").unwrap(), reason: Default::default() };
    let successor = changed(fresh(), |record| {
        record.family = record.id;
        record.rotated_from = Some(record.id);
    });
    let import = ImportRow::new(fresh(), ImportKey::from_bytes([1; 32]));
    // At this time the token has expired, so that the purge tries to delete it.
    let late = record.ends_at().unwrap().saturating_add(Duration::from_secs(1));
    let before = RevokeBatch::CreatedBefore(late);
    let outcomes: [(&str, Result<(), StoreError>); 10] = [
        ("insert", store.insert(fresh(), None, None).await.map(drop)),
        ("update", store.update(&key, 1, keyfob::record::Change::Confirm).await.map(drop)),
        ("revoke", store.revoke(&key, &revocation).await.map(drop)),
        ("revoke owner", store.revoke_owner(&record.project, &record.owner, &revocation).await.map(drop)),
        ("revoke batch", store.revoke_batch(&record.project, &revocation, before, most).await.map(drop)),
        ("rotate", store.rotate(&key, 1, successor, at, None).await.map(drop)),
        ("touch", store.touch_many(&[LastUse { key, used_at: at, from: None }]).await.map(drop)),
        ("purge", store.purge(&record.project, late, most).await.map(drop)),
        ("acknowledge", store.acknowledge_notice(&key, NoticeLead::WEEK).await.map(drop)),
        ("import", store.import(vec![import]).await.map(drop)),
    ];
    for (act, outcome) in outcomes {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{act}: {}", told(&error));
    }
    assert_eq!(store.find(&key).await.unwrap(), Some(record));
}

/// If a caller drops a call before it ends, the change is applied completely or not at all. No lock
/// and no open transaction remain.
#[tokio::test]
async fn a_dropped_call_leaves_nothing_half_done() {
    let (store, _folder) = opened().await;
    let actor = Actor::new("ada").unwrap();
    let (mut done, mut not_done) = (0, 0);
    for round in 0..300u64 {
        let old = store.insert(fresh(), None, None).await.unwrap();
        let successor = changed(fresh(), |record| {
            record.family = old.id;
            record.rotated_from = Some(old.id);
        });
        let (new, grace) = (successor.key(), successor.created_at);
        let old = old.key();
        let mut rotating = Box::pin(store.rotate(&old, 1, successor, grace, None));
        let mut polls = round % 30;
        poll_fn(|context| match polls.checked_sub(1) {
            Some(left) => {
                polls = left;
                rotating.as_mut().poll(context).map(drop)
            }
            None => Poll::Ready(()),
        })
        .await;
        drop(rotating);
        // After another write has succeeded, the dropped call cannot change anything any more.
        let other = store.insert(fresh(), None, None).await.unwrap().key();
        let (old, new) = (store.find(&old).await.unwrap().unwrap(), store.find(&new).await.unwrap());
        assert_eq!(old.rotated_to, new.as_ref().map(|new| new.id));
        assert_eq!(old.grace_until.is_some(), new.is_some());
        *if new.is_some() { &mut done } else { &mut not_done } += 1;
        let revocation = keyfob::record::Revocation { at: grace, by: actor.clone(), reason: Default::default() };
        store.revoke(&other, &revocation).await.unwrap();
    }
    assert!(done > 10 && not_done > 10, "{done} done, {not_done} not");
}

/// An import is one transaction. If one row cannot be written, none of the rows is written.
#[tokio::test]
async fn an_import_that_fails_leaves_nothing() {
    let (store, _folder) = opened().await;
    let row = |seed, version| {
        ImportRow::new(changed(fresh(), |record| record.version = version), ImportKey::from_bytes([seed; 32]))
    };
    for broken in [0, TokenRecord::MAX_VERSION + 1] {
        let batch = vec![row(1, 1), row(2, broken)];
        assert_eq!(store.import(batch).await.unwrap_err().kind(), StoreErrorKind::Other);
        assert_eq!(store.find_imported(&ImportKey::from_bytes([1; 32])).await.unwrap(), None);
    }
}

/// With an empty path, SQLite opens a temporary database, which vanishes with the connection.
#[tokio::test]
async fn an_empty_path_is_no_store() {
    let opened = SqliteStore::open("").await;
    assert_eq!(opened.unwrap_err().kind(), StoreErrorKind::Unavailable);
    let pool = SqlitePoolOptions::new().connect_with(SqliteStore::connect_options("")).await.unwrap();
    assert_eq!(SqliteStore::from_pool(pool).await.unwrap_err().kind(), StoreErrorKind::Other);
}

/// The pool can contain a connection that does not sync its commits. For example, the host changed
/// the setting for a bulk load and did not change it back.
#[tokio::test]
async fn nothing_is_written_on_a_connection_that_may_lose_it() {
    let (store, _folder) = opened().await;
    let (alone, transaction) = (fresh(), fresh());
    store.insert(alone.clone(), None, None).await.unwrap();
    let pool = SqlitePoolOptions::new().max_connections(1);
    let file = store.pool().connect_options().get_filename().to_owned();
    let pool = pool.connect_with(SqliteStore::connect_options(&file)).await.unwrap();
    let weak = SqliteStore::from_pool(pool).await.unwrap();
    sqlx::query("PRAGMA synchronous = OFF").execute(weak.pool()).await.unwrap();
    for outcome in [
        weak.insert(transaction.clone(), None, None).await.map(drop),
        weak.touch_many(&[LastUse { key: alone.key(), used_at: SystemClock.now(), from: None }]).await.map(drop),
    ] {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Other);
        assert!(told(&error).contains("synchronous=0"), "{}", told(&error));
    }
    assert_eq!(*store.find(&alone.key()).await.unwrap().unwrap(), alone);
    assert_eq!(store.find(&transaction.key()).await.unwrap(), None);
}
