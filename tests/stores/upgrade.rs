//! Checks that databases from before version 0.1.0 are upgraded in place: each token verifies as
//! before, and no notice is sent twice.

use std::time::Duration;

use keyfob::{
    Access, Clock, SystemClock, Timestamp, TokenKey, TokenRecord, TokenStore, Tokens,
    clock::FixedClock,
    mint,
    notices::NoticeLead,
    record::RevocationReason,
    store::{COLUMNS, ColumnValue, PageSize, StoreMaintenance, sqlite::SqliteStore},
};
use sqlx::AssertSqlSafe;
use sqlx::Connection;

use crate::support::{actor, keyring, new_token, project};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A token in a database of the old version.
struct Old {
    text: String,
    record: TokenRecord,
    /// The word that the old version stores for the last notice that was sent.
    stage: &'static str,
    /// The notice that is due immediately after the upgrade, if there is one.
    due: Option<NoticeLead>,
}

impl Old {
    /// Creates a token that expires `left` after `now`.
    fn new(left: Duration, stage: &'static str, due: Option<NoticeLead>, now: Timestamp) -> Self {
        let issued = mint(&keyring(), &Default::default(), new_token(), &actor(), now).unwrap();
        let mut record = issued.record;
        record.expires_at = now.checked_add(left);
        record.notice_lead = None;
        Self { text: issued.token.expose_secret().to_owned(), record, stage, due }
    }

    /// Returns the SQL statement with which the old version inserts this token. The only parameter
    /// of the statement is the digest.
    fn insert(&self) -> String {
        let values = self.record.to_columns().unwrap();
        let new = ["issuer", "bound", "last_used_address", "last_used_client", "notice_lead", "notice_leases"];
        let old = |name: &str| !new.contains(&name) && !name.starts_with("import_");
        let (mut names, mut texts) = (vec!["name_folded", "notice_stage"], Vec::new());
        texts.push(format!("'{}'", self.record.name.folded()));
        texts.push(format!("'{}'", self.stage));
        for (column, value) in COLUMNS.iter().zip(values).filter(|(column, _)| old(column.name)) {
            names.push(column.name);
            texts.push(match value {
                ColumnValue::Null => "NULL".to_owned(),
                ColumnValue::Text(text) => format!("'{text}'"),
                ColumnValue::Number(number) => number.to_string(),
                ColumnValue::Bytes(_) => "$1".to_owned(),
            });
        }
        format!("INSERT INTO keyfob_tokens ({}) VALUES ({})", names.join(", "), texts.join(", "))
    }
}

fn old(now: Timestamp) -> Vec<Old> {
    let [month, week, day] = NoticeLead::ALL.map(Some);
    let mut old: Vec<_> = [
        (20 * DAY, "none", month),
        (20 * DAY, "month", None),
        (5 * DAY, "none", week),
        (5 * DAY, "month", week),
        (5 * DAY, "week", None),
        (HOUR, "week", day),
        (HOUR, "day", None),
    ]
    .map(|(left, stage, due)| Old::new(left, stage, due, now))
    .into();
    // A process of the old service holds the lease on this token's notice, and stops without
    // sending the notice.
    let mut leased = Old::new(5 * DAY, "none", None, now);
    leased.record.notice_lease_until = now.checked_add(HOUR);
    old.push(leased);
    old
}

