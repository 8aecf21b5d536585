//! Tests of the store in PostgreSQL: every law of the store contract with each form of the schema,
//! and the features that only this engine has.

mod connections;
mod one_slow_project;

use std::num::NonZeroU16;
use std::time::Duration;

use keyfob::{
    Clock, SystemClock, TokenId, TokenKey, TokenStore, Tokens,
    conformance::{self, Handles},
    mint,
    notices::NoticeLead,
    record::{Issuer, Revocation, RevocationReason},
    store::{
        COLUMNS, PageSize, ProjectsQuery, ProjectsWith, StoreErrorKind, StoreMaintenance, postgres::PostgresStore,
    },
};
use sqlx::Row;
use sqlx::postgres::PgPoolOptions;

#[cfg(feature = "serde")]
use crate::support::kit::serves_texts_of_an_earlier_rule;
use crate::support::kit::{World, keeps_every_law};
use crate::support::postgres::{Server, shared};
use crate::support::{actor, keyring, new_token, now, project};

mod on_a_pool_that_publishes_changes {
    use super::*;

    async fn world() -> Option<World> {
        let server = shared()?;
        World::new(server.store().await.telling_changes(), server)
    }

    each_law!([token_store, maintenance, import, rules], world().await);
}

mod with_two_handles {
    use super::*;

    async fn handles() -> Option<World> {
        let server = shared()?;
        let url = server.database();
        let first = PostgresStore::connect(&url).await.unwrap();
        first.migrate().await.unwrap();
        World::new(Handles::new(first, PostgresStore::connect(&url).await.unwrap()), server)
    }

    each_law!([shared, shared_maintenance, shared_import], handles().await);
}

mod on_a_partitioned_table {
    use super::*;

    async fn partitioned() -> Option<World> {
        let server = shared()?;
        let store = PostgresStore::connect(&server.database()).await.unwrap();
        partition(&store).await;
        World::new(store, server)
    }

    each_law!([token_store, maintenance, import, rules], partitioned().await);
}

/// Creates the schema whose table is partitioned by project.
async fn partition(store: &PostgresStore) {
    let schema = PostgresStore::partitioned_migration(NonZeroU16::new(4).unwrap());
    for _ in 0..2 {
        sqlx::raw_sql(sqlx::AssertSqlSafe(schema.clone())).execute(store.pool()).await.unwrap();
    }
}

#[tokio::test]
async fn partitioned_by_project() {
    let Some(server) = shared() else { return };
    let store = PostgresStore::connect(&server.database()).await.unwrap();
    partition(&store).await;
    // Sixty-four tokens, each in a project of its own, reach all partitions.
    for _ in 0..64 {
        conformance::insert_keeps_every_column(&store).await.unwrap();
    }

    let filled = "SELECT count(DISTINCT tableoid) FROM keyfob_tokens";
    let filled: i64 = sqlx::query_scalar(filled).fetch_one(store.pool()).await.unwrap();
    assert_eq!(filled, 4, "the partitions that hold tokens");
    let plan = "EXPLAIN SELECT * FROM keyfob_tokens WHERE project = '145' AND id = '1abcdefghijklmno'";
    let plan = sqlx::query(plan).fetch_all(store.pool()).await.unwrap();
    let plan: Vec<String> = plan.iter().map(|line| line.get(0)).collect();
    let indices = plan.iter().filter(|line| line.contains("Index")).count();
    assert_eq!(indices, 2, "one partition's scan and its condition: {plan:?}");
}

