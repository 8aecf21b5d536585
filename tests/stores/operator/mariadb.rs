//! Tests of moves to and from MariaDB, which commits each statement of a fence on its own. So an
//! interruption can leave a part of a fence.

use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Clock, Error, ErrorKind, Name, NewToken, OwnerId, Policy, ScopeSet, SystemClock, TokenRecord, TokenStore, Tokens,
    import::{ImportKey, ImportRow, ImportStore},
    mint,
    record::{Metadata, RevocationReason},
    rotation::Rotation,
    store::{LastUse, PageSize, StoreErrorKind, StoreMaintenance, mysql::MysqlStore},
};
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection, MySqlPool, Row};

use crate::operator::tool::{address::Address, dialect::MARIADB, moving::Move, progress::Progress};
use crate::operator::world::{TOKENS, World, refusal};
use crate::support::mariadb::{Server, shared};
use crate::support::{actor, changed, keyring, project};

const TRIGGERS: [&str; 3] = ["keyfob_fence_insert", "keyfob_fence_update", "keyfob_fence_delete"];
const NOT_FINISHED: &str = "the move is not finished (run finish)";
const OPENING: &str = "the opening of TO was interrupted, and services may have written to it (run open again)";

/// A SQLite file with tokens, and a MariaDB database to which a test moves the tokens.
struct Pair {
    _server: Arc<Server>,
    world: World,
    url: String,
    pool: MySqlPool,
}

impl Pair {
    async fn of(tokens: usize) -> Option<Self> {
        let server = shared()?;
        let world = World::of(tokens).await?;
        let url = server.database();
        Some(Self { _server: server, world, pool: MySqlPool::connect(&url).await.unwrap(), url })
    }

    fn mariadb(&self) -> Address {
        Address::parse(&self.url).unwrap()
    }

    /// Returns the move from the file to MariaDB.
    async fn moving(&self) -> Move {
        between(&self.world.from(), &self.mariadb()).await
    }

    async fn store(&self) -> MysqlStore {
        MysqlStore::connect(&self.url).await.unwrap()
    }

    /// Moves all tokens to MariaDB. Returns the move from there to a second file.
    async fn moved(&self) -> Move {
        let mut moving = self.moving().await;
        moving.copy().await.unwrap();
        moving.fence().await.unwrap();
        assert!(moving.finish().await.unwrap().compared.is_equal());
        moving.open().await.unwrap();
        drop(moving);
        let second = self.world.file().with_file_name("second.db");
        between(&self.mariadb(), &Address::Sqlite(second)).await
    }

    async fn run(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.pool).await.unwrap();
    }

    /// Drops those triggers of the fence whose bits are set.
    async fn drop_triggers(&self, bits: usize) {
        for (place, trigger) in TRIGGERS.iter().enumerate() {
            if bits >> place & 1 == 1 {
                self.run(&format!("DROP TRIGGER {trigger}")).await;
            }
        }
    }

    /// Returns the number of triggers and of tables of the tool.
    async fn left(&self) -> (i64, i64) {
        sqlx::query_as(
            "SELECT (SELECT count(*) FROM information_schema.triggers WHERE trigger_schema = database()), \
             (SELECT count(*) FROM information_schema.tables WHERE table_schema = database() \
             AND table_name = 'keyfob_copy_target')",
        )
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }
}

async fn between(from: &Address, to: &Address) -> Move {
    Move::between(from, to, Progress::silent()).await.unwrap()
}

fn record() -> TokenRecord {
    let new = NewToken::new(project("p0"), OwnerId::new("ada").unwrap(), Name::new("Größe 😀").unwrap());
    mint(&keyring(), &Policy::default(), new, &actor(), SystemClock.now()).unwrap().record
}

