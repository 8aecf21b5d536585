//! Tests of the query plans that SQLite chooses for lists, counts, inserts and notices.

use sqlx::{Row, Sqlite, SqlitePool};

use super::handle::SqliteStore;
use crate::adapters::sql::SQLITE;
use crate::adapters::sql::projects::{EXAMINED, projects, scan};
use crate::adapters::sql::query::{NEVER, and_due, and_ends_after, and_project, count, ended_issuers, list};
use crate::adapters::sql::row;
use crate::adapters::sql::statement::Statement;
use crate::adapters::sql::write::and_limit;
use crate::rules::issuer::Issuer;
use crate::rules::mint::mint;
use crate::rules::new_token::NewToken;
use crate::rules::notice_lead::NoticeLead;
use crate::rules::policy::Policy;
use crate::rules::precondition::LiveLimit;
use crate::rules::record::{Disabled, Revocation, RevocationReason, TokenRecord};
use crate::rules::status::Status;
use crate::store::cursor::{Cursor, Expiry, SortKey};
use crate::store::maintenance::{ProjectsQuery, ProjectsWith};
use crate::store::order::ListOrder;
use crate::store::query::{CountQuery, ListQuery, PageSize, StatusFilter, StatusGroup};
use crate::words::folded::FoldedName;
use crate::words::ids::{KeyNumber, Prefix, ProjectId, TokenId, TokenKey};
use crate::words::keyring::Keyring;
use crate::words::text::{Actor, Name, OwnerId};
use crate::words::timestamp::Timestamp;

#[test]
fn never_is_what_the_schema_says() {
    assert!(SqliteStore::MIGRATIONS[0].sql.contains(&format!("coalesce(expires_at, {NEVER})")));
    for column in ["grace_until", "confirm_by", "expires_at"] {
        assert!(SQLITE.ends.contains(&format!("coalesce({column}, {NEVER})")));
    }
}

/// Returns the query plan that SQLite reports, as one line.
async fn plan(database: &SqlitePool, sql: Statement) -> String {
    let steps = sql.before("EXPLAIN QUERY PLAN ").query::<Sqlite>().fetch_all(database).await.unwrap();
    steps.iter().map(|step| step.get::<String, _>("detail")).collect::<Vec<_>>().join("; ")
}

async fn migrated() -> SqlitePool {
    let database = SqlitePool::connect("sqlite::memory:").await.unwrap();
    for migration in SqliteStore::MIGRATIONS {
        sqlx::raw_sql(migration.sql).execute(&database).await.unwrap();
    }
    database
}

/// Returns a cursor for each sort key of a list. The second value of each tuple is the last word in
/// the name of the index for this sort key. The third value names the columns that the query plan
/// compares.
fn places() -> [(Cursor, &'static str, &'static str); 4] {
    let id = TokenId::new("1abcdefghijklmno").unwrap();
    let time = Timestamp::UNIX_EPOCH;
    [
        (Cursor { key: SortKey::Created(time), id }, "created", "(created_at,id)"),
        (Cursor { key: SortKey::Name(FoldedName::new("ci").unwrap()), id }, "name", "(name_folded,id)"),
        (Cursor { key: SortKey::Expires(Expiry::At(time)), id }, "expires", "(expires_order,id)"),
        (Cursor { key: SortKey::Expires(Expiry::Never), id }, "expires", "(expires_order,id)"),
    ]
}