/// PostgreSQL keeps the plan of a prepared statement. A new service prepares its statements while
/// its table is empty. Their plans must still use the index when the table is full.
#[tokio::test]
async fn tokens_are_found_by_their_key_if_the_table_was_empty_at_first() {
    const TOKENS: i64 = 5_000;
    const ASKED: i64 = 100;
    let Some(server) = shared() else { return };
    let pool = PgPoolOptions::new().max_connections(1).connect(&server.database()).await.unwrap();
    let store = PostgresStore::from_pool(pool).await.unwrap();
    store.migrate().await.unwrap();
    // Autovacuum would update the statistics of the table, and PostgreSQL would then make new
    // plans.
    sqlx::raw_sql("ALTER TABLE keyfob_tokens SET (autovacuum_enabled = off)").execute(store.pool()).await.unwrap();
    let first = mint(&keyring(), &keyfob::Policy::default(), new_token(), &actor(), now()).unwrap().record;
    let revocation = Revocation { at: now(), by: actor(), reason: RevocationReason::KeyCompromise };
    for _ in 0..10 {
        assert!(store.find(&first.key()).await.unwrap().is_none());
        assert!(store.revoke(&first.key(), &revocation).await.unwrap().is_none());
    }
    store.insert(first.clone(), None, None).await.unwrap();
    let columns = "prefix, project, digest, name, name_folded, owner, kind, scopes, metadata, addresses, created_at, created_by, \
                   family, notice_leases, version";
    let more = format!(
        "INSERT INTO keyfob_tokens (id, {columns}) SELECT '1' || lpad(n::text, 15, '0'), {columns} \
         FROM keyfob_tokens, generate_series(1, {TOKENS}) AS n"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(more)).execute(store.pool()).await.unwrap();
    let read = async || {
        const READ: &str = "SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE relname = 'keyfob_tokens'";
        sqlx::raw_sql("SELECT pg_stat_force_next_flush()").execute(store.pool()).await.unwrap();
        sqlx::query_scalar::<_, i64>(READ).fetch_one(store.pool()).await.unwrap()
    };
    let before = read().await;
    for number in 0..ASKED {
        let key = TokenKey { id: TokenId::new(&format!("1{:015}", 1 + number * 49)).unwrap(), ..first.key() };
        assert!(store.find(&key).await.unwrap().is_some());
        assert!(store.revoke(&key, &revocation).await.unwrap().is_some());
    }
    let read = read().await - before;
    // Each call reads at least one index entry. The margin is for entries of earlier versions of a
    // row.
    assert!((2 * ASKED..10 * ASKED).contains(&read), "{read} entries of indices for {ASKED} tokens");
}

#[tokio::test]
async fn a_token_that_is_bound_to_none_is_read_by_its_key_alone() {
    let Some(server) = shared() else { return };
    let pool = PgPoolOptions::new().max_connections(1).connect(&server.database()).await.unwrap();
    let store = PostgresStore::from_pool(pool).await.unwrap();
    store.migrate().await.unwrap();
    let minted = || mint(&keyring(), &keyfob::Policy::default(), new_token(), &actor(), now()).unwrap().record;
    let (issuer, mut bound) = (minted(), minted());
    bound.issuer = Some(Issuer { id: issuer.id, bound: true });
    // PostgreSQL lists the statements of the only connection. Running the recursive statement takes
    // a third longer.
    let recursive = async || -> i64 {
        let count = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'WITH RECURSIVE chain%'";
        sqlx::query_scalar(count).fetch_one(store.pool()).await.unwrap()
    };
    for (record, issuers, statements) in [(issuer, 0, 0), (bound, 1, 1)] {
        store.insert(record.clone(), None, None).await.unwrap();
        let chain = store.find_recent_chain(&record.key()).await.unwrap().chain;
        assert_eq!((chain.issuers().count(), recursive().await), (issuers, statements));
    }
}