#[tokio::test]
async fn a_copy_in_mariadb_refuses_each_write_of_services() {
    let Some(pair) = Pair::of(TOKENS).await else { return };
    let (key, ended) = (pair.world.texts[0].1, pair.world.texts[5].1);
    let old = Tokens::new(keyring(), pair.world.store.clone());
    old.revoke(&actor(), &ended, RevocationReason::default()).await.unwrap();
    let mut moving = pair.moving().await;
    assert_eq!(moving.copy().await.unwrap().written, TOKENS as u64);

    let store = pair.store().await;
    let tokens = Tokens::new(keyring(), store.clone());
    let kind = |outcome: Option<Error>| outcome.map(|error| error.kind());
    let (name, reason) = (Name::new("late").unwrap(), RevocationReason::KeyCompromise);
    let new = NewToken::new(key.project, OwnerId::new("ada").unwrap(), name.clone());
    for (operation, refused) in [
        ("issue", kind(tokens.issue(&actor(), new).await.err())),
        ("revoke", kind(tokens.revoke(&actor(), &key, reason).await.err())),
        ("rename", kind(tokens.rename(&actor(), &key, name).await.err())),
        ("disable", kind(tokens.disable(&actor(), &key).await.err())),
        ("rotate", kind(tokens.rotate(&actor(), &key, Rotation::with_grace(Duration::ZERO)).await.err())),
    ] {
        assert_eq!(refused, Some(ErrorKind::Unavailable), "{operation}");
    }
    let used_at = SystemClock.now();
    let later = used_at.saturating_add(Duration::from_secs(1));
    let row = ImportRow::new(record(), ImportKey::from_bytes([9; 32]));
    for (operation, refused) in [
        ("touch", store.touch_many(&[LastUse { key, used_at, from: None }]).await.err()),
        ("import", store.import(vec![row]).await.err()),
        ("purge", store.purge(&ended.project, later, PageSize::MAX).await.err()),
    ] {
        assert_eq!(refused.map(|error| error.kind()), Some(StoreErrorKind::Unavailable), "{operation}");
    }
    assert_eq!(moving.copy().await.unwrap().written, 0);
    assert!(moving.compare().await.unwrap().is_equal());
}

#[tokio::test]
async fn a_row_with_every_column_stays_equal_on_the_way_to_postgres() {
    let Some(pair) = Pair::of(TOKENS).await else { return };
    pair.world.full().await;
    let equal = pair.moved().await;
    // The lock of MariaDB is free again after this.
    drop(equal);
    let mut moving = between(&pair.mariadb(), &pair.world.to()).await;
    moving.copy().await.unwrap();
    moving.fence().await.unwrap();
    assert!(moving.finish().await.unwrap().compared.is_equal());
    let whole = Move::to_compare(&pair.world.from(), &pair.world.to(), Progress::silent()).await;
    let whole = whole.unwrap().compare().await.unwrap();
    assert!(whole.is_equal());
    assert_eq!((whole.source.tokens, whole.source.imports), (TOKENS as u64 + 3, TOKENS as u64 + 1));
}

