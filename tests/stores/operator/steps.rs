//! Tests of the steps of the move. The tests check what each step requires. They also check that
//! the comparison of both sides finds every difference.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keyfob::{
    ErrorKind, Name, NewToken, OwnerId, TokenRecord, TokenStore, Tokens,
    import::{ImportKey, ImportStore},
    record::RevocationReason,
    store::{StoreMaintenance, postgres::PostgresStore},
};
use sqlx::AssertSqlSafe;

use crate::operator::tool::{address::Address, copy::Copied, moving::Move, progress::Progress};
use crate::operator::world::{TOKENS, World, refusal};
use crate::support::{actor, keyring, project};

fn copied(read: usize, written: usize, deleted: usize) -> Copied {
    Copied { read: read as u64, written: written as u64, deleted: deleted as u64, ..Copied::default() }
}

async fn rename(world: &World, place: usize) {
    let tokens = Tokens::new(keyring(), world.store.clone());
    tokens.rename(&actor(), &world.texts[place].1, Name::new("renamed").unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_repeated_copy_writes_only_the_changes() {
    let Some(world) = World::new().await else { return };
    let mut moving = world.moving().await.unwrap();
    assert_eq!(moving.copy().await.unwrap(), copied(TOKENS, TOKENS, 0));
    assert_eq!(moving.copy().await.unwrap(), copied(TOKENS, 0, 0));

    rename(&world, 1234).await;
    let used_at = "2026-11-26T12:00:00Z".parse().unwrap();
    world.store.touch_many(&[keyfob::store::LastUse { key: world.texts[77].1, used_at, from: None }]).await.unwrap();
    let tokens = Tokens::new(keyring(), world.store.clone());
    let (_, purged) = world.texts[5];
    let ended = tokens.revoke(&actor(), &purged, RevocationReason::default()).await.unwrap().revoked.unwrap();
    let later = ended.at.saturating_add(Duration::from_secs(1));
    assert_eq!(world.store.purge(&purged.project, later, keyfob::store::PageSize::MAX).await.unwrap().count, 1);
    assert_eq!(moving.copy().await.unwrap(), copied(TOKENS - 1, 2, 1));

    // PostgreSQL no longer has the import key of the purged token. Each other import key finds the
    // same token on both sides.
    let postgres = world.postgres().await;
    for (place, (_, key)) in world.texts.iter().enumerate().step_by(5) {
        let mut import_key = [0; 32];
        import_key[..8].copy_from_slice(&(place as u64).to_be_bytes());
        let import_key = ImportKey::from_bytes(import_key);
        let (there, here) = (postgres.find_imported(&import_key).await, world.store.find_imported(&import_key).await);
        assert_eq!(there.unwrap(), here.unwrap());
        assert_eq!(postgres.find(key).await.unwrap(), world.store.find(key).await.unwrap());
    }
}

#[tokio::test]
async fn an_interrupted_copy_can_be_continued() {
    let Some(world) = World::new().await else { return };
    let told = Arc::new(AtomicU64::new(0));
    let telling = Arc::clone(&told);
    let tell = move |_: &str, tokens| telling.store(tokens, Ordering::SeqCst);
    let mut moving = Move::between(&world.from(), &world.to(), Progress::observed_by(tell)).await.unwrap();
    let copying = tokio::spawn(async move { moving.copy().await.map(drop) });
    while told.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    copying.abort();
    assert!(copying.await.unwrap_err().is_cancelled(), "the copy ended before it was interrupted");

    // PostgreSQL releases the lock of the interrupted move when it notices that the connection is
    // closed. The next move waits for this.
    let mut moving = world.moving().await.unwrap();
    let copied = moving.copy().await.unwrap();
    assert_eq!(copied.read, TOKENS as u64);
    assert!(copied.written < copied.read, "{copied}");
    moving.fence().await.unwrap();
    assert!(moving.finish().await.unwrap().compared.is_equal());
}

#[tokio::test]
async fn every_column_counts_in_the_comparison() {
    let Some(world) = World::new().await else { return };
    let key = world.full().await;
    let mut moving = world.moving().await.unwrap();
    moving.copy().await.unwrap();
    moving.fence().await.unwrap();
    let equal = moving.finish().await.unwrap().compared;
    assert!(equal.is_equal());
    assert_eq!(equal.source, equal.target);
    assert_eq!((equal.source.tokens, equal.projects), (TOKENS as u64 + 3, 7));
    assert_eq!(equal.source.imports, TOKENS as u64 + 1);

    let mut privileged = world.privileged().await;
    let names = "SELECT column_name::text, data_type::text FROM information_schema.columns \
         WHERE table_name = 'keyfob_tokens'";
    let columns: Vec<(String, String)> = sqlx::query_as(names).fetch_all(&mut privileged).await.unwrap();
    assert_eq!(columns.len(), TokenRecord::COLUMNS + 1);
    for (column, kind) in columns {
        let change = match kind.as_str() {
            "text" => format!(
                "translate({column}, 'abcdefghijklmnopqrstuvwxyz0123456789', 'bcdefghijklmnopqrstuvwxyza1234567890')"
            ),
            "bigint" if column == "bound" => format!("1 - {column}"),
            "bigint" => format!("{column} + 1"),
            _ => format!("set_byte({column}, 0, 255 - get_byte({column}, 0))"),
        };
        let sql = format!("UPDATE keyfob_tokens SET {column} = {change} WHERE project = $1 AND id = $2");
        // Each change is undone before the next change, with the connection that may write during
        // the move.
        let other = sqlx::query(AssertSqlSafe(format!(
            "CREATE TABLE kept AS SELECT * FROM keyfob_tokens WHERE id = '{}'",
            key.id
        )));
        other.execute(&mut privileged).await.unwrap();
        let changed = sqlx::query(AssertSqlSafe(sql)).bind(key.project.as_str()).bind(key.id.as_str());
        assert_eq!(changed.execute(&mut privileged).await.unwrap().rows_affected(), 1, "{column}");
        let seen = moving.compare().await.unwrap();
        assert!(!seen.is_equal(), "{column}");
        assert_ne!(seen.source.digest(), seen.target.digest(), "{column}");
        // If the project or the id is changed, PostgreSQL has one record too many and lacks
        // another, so two records differ.
        let moved = ["project", "id"].contains(&column.as_str());
        assert_eq!(seen.differing, if moved { 2 } else { 1 }, "{column}");
        assert_eq!(seen.uneven, if column == "project" { 2 } else { 1 }, "{column}");
        let back = "DELETE FROM keyfob_tokens AS token USING kept \
                WHERE token.digest = kept.digest OR (token.project, token.id) = (kept.project, kept.id); \
             INSERT INTO keyfob_tokens SELECT * FROM kept; DROP TABLE kept";
        sqlx::raw_sql(back).execute(&mut privileged).await.unwrap();
    }
    assert!(moving.compare().await.unwrap().is_equal());

    for damage in [
        "DELETE FROM keyfob_imports WHERE import_key = decode(repeat('ff', 32), 'hex')",
        "INSERT INTO keyfob_imports VALUES (decode(repeat('fe', 32), 'hex'), 'p0', 'nobody')",
    ] {
        sqlx::query(damage).execute(&mut privileged).await.unwrap();
        let seen = moving.compare().await.unwrap();
        assert!(!seen.is_equal(), "{damage}");
        assert_ne!(seen.source.imports, seen.target.imports, "{damage}");
        // The comparison must find the difference, and the move must also refuse to open
        // PostgreSQL.
        moving.fence().await.unwrap();
        if damage.starts_with("INSERT") {
            assert!(refusal(moving.finish().await).contains("the two stores differ"));
            assert_eq!(refusal(moving.open().await), "the move is not finished (run finish)");
        } else {
            assert_eq!(moving.finish().await.unwrap().copied, copied(TOKENS + 3, 1, 0));
        }
    }
}

#[tokio::test]
async fn a_copy_accepts_no_writes() {
    let Some(world) = World::new().await else { return };
    let mut moving = world.moving().await.unwrap();
    moving.copy().await.unwrap();
    let tokens = Tokens::new(keyring(), world.postgres().await);
    let (_, key) = world.texts[0];
    let error = tokens.revoke(&actor(), &key, RevocationReason::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let new = NewToken::new(project("p0"), OwnerId::new("ada").unwrap(), Name::new("early").unwrap());
    assert!(tokens.issue(&actor(), new).await.is_err());
    assert_eq!(tokens.flush_usage().await.unwrap(), 0);
    assert_eq!(moving.copy().await.unwrap(), copied(TOKENS, 0, 0));
}

#[tokio::test]
async fn each_step_requires_the_one_before() {
    let Some(world) = World::new().await else { return };
    let mut moving = world.moving().await.unwrap();
    for outcome in [moving.fence().await, moving.open().await, moving.reopen().await] {
        assert_eq!(refusal(outcome), "TO holds no copy of FROM (copy it first)");
    }
    moving.copy().await.unwrap();
    assert_eq!(refusal(moving.finish().await), "FROM still takes writes (fence it with finish)");
    assert_eq!(refusal(moving.open().await), "the move is not finished (run finish)");
    rename(&world, 3).await;

    moving.fence().await.unwrap();
    assert_eq!(refusal(moving.open().await), "the move is not finished (run finish)");
    assert_eq!(moving.finish().await.unwrap().copied, copied(TOKENS, 1, 0));

    // After the file is reopened, it accepts writes again. It must be fenced a second time, and
    // `finish` must copy the new writes. Until then, the move refuses to open PostgreSQL.
    moving.reopen().await.unwrap();
    rename(&world, 4).await;
    assert_eq!(refusal(moving.open().await), "the move is not finished (run finish)");
    moving.fence().await.unwrap();
    assert_eq!(refusal(moving.open().await), "the move is not finished (run finish)");
    assert_eq!(moving.finish().await.unwrap().copied, copied(TOKENS, 1, 0));
    assert_eq!(moving.finish().await.unwrap().copied, copied(TOKENS, 0, 0));

    moving.open().await.unwrap();
    let tokens = Tokens::new(keyring(), world.postgres().await);
    tokens.revoke(&actor(), &world.texts[4].1, RevocationReason::default()).await.unwrap();
    let open = "TO is open: services may have written to it";
    assert_eq!(refusal(moving.reopen().await), open);
    assert_eq!(refusal(moving.open().await), open);
    assert_eq!(refusal(moving.copy().await), "TO is in use: it holds tokens that are not a copy of FROM");
    let left: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relname LIKE 'keyfob_copy%' \
         UNION SELECT tgname FROM pg_trigger WHERE tgname LIKE 'keyfob_fence%'",
    )
    .fetch_all(tokens.store().pool())
    .await
    .unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_database_or_a_file_that_is_not_its_own_is_left_alone() {
    let Some(world) = World::new().await else { return };
    // Case 1: services already use the database.
    let postgres = world.postgres().await;
    postgres.migrate().await.unwrap();
    let tokens = Tokens::new(keyring(), postgres.clone());
    let new = NewToken::new(project("p0"), OwnerId::new("ada").unwrap(), Name::new("there").unwrap());
    tokens.issue(&actor(), new).await.unwrap();
    let mut moving = world.moving().await.unwrap();
    assert_eq!(refusal(moving.copy().await), "TO is in use: it holds tokens that are not a copy of FROM");
    assert_eq!(
        refusal(world.moving().await),
        "another copy from or to this store is under way (wait until it has ended)"
    );
    drop(moving);

    // Case 2: the database contains the copy of another file.
    let Some(other) = World::new().await else { return };
    let mut moving = other.moving().await.unwrap();
    moving.copy().await.unwrap();
    drop(moving);
    let mut moving = Move::between(&world.from(), &other.to(), Progress::silent()).await.unwrap();
    assert_eq!(refusal(moving.copy().await), "TO holds a copy of another store than FROM");
    drop(moving);

    // Case 3: the file has a column that this version does not know.
    sqlx::query("ALTER TABLE keyfob_tokens ADD COLUMN more TEXT").execute(world.store.pool()).await.unwrap();
    assert!(refusal(world.moving().await).contains("other columns"));
    // Case 4: the file does not exist. The move must not create it.
    let nowhere = world.file().with_file_name("nowhere.db");
    refusal(Move::between(&Address::Sqlite(nowhere.clone()), &other.to(), Progress::silent()).await);
    assert!(!nowhere.exists());
}

/// If a file was restored from a back-up, the file can lack changes that PostgreSQL has from an
/// earlier copy.
#[tokio::test]
async fn a_file_from_a_back_up_replaces_no_later_state() {
    let Some(world) = World::new().await else { return };
    let mut moving = world.moving().await.unwrap();
    moving.copy().await.unwrap();
    let back_up = world.copy_of_file().await;
    rename(&world, 2000).await;
    let tokens = Tokens::new(keyring(), world.store.clone());
    tokens.revoke(&actor(), &world.texts[1].1, RevocationReason::default()).await.unwrap();
    moving.copy().await.unwrap();
    let before = moving.compare().await.unwrap().target;
    drop(moving);

    let mut moving = Move::between(&Address::Sqlite(back_up), &world.to(), Progress::silent()).await.unwrap();
    let refusal = refusal(moving.copy().await);
    assert!(refusal.contains("a later state of 2 tokens"), "{refusal}");
    assert_eq!(moving.compare().await.unwrap().target, before, "nothing was written");
}

#[tokio::test]
async fn tokens_move_into_partitions_too() {
    let Some(world) = World::new().await else { return };
    let postgres = world.postgres().await;
    let migration = PostgresStore::partitioned_migration(NonZeroU16::new(4).unwrap());
    sqlx::raw_sql(AssertSqlSafe(migration)).execute(postgres.pool()).await.unwrap();
    let mut moving = world.moving().await.unwrap();
    moving.copy().await.unwrap();
    rename(&world, 9).await;
    moving.fence().await.unwrap();
    assert_eq!(moving.finish().await.unwrap().copied, copied(TOKENS, 1, 0));
    let error = Tokens::new(keyring(), postgres.clone())
        .revoke(&actor(), &world.texts[0].1, RevocationReason::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    moving.open().await.unwrap();
    let (key, revoked) = (world.texts[0].1, RevocationReason::default());
    Tokens::new(keyring(), postgres).revoke(&actor(), &key, revoked).await.unwrap();
}