/// Checks that an upgraded store has these tokens, and that exactly the right notices are due.
async fn is_as_it_was<S>(store: S, old: &[Old], now: Timestamp)
where
    S: TokenStore + StoreMaintenance,
{
    let clock = FixedClock::new(now);
    let tokens = Tokens::new(keyring(), store).with_clock(clock.clone());
    for old in old {
        let access = project("145");
        let verified = tokens.verify(&old.text, &Access::to(&access, &[])).await.unwrap();
        assert_eq!((verified.key(), verified.expires_at()), (old.record.key(), old.record.expires_at));
        let found = tokens.store().find(&old.record.key()).await.unwrap().unwrap();
        let lead = match old.stage {
            "month" => Some(NoticeLead::MONTH),
            "week" => Some(NoticeLead::WEEK),
            "day" => Some(NoticeLead::DAY),
            _ => None,
        };
        let mut expected = old.record.clone();
        expected.notice_lead = lead;
        assert_eq!(*found, expected);
    }
    let due = |old: &[Old]| {
        let mut due: Vec<(TokenKey, NoticeLead)> =
            old.iter().filter_map(|old| Some((old.record.key(), old.due?))).collect();
        due.sort();
        due
    };
    let claim = async || {
        let claimed = tokens.claim_notices(HOUR, PageSize::MAX).await.unwrap();
        let mut claimed: Vec<_> = claimed.iter().map(|notice| (notice.id.key, notice.id.lead)).collect();
        claimed.sort();
        claimed
    };
    let claimed = tokens.claim_notices(HOUR, PageSize::MAX).await.unwrap();
    let mut found: Vec<_> = claimed.iter().map(|notice| (notice.id.key, notice.id.lead)).collect();
    found.sort();
    assert_eq!(found, due(old));
    for notice in &claimed {
        assert!(tokens.acknowledge_notice(&notice.id).await.unwrap());
    }
    assert_eq!(claim().await, []);
    // The lease from before the upgrade ends one hour after the upgrade.
    clock.advance(HOUR - Duration::from_millis(1));
    assert_eq!(claim().await, []);
    clock.advance(Duration::from_millis(1));
    assert_eq!(claim().await, [(old.last().unwrap().record.key(), NoticeLead::WEEK)]);
    let revoked = tokens.revoke(&actor(), &old[0].record.key(), RevocationReason::default()).await.unwrap();
    assert_eq!(revoked.version, 2);
}

#[tokio::test]
async fn a_sqlite_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.db");
    let now = SystemClock.now();
    let old = old(now);
    let options = SqliteStore::connect_options(&path).create_if_missing(true);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(include_str!("../data/before_0_1_0/sqlite.sql")).execute(&mut connection).await.unwrap();
    for old in &old {
        let digest = old.record.digest.as_bytes().as_slice();
        sqlx::query(AssertSqlSafe(old.insert())).bind(digest).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    // Several processes may run the upgrade at the same time, and may run it again later.
    let (one, other) = tokio::join!(SqliteStore::open(&path), SqliteStore::open(&path));
    let one = one.unwrap();
    one.migrate().await.unwrap();
    one.check_schema().await.unwrap();
    is_as_it_was(other.unwrap(), &old, now).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_postgres_database_plain_and_partitioned() {
    use keyfob::store::postgres::PostgresStore;

    let Some(server) = crate::support::postgres::shared() else { return };
    let plain = include_str!("../data/before_0_1_0/postgres.sql");
    let parts: String = (0..4)
        .map(|part| {
            format!(
                "CREATE TABLE keyfob_tokens_{part} PARTITION OF keyfob_tokens \
                 FOR VALUES WITH (MODULUS 4, REMAINDER {part});\n"
            )
        })
        .collect();
    let partitioned =
        plain.replace("-- PARTITION BY HASH (project)\n;\n", &format!("PARTITION BY HASH (project);\n{parts}"));
    assert_ne!(partitioned, plain);
    for schema in [plain, &partitioned] {
        let url = server.database();
        let now = SystemClock.now();
        let old = old(now);
        let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(schema.to_owned())).execute(&mut connection).await.unwrap();
        for old in &old {
            let digest = old.record.digest.as_bytes().as_slice();
            sqlx::query(AssertSqlSafe(old.insert())).bind(digest).execute(&mut connection).await.unwrap();
        }
        let (one, other) = (PostgresStore::connect(&url).await.unwrap(), PostgresStore::connect(&url).await.unwrap());
        let (first, second) = tokio::join!(one.migrate(), other.migrate());
        first.unwrap();
        second.unwrap();
        one.migrate().await.unwrap();
        one.check_schema().await.unwrap();
        is_as_it_was(other, &old, now).await;
    }
}

/// The old version stores the last notice as a word in the field `ns`, and does not count leases.
/// All other fields are equal in both versions.
#[cfg(feature = "redis")]
#[tokio::test]
async fn a_redis_cluster() {
    let Some(servers) = crate::support::redis::Servers::cluster(0) else { return };
    let store = servers.store().await;
    let now = SystemClock.now();
    let old = old(now);
    for old in &old {
        store.insert(old.record.clone(), None, None).await.unwrap();
        let TokenKey { project, id } = old.record.key();
        let master = servers.master_of(&project);
        let row = format!("keyfob:{{{project}}}:token:{id}");
        servers.ask_node(master, &["HDEL", &row, "no", "nc"]);
        servers.ask_node(master, &["HSET", &row, "ns", old.stage]);
    }
    is_as_it_was(store, &old, now).await;
}
