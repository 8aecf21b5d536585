//! The SQL of lists, counts and groups: what [`ListQuery::matches`], [`CountQuery::matches`] and
//! [`RevokeGroup::contains`] say, and the order of [`Cursor::compare`](crate::Cursor::compare).

use sqlx::{QueryBuilder, Sqlite};

use super::row::columns;
use crate::rules::status::{NoticeStage, Status};
use crate::service::cursor::{Cursor, Expiry, SortKey};
use crate::service::query::{CountQuery, ListOrder, ListQuery, StatusFilter};
use crate::service::store::RevokeGroup;
use crate::words::ids::{KeyNumber, ProjectId};
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// Never, as it sorts in `expires_order`: one millisecond behind the last time there is.
const NEVER: i64 = Timestamp::MAX.as_unix_millis() + 1;

/// One row more than the page, to know whether there is one.
pub(super) fn list(query: &ListQuery, after: Option<&Cursor>) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new(concat!("SELECT ", columns!(), " FROM keyfob_tokens WHERE "));
    and_project(&mut sql, &query.project);
    and_owner(&mut sql, query.owner.as_ref());
    and_status(&mut sql, query.status);
    if !query.name_contains.is_empty() {
        sql.push(" AND instr(name_folded, ").push_bind(query.folded_name()).push(") > 0");
    }
    if let Some(time) = query.expires_before {
        sql.push(" AND expires_order < ").push_bind(time.as_unix_millis());
    }
    if let Some(time) = query.last_used_before {
        sql.push(" AND coalesce(last_used_at, created_at) < ").push_bind(time.as_unix_millis());
    }
    let (column, direction) = (sort_column(query.order), if query.descending { " DESC" } else { "" });
    if let Some(cursor) = after {
        sql.push(" AND (").push(column).push(", id) ").push(if query.descending { "<" } else { ">" }).push(" (");
        match &cursor.key {
            SortKey::Created(time) | SortKey::Expires(Expiry::At(time)) => sql.push_bind(time.as_unix_millis()),
            SortKey::Expires(Expiry::Never) => sql.push_bind(NEVER),
            SortKey::Name(name) => sql.push_bind(name.as_str()),
        };
        sql.push(", ").push_bind(cursor.id.as_str()).push(")");
    }
    sql.push(" ORDER BY ").push(column).push(direction).push(", id").push(direction);
    sql.push(" LIMIT ").push_bind(query.most.get() as i64 + 1);
    sql
}

fn sort_column(order: ListOrder) -> &'static str {
    match order {
        ListOrder::Created => "created_at",
        ListOrder::Name => "name_folded",
        ListOrder::Expires => "expires_order",
    }
}

pub(super) fn count(query: &CountQuery) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::new("SELECT count(*) FROM keyfob_tokens WHERE ");
    and_project(&mut sql, &query.project);
    and_owner(&mut sql, query.owner.as_ref());
    if let Some(number) = query.key_number {
        and_key_number(&mut sql, number);
    }
    and_status(&mut sql, query.status);
    sql
}

/// The first of the conditions.
pub(super) fn and_project(sql: &mut QueryBuilder<Sqlite>, project: &ProjectId) {
    sql.push("project = ").push_bind(project.as_str());
}

pub(super) fn and_group(sql: &mut QueryBuilder<Sqlite>, group: &RevokeGroup) {
    match group {
        RevokeGroup::Owner(owner) => and_owner(sql, Some(owner)),
        RevokeGroup::Family(family) => {
            sql.push(" AND family = ").push_bind(family.as_str());
        }
        RevokeGroup::CreatedBefore(time) => {
            sql.push(" AND created_at < ").push_bind(time.as_unix_millis());
        }
        RevokeGroup::KeyNumber(number) => and_key_number(sql, *number),
    }
}

fn and_owner(sql: &mut QueryBuilder<Sqlite>, owner: Option<&OwnerId>) {
    if let Some(owner) = owner {
        sql.push(" AND owner = ").push_bind(owner.as_str());
    }
}

