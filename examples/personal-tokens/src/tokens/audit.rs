//! The audit trail: what happened to each token, kept in the host's database.
//!
//! keyfob tells its events in the midst of requests, so they go through a bounded queue to one writer. Where it is full, events are
//! dropped, counted and logged: a request never waits for its own trail.

use keyfob::{Actor, Clock, Event, EventSink, TokenKey};
use sqlx::SqlitePool;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

/// How many events may wait to be written.
const QUEUE: usize = 1024;

/// One event of one token, as its page shows it.
#[derive(Debug)]
pub struct Entry {
    pub at: i64,
    pub event: String,
    /// Who did it; empty for what requests with the token caused.
    pub actor: String,
    pub detail: String,
}

enum Message {
    Write { key: TokenKey, entry: Entry },
    Written(oneshot::Sender<()>),
}

/// Where keyfob's events go, and where the page reads them.
#[derive(Clone)]
pub struct Audit {
    pool: SqlitePool,
    queue: mpsc::Sender<Message>,
    clock: Arc<dyn Clock>,
    dropped: Arc<AtomicU64>,
}

impl Audit {
    /// Starts the writer.
    pub fn start(pool: SqlitePool, clock: Arc<dyn Clock>) -> Self {
        let (queue, mut waiting) = mpsc::channel(QUEUE);
        let writer = pool.clone();
        tokio::spawn(async move {
            while let Some(message) = waiting.recv().await {
                match message {
                    Message::Write { key, entry } => write(&writer, &key, &entry).await,
                    // Whoever asked may have gone.
                    Message::Written(done) => drop(done.send(())),
                }
            }
        });
        Self { pool, queue, clock, dropped: Arc::default() }
    }

    /// Waits until all that was told before is written.
    pub async fn written(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Message::Written(done)).await.is_ok() {
            // An error means that the writer has ended, and then nothing more is written.
            let _ = written.await;
        }
    }

    /// How many events were lost, as too many waited.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// What happened to a token, the latest first, at most 100.
    pub async fn of(&self, key: &TokenKey) -> sqlx::Result<Vec<Entry>> {
        let sql = "SELECT at, event, actor, detail FROM token_events WHERE project = ? AND token_id = ? \
                   ORDER BY id DESC LIMIT 100";
        let rows: Vec<(i64, String, String, String)> =
            sqlx::query_as(sql).bind(key.project.as_str()).bind(key.id.as_str()).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|(at, event, actor, detail)| Entry { at, event, actor, detail }).collect())
    }
}

impl EventSink for Audit {
    fn record(&self, event: &Event<'_>) {
        keyfob::TracingSink.record(event);
        let (key, actor, detail) = match event {
            // Each pass of a busy token would drown what people did; the last use tells enough.
            Event::Verified { .. } => return,
            Event::Issued { key, actor } | Event::Changed { key, actor, .. } | Event::Imported { key, actor } => {
                (Some(*key), Some(*actor), String::new())
            }
            Event::Rotated { key, successor, grace_until, actor } => {
                (Some(*key), Some(*actor), format!("to {successor}, works until {grace_until}"))
            }
            Event::Revoked { key, actor, reason } => (Some(*key), Some(*actor), reason.to_string()),
            Event::Leaked { key, actor, .. } => (Some(*key), Some(*actor), String::new()),
            Event::Failed { key, rejection, left_out } => (*key, None, format!("{rejection}, {left_out} more before")),
            Event::Reused { key, left_out, .. } | Event::PolicyBlocked { key, left_out } => {
                (Some(*key), None, format!("{left_out} more before"))
            }
            Event::Expiring { key, stage } => (Some(*key), None, stage.to_string()),
            // Of a whole project, or of none: the log has them.
            _ => return,
        };
        let Some(key) = key else { return };
        if let Event::Rotated { successor, .. } = event {
            // The new token's own trail begins here.
            let new = TokenKey { project: key.project, id: *successor };
            self.push(new, "issued", actor, format!("in the place of {}", key.id));
        }
        self.push(key, event.name(), actor, detail);
    }
}

impl Audit {
    fn push(&self, key: TokenKey, event: &str, actor: Option<&Actor>, detail: String) {
        let actor = actor.map_or_else(String::new, |actor| actor.as_str().to_owned());
        let entry = Entry { at: self.clock.now().as_unix_millis(), event: event.into(), actor, detail };
        if self.queue.try_send(Message::Write { key, entry }).is_err() {
            let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            if dropped.is_power_of_two() {
                tracing::warn!(dropped, "the audit trail is behind, and loses events");
            }
        }
    }
}

async fn write(pool: &SqlitePool, key: &TokenKey, entry: &Entry) {
    let sql = "INSERT INTO token_events (at, project, token_id, event, actor, detail) VALUES (?, ?, ?, ?, ?, ?)";
    let row = sqlx::query(sql).bind(entry.at).bind(key.project.as_str()).bind(key.id.as_str());
    let row = row.bind(&entry.event).bind(&entry.actor).bind(&entry.detail);
    if let Err(error) = row.execute(pool).await {
        tracing::error!(error = &error as &dyn std::error::Error, "an event is not written");
    }
}
