//! Counts the refused requests that present a token, and the repeated reports that a token was
//! leaked. There is one row for each token, kind of event and UTC day.
//!
//! The holder of a token can cause any number of refusals. So the refusals must not hide the
//! operations of people on the token, and must not fill the database.

use std::collections::BTreeMap;

use keyfob::{Rejection, Timestamp, TokenKey, events::Event};

use crate::db::{Db, Tx, query};
use crate::setup::SetupError;
use crate::tokens::uses::{Day, day_of};

/// The maximum number of rows of one token. The latest rows are kept.
const MOST: i64 = 100;

/// A refused request with a token, or a repeated report that the token was leaked. One event can
/// represent several refusals of the same kind. The value then counts all of them.
pub struct Refusal {
    key: TokenKey,
    event: &'static str,
    /// The name of the [`Rejection`]. It is empty for events other than a failed verification.
    reason: &'static str,
    /// The reporter of a leak. It is empty for refused requests.
    actor: String,
    times: i64,
}

impl Refusal {
    /// Creates a refusal from an event. Returns `None` if the event is not a refusal, or if the
    /// event does not prove that the token is in the store. Anybody can invent tokens that are not
    /// in the store, and refusals of such tokens could fill the table.
    pub fn of(event: &Event<'_>) -> Option<Self> {
        let (key, reason, actor, left_out) = match event {
            Event::Failed { key, rejection, left_out } => {
                // If the request did not prove the secret, `left_out` also counts refusals of other
                // tokens.
                let left_out = if rejection.is_after_proof() { *left_out } else { 0 };
                (key.filter(|_| is_of_a_token(*rejection))?, rejection.as_str(), None, left_out)
            }
            Event::Reused { key, left_out, .. } | Event::PolicyBlocked { key, left_out } => (*key, "", None, *left_out),
            Event::Leaked { key, actor, is_first: false, left_out } => (*key, "", Some(*actor), *left_out),
            _ => return None,
        };
        let times = i64::try_from(left_out).unwrap_or(i64::MAX).saturating_add(1);
        let actor = actor.map_or_else(String::new, |actor| actor.as_str().to_owned());
        Some(Self { key, event: event.name(), reason, actor, times })
    }

    /// Adds the refusal to the row of its token, kind and day.
    pub async fn write(&self, database: &mut Tx, at: i64) -> sqlx::Result<()> {
        let (project, id) = (self.key.project.as_str(), self.key.id.as_str());
        let times: i64 = query(
            "INSERT INTO token_refusals (project, token_id, event, reason, actor, day, at, times) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (project, token_id, event, reason, actor, day) \
             DO UPDATE SET at = {greatest}(token_refusals.at, excluded.at), \
             times = token_refusals.times + excluded.times RETURNING times",
        )
        .bind(project)
        .bind(id)
        .bind(self.event)
        .bind(self.reason)
        .bind(&self.actor)
        .bind(day_of(at))
        .bind(at)
        .bind(self.times)
        .value(&mut *database)
        .await?;
        // Only a new row can exceed the limit.
        if times == self.times {
            query(
                "DELETE FROM token_refusals WHERE project = ?1 AND token_id = ?2 AND at < (SELECT at FROM token_refusals \
                 WHERE project = ?1 AND token_id = ?2 ORDER BY at DESC LIMIT 1 OFFSET ?3)",
            )
            .bind(project)
            .bind(id)
            .bind(MOST - 1)
            .execute(database)
            .await?;
        }
        Ok(())
    }
}

/// Returns whether this reason implies that the refused token is in the store.
fn is_of_a_token(rejection: Rejection) -> bool {
    !rejection.is_before_store() && rejection != Rejection::Unknown
}

/// The refusals of a token for one reason on one day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused {
    pub reason: Rejection,
    pub times: u64,
    /// Whether there may have been more refusals. If the requests did not prove that they hold the
    /// token, keyfob counts the refusals of all tokens together.
    pub is_least: bool,
}

