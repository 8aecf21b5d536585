//! The SQL queries for the projects of a store, and for the records of all projects.
//!
//! Each query reads a limited number of rows, or only rows with work. So its cost does not depend
//! on the number of projects without work.

use super::Dialect;
use super::query::{and_ends_after, and_key_number, and_owner, cut, millis};
use super::row::columns;
use super::statement::Statement;
use crate::rules::notice_lead::NoticeLead;
use crate::store::maintenance::{ProjectsQuery, ProjectsWith};
use crate::store::query::PageSize;
use crate::words::ids::{KeyNumber, ProjectId, TokenKey};
use crate::words::timestamp::Timestamp;

/// The value of [`Dialect::sent`] for a token without a notice.
const NONE_SENT: i64 = NoticeLead::MAX_MILLIS as i64 + 1;

/// The maximum number of rows that a query examines if no index can tell which rows have work.
pub(in crate::adapters) const EXAMINED: i64 = 10_000;

/// Returns the query for the ids of the projects that have tokens, or that have work.
pub(in crate::adapters) fn projects(dialect: &Dialect, query: &ProjectsQuery) -> Statement {
    let ProjectsQuery { owner, with, after, most } = query;
    let after = after.as_ref().map_or("", ProjectId::as_str);
    match with {
        // The result may have projects without work. A job for one owner visits few projects.
        _ if owner.is_some() => all(dialect, query),
        None => all(dialect, query),
        Some(ProjectsWith::EndedBefore(time)) => ended_before(dialect, *time, after, *most),
        Some(ProjectsWith::DueNotices { leads, now }) => due_notices(dialect, leads, *now, after, *most),
        Some(ProjectsWith::EndedIssuers(now)) => ended_issuers(dialect, *now, after, *most),
        Some(ProjectsWith::KeyNumber(number)) => of_key(*number, after, *most),
    }
}

/// Returns the query for the projects that have tokens.
///
/// The query jumps from one project to the next in an index, because a `DISTINCT` would read every
/// token. The first page begins after the empty text, which sorts before every project id.
fn all(dialect: &Dialect, ProjectsQuery { owner, after, most, .. }: &ProjectsQuery) -> Statement {
    if dialect.skips_to_groups {
        let mut sql = Statement::new("SELECT project FROM keyfob_tokens WHERE project > ");
        sql.bind(after.as_ref().map_or("", ProjectId::as_str));
        and_owner(&mut sql, owner.as_ref());
        sql.push(" GROUP BY project ORDER BY project LIMIT ").bind(most.get() as i64);
        return sql;
    }
    let mut sql = Statement::new("WITH RECURSIVE next (project) AS (SELECT min(project) FROM keyfob_tokens WHERE ");
    sql.push("project > ").bind(after.as_ref().map_or("", ProjectId::as_str));
    and_owner(&mut sql, owner.as_ref());
    sql.push(" UNION ALL SELECT (SELECT min(project) FROM keyfob_tokens WHERE project > next.project");
    and_owner(&mut sql, owner.as_ref());
    sql.push(") FROM next WHERE next.project IS NOT NULL) ");
    sql.push("SELECT project FROM next WHERE project IS NOT NULL LIMIT ").bind(most.get() as i64);
    sql
}

fn ended_before(dialect: &Dialect, time: Timestamp, after: &str, most: PageSize) -> Statement {
    let mut sql = Statement::new("SELECT DISTINCT project FROM keyfob_tokens");
    sql.push(dialect.by_ended).push(" WHERE project > ").bind(after);
    sql.push(" AND ").push(dialect.ended).push(" < ").bind(time.as_unix_millis());
    sql.push(" ORDER BY project LIMIT ").bind(most.get() as i64);
    sql
}

/// Returns the query for the projects that have due notices.
///
/// A notice with the lead L is due if the token expires within L, and if the lead of its last
/// notice was above L. So the query has one range of the index `keyfob_tokens_notices` for each
/// lead: the tokens whose last lead is above this lead, and not above the next longer one. Nearly
/// all of these tokens have exactly the next longer lead, or none. Only tokens from an earlier
/// schedule have another lead, so they get a range of their own. The query reads only due rows,
/// rows under a lease, and rows of an earlier schedule.
fn due_notices(dialect: &Dialect, leads: &[NoticeLead], now: Timestamp, after: &str, most: PageSize) -> Statement {
    let mut leads = leads.to_vec();
    leads.sort_unstable();
    leads.dedup();
    let mut sql = Statement::new("SELECT project FROM (");
    if leads.is_empty() {
        sql.push("SELECT project FROM keyfob_tokens WHERE 1 = 0");
    }
    for (at, lead) in leads.iter().enumerate() {
        let next = leads.get(at + 1).map_or(NONE_SENT, |next| millis(*next));
        if at > 0 {
            sql.push(" UNION ");
        }
        push_may_be_due(&mut sql, after, *lead, now);
        sql.push(dialect.sent).push(" = ").bind(next);
        sql.push(" UNION ");
        push_may_be_due(&mut sql, after, *lead, now);
        sql.push(dialect.sent).push(" > ").bind(millis(*lead)).push(" AND ").push(dialect.sent).push(" < ").bind(next);
    }
    sql.push(") AS found ORDER BY project LIMIT ").bind(most.get() as i64);
    sql
}

