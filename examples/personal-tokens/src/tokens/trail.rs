//! Reads the audit trail of a token: the operations on it.

use keyfob::{
    Timestamp, TokenKey, TokenView,
    record::{Revocation, RevocationReason},
};
use std::cmp::Reverse;

use crate::db::{Db, query};
use crate::setup::SetupError;
use crate::tokens::act::{Act, ISSUED_REVOKED};
use crate::tokens::groups;

/// The maximum number of operations on a page.
const A_PAGE: usize = 100;
/// The maximum number of `issued_token` entries by tokens that a page shows.
const MOST_ISSUED: i64 = 100;

/// Expands to the SQL condition that selects `issued_token` entries in which the actor is a token
/// and not a person.
macro_rules! issued_by_itself {
    () => {
        "event = 'issued_token' AND actor LIKE 'token %'"
    };
}
pub(super) use issued_by_itself;

/// An operation on a token, as its trail names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub at: Timestamp,
    /// The actor. It is empty if the service itself or a request with the token is the cause.
    pub actor: String,
    pub act: Act,
    /// The other tokens that were revoked by the same operation. It is `None` if there are none, or
    /// if the operation is not a revocation.
    pub with: Option<With>,
}

/// The tokens together with which a token was revoked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum With {
    /// The token that issued the token.
    Issuer,
    /// All tokens of the owner.
    Owner,
    /// All tokens that descend from the same first token by rotations.
    Rotations,
    /// All tokens of the project.
    Project,
    /// All tokens of the same key of the pepper.
    Key,
}

/// A page of the operations on a token, the latest first.
#[derive(Debug)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// The position of the next page, with older operations. It is `None` on the last page.
    pub older: Option<i64>,
}

type Row = (i64, i64, String, String, String);

/// Returns the operations on a token before this position, or the latest operations if `before` is
/// `None`. Tokens that the token issued by itself are left out: see [`own_issues`].
///
/// A revocation of a group has one row for the whole group. So the entry about one of its tokens is
/// made from the record of the token, which has the time, the actor and the reason. The report of a
/// leak has two rows, which become one entry.
pub async fn acts(db: &Db, view: &TokenView, before: Option<i64>) -> Result<Page, SetupError> {
    // A process of an earlier version may still write refusals into this table. The next start
    // moves them to the table of refusals.
    let sql = concat!(
        "SELECT id, at, event, actor, detail FROM token_events WHERE project = ? AND token_id = ? AND id < ? \
         AND event NOT IN ('failed', 'reused', 'policy_blocked') AND NOT (",
        issued_by_itself!(),
        ") ORDER BY id DESC LIMIT ?"
    );
    let rows = query(sql).bind(view.project.as_str()).bind(view.id.as_str()).bind(before.unwrap_or(i64::MAX));
    let mut rows: Vec<Row> = rows.bind(A_PAGE as i64 + 1).fetch_all(db).await?;
    let has_more = rows.len() > A_PAGE;
    rows.truncate(A_PAGE);
    let older = rows.last().map(|row| row.0).filter(|_| has_more);
    let mut entries = read(rows)?;
    if before.is_none()
        && let Some(revoked) = &view.revoked
        && !is_revoked_in(db, view).await?
    {
        let (actor, act) = (revoked.by.as_str().into(), Act::Revoked(revoked.reason));
        entries.insert(0, Entry { at: revoked.at, actor, act, with: with(db, view, revoked).await? });
    }
    let reported: Vec<_> =
        entries.iter().filter(|entry| entry.act == Act::Leaked).map(|one| one.actor.clone()).collect();
    let by_report = Act::Revoked(RevocationReason::KeyCompromise);
    entries.retain(|entry| entry.act != by_report || !reported.contains(&entry.actor));
    // The sort is stable: entries of the same time keep their order.
    entries.sort_by_key(|entry| Reverse(entry.at));
    Ok(Page { entries, older })
}

/// Returns the latest tokens that a token issued without a person, at most 100 of them. They are
/// not among the [operations](acts), so that the holder of the token cannot hide an operation
/// behind many new tokens.
pub async fn own_issues(db: &Db, key: &TokenKey) -> Result<Vec<Entry>, SetupError> {
    let sql = concat!(
        "SELECT id, at, event, actor, detail FROM token_events WHERE project = ? AND token_id = ? AND ",
        issued_by_itself!(),
        " ORDER BY id DESC LIMIT ?"
    );
    let rows = query(sql).bind(key.project.as_str()).bind(key.id.as_str()).bind(MOST_ISSUED);
    read(rows.fetch_all(db).await?)
}

fn read(rows: Vec<Row>) -> Result<Vec<Entry>, SetupError> {
    let read = |(_, at, event, actor, detail): Row| {
        let (at, act) = (Timestamp::from_unix_millis(at)?, Act::parse(&event, &detail));
        Ok(Entry { at, actor, act, with: None })
    };
    rows.into_iter().map(read).collect()
}

/// Returns whether the trail has an entry of its own about the revocation of the token.
async fn is_revoked_in(db: &Db, view: &TokenView) -> sqlx::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM token_events WHERE project = ? AND token_id = ? AND event = 'revoked')";
    query(sql).bind(view.project.as_str()).bind(view.id.as_str()).value(db).await
}

/// Finds out which tokens were revoked together with a token. The first row after the token's
/// revocation describes the operation that ended the token.
async fn with(db: &Db, view: &TokenView, revoked: &Revocation) -> sqlx::Result<Option<With>> {
    let with_issuer = ended_with_issuer(db, view, revoked).await?;
    let with_group = groups::of(db, view, revoked).await?;
    Ok(match (with_issuer, with_group) {
        (Some(at), group) if group.is_none_or(|(of_group, _)| at < of_group) => Some(With::Issuer),
        (_, group) => group.map(|(_, with)| with),
    })
}

/// Finds out whether the token was revoked because its issuer ended. If so, the trail of the issuer
/// has an [`ISSUED_REVOKED`] entry with the same actor and with the time of the revocation or a
/// later time. Returns the time of the earliest such entry. Returns `None` if there is no such
/// entry, or if the token is not bound.
async fn ended_with_issuer(db: &Db, view: &TokenView, revoked: &Revocation) -> sqlx::Result<Option<i64>> {
    let Some(issuer) = view.issuer.filter(|issuer| issuer.bound) else { return Ok(None) };
    let sql = "SELECT min(at) FROM token_events WHERE project = ? AND token_id = ? AND event = ? AND at >= ? \
               AND actor = ?";
    let row = query(sql).bind(view.project.as_str()).bind(issuer.id.as_str()).bind(ISSUED_REVOKED);
    row.bind(revoked.at.as_unix_millis()).bind(revoked.by.as_str()).value(db).await
}