/// If nothing is due, the search for projects with work reads almost nothing, however many projects
/// there are.
#[tokio::test]
async fn projects_with_work_are_found_without_reading_the_others() {
    const PROJECTS: i64 = 20_000;
    let Some(server) = shared() else { return };
    let pool = PgPoolOptions::new().max_connections(1).connect(&server.database()).await.unwrap();
    let store = PostgresStore::from_pool(pool).await.unwrap();
    store.migrate().await.unwrap();
    let first = mint(&keyring(), &keyfob::Policy::default(), new_token(), &actor(), now()).unwrap().record;
    store.insert(first.clone(), None, None).await.unwrap();
    let columns = "prefix, id, digest, name, name_folded, owner, kind, scopes, metadata, addresses, created_at, created_by, \
                   expires_at, family, notice_leases, version";
    // A third of the tokens are within the longest lead, and their notice of this lead was sent.
    let more = format!(
        "ALTER TABLE keyfob_tokens SET (autovacuum_enabled = off); \
         INSERT INTO keyfob_tokens (project, notice_lead, {columns}) \
         SELECT 'p' || n, CASE WHEN n % 3 = 0 THEN 2592000000 END, {columns} \
         FROM keyfob_tokens, generate_series(1, {PROJECTS}) AS n; \
         UPDATE keyfob_tokens SET expires_at = expires_at + 8640000000 WHERE notice_lead IS NULL; \
         VACUUM ANALYZE keyfob_tokens"
    );
    for sql in more.split("; ") {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(store.pool()).await.unwrap();
    }
    let read = async || {
        const READ: &str = "SELECT (seq_tup_read + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes \
             WHERE relname = 'keyfob_tokens'))::bigint FROM pg_stat_user_tables WHERE relname = 'keyfob_tokens'";
        sqlx::raw_sql("SELECT pg_stat_force_next_flush()").execute(store.pool()).await.unwrap();
        sqlx::query_scalar::<_, i64>(READ).fetch_one(store.pool()).await.unwrap()
    };
    for work in [
        ProjectsWith::EndedBefore(now()),
        ProjectsWith::DueNotices { leads: NoticeLead::ALL.to_vec(), now: now() },
        ProjectsWith::EndedIssuers(now()),
    ] {
        let before = read().await;
        let query = ProjectsQuery { with: Some(work.clone()), ..ProjectsQuery::default() };
        assert_eq!(store.projects(&query).await.unwrap(), [], "{work:?}");
        let read = read().await - before;
        assert!(read < 100, "{read} rows or entries of indices are read for {work:?}");
    }
    let before = read().await;
    let page = store.scan(Some(first.key()), PageSize::MAX).await.unwrap().unwrap();
    assert_eq!(page.len(), PageSize::MAX.get());
    let read = read().await - before;
    assert!(read < 2 * PageSize::MAX.get() as i64, "{read} entries of indices are read for a page");
}

/// A host may run the migrations with another role than its service. The role of the service then
/// needs only four privileges. Some hosts set `serializable` as the default isolation level of
/// their database. The store keeps every law with this role, this default and a single connection.
#[tokio::test]
async fn a_role_that_cannot_create_tables_opens_a_checked_store() {
    let Some(server) = shared() else { return };
    let owner = server.store().await;
    let sql = "CREATE ROLE narrow LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE \
         ON keyfob_tokens, keyfob_turns, keyfob_imports, keyfob_beats TO narrow";
    sqlx::raw_sql(sql).execute(owner.pool()).await.unwrap();
    let serializable = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', current_database()); END $$";
    sqlx::raw_sql(serializable).execute(owner.pool()).await.unwrap();
    let options = owner.pool().connect_options().as_ref().clone().username("narrow");
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let store = PostgresStore::from_pool(pool).await.unwrap();
    store.check_schema().await.unwrap();
    keeps_every_law(store.clone()).await;
    assert_eq!(store.migrate().await.unwrap_err().kind(), StoreErrorKind::Other);

    for (table, privilege) in [("keyfob_tokens", "UPDATE"), ("keyfob_beats", "SELECT")] {
        let sql = format!("REVOKE {privilege} ON {table} FROM narrow");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(owner.pool()).await.unwrap();
        let named = schema_fault(&store).await;
        assert!(named.contains(&format!("no privilege {privilege} on {table}: run")), "{named}");
        let sql = format!("GRANT {privilege} ON {table} TO narrow");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(owner.pool()).await.unwrap();
    }
    sqlx::raw_sql("DROP OWNED BY narrow; DROP ROLE narrow").execute(owner.pool()).await.unwrap();
}

/// Checks that the schema is refused. Returns the text of the cause.
async fn schema_fault(store: &PostgresStore) -> String {
    let error = store.check_schema().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Schema);
    std::error::Error::source(&error).unwrap().to_string()
}

