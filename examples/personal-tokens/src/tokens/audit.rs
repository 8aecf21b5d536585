//! The audit trail: what happened to each token, stored in the host's database.
//!
//! keyfob emits events during requests, so the events go through bounded queues to one writer. If a
//! queue is full, the event is dropped, counted and logged, so that a request never waits for the
//! audit trail. Operations of people have a separate queue, because the holder of a token can cause
//! any number of other events: refused requests, and tokens that the token issues.

use keyfob::{
    Actor, Clock, TokenKey, TokenView,
    events::{Event, EventSink},
    record::{Revocation, RevocationReason},
};
use sqlx::{SqliteConnection, SqlitePool};
use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

use crate::tokens::groups::{self, Group};
use crate::tokens::refusals::{self, Refusal};

/// The maximum number of events in each queue. An event stays in its queue until the writer takes
/// it.
const QUEUE: usize = 1024;
/// The maximum number of events that the writer takes at a time from the queue of refusals, or from
/// the queue of operations of tokens. It is less than [`QUEUE`], because a new operation of a
/// person waits until these events are written.
const OTHERS: usize = 256;
/// The maximum number of [`ISSUED_TOKEN`] entries by tokens in the trail of one issuer. If there
/// are more, only the latest are kept. The number of entries by people is not limited.
const MOST_ISSUED: i64 = 100;

/// The name of the event in the trail of a token that issued another token. The detail of the entry
/// is the id of the new token.
pub const ISSUED_TOKEN: &str = "issued_token";
/// The name of the event that the tokens bound to an ended token were revoked. The event is stored
/// in the audit trail of the ended token.
const ISSUED_REVOKED: &str = "revoked_what_it_issued";

/// Expands to the SQL condition that selects [`ISSUED_TOKEN`] entries in which the actor is a token
/// and not a person.
macro_rules! issued_by_itself {
    () => {
        "event = 'issued_token' AND actor GLOB 'token *'"
    };
}

/// An event of one token, as the page of the token shows it.
#[derive(Debug)]
pub struct Entry {
    pub at: i64,
    pub event: String,
    /// The actor. It is empty if a request with the token caused the event.
    pub actor: String,
    pub detail: String,
}

enum Message {
    Write { key: TokenKey, entry: Entry },
    Refused { at: i64, refusal: Refusal },
    Group(Group),
    Written(oneshot::Sender<()>),
}

/// The sink that receives keyfob's events, and the source of the audit trails on the pages.
#[derive(Clone)]
pub struct Audit {
    pool: SqlitePool,
    acts: mpsc::Sender<Message>,
    /// The queue of events whose actor is a token and not a person.
    issues: mpsc::Sender<Message>,
    refusals: mpsc::Sender<Message>,
    clock: Arc<dyn Clock>,
    dropped: Arc<AtomicU64>,
}

impl Audit {
    /// Starts the task that writes the events, and returns the sink that sends events to this task.
    pub fn start(pool: SqlitePool, clock: Arc<dyn Clock>) -> Self {
        let (acts, mut acts_waiting) = mpsc::channel(QUEUE);
        let (issues, mut issues_waiting) = mpsc::channel(QUEUE);
        let (refusals, mut refusals_waiting) = mpsc::channel(QUEUE);
        let writer = pool.clone();
        tokio::spawn(async move {
            let (mut acts, mut issues, mut refusals) = (Vec::new(), Vec::new(), Vec::new());
            loop {
                // Operations of people have priority. All queues are closed at the same time.
                let received = tokio::select! {
                    biased;
                    received = acts_waiting.recv_many(&mut acts, QUEUE) => received,
                    received = issues_waiting.recv_many(&mut issues, OTHERS) => received,
                    received = refusals_waiting.recv_many(&mut refusals, OTHERS) => received,
                };
                if received == 0 {
                    break;
                }
                let messages: Vec<_> = acts.drain(..).chain(issues.drain(..)).chain(refusals.drain(..)).collect();
                write_all(&writer, &messages).await;
                for message in messages {
                    match message {
                        // The send fails if the caller no longer waits.
                        Message::Written(done) => drop(done.send(())),
                        Message::Write { .. } | Message::Refused { .. } | Message::Group(_) => {}
                    }
                }
            }
        });
        Self { pool, acts, issues, refusals, clock, dropped: Arc::default() }
    }

    /// Waits until all events that were received before this call are written.
    pub async fn written(&self) {
        for queue in [&self.acts, &self.issues, &self.refusals] {
            let (done, written) = oneshot::channel();
            if queue.send(Message::Written(done)).await.is_ok() {
                // An error means that the writer has ended. Then nothing more is written.
                let _ = written.await;
            }
        }
    }