/// As a range of ids, which the primary key finds: from the number's character to the one behind it.
fn and_key_number(sql: &mut QueryBuilder<Sqlite>, number: KeyNumber) {
    let first = number.as_char();
    let behind = char::from_u32(u32::from(first) + 1).unwrap_or(char::MAX);
    sql.push(" AND id >= ").push_bind(first.to_string()).push(" AND id < ").push_bind(behind.to_string());
}

pub(super) fn and_status(sql: &mut QueryBuilder<Sqlite>, filter: Option<StatusFilter>) {
    if let Some(StatusFilter { life, at }) = filter {
        and_status_in(sql, at, |status| life.contains(status));
    }
}

/// The order of judgement of [`TokenRecord::status`](crate::TokenRecord::status), branch by branch.
fn and_status_in(sql: &mut QueryBuilder<Sqlite>, at: Timestamp, wanted: impl Fn(Status) -> bool) {
    // The first branch stands by itself where it can: an index answers it, the rest needs the row.
    if !wanted(Status::Revoked) {
        sql.push(" AND revoked_at IS NULL");
        if Status::ALL.iter().all(|status| *status == Status::Revoked || wanted(*status)) {
            return;
        }
    }
    let at = at.as_unix_millis();
    sql.push(" AND CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN grace_until <= ").push_bind(at);
    sql.push(" THEN 'rotated' WHEN confirm_by <= ").push_bind(at);
    sql.push(" THEN 'lapsed' WHEN expires_at <= ").push_bind(at);
    sql.push(" THEN 'expired' WHEN disabled_at IS NOT NULL THEN 'disabled' WHEN confirm_by IS NOT NULL THEN 'pending'");
    sql.push(" WHEN not_before > ").push_bind(at).push(" THEN 'not_yet_valid' ELSE 'active' END IN (");
    let mut words = sql.separated(", ");
    for status in Status::ALL.iter().filter(|status| wanted(**status)) {
        words.push_bind(status.as_str());
    }
    sql.push(")");
}

/// Those with a notice due ([`TokenRecord::due_notice`](crate::TokenRecord::due_notice)) and no lease. A later stage than
/// the one sent is due just where the expiry is no further ahead than the next stage begins.
pub(super) fn and_due(sql: &mut QueryBuilder<Sqlite>, now: Timestamp) {
    and_status_in(sql, now, Status::is_live);
    sql.push(" AND confirm_by IS NULL AND rotated_to IS NULL AND expires_at IS NOT NULL AND expires_order <= CASE notice_stage");
    for (sent, next) in NoticeStage::ALL.iter().zip(&NoticeStage::ALL[1..]) {
        sql.push(" WHEN ").push_bind(sent.as_str()).push(" THEN ").push_bind(horizon(now, *next));
    }
    sql.push(" END AND (notice_lease_until IS NULL OR notice_lease_until <= ").push_bind(now.as_unix_millis());
    // Said again as a range, for the index: from now to the furthest horizon.
    let furthest = NoticeStage::ALL.iter().map(|stage| horizon(now, *stage)).max().unwrap_or(NEVER);
    sql.push(") AND expires_order > ").push_bind(now.as_unix_millis());
    sql.push(" AND expires_order <= ").push_bind(furthest);
}

