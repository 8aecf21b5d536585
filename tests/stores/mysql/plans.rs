//! Tests that each call reads only a few more rows and index entries than it returns or changes.
//! Then its cost does not depend on how many other tokens there are. MariaDB counts what it reads,
//! for each connection.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Policy, TokenRecord, TokenStore, mint,
    record::{Revocation, RevocationReason},
    store::{
        COLUMNS, Cursor, LastUse, ListOrder, ListQuery, LiveLimit, PageSize, ProjectsQuery, ProjectsWith, StoreError,
        StoreMaintenance, mysql::MysqlStore,
    },
};
use sqlx::AssertSqlSafe;
use sqlx::mysql::MySqlPoolOptions;

use crate::support::mariadb::{Server, shared};
use crate::support::{actor, keyring, new_token, now, project};

/// The number of live tokens of the owner in the project.
const LIVE: u64 = 20;
/// The number of revoked tokens of the owner in the project.
const REVOKED: u64 = 1_000;
/// The number of live tokens of another owner in the project.
const OTHERS: u64 = 2_000;
/// The number of other projects, which have one live token each.
const PROJECTS: u64 = 1_000;
/// The number of rows on a page.
const PAGE: u64 = 50;
/// The number of rows and index entries that a call may read beside those that it needs. Among them
/// are the row of the turn and the end of each range.
const MORE: u64 = 10;

/// A store with one connection, and a live token of the owner.
struct Shop {
    _server: Arc<Server>,
    store: MysqlStore,
    token: TokenRecord,
}

impl Shop {
    async fn new() -> Option<Self> {
        let server = shared()?;
        let pool = MySqlPoolOptions::new().max_connections(1).connect(&server.database()).await.unwrap();
        let store = MysqlStore::from_pool(pool).await.unwrap();
        store.migrate().await.unwrap();
        let token = mint(&keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap().record;
        store.insert(token.clone(), None, None).await.unwrap();
        let shop = Self { _server: server, store, token };
        shop.add('a', LIVE - 1, &[]).await;
        let revoked = [("revoked_at", "created_at"), ("revoked_by", "'ada'"), ("revoked_reason", "'superseded'")];
        shop.add('b', REVOKED, &revoked).await;
        shop.add('c', OTHERS, &[("owner", "'bob'")]).await;
        shop.add('d', PROJECTS, &[("owner", "'bob'"), ("project", "concat('x', seq)")]).await;
        sqlx::raw_sql("ANALYZE TABLE keyfob_tokens").execute(shop.store.pool()).await.unwrap();
        Some(shop)
    }

    /// Copies the token. The copies have other ids, names and times, and the given values.
    async fn add(&self, kind: char, count: u64, values: &[(&str, &str)]) {
        let id = format!("concat('1{kind}', lpad(seq, 14, '0'))");
        let value = |column: &'static str| match column {
            "id" | "family" => id.clone(),
            "name" | "name_folded" => "concat('ci ', seq)".to_owned(),
            "created_at" | "expires_at" => format!("{column} + seq"),
            _ => values.iter().find(|(name, _)| *name == column).map_or(column, |(_, value)| value).to_owned(),
        };
        let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).chain(["name_folded"]).collect();
        let values: Vec<String> = names.iter().copied().map(value).collect();
        let sql = format!(
            "INSERT INTO keyfob_tokens ({}) SELECT {} FROM keyfob_tokens, seq_1_to_{count} WHERE id = '{}'",
            names.join(", "),
            values.join(", "),
            self.token.id
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.store.pool()).await.unwrap();
    }

    async fn reads(&self) -> u64 {
        const READS: &str = "SELECT cast(sum(variable_value) AS signed) FROM information_schema.session_status \
             WHERE variable_name LIKE 'HANDLER_READ%'";
        let reads: i64 = sqlx::query_scalar(READS).fetch_one(self.store.pool()).await.unwrap();
        reads as u64
    }

    /// Runs a call. Returns its result, and the number of rows and index entries that it reads.
    async fn reads_of<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> (T, u64) {
        // The query for the number reads rows too, always the same number.
        let own = self.reads().await;
        let before = self.reads().await;
        let outcome = call.await.unwrap();
        (outcome, self.reads().await - before - (before - own))
    }

    /// Runs a call. Asserts that it reads at most [`MORE`] rows and index entries beside `needed`.
    async fn reads_at_most<T>(&self, what: &str, needed: u64, call: impl Future<Output = Result<T, StoreError>>) -> T {
        let (outcome, read) = self.reads_of(call).await;
        println!("{what}: {read} reads for {needed}");
        assert!(read <= needed + MORE, "{what}: {read} reads for {needed}");
        outcome
    }
}