#[tokio::test]
async fn lists_walk_along_an_index_from_the_cursor_on() {
    let database = migrated().await;
    let project = ProjectId::new("145").unwrap();
    let time = Timestamp::UNIX_EPOCH;
    for (place, index, range) in places() {
        for descending in [false, true] {
            let query = ListQuery { order: place.key.order(), descending, ..ListQuery::new(project) };
            let first = plan(&database, list(&SQLITE, &query, None)).await;
            assert_eq!(first, format!("SEARCH keyfob_tokens USING INDEX keyfob_tokens_{index} (project=?)"));
            let next = plan(&database, list(&SQLITE, &query, Some(&place))).await;
            let sign = if descending { '<' } else { '>' };
            assert!(next.contains(&format!("keyfob_tokens_{index} (project=? AND {range}{sign}")), "{next}");
            assert!(!next.contains("TEMP B-TREE"), "{next}");
        }
    }
    let key_number = Some(KeyNumber::FIRST);
    let of_key = plan(&database, count(&CountQuery { key_number, ..CountQuery::new(project) })).await;
    assert!(of_key.contains("(project=? AND id>? AND id<?)"), "{of_key}");
    let mut due = Statement::new("SELECT id FROM keyfob_tokens WHERE ");
    and_project(&mut due, &project);
    and_due(&SQLITE, &mut due, &NoticeLead::ALL, time);
    let due = plan(&database, due).await;
    assert!(due.contains("keyfob_tokens_expires (project=? AND expires_order>? AND expires_order<?)"), "{due}");
}

/// An insert with a limit counts the live tokens of the owner. Its cost does not depend on how many
/// tokens of the owner have ended.
#[tokio::test]
async fn a_limited_insert_counts_along_the_index_of_those_that_have_not_ended() {
    let database = migrated().await;
    let record = record();
    let mut limited = row::insert(&record, None).unwrap();
    and_limit(&SQLITE, &mut limited, &record, LiveLimit { most: 50, now: Timestamp::UNIX_EPOCH });
    let limited = plan(&database, limited).await;
    let walk = "SEARCH keyfob_tokens USING INDEX keyfob_tokens_owner_ends (owner=? AND project=? AND <expr>>?)";
    assert!(limited.contains(walk), "{limited}");
}

/// The query for ended issuers finds the bound tokens of a project in an index. So its cost does
/// not depend on the number of other tokens.
#[tokio::test]
async fn ended_issuers_are_found_along_the_index_of_bound_tokens() {
    let database = migrated().await;
    let project = ProjectId::new("145").unwrap();
    let ended = ended_issuers(&SQLITE, &project, Timestamp::UNIX_EPOCH, PageSize::MAX);
    let ended = plan(&database, ended).await;
    assert!(ended.contains("SEARCH keyfob_tokens USING INDEX keyfob_tokens_bound_ends (project=?)"), "{ended}");
    assert!(ended.contains("SEARCH keyfob_tokens USING INDEX sqlite_autoindex_keyfob_tokens_1"), "{ended}");
    assert!(!ended.contains("SCAN keyfob_tokens"), "{ended}");
}

/// No query for projects with work reads a row of each project.
#[tokio::test]
async fn projects_with_work_are_found_along_an_index() {
    let database = migrated().await;
    let at = Timestamp::UNIX_EPOCH;
    let of = async |work| {
        let query = ProjectsQuery { with: Some(work), ..ProjectsQuery::default() };
        plan(&database, projects(&SQLITE, &query)).await
    };
    let ended = of(ProjectsWith::EndedBefore(at)).await;
    assert!(ended.starts_with("SEARCH keyfob_tokens USING COVERING INDEX keyfob_tokens_ended (<expr><?)"), "{ended}");
    let due = of(ProjectsWith::DueNotices { leads: NoticeLead::ALL.to_vec(), now: at }).await;
    for range in ["(<expr>=? AND expires_at>? AND expires_at<?)", "(<expr>>? AND <expr><?)"] {
        let search = format!("SEARCH keyfob_tokens USING INDEX keyfob_tokens_notices {range}");
        assert_eq!(due.matches(&search).count(), NoticeLead::ALL.len(), "{due}");
    }
    assert!(!due.contains("SCAN keyfob_tokens USING"), "{due}");
    let issuers = of(ProjectsWith::EndedIssuers(at)).await;
    assert!(issuers.contains("SEARCH keyfob_tokens USING INDEX keyfob_tokens_bound_ends (project>?)"), "{issuers}");
    let by_key = "sqlite_autoindex_keyfob_tokens_1";
    assert!(issuers.contains(&format!("USING INDEX {by_key} (project=? AND id>? AND id<?)")), "{issuers}");
    let of_key = of(ProjectsWith::KeyNumber(KeyNumber::FIRST)).await;
    assert!(of_key.contains(&format!("USING COVERING INDEX {by_key} (project>?)")), "{of_key}");
    let after = TokenKey { project: ProjectId::new("145").unwrap(), id: record().id };
    let scan = plan(&database, scan(&SQLITE, Some(after), PageSize::MAX)).await;
    assert_eq!(scan, format!("SEARCH keyfob_tokens USING INDEX {by_key} ((project,id)>(?,?))"));
}