#[tokio::test]
async fn the_check_of_the_schema_names_each_missing_or_different_part() {
    let Some(server) = shared() else { return };
    for partitions in [None, NonZeroU16::new(4)] {
        // With a single connection, the check sees the open transaction of the test.
        let pool = PgPoolOptions::new().max_connections(1).connect(&server.database()).await.unwrap();
        let run = async |sql: &str| {
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&pool).await.unwrap();
        };
        let store = PostgresStore::from_pool(pool.clone()).await.unwrap();
        assert!(schema_fault(&store).await.starts_with("the database has no table keyfob_tokens: run the migrations"));

        if let Some(partitions) = partitions {
            run(&PostgresStore::partitioned_migration(partitions)).await;
        }
        store.migrate().await.unwrap();
        store.check_schema().await.unwrap();
        run("ALTER TABLE keyfob_tokens ADD COLUMN team TEXT; CREATE INDEX teams ON keyfob_tokens (team)").await;
        store.check_schema().await.unwrap();

        let parts = "SELECT CASE WHEN relkind IN ('i', 'I') THEN 'DROP INDEX ' || relname ELSE NULL END, \
                CASE WHEN relkind IN ('i', 'I') THEN 'no index ' || relname ELSE 'no table ' || relname END, relname::text \
             FROM pg_class WHERE relname ~ '^keyfob_[a-z_]+$' AND relname !~ '_pkey$' AND NOT relispartition";
        let parts: Vec<(Option<String>, String, String)> = sqlx::query_as(parts).fetch_all(&pool).await.unwrap();
        let columns = "SELECT relname || '.' || attname, relname::text, attname::text FROM pg_attribute \
             JOIN pg_class ON pg_class.oid = attrelid WHERE relname ~ '^keyfob_[a-z]+$' AND relkind IN ('r', 'p') \
             AND attnum > 0 AND attname <> 'team'";
        let columns: Vec<(String, String, String)> = sqlx::query_as(columns).fetch_all(&pool).await.unwrap();
        assert!(parts.len() > 14 && columns.len() == COLUMNS.len() + 8, "{parts:?} {columns:?}");
        let part = |(drop, named, name): &(Option<String>, String, String)| {
            (drop.clone().unwrap_or_else(|| format!("DROP TABLE {name}")), named.clone())
        };
        let column = |(path, table, name): &(String, String, String)| {
            (format!("ALTER TABLE {table} RENAME COLUMN {name} TO renamed"), format!("no column {path} "))
        };
        let other = [
            (
                "ALTER TABLE keyfob_tokens ALTER version TYPE numeric",
                "the column keyfob_tokens.version is \"numeric NOT NULL\"",
            ),
            ("ALTER TABLE keyfob_tokens ALTER family DROP NOT NULL", "the column keyfob_tokens.family is"),
            (
                "ALTER TABLE keyfob_turns ALTER project TYPE TEXT COLLATE \"POSIX\"",
                "is \"text COLLATE \"POSIX\" NOT NULL\", but must be \"text COLLATE \"C\" NOT NULL\"",
            ),
            (
                "ALTER TABLE keyfob_imports DROP CONSTRAINT keyfob_imports_pkey",
                "no primary key of keyfob_imports (import_key)",
            ),
        ];
        let other = other.map(|(change, named)| (change.to_owned(), named.to_owned()));
        for (change, named) in parts.iter().map(part).chain(columns.iter().map(column)).chain(other) {
            run(&format!("BEGIN; {change}")).await;
            let fault = schema_fault(&store).await;
            assert!(fault.contains(&named), "{change}: {fault}");
            run("ROLLBACK").await;
        }
        store.check_schema().await.unwrap();
    }
}

#[tokio::test]
async fn processes_migrate_concurrently() {
    let Some(server) = shared() else { return };
    let url = server.database();
    let migrate = async || PostgresStore::connect(&url).await.unwrap().migrate().await;
    let (a, b, c) = tokio::join!(migrate(), migrate(), migrate());
    a.and(b).and(c).unwrap();
}