/// The last expiry for which the stage has begun.
fn horizon(now: Timestamp, stage: NoticeStage) -> i64 {
    let ahead = stage.ahead().map_or(0, |ahead| ahead.as_millis() as i64);
    now.as_unix_millis() + ahead
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Row, SqlitePool};

    use super::super::SqliteStore;
    use super::*;
    use crate::service::query::Life;
    use crate::words::ids::TokenId;

    #[test]
    fn never_is_what_the_schema_says() {
        assert!(SqliteStore::MIGRATION.contains(&format!("coalesce(expires_at, {NEVER})")));
    }

    /// What SQLite says it does.
    async fn plan(database: &SqlitePool, sql: QueryBuilder<Sqlite>) -> String {
        let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", sql.into_string()));
        let steps = sqlx::query(sql).fetch_all(database).await.unwrap();
        steps.iter().map(|step| step.get::<String, _>("detail")).collect::<Vec<_>>().join("; ")
    }

    async fn migrated() -> SqlitePool {
        let database = SqlitePool::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql(SqliteStore::MIGRATION).execute(&database).await.unwrap();
        database
    }

    /// A place under each order, the end of its index's name, and what is compared.
    fn places() -> [(Cursor, &'static str, &'static str); 4] {
        let id = TokenId::new("1abcdefghijklmno").unwrap();
        let time = Timestamp::UNIX_EPOCH;
        [
            (Cursor { key: SortKey::Created(time), id }, "created", "(created_at,id)"),
            (Cursor { key: SortKey::Name("ci".into()), id }, "name", "(name_folded,id)"),
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
                let first = plan(&database, list(&query, None)).await;
                assert_eq!(first, format!("SEARCH keyfob_tokens USING INDEX keyfob_tokens_{index} (project=?)"));
                let next = plan(&database, list(&query, Some(&place))).await;
                let sign = if descending { '<' } else { '>' };
                assert!(next.contains(&format!("keyfob_tokens_{index} (project=? AND {range}{sign}")), "{next}");
                assert!(!next.contains("TEMP B-TREE"), "{next}");
            }
        }
        let key_number = Some(KeyNumber::FIRST);
        let of_key = plan(&database, count(&CountQuery { key_number, ..CountQuery::new(project) })).await;
        assert!(of_key.contains("(project=? AND id>? AND id<?)"), "{of_key}");
        let mut due = QueryBuilder::new("SELECT id FROM keyfob_tokens WHERE ");
        and_project(&mut due, &project);
        and_due(&mut due, time);
        let due = plan(&database, due).await;
        assert!(due.contains("keyfob_tokens_expires (project=? AND expires_order>? AND expires_order<?)"), "{due}");
    }

    /// No plan sorts, and none walks through the tokens of others.
    #[tokio::test]
    async fn an_owners_lists_walk_along_the_owners_index() {
        let database = migrated().await;
        let project = ProjectId::new("145").unwrap();
        let owner = Some(OwnerId::new("ada").unwrap());
        let lives = [Life::Live, Life::Dead, Life::Only(Status::Revoked), Life::Except(Status::Revoked)];
        let at = Timestamp::UNIX_EPOCH;
        for status in lives.map(|life| Some(StatusFilter { life, at })).into_iter().chain([None]) {
            for (place, index, range) in places() {
                let walk =
                    format!("SEARCH keyfob_tokens USING INDEX keyfob_tokens_owner_{index} (owner=? AND project=?");
                for (search, descending) in [("", false), ("", true), ("ci", false), ("ci", true)] {
                    let (owner, order, name_contains) = (owner.clone(), place.key.order(), search.to_owned());
                    let query =
                        ListQuery { owner, status, name_contains, order, descending, ..ListQuery::new(project) };
                    assert_eq!(plan(&database, list(&query, None)).await, format!("{walk})"), "{query:?}");
                    let sign = if descending { '<' } else { '>' };
                    let next = plan(&database, list(&query, Some(&place))).await;
                    assert_eq!(next, format!("{walk} AND {range}{sign}(?,?))"), "{query:?}");
                }
            }
        }
    }

    /// What a person's page asks is decided in the index: the only rows that are read are those of the page.
    #[tokio::test]
    async fn an_owners_search_reads_no_row_in_vain() {
        let database = migrated().await;
        let project = ProjectId::new("145").unwrap();
        let owner = Some(OwnerId::new("ada").unwrap());
        let status = Some(StatusFilter { life: Life::Except(Status::Revoked), at: Timestamp::UNIX_EPOCH });
        for order in ListOrder::ALL.iter().copied() {
            let (owner, name_contains) = (owner.clone(), "ci".to_owned());
            let query = ListQuery { owner, status, name_contains, order, ..ListQuery::new(project) };
            // Not "COVERING INDEX" in the plan: the page needs the whole row. The code tells when it goes for it.
            let code = AssertSqlSafe(format!("EXPLAIN {}", list(&query, None).into_string()));
            let code = sqlx::query(code).fetch_all(&database).await.unwrap();
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
}