    /// Returns how many events were lost because a queue was full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Returns the entries about a token, the latest first: at most 100 operations, at most 100
    /// tokens that this token has issued, and at most 100 rows of refusals. Each kind has its own
    /// limit. Otherwise, the holder of the token could hide an operation behind many new tokens or
    /// refusals.
    ///
    /// Revoking a group writes one row for the whole group. The entry about the revocation of one
    /// of its tokens is made from the record of this token, which holds the time, the actor and the
    /// reason.
    pub async fn of(&self, view: &TokenView) -> sqlx::Result<Vec<Entry>> {
        let (project, id) = (view.project.as_str(), view.id.as_str());
        // A process of an earlier version may still write refusals into this table. The next start
        // moves them to the table of refusals.
        let acts = concat!(
            "SELECT at, event, actor, detail FROM token_events WHERE project = ? AND token_id = ? \
             AND event NOT IN ('failed', 'reused', 'policy_blocked') AND NOT (",
            issued_by_itself!(),
            ") ORDER BY id DESC LIMIT 100"
        );
        let issues = concat!(
            "SELECT at, event, actor, detail FROM token_events WHERE project = ? AND token_id = ? AND ",
            issued_by_itself!(),
            " ORDER BY id DESC LIMIT 100"
        );
        let mut entries = Vec::new();
        for sql in [acts, issues] {
            let rows: Vec<(i64, String, String, String)> =
                sqlx::query_as(sql).bind(project).bind(id).fetch_all(&self.pool).await?;
            entries.extend(rows.into_iter().map(|(at, event, actor, detail)| Entry { at, event, actor, detail }));
        }
        if let Some(revoked) = &view.revoked {
            let sql =
                "SELECT EXISTS (SELECT 1 FROM token_events WHERE project = ? AND token_id = ? AND event = 'revoked')";
            let has_own: bool = sqlx::query_scalar(sql).bind(project).bind(id).fetch_one(&self.pool).await?;
            if !has_own {
                let with_issuer = self.ended_with_issuer(view, revoked).await?;
                let with_group = groups::of(&self.pool, view, revoked).await?;
                // The first row after the token's revocation describes what ended the token.
                let with = match (with_issuer, with_group) {
                    (Some(at), group) if group.is_none_or(|(of_group, _)| at < of_group) => {
                        Some("with the token that issued it")
                    }
                    (_, group) => group.map(|(_, words)| words),
                };
                let reason = words(revoked.reason);
                let detail = with.map_or_else(|| reason.clone(), |with| format!("{reason}, {with}"));
                let (at, event, actor) = (revoked.at.as_unix_millis(), "revoked".into(), revoked.by.as_str().into());
                entries.insert(0, Entry { at, event, actor, detail });
            }
        }
        entries.extend(refusals::of(&self.pool, view).await?);
        // The sort is stable: entries of the same time keep their order.
        entries.sort_by_key(|entry| Reverse(entry.at));
        Ok(entries)
    }
}

impl Audit {
    /// Finds out whether the token was revoked because its issuer ended. If so, the trail of the
    /// issuer has an [`ISSUED_REVOKED`] entry with the same actor and with the time of the
    /// revocation or a later time. Returns the time of the earliest such entry. Returns `None` if
    /// there is no such entry, or if the token is not bound.
    async fn ended_with_issuer(&self, view: &TokenView, revoked: &Revocation) -> sqlx::Result<Option<i64>> {
        let Some(issuer) = view.issuer.filter(|issuer| issuer.bound) else { return Ok(None) };
        let sql = "SELECT min(at) FROM token_events WHERE project = ? AND token_id = ? AND event = ? AND at >= ? \
                   AND actor = ?";
        let row = sqlx::query_scalar(sql).bind(view.project.as_str()).bind(issuer.id.as_str()).bind(ISSUED_REVOKED);
        row.bind(revoked.at.as_unix_millis()).bind(revoked.by.as_str()).fetch_one(&self.pool).await
    }
}