/// Each of these queries examines a limited number of rows. So the project of the last examined row
/// is in the result, even if it has no work.
#[tokio::test]
async fn a_query_that_stops_early_returns_the_project_at_which_it_stopped() {
    let database = migrated().await;
    let at = Timestamp::UNIX_EPOCH;
    // SQLite makes copies of a row faster than sqlx could insert them.
    let mut one = record();
    one.issuer = Some(Issuer { id: TokenId::new("1abcdefghijklmno").unwrap(), bound: true });
    row::insert(&one, None).unwrap().query::<Sqlite>().execute(&database).await.unwrap();
    let issuer = TokenRecord { id: TokenId::new("1abcdefghijklmno").unwrap(), ..record() };
    row::insert(&issuer, None).unwrap().query::<Sqlite>().execute(&database).await.unwrap();
    let columns = "prefix, digest, name, name_folded, owner, kind, scopes, metadata, addresses, created_at, \
         created_by, family, notice_leases, version";
    let copies = format!(
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {EXAMINED}) \
         INSERT INTO keyfob_tokens ({columns}, project, id, issuer, bound) \
         SELECT {columns}, project, printf('1%015d', n), issuer, bound FROM keyfob_tokens, number WHERE bound = 1"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(copies)).execute(&database).await.unwrap();
    let found = async |work, after| {
        let query = ProjectsQuery { with: Some(work), after, ..ProjectsQuery::default() };
        let rows = projects(&SQLITE, &query).query::<Sqlite>().fetch_all(&database).await.unwrap();
        rows.iter().map(|row| row::project(row).unwrap()).collect::<Vec<_>>()
    };
    for work in [ProjectsWith::EndedIssuers(at), ProjectsWith::KeyNumber(KeyNumber::new(2).unwrap())] {
        assert_eq!(found(work.clone(), None).await, [record().project], "{work:?}");
        assert_eq!(found(work.clone(), Some(record().project)).await, [], "{work:?}");
    }
    sqlx::raw_sql("DELETE FROM keyfob_tokens WHERE id >= '1000000000000001' AND id < '1a'")
        .execute(&database)
        .await
        .unwrap();
    for work in [ProjectsWith::EndedIssuers(at), ProjectsWith::KeyNumber(KeyNumber::new(2).unwrap())] {
        assert_eq!(found(work.clone(), None).await, [], "{work:?}");
    }
}

/// Compares the SQL condition with `Status::is_live`, for records whose times are just before, at
/// and just after now.
#[tokio::test]
async fn what_ends_after_now_is_what_is_live_now() {
    let database = migrated().await;
    let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
    let ms = core::time::Duration::from_millis(1);
    let times = [None, Some(now.saturating_sub(ms)), Some(now), Some(now.saturating_add(ms))];
    let by = || Actor::new("ada").unwrap();
    let mut live = Vec::new();
    for number in 0..4 * 4 * 4 * 8 {
        let mut record = record();
        record.id = TokenId::new(&format!("1{number:015}")).unwrap();
        (record.grace_until, record.confirm_by) = (times[number % 4], times[number / 4 % 4]);
        record.expires_at = times[number / 16 % 4];
        let flags = number / 64;
        record.not_before = (flags & 1 != 0).then_some(Timestamp::MAX);
        record.disabled = (flags & 2 != 0).then(|| Disabled { at: now, by: by() });
        let reason = RevocationReason::KeyCompromise;
        record.revoked = (flags & 4 != 0).then(|| Revocation { at: now, by: by(), reason });
        if record.status(now).is_live() {
            live.push(record.id.as_str().to_owned());
        }
        row::insert(&record, None).unwrap().query::<Sqlite>().execute(&database).await.unwrap();
    }
    let mut sql = Statement::new("SELECT id FROM keyfob_tokens WHERE ");
    and_project(&mut sql, &record().project);
    and_ends_after(&SQLITE, &mut sql, now);
    sql.push(" ORDER BY id");
    let found = sql.query::<Sqlite>().fetch_all(&database).await.unwrap();
    let found: Vec<String> = found.iter().map(|row| row.get(0)).collect();
    assert_eq!(found, live);
}