#[tokio::test]
async fn an_open_transaction_elsewhere_delays_no_find() {
    let Some(server) = shared() else { return };
    let store = server.store().await;
    let issued = mint(&keyring(), &keyfob::Policy::default(), new_token(), &actor(), now()).unwrap();
    let key = issued.record.key();
    store.insert(issued.record, None, None).await.unwrap();
    let mut other = store.pool().begin().await.unwrap();
    sqlx::query("SELECT 1 FROM keyfob_tokens FOR UPDATE").execute(&mut *other).await.unwrap();
    let found = tokio::time::timeout(Duration::from_secs(2), store.find(&key)).await.unwrap().unwrap();
    assert!(found.is_some());

    // A write that waits for the other transaction fails after a time, and changes nothing.
    let revocation = Revocation { at: now(), by: actor(), reason: RevocationReason::KeyCompromise };
    assert_eq!(store.revoke(&key, &revocation).await.unwrap_err().kind(), StoreErrorKind::Unavailable);
    let refused = store.revoke_owner(&key.project, &found.unwrap().owner, &revocation).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Unavailable);
    drop(other);
    assert!(store.find(&key).await.unwrap().unwrap().revoked.is_none());
    assert!(store.revoke(&key, &revocation).await.unwrap().unwrap().revoked.is_some());
}

#[tokio::test]
async fn a_pool_that_may_lose_tokens_is_refused() {
    let Some(server) = shared() else { return };
    let url = server.database();
    let weak = format!("{url}?options=-c%20synchronous_commit%3Doff");
    let error = PostgresStore::connect(&weak).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Other);
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.contains("synchronous_commit=off"), "{why}");
}

/// The URL can contain a password, so no error may contain the URL.
#[tokio::test]
async fn no_error_shows_the_url() {
    for url in ["postgres://ada:hunter2@[", "mysql://ada:hunter2@db/x", "postgres://ada:hunter2@127.0.0.1:1/x"] {
        let error = PostgresStore::connect(url).await.unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"), "{url}");
    }
}

#[tokio::test]
async fn a_crash_of_the_server_loses_nothing_that_was_acknowledged() {
    let Some(server) = Server::start() else { return };
    let store = server.store().await;
    let mut keys = Vec::new();
    for _ in 0..50 {
        let issued = mint(&keyring(), &keyfob::Policy::default(), new_token(), &actor(), now()).unwrap();
        keys.push(issued.record.key());
        store.insert(issued.record, None, None).await.unwrap();
    }
    server.halt("immediate");
    assert_eq!(store.find(&keys[0]).await.unwrap_err().kind(), StoreErrorKind::Unavailable);
    server.go();
    for key in &keys {
        assert!(store.find(key).await.unwrap().is_some());
    }
}

#[cfg(feature = "serde")]
#[tokio::test]
async fn texts_of_an_earlier_rule_are_served() {
    let Some(server) = shared() else { return };
    serves_texts_of_an_earlier_rule(server.store().await).await;
}

/// If a purge deletes no token, it sends no invalidation, because an invalidation would empty the
/// caches of all other processes.
#[tokio::test]
async fn a_purge_of_nothing_sends_no_invalidation() {
    use keyfob::store::{
        StoreMaintenance,
        cache::{Feed, FeedEvent},
    };
    let Some(server) = crate::support::postgres::shared() else { return };
    let store = server.store().await.telling_changes();
    let tokens = Tokens::new(keyring(), store.clone());
    tokens.issue(&actor(), new_token()).await.unwrap();
    let mut feed = store.feed();
    assert_eq!(feed.next().await, FeedEvent::Lost);
    let none =
        store.purge(&project("145"), SystemClock.now().saturating_sub(Duration::from_secs(600)), PageSize::MAX).await;
    assert_eq!(none.unwrap().count, 0);
    assert_eq!(feed.next().await, FeedEvent::Nothing, "the purge invalidated the project in the caches of every node");
}
