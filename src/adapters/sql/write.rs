//! The SQL statements that write rows, and their conditions.

use super::Dialect;
use super::query::{and_bound_to, and_ends_after, and_group, and_owner, and_project, cut, millis};
use super::statement::Statement;
use crate::rules::change::Change;
use crate::rules::notice_lead::NoticeLead;
use crate::rules::precondition::LiveLimit;
use crate::rules::record::{Revocation, TokenRecord};
use crate::store::group::RevokeGroup;
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::timestamp::Timestamp;

/// The SQL assignment that raises the version of a row by one, up to
/// [`TokenRecord::MAX_VERSION`](crate::TokenRecord::MAX_VERSION).
macro_rules! raised_version {
    () => {
        "version = CASE WHEN version < 9223372036854775807 THEN version + 1 ELSE version END"
    };
}

/// Appends the condition that the limit has room for the record.
///
/// The condition also holds if a row with the key of the record exists. The insert then fails with
/// a conflict, because a conflict takes precedence over the limit.
pub(in crate::adapters) fn and_limit(dialect: &Dialect, sql: &mut Statement, record: &TokenRecord, limit: LiveLimit) {
    sql.push(dialect.from_nothing).push(" WHERE ");
    key_exists(sql, &record.key());
    sql.push(" OR ");
    place_is_left(dialect, sql, record, limit);
}

pub(in crate::adapters) fn key_exists(sql: &mut Statement, key: &TokenKey) {
    sql.push("EXISTS (SELECT 1 FROM keyfob_tokens WHERE ");
    and_key(sql, key);
    sql.push(")");
}

/// Appends the condition that the number of live tokens is below the limit. For a bound record,
/// this is the number of live tokens that are bound to the same issuer. For another record, it is
/// the number of live tokens of the same owner that are not bound. The database stops counting at
/// the limit.
pub(in crate::adapters) fn place_is_left(
    dialect: &Dialect,
    sql: &mut Statement,
    record: &TokenRecord,
    LiveLimit { most, now }: LiveLimit,
) {
    // No table has more than i64::MAX rows.
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    sql.push("(SELECT count(*) FROM (SELECT 1 FROM keyfob_tokens WHERE ");
    and_project(sql, &record.project);
    match record.bound_to() {
        Some(issuer) => and_bound_to(sql, &issuer.id),
        None => {
            and_owner(sql, Some(&record.owner));
            sql.push(" AND (bound IS NULL OR bound = 0)");
        }
    }
    and_ends_after(dialect, sql, now);
    sql.push(" LIMIT ").bind(most).push(") AS live) < ").bind(most);
}

pub(in crate::adapters) fn and_key(sql: &mut Statement, key: &TokenKey) {
    and_project(sql, &key.project);
    sql.push(" AND id = ").bind(key.id.as_str());
}

pub(in crate::adapters) fn update(key: &TokenKey, expected_version: u64, change: &Change) -> Statement {
    let mut sql = Statement::new("UPDATE keyfob_tokens SET ");
    match change {
        Change::Rename(name) => {
            sql.push("name = ").bind(name.as_str()).push(", name_folded = ").bind(name.folded());
        }
        Change::Disable(disabled) => {
            sql.push("disabled_at = ").bind(disabled.at.as_unix_millis());
            sql.push(", disabled_by = ").bind(disabled.by.as_str());
        }
        Change::Enable => {
            sql.push("disabled_at = NULL, disabled_by = NULL");
        }
        Change::Confirm => {
            sql.push("confirm_by = NULL");
        }
        Change::EndGrace(at) => {
            sql.push("grace_until = ").bind(at.as_unix_millis());
        }
        Change::Narrow { scopes, addresses, expires_at } => {
            sql.push("scopes = ").bind(scopes.as_str());
            sql.push(", addresses = ").bind(addresses.as_str());
            sql.push(", expires_at = ").bind(expires_at.map(Timestamp::as_unix_millis));
        }
    }
    sql.push(concat!(", ", raised_version!(), " WHERE "));
    and_key(&mut sql, key);
    // No row has the version -1, so a version beyond i64 matches no row.
    sql.push(" AND version = ").bind(i64::try_from(expected_version).unwrap_or(-1));
    sql
}

/// Returns a statement that revokes a token, or changes nothing if the token is already revoked.
/// One statement serves both cases.
pub(in crate::adapters) fn revoke(key: &TokenKey, revocation: &Revocation) -> Statement {
    // The version comes first, because MySQL evaluates the assignments in their order, each with
    // the new values of the assignments before it.
    let mut sql = Statement::new("UPDATE keyfob_tokens SET version = CASE WHEN revoked_at IS NULL");
    sql.push(" AND version < 9223372036854775807 THEN version + 1 ELSE version END");
    sql.push(", revoked_at = coalesce(revoked_at, ").bind(revocation.at.as_unix_millis());
    sql.push("), revoked_by = coalesce(revoked_by, ").bind(revocation.by.as_str());
    sql.push("), revoked_reason = coalesce(revoked_reason, ").bind(revocation.reason.as_str()).push(") WHERE ");
    and_key(&mut sql, key);
    sql
}