impl EventSink for Audit {
    fn record(&self, event: &Event<'_>) {
        keyfob::events::TracingSink.record(event);
        if let Some(refusal) = Refusal::of(event) {
            let at = self.clock.now().as_unix_millis();
            return self.send(&self.refusals, Message::Refused { at, refusal });
        }
        let (key, actor, detail) = match event {
            // An entry for each verification of a busy token would hide the operations of people.
            // The time of the last use is enough.
            Event::Verified { .. } => return,
            Event::Issued { key, issuer: Some(issuer), actor } => {
                let by = TokenKey { project: key.project, id: issuer.id };
                self.push(by, ISSUED_TOKEN, Some(actor), key.id.to_string());
                let detail = if issuer.bound { "under a token, ends with it" } else { "under a token" };
                (Some(*key), Some(*actor), detail.into())
            }
            Event::Issued { key, actor, .. } | Event::Changed { key, actor, .. } | Event::Imported { key, actor } => {
                (Some(*key), Some(*actor), String::new())
            }
            Event::Rotated { key, successor, grace_until, actor } => {
                (Some(*key), Some(*actor), format!("to {successor}, works until {grace_until}"))
            }
            Event::Revoked { key, actor, reason } => (Some(*key), Some(*actor), words(*reason)),
            Event::Leaked { key, actor, .. } => (Some(*key), Some(*actor), String::new()),
            Event::Expiring { key, lead } => (Some(*key), None, lead.to_string()),
            Event::GroupRevoked { project, group, actor, reason, .. } => {
                let at = self.clock.now().as_unix_millis();
                return self.send(&self.acts, Message::Group(Group::new(at, project, group, actor, *reason)));
            }
            Event::IssuedRevoked { project, issuer, count, actor, reason } => {
                let key = TokenKey { project: *project, id: *issuer };
                let plural = if *count == 1 { "" } else { "s" };
                return self.push(
                    key,
                    ISSUED_REVOKED,
                    Some(actor),
                    format!("{count} token{plural}, {}", words(*reason)),
                );
            }
            // These events belong to no token, or to a token that may not exist. They are only in
            // the log.
            _ => return,
        };
        let Some(key) = key else { return };
        if let Event::Rotated { successor, .. } = event {
            // The audit trail of the new token begins here.
            let new = TokenKey { project: key.project, id: *successor };
            self.push(new, "issued", actor, format!("replaces {}", key.id));
        }
        self.push(key, event.name(), actor, detail);
    }
}

impl Audit {
    fn push(&self, key: TokenKey, event: &str, actor: Option<&Actor>, detail: String) {
        let actor = actor.map_or_else(String::new, |actor| actor.as_str().to_owned());
        let entry = Entry { at: self.clock.now().as_unix_millis(), event: event.into(), actor, detail };
        let queue = if is_of_token(&entry.actor) { &self.issues } else { &self.acts };
        self.send(queue, Message::Write { key, entry });
    }

    fn send(&self, queue: &mpsc::Sender<Message>, message: Message) {
        if queue.try_send(message).is_err() {
            let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            if dropped.is_power_of_two() {
                tracing::warn!(dropped, "the audit trail is too slow and has lost events");
            }
        }
    }
}

/// Returns whether the actor is a token, and not a person.
fn is_of_token(actor: &str) -> bool {
    actor.starts_with("token ")
}

/// Returns the reason of a revocation in words.
fn words(reason: RevocationReason) -> String {
    reason.as_str().replace('_', " ")
}

/// Writes messages in one transaction, so that the disk is synchronized once. If the transaction
/// fails, writes the messages one by one.
async fn write_all(pool: &SqlitePool, messages: &[Message]) {
    let together = async {
        let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
        for message in messages {
            message.write(&mut transaction).await?;
        }
        transaction.commit().await
    };
    let Err(error) = together.await else { return };
    tracing::warn!(error = &error as &dyn std::error::Error, "cannot write events together; writing them one by one");
    for message in messages {
        let alone = async { message.write(&mut *pool.acquire().await?).await };
        if let Err(error) = alone.await {
            tracing::error!(error = &error as &dyn std::error::Error, "an event of the audit trail is lost");
        }
    }
}

impl Message {
    async fn write(&self, database: &mut SqliteConnection) -> sqlx::Result<()> {
        match self {
            Self::Write { key, entry } => write(database, key, entry).await,
            Self::Refused { at, refusal } => refusal.write(database, *at).await,
            Self::Group(group) => group.write(database).await,
            Self::Written(_) => Ok(()),
        }
    }
}

async fn write(database: &mut SqliteConnection, key: &TokenKey, entry: &Entry) -> sqlx::Result<()> {
    let sql = "INSERT INTO token_events (at, project, token_id, event, actor, detail) VALUES (?, ?, ?, ?, ?, ?)";
    let row = sqlx::query(sql).bind(entry.at).bind(key.project.as_str()).bind(key.id.as_str());
    row.bind(&entry.event).bind(&entry.actor).bind(&entry.detail).execute(&mut *database).await?;
    if entry.event == ISSUED_TOKEN && is_of_token(&entry.actor) {
        let sql = concat!(
            "DELETE FROM token_events WHERE project = ?1 AND token_id = ?2 AND ",
            issued_by_itself!(),
            " AND id <= (SELECT id FROM token_events WHERE project = ?1 AND token_id = ?2 AND ",
            issued_by_itself!(),
            " ORDER BY id DESC LIMIT 1 OFFSET ?3)"
        );
        let surplus = sqlx::query(sql).bind(key.project.as_str()).bind(key.id.as_str()).bind(MOST_ISSUED);
        surplus.execute(database).await?;
    }
    Ok(())
}