/// Returns the refusals of a token on each day, in the order of the reasons. The latest rows of the
/// table are read.
pub async fn by_day(db: &Db, key: &TokenKey) -> Result<BTreeMap<Day, Vec<Refused>>, SetupError> {
    let sql = "SELECT day, event, reason, times FROM token_refusals WHERE project = ? AND token_id = ? \
               AND event <> 'leaked' ORDER BY at DESC LIMIT ?";
    let rows: Vec<(Day, String, String, i64)> =
        query(sql).bind(key.project.as_str()).bind(key.id.as_str()).bind(MOST).fetch_all(db).await?;
    let mut days = BTreeMap::<Day, Vec<Refused>>::new();
    for (day, event, reason, times) in rows {
        let reason = match event.as_str() {
            "reused" => Rejection::Rotated,
            "policy_blocked" => Rejection::Policy,
            _ => match reason.parse() {
                Ok(reason) => reason,
                // A later version has stored a reason that this version does not know.
                Err(_) => continue,
            },
        };
        let (of_day, times) = (days.entry(day).or_default(), u64::try_from(times)?);
        match of_day.iter_mut().find(|refused| refused.reason == reason) {
            // A rotated token may be refused in a request, or when a long response is checked
            // again.
            Some(refused) => refused.times = refused.times.saturating_add(times),
            None => of_day.push(Refused { reason, times, is_least: !reason.is_after_proof() }),
        }
    }
    for of_day in days.values_mut() {
        of_day.sort_by_key(|refused| Rejection::ALL.iter().position(|reason| *reason == refused.reason));
    }
    Ok(days)
}

/// Returns how often a leaked token was reported again, and the time of the last such report.
/// Returns `None` if it was not reported again.
pub async fn reported_again(db: &Db, key: &TokenKey) -> Result<Option<(u64, Timestamp)>, SetupError> {
    let sql = "SELECT CAST(sum(times) AS {int}), max(at) FROM token_refusals WHERE project = ? AND token_id = ? AND event = 'leaked'";
    let (times, at): (Option<i64>, Option<i64>) =
        query(sql).bind(key.project.as_str()).bind(key.id.as_str()).fetch_one(db).await?;
    match (times, at) {
        (Some(times), Some(at)) => Ok(Some((u64::try_from(times)?, Timestamp::from_unix_millis(at)?))),
        _ => Ok(None),
    }
}

/// Expands to the SQL condition that selects the refusals in the table of events. Earlier versions
/// stored each refusal as a row of that table. A repeated report of a leak counts as a refusal. So
/// the condition selects a report of a leak if an earlier row reports the same token.
macro_rules! one_by_one {
    () => {
        "(event IN ('failed', 'reused', 'policy_blocked') OR event = 'leaked' AND EXISTS (SELECT 1 FROM token_events AS \
         first WHERE first.project = token_events.project AND first.token_id = token_events.token_id AND first.event = \
         'leaked' AND first.id < token_events.id))"
    };
}

/// Moves the refusals from the table of events into the table of refusals, which counts them. An
/// earlier version stored each refusal as an event. Refusals of tokens that may not exist are
/// deleted.
pub async fn fold(db: &Db) -> sqlx::Result<()> {
    let is_needed = concat!("SELECT EXISTS (SELECT 1 FROM token_events WHERE ", one_by_one!(), ")");
    if !query(is_needed).value(db).await? {
        return Ok(());
    }
    let words = |of: fn(Rejection) -> bool| {
        let words: Vec<&str> = Rejection::ALL.iter().filter(|one| of(**one)).map(Rejection::as_str).collect();
        serde_json::Value::from(words).to_string()
    };
    // Take the write lock, so that no other process moves the same rows.
    let mut transaction = db.begin().await?;
    query(concat!(
        "INSERT INTO token_refusals (project, token_id, event, reason, actor, day, at, times) \
         SELECT project, token_id, event, reason, actor, at / 86400000, max(at), \
         sum(iif(reason = '' OR reason IN (SELECT value FROM json_each(?1)), 1 + CAST(more AS INTEGER), 1)) FROM (\
         SELECT *, iif(event = 'failed', substr(detail, 1, instr(detail, ', ') - 1), '') AS reason, \
         iif(event = 'failed', substr(detail, instr(detail, ', ') + 2), detail) AS more FROM token_events WHERE ",
        one_by_one!(),
        ") WHERE reason = '' OR reason IN (SELECT value FROM json_each(?2)) \
         GROUP BY project, token_id, event, reason, actor, at / 86400000 \
         ON CONFLICT (project, token_id, event, reason, actor, day) \
         DO UPDATE SET at = max(at, excluded.at), times = times + excluded.times",
    ))
    .bind(words(Rejection::is_after_proof))
    .bind(words(is_of_a_token))
    .execute(&mut transaction)
    .await?;
    query(concat!("DELETE FROM token_events WHERE ", one_by_one!())).execute(&mut transaction).await?;
    transaction.commit().await
}