/// Five hundred such rows have 10 MB. The servers of the tests refuse statements of more than 1 MB.
#[tokio::test]
async fn long_rows_are_copied_in_statements_that_the_server_accepts() {
    let Some(pair) = Pair::of(10).await else { return };
    let scopes: Vec<String> = (0..127).map(|number| format!("{number:-<127}")).collect();
    let scopes = ScopeSet::new(&scopes.join(" ")).unwrap();
    let metadata = Metadata::new(&"m".repeat(Metadata::MAX_BYTES)).unwrap();
    let mut rows = Vec::new();
    for number in 0..700u64 {
        let record = changed(record(), |record| {
            record.scopes = scopes.clone();
            record.metadata = metadata.clone();
        });
        let mut key = [7; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        rows.push(ImportRow::new(record, ImportKey::from_bytes(key)));
    }
    pair.world.store.import(rows).await.unwrap();
    let mut moving = pair.moving().await;
    assert_eq!(moving.copy().await.unwrap().written, 710);
    assert!(moving.compare().await.unwrap().is_equal());
}

#[tokio::test]
async fn a_part_of_a_fence_is_completed_or_removed() {
    let Some(pair) = Pair::of(20).await else { return };
    let mut moving = pair.moved().await;
    moving.copy().await.unwrap();
    let tokens = Tokens::new(keyring(), pair.store().await);
    for dropped in 1..8 {
        moving.fence().await.unwrap();
        pair.drop_triggers(dropped).await;
        assert_eq!(refusal(moving.finish().await), "FROM still takes writes (fence it with finish)");
        assert_eq!(refusal(moving.open().await), NOT_FINISHED);
        moving.fence().await.unwrap();
        assert_eq!(pair.left().await.0, 3);
        let key = pair.world.texts[dropped].1;
        let revoked = tokens.revoke(&actor(), &key, RevocationReason::default()).await;
        assert_eq!(revoked.unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(moving.finish().await.unwrap().compared.is_equal());

        pair.drop_triggers(dropped).await;
        assert_eq!(refusal(moving.open().await), NOT_FINISHED);
        moving.reopen().await.unwrap();
        assert_eq!(pair.left().await.0, 0);
        tokens.revoke(&actor(), &key, RevocationReason::default()).await.unwrap();
    }
}

/// If FROM took writes again while services can already write to TO, a token that is revoked in one
/// store would still be live in the other.
#[tokio::test]
async fn an_interrupted_opening_can_only_be_completed() {
    // The opening is interrupted before it drops the first trigger, between two triggers, and
    // before it drops the record of the copy.
    for dropped in [0b000, 0b011, 0b111] {
        let Some(pair) = Pair::of(20).await else { return };
        let mut moving = pair.moving().await;
        moving.copy().await.unwrap();
        moving.fence().await.unwrap();
        moving.finish().await.unwrap();
        pair.run("UPDATE keyfob_copy_target SET equal = 2").await;
        pair.drop_triggers(dropped).await;

        assert_eq!(refusal(moving.reopen().await), OPENING);
        assert_eq!(refusal(moving.copy().await), OPENING);
        assert_eq!(refusal(moving.fence().await), OPENING);
        assert_eq!(refusal(moving.finish().await), OPENING);
        drop(moving);
        let second = Address::Sqlite(pair.world.file().with_file_name("second.db"));
        let mut onwards = between(&pair.mariadb(), &second).await;
        assert!(refusal(onwards.copy().await).contains("FROM is itself a copy that is not open yet"));
        drop(onwards);

        let mut moving = pair.moving().await;
        moving.open().await.unwrap();
        assert_eq!(pair.left().await, (0, 0));
        assert_eq!(refusal(moving.reopen().await), "TO is open: services may have written to it");
        let key = pair.world.texts[0].1;
        let (old, new) = (pair.world.store.clone(), pair.store().await);
        let revoked = Tokens::new(keyring(), old).revoke(&actor(), &key, RevocationReason::default()).await;
        assert_eq!(revoked.unwrap_err().kind(), ErrorKind::Unavailable);
        Tokens::new(keyring(), new).revoke(&actor(), &key, RevocationReason::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_fence_waits_for_an_open_transaction_and_lets_look_ups_pass() {
    let Some(pair) = Pair::of(20).await else { return };
    let mut moving = pair.moved().await;
    moving.copy().await.unwrap();
    let (store, key) = (pair.store().await, pair.world.texts[3].1);
    let mut service = pair.pool.begin().await.unwrap();
    sqlx::query("UPDATE keyfob_tokens SET name = 'late', version = version + 1 WHERE project = ? AND id = ?")
        .bind(key.project.as_str())
        .bind(key.id.as_str())
        .execute(&mut *service)
        .await
        .unwrap();
    let fencing = tokio::spawn(async move { moving.fence().await.map(|()| moving) });
    const WAITING: &str = "SELECT count(*) FROM information_schema.processlist \
         WHERE db = database() AND info LIKE 'SET STATEMENT%' AND state LIKE 'Waiting%'";
    while sqlx::query_scalar::<_, i64>(WAITING).fetch_one(&pair.pool).await.unwrap() == 0 {
        assert!(!fencing.is_finished());
    }
    // This look-up waits behind the fence, which gives up and is tried again later.
    assert!(store.find(&key).await.unwrap().is_some());
    assert!(!fencing.is_finished() && pair.left().await.0 == 0);
    service.commit().await.unwrap();

    let mut moving = fencing.await.unwrap().unwrap();
    assert_eq!(pair.left().await.0, 3);
    let finished = moving.finish().await.unwrap();
    assert_eq!(finished.copied.written, 1);
    assert!(finished.compared.is_equal());
}

/// MariaDB would read the whole table for each page if it did not use the primary key.
#[tokio::test]
async fn the_queries_of_a_copy_read_only_the_rows_that_they_return() {
    let Some(pair) = Pair::of(TOKENS).await else { return };
    pair.moving().await.copy().await.unwrap();
    let mut connection = MySqlConnection::connect(&pair.url).await.unwrap();
    for setup in MARIADB.setup {
        sqlx::raw_sql(*setup).execute(&mut connection).await.unwrap();
    }
    let (first, keys) = (&pair.world.texts[0].1, &pair.world.texts[..500]);
    let place = [first.project.as_str(), first.project.as_str(), first.id.as_str()];
    let list: Vec<&str> = keys.iter().flat_map(|(_, key)| [key.project.as_str(), key.id.as_str()]).collect();
    for (sql, texts, limit) in [
        (MARIADB.page(), place.as_slice(), Some(1000i64)),
        (MARIADB.rows(500), &list, None),
        (MARIADB.keys(500), &list, None),
        (MARIADB.delete("keyfob_tokens", 500), &list, None),
    ] {
        let mut query = sqlx::query(AssertSqlSafe(format!("EXPLAIN {sql}")));
        for text in texts {
            query = query.bind(*text);
        }
        if let Some(limit) = limit {
            query = query.bind(limit);
        }
        let plan = query.fetch_all(&mut connection).await.unwrap();
        assert_eq!(plan.len(), 1, "{sql}");
        let value = |name: &str| plan[0].get_unchecked::<Option<String>, _>(name).unwrap_or_default();
        // The length of the key shows that the search uses both of its columns.
        let used = [value("type"), value("key"), value("key_len")];
        assert_eq!(used, ["range", "PRIMARY", "196"], "{}", &sql[..sql.len().min(1_500)]);
    }
}