#[tokio::test]
async fn reads_of_one_token_use_its_key() {
    let Some(shop) = Shop::new().await else { return };
    let (store, token) = (&shop.store, &shop.token);
    assert_eq!(shop.reads_of(store.find(&token.key())).await.1, 1);
    assert_eq!(shop.reads_of(store.find_recent_chain(&token.key())).await.1, 1, "it is bound to none");
}

#[tokio::test]
async fn a_page_of_a_list_is_read_along_an_index() {
    let Some(shop) = Shop::new().await else { return };
    for order in ListOrder::ALL.iter().copied() {
        for descending in [false, true] {
            let most = PageSize::clamped(PAGE as usize);
            for owner in [None, Some(shop.token.owner.clone())] {
                let what = format!("of {owner:?} by {order}, descending {descending}");
                let query = ListQuery { owner, order, descending, most, ..ListQuery::new(project("145")) };
                let page = shop.reads_at_most(&what, PAGE, shop.store.list(&query)).await;
                let after = page.items.last().map(|last| Cursor::of(last, order));
                let page = shop.reads_at_most(&what, PAGE, shop.store.list(&ListQuery { after, ..query })).await;
                assert_eq!(page.items.len() as u64, PAGE);
            }
        }
    }
}

#[tokio::test]
async fn a_limited_insert_counts_only_tokens_that_have_not_ended() {
    let Some(shop) = Shop::new().await else { return };
    let new = || mint(&keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap().record;
    let limit = |most| Some(LiveLimit { most, now: now() });
    shop.store.insert(new(), limit(100), None).await.unwrap();
    // The store counts twice: without the turn and with it. Each count reads the index, and then
    // the list of what it found there.
    let insert = shop.store.insert(new(), limit(100), None);
    shop.reads_at_most("insert", 4 * (LIVE + 2), insert).await;
}

#[tokio::test]
async fn changes_read_only_the_rows_that_they_change() {
    let Some(shop) = Shop::new().await else { return };
    let (store, token) = (&shop.store, &shop.token);
    let revocation = Revocation { at: now(), by: actor(), reason: RevocationReason::KeyCompromise };
    let touch = [LastUse { key: token.key(), used_at: now().saturating_add(Duration::from_secs(60)), from: None }];
    assert_eq!(shop.reads_at_most("touch_many", 1, store.touch_many(&touch)).await, 1);
    shop.reads_at_most("revoke", 2, store.revoke(&token.key(), &revocation)).await;
    // The ids are read from the index, and each row by its key. The last step finds no more tokens.
    let revoke = store.revoke_owner(&token.project, &token.owner, &revocation);
    assert_eq!(shop.reads_at_most("revoke_owner", 3 * LIVE, revoke).await, LIVE - 1);
    assert_eq!(shop.reads_at_most("again", 0, store.revoke_owner(&token.project, &token.owner, &revocation)).await, 0);
    let family = store.revoke_family(&token.project, &token.id, &revocation);
    assert_eq!(shop.reads_at_most("revoke_family", 0, family).await, 0);
}

#[tokio::test]
async fn a_search_for_ended_tokens_or_issuers_reads_no_other_token() {
    let Some(shop) = Shop::new().await else { return };
    let early = now().saturating_sub(Duration::from_secs(1));
    for with in [ProjectsWith::EndedBefore(early), ProjectsWith::EndedIssuers(now())] {
        let what = format!("{with:?}");
        let query = ProjectsQuery { with: Some(with), ..ProjectsQuery::default() };
        assert!(shop.reads_at_most(&what, 0, shop.store.projects(&query)).await.is_empty());
    }
}
