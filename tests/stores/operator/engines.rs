//! Tests of copies between each two engines, also through the contract of a store.

use std::time::Duration;

use keyfob::{
    Clock, Name, NewToken, OwnerId, Policy, SystemClock, TokenKey, TokenStore, Tokens, mint,
    record::RevocationReason,
    rotation::Rotation,
    store::{DynStore, LastUse, mysql::MysqlStore, redis::RedisStore, sqlite::SqliteStore},
};

use crate::operator::tool::{address::Address, copy::Copied, moving::Move, progress::Progress};
use crate::operator::world::refusal;
use crate::support::{actor, keyring, mariadb, postgres, project, redis};

/// The number of tokens, in three projects.
const TOKENS: usize = 300;

async fn between(from: &Address, to: &Address) -> Move {
    Move::between(from, to, Progress::silent()).await.unwrap()
}

/// Fills a store, and returns the keys of its tokens.
async fn fill(store: &DynStore, tokens: usize) -> Vec<TokenKey> {
    let mut keys = Vec::new();
    for number in 0..tokens {
        let owner = OwnerId::new(&format!("owner {}", number / 5)).unwrap();
        let name = Name::new(&format!("Öffentlich {number}")).unwrap();
        let new = NewToken::new(project(&format!("m{}", number % 3)), owner, name);
        let minted = mint(&keyring(), &Policy::default(), new, &actor(), SystemClock.now()).unwrap();
        keys.push(minted.record.key());
        store.insert(minted.record, None, None).await.unwrap();
    }
    keys
}

/// Changes tokens in every way that users can.
async fn change(tokens: &Tokens<DynStore>, keys: &[TokenKey]) {
    let name = |text: &str| Name::new(text).unwrap();
    for key in &keys[0..3] {
        tokens.rename(&actor(), key, name("first")).await.unwrap();
        tokens.rename(&actor(), key, name("second")).await.unwrap();
    }
    tokens.revoke(&actor(), &keys[1], RevocationReason::KeyCompromise).await.unwrap();
    tokens.revoke(&actor(), &keys[3], RevocationReason::Superseded).await.unwrap();
    tokens.disable(&actor(), &keys[4]).await.unwrap();
    tokens.disable(&actor(), &keys[5]).await.unwrap();
    tokens.enable(&actor(), &keys[5]).await.unwrap();
    let grace = Rotation::with_grace(Duration::from_secs(3600));
    tokens.rotate(&actor(), &keys[6], grace.clone()).await.unwrap();
    let rotated = tokens.rotate(&actor(), &keys[7], Rotation::with_grace(Duration::ZERO)).await.unwrap();
    let successor = rotated.issued.record.key();
    tokens.rename(&actor(), &successor, name("successor")).await.unwrap();
    tokens.rotate(&actor(), &successor, grace.clone()).await.unwrap();
    tokens.rotate(&actor(), &keys[8], grace).await.unwrap();
    tokens.revoke(&actor(), &keys[8], RevocationReason::default()).await.unwrap();
    let used_at = SystemClock.now();
    tokens.store().touch_many(&[LastUse { key: keys[9], used_at, from: None }]).await.unwrap();
    fill(tokens.store(), 10).await;
}