fn record() -> TokenRecord {
    let keyring = Keyring::unkeyed(Prefix::new("acme_pat").unwrap());
    let (project, owner) = (ProjectId::new("145").unwrap(), OwnerId::new("ada").unwrap());
    let new = NewToken::new(project, owner, Name::new("CI").unwrap());
    mint(&keyring, &Policy::default(), new, &Actor::new("ada").unwrap(), Timestamp::UNIX_EPOCH).unwrap().record
}

/// No query plan sorts, and none reads the tokens of other owners.
#[tokio::test]
async fn an_owners_lists_walk_along_the_owners_index() {
    let database = migrated().await;
    let project = ProjectId::new("145").unwrap();
    let owner = Some(OwnerId::new("ada").unwrap());
    let lives = [
        StatusGroup::Live,
        StatusGroup::Ended,
        StatusGroup::Only(Status::Revoked),
        StatusGroup::Except(Status::Revoked),
    ];
    let at = Timestamp::UNIX_EPOCH;
    for status in lives.map(|life| Some(StatusFilter { group: life, at })).into_iter().chain([None]) {
        for (place, index, range) in places() {
            let walk = format!("SEARCH keyfob_tokens USING INDEX keyfob_tokens_owner_{index} (owner=? AND project=?");
            for (search, descending) in [(None, false), (None, true), (Some("ci"), false), (Some("ci"), true)] {
                let (owner, order) = (owner.clone(), place.key.order());
                let name_contains = search.map(|part| FoldedName::new(part).unwrap());
                let query = ListQuery { owner, status, name_contains, order, descending, ..ListQuery::new(project) };
                assert_eq!(plan(&database, list(&SQLITE, &query, None)).await, format!("{walk})"), "{query:?}");
                let sign = if descending { '<' } else { '>' };
                let next = plan(&database, list(&SQLITE, &query, Some(&place))).await;
                assert_eq!(next, format!("{walk} AND {range}{sign}(?,?))"), "{query:?}");
            }
        }
    }
}

/// The index alone decides which rows match, so only the rows of the page are read from the table.
#[tokio::test]
async fn an_owners_search_reads_no_row_in_vain() {
    let database = migrated().await;
    let project = ProjectId::new("145").unwrap();
    let owner = Some(OwnerId::new("ada").unwrap());
    let status = Some(StatusFilter { group: StatusGroup::Except(Status::Revoked), at: Timestamp::UNIX_EPOCH });
    for order in ListOrder::ALL.iter().copied() {
        let (owner, name_contains) = (owner.clone(), Some(FoldedName::new("ci").unwrap()));
        let query = ListQuery { owner, status, name_contains, order, ..ListQuery::new(project) };
        // The plan does not say "COVERING INDEX", because the page needs whole rows. The byte code
        // shows the point at which SQLite reads the table.
        let code = list(&SQLITE, &query, None).before("EXPLAIN ");
        let code = code.query::<Sqlite>().fetch_all(&database).await.unwrap();
        let code: Vec<(String, i64, i64)> =
            code.iter().map(|step| (step.get("opcode"), step.get("p1"), step.get("p3"))).collect();
        let table = code.iter().find(|(name, ..)| name == "DeferredSeek").unwrap().2;
        let read = code.iter().position(|(name, from, _)| name == "Column" && *from == table).unwrap();
        for decides in ["Function", "NotNull"] {
            let decided = code.iter().rposition(|(name, ..)| name == decides).unwrap();
            assert!(decided < read, "{order}: {code:?}");
        }
    }
    let total = plan(&database, count(&CountQuery { owner, status, ..CountQuery::new(project) })).await;
    assert!(total.contains("USING COVERING INDEX keyfob_tokens_owner_"), "{total}");
}