/// Returns the beginning of a statement that revokes rows: `UPDATE … SET … WHERE `. The caller
/// appends conditions that exclude rows that are already revoked.
pub(in crate::adapters) fn set_revoked(revocation: &Revocation) -> Statement {
    let mut sql = Statement::new("UPDATE keyfob_tokens SET ");
    push_revoked(&mut sql, revocation).push(" WHERE ");
    sql
}

/// Appends the assignments that set the columns of a revocation and raise the version.
pub(in crate::adapters) fn push_revoked<'s>(sql: &'s mut Statement, revocation: &Revocation) -> &'s mut Statement {
    sql.push("revoked_at = ").bind(revocation.at.as_unix_millis());
    sql.push(", revoked_by = ").bind(revocation.by.as_str());
    sql.push(", revoked_reason = ").bind(revocation.reason.as_str());
    sql.push(concat!(", ", raised_version!()))
}

/// Appends the conditions that a row belongs to a group and is not revoked.
pub(in crate::adapters) fn and_left(sql: &mut Statement, project: &ProjectId, group: &RevokeGroup) {
    and_project(sql, project);
    and_group(sql, group);
    sql.push(" AND revoked_at IS NULL");
}

/// A set of rows that a store revokes in several steps. The store revokes only rows that [can still
/// work](crate::TokenRecord::can_still_work).
pub(in crate::adapters) enum InSteps<'g> {
    /// The rows of an owner or of a family.
    Group(RevokeGroup),
    /// The rows that are bound to an issuer.
    BoundTo(&'g TokenId),
}

impl InSteps<'_> {
    pub(in crate::adapters) fn and_left(
        &self,
        dialect: &Dialect,
        sql: &mut Statement,
        project: &ProjectId,
        now: Timestamp,
    ) {
        and_project(sql, project);
        match self {
            Self::Group(group) => and_group(sql, group),
            Self::BoundTo(issuer) => and_bound_to(sql, issuer),
        }
        and_ends_after(dialect, sql, cut(now));
    }
}

/// Returns a statement that links a token to its successor and sets the end of its grace period.
pub(in crate::adapters) fn rotate_to(key: &TokenKey, successor: &TokenId, grace_until: Timestamp) -> Statement {
    let mut sql = Statement::new("UPDATE keyfob_tokens SET rotated_to = ");
    sql.bind(successor.as_str()).push(", grace_until = ").bind(grace_until.as_unix_millis());
    sql.push(concat!(", ", raised_version!(), " WHERE "));
    and_key(&mut sql, key);
    sql
}

/// Appends two conditions: the row is in this project, and its token ended before this time.
pub(in crate::adapters) fn and_ended(sql: &mut Statement, project: &ProjectId, before: Timestamp) {
    let time = before.as_unix_millis();
    and_project(sql, project);
    // A row ends at the earliest of these four times. It ended before the given time if at least
    // one of the four is before it. A comparison with NULL is never true.
    sql.push(" AND (revoked_at < ").bind(time).push(" OR grace_until < ").bind(time);
    sql.push(" OR confirm_by < ").bind(time).push(" OR expires_at < ").bind(time).push(")");
}

pub(in crate::adapters) fn acknowledge_notice(key: &TokenKey, lead: NoticeLead) -> Statement {
    let mut sql = Statement::new("UPDATE keyfob_tokens SET notice_lease_until = NULL, notice_lead = ");
    sql.push("CASE WHEN notice_lead <= ").bind(millis(lead)).push(" THEN notice_lead ELSE ").bind(millis(lead));
    sql.push(" END WHERE ");
    and_key(&mut sql, key);
    sql
}

/// Appends the assignments that set the end of a lease on a notice and raise the number of leases
/// by one.
pub(in crate::adapters) fn push_lease(sql: &mut Statement, lease_until: Timestamp) {
    sql.push("notice_lease_until = ").bind(lease_until.as_unix_millis());
    sql.push(
        ", notice_leases = CASE WHEN notice_leases < 9223372036854775807 THEN notice_leases + 1 ELSE notice_leases END",
    );
}

/// Returns a query whose result is true if no row meets the conditions.
pub(in crate::adapters) fn none_left(conditions: impl FnOnce(&mut Statement)) -> Statement {
    let mut sql = Statement::new("SELECT NOT EXISTS (SELECT 1 FROM keyfob_tokens WHERE ");
    conditions(&mut sql);
    sql.push(")");
    sql
}