/// Each copy runs twice: tokens change between the two passes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_move_through_every_engine_and_back() {
    let (Some(server), Some(servers)) = (postgres::shared(), redis::Servers::one()) else { return };
    let Some(third) = mariadb::shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| Address::Sqlite(folder.path().join(name));
    let postgres = Address::parse(&server.database()).unwrap();
    let third = third.database();
    let mariadb = Address::parse(&third).unwrap();
    let url = servers.urls().remove(0);
    let redis = Address::parse(&url).unwrap();
    let store = DynStore::new(SqliteStore::open(folder.path().join("first.db")).await.unwrap());
    let keys = fill(&store, TOKENS).await;

    // To Redis, which the tool writes through the contract of a store.
    let mut moving = between(&file("first.db"), &redis).await;
    assert_eq!(moving.plan().await.unwrap().written, TOKENS as u64);
    assert_eq!(moving.copy().await.unwrap().written, TOKENS as u64);
    assert!(moving.compare().await.unwrap().is_equal());
    change(&Tokens::new(keyring(), store), &keys).await;
    let copied = moving.copy().await.unwrap();
    // Ten tokens were changed. Of the 14 new tokens, three are inserted together with the rotation
    // of an old token.
    assert_eq!((copied.written, copied.unequal, copied.kept), (10 + 14 - 3, 0, 0), "{copied}");
    moving.fence().await.unwrap();
    let finished = moving.finish().await.unwrap();
    assert!(finished.compared.is_equal() && finished.copied.written == 0);
    moving.open().await.unwrap();

    // From Redis, which has no fence, to PostgreSQL.
    let store = DynStore::new(RedisStore::connect([url]).await.unwrap());
    let mut moving = between(&redis, &postgres).await;
    let all = moving.copy().await.unwrap();
    assert_eq!(all, Copied { read: all.read, written: all.read, ..Copied::default() });
    let more = fill(&store, 20).await;
    change(&Tokens::new(keyring(), store), &more).await;
    assert!(refusal(moving.fence().await).contains("Redis has no fence"));
    assert!(moving.finish().await.unwrap().compared.is_equal());
    moving.open().await.unwrap();

    // The move holds the lock of PostgreSQL, which the next move needs.
    drop(moving);

    // From PostgreSQL to MariaDB.
    let mut moving = between(&postgres, &mariadb).await;
    let all = moving.copy().await.unwrap();
    assert_eq!(all, Copied { read: all.read, written: all.read, ..Copied::default() });
    moving.fence().await.unwrap();
    assert!(moving.finish().await.unwrap().compared.is_equal());
    let mut whole = Move::to_compare(&redis, &mariadb, Progress::silent()).await.unwrap();
    assert!(whole.compare().await.unwrap().is_equal());
    moving.open().await.unwrap();
    drop(moving);

    // From MariaDB to another SQLite file.
    let store = DynStore::with_imports(MysqlStore::connect(&third).await.unwrap());
    let mut moving = between(&mariadb, &file("second.db")).await;
    moving.copy().await.unwrap();
    let more = fill(&store, 20).await;
    change(&Tokens::new(keyring(), store), &more).await;
    assert!(moving.copy().await.unwrap().written > 0);
    moving.fence().await.unwrap();
    let finished = moving.finish().await.unwrap();
    assert!(finished.compared.is_equal());
    moving.open().await.unwrap();

    // Nothing was lost on the way.
    let mut whole = Move::to_compare(&mariadb, &file("second.db"), Progress::silent()).await.unwrap();
    assert!(whole.compare().await.unwrap().is_equal());
}

#[tokio::test]
async fn imported_tokens_are_not_copied_to_an_engine_without_imports() {
    let Some(servers) = redis::Servers::one() else { return };
    let Some(world) = crate::operator::world::World::of(3).await else { return };
    let redis = Address::parse(&servers.urls().remove(0)).unwrap();
    let refusal = refusal(between(&world.from(), &redis).await.copy().await);
    assert!(refusal.contains("FROM has imported tokens, which Redis cannot hold"), "{refusal}");
    let count = Move::to_compare(&redis, &redis, Progress::silent()).await.unwrap().compare().await.unwrap();
    assert_eq!(count.source.tokens, 0);
}

/// The fence of a SQLite file also refuses writes while the tool writes to the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sqlite_file_takes_no_writes_of_services_during_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["from.db", "to.db"].map(|name| folder.path().join(name));
    let store = DynStore::new(SqliteStore::open(&from).await.unwrap());
    let keys = fill(&store, TOKENS).await;
    let (from, to) = (Address::Sqlite(from), Address::Sqlite(to));
    between(&from, &to).await.copy().await.unwrap();
    let other = Tokens::new(keyring(), SqliteStore::open(folder.path().join("to.db")).await.unwrap());
    let copying = tokio::spawn(async move {
        let tokens = Tokens::new(keyring(), store);
        for (turn, key) in keys.iter().enumerate().take(20) {
            tokens.rename(&actor(), key, Name::new(&format!("turn {turn}")).unwrap()).await.unwrap();
            between(&from, &to).await.copy().await.unwrap();
        }
        keys
    });
    let mut refused = 0;
    while !copying.is_finished() {
        let new = NewToken::new(project("m0"), OwnerId::new("eve").unwrap(), Name::new("early").unwrap());
        other.issue(&actor(), new).await.unwrap_err();
        refused += 1;
    }
    copying.await.unwrap();
    assert!(refused > 0);
}