/// Appends a part of the query for due notices. The caller appends the condition on the last
/// notice.
fn push_may_be_due(sql: &mut Statement, after: &str, lead: NoticeLead, now: Timestamp) {
    let until = lead.horizon(now).as_unix_millis();
    let now = now.as_unix_millis();
    sql.push("SELECT project FROM keyfob_tokens WHERE project > ").bind(after);
    sql.push(" AND revoked_at IS NULL AND rotated_to IS NULL AND confirm_by IS NULL AND expires_at IS NOT NULL");
    sql.push(" AND expires_at > ").bind(now).push(" AND expires_at <= ").bind(until);
    sql.push(" AND (grace_until IS NULL OR grace_until > ").bind(now);
    sql.push(") AND (notice_lease_until IS NULL OR notice_lease_until <= ").bind(now).push(") AND ");
}

/// Returns the query for the projects that have ended issuers.
///
/// The query examines a limited number of bound tokens. If more follow, the last project of the
/// examined tokens is in the result too, so that the next query begins there.
fn ended_issuers(dialect: &Dialect, now: Timestamp, after: &str, most: PageSize) -> Statement {
    let mut sql = Statement::new("WITH near AS (SELECT project, issuer FROM keyfob_tokens WHERE project > ");
    sql.bind(after).push(" AND bound = 1");
    and_ends_after(dialect, &mut sql, cut(now));
    sql.push(" ORDER BY project, issuer LIMIT ").bind(EXAMINED);
    // Each issuer is looked up in the primary key: see `query::ended_issuers`.
    sql.push(") SELECT project FROM (SELECT project FROM near WHERE NOT EXISTS (SELECT 1 FROM ");
    sql.push(if dialect.is_lateral {
        "(SELECT * FROM keyfob_tokens WHERE id BETWEEN near.issuer AND near.issuer AND project = near.project \
         ORDER BY id LIMIT 1) AS above WHERE id = near.issuer"
    } else {
        "keyfob_tokens AS above WHERE above.project = near.project AND above.id = near.issuer"
    });
    and_ends_after(dialect, &mut sql, now);
    sql.push(")");
    or_last(&mut sql, "project, issuer", most);
    sql
}

/// Returns the query for the projects that have tokens of a key.
///
/// The query examines a limited number of tokens, only in the primary key.
fn of_key(number: KeyNumber, after: &str, most: PageSize) -> Statement {
    let mut sql = Statement::new("WITH near AS (SELECT project, id FROM keyfob_tokens WHERE project > ");
    sql.bind(after).push(" ORDER BY project, id LIMIT ").bind(EXAMINED);
    sql.push(") SELECT project FROM (SELECT project FROM near WHERE 1 = 1");
    and_key_number(&mut sql, number);
    or_last(&mut sql, "project, id", most);
    sql
}

/// Ends a query that examines the rows `near`: adds the project of the last row, if there are as
/// many rows as the query may examine.
fn or_last(sql: &mut Statement, order: &'static str, most: PageSize) {
    sql.push(" UNION SELECT project FROM (SELECT project FROM near ORDER BY ").push(order);
    sql.push(" LIMIT 1 OFFSET ").bind(EXAMINED - 1);
    sql.push(") AS last) AS found ORDER BY project LIMIT ").bind(most.get() as i64);
}

/// Returns the query for the records of all projects after this key.
pub(in crate::adapters) fn scan(dialect: &Dialect, after: Option<TokenKey>, most: PageSize) -> Statement {
    let project = after.as_ref().map_or("", |after| after.project.as_str());
    let id = after.as_ref().map_or("", |after| after.id.as_str());
    let mut sql = Statement::new(concat!("SELECT ", columns!(), " FROM keyfob_tokens WHERE "));
    if dialect.seeks_pairs {
        sql.push("(project, id) > (").bind(project).push(", ").bind(id).push(")");
    } else {
        sql.push("(project > ").bind(project).push(" OR project = ").bind(project);
        sql.push(" AND id > ").bind(id).push(")");
    }
    sql.push(" ORDER BY project, id LIMIT ").bind(most.get() as i64);
    sql
}
