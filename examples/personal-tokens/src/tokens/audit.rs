//! The audit trail: what happened to each token, stored in the host's database.
//!
//! keyfob emits events during requests, so the events go through bounded queues to one writer. If a
//! queue is full, the event is dropped, counted and logged, so that a request never waits for the
//! audit trail. Operations of people have a separate queue, because the holder of a token can cause
//! any number of other events: refused requests, and tokens that the token issues.

use keyfob::{
    Actor, Clock, TokenKey,
    events::{Event, EventSink},
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

use crate::db::{Db, Tx, query};
use crate::tokens::act::{Act, ISSUED_TOKEN, Origin};
use crate::tokens::groups::Group;
use crate::tokens::refusals::Refusal;
use crate::tokens::trail::issued_by_itself;

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

/// A row of the audit trail.
#[derive(Debug)]
struct Entry {
    at: i64,
    event: &'static str,
    /// The actor. It is empty if the service itself or a request with the token is the cause.
    actor: String,
    detail: String,
}

enum Message {
    Write { key: TokenKey, entry: Entry },
    Refused { at: i64, refusal: Refusal },
    Group(Group),
    Written(oneshot::Sender<()>),
}

/// The sink that receives keyfob's events.
#[derive(Clone)]
pub struct Audit {
    acts: mpsc::Sender<Message>,
    /// The queue of events whose actor is a token and not a person.
    issues: mpsc::Sender<Message>,
    refusals: mpsc::Sender<Message>,
    clock: Arc<dyn Clock>,
    dropped: Arc<AtomicU64>,
}

impl Audit {
    /// Starts the task that writes the events, and returns the sink that sends events to this task.
    pub fn start(db: Db, clock: Arc<dyn Clock>) -> Self {
        let (acts, mut acts_waiting) = mpsc::channel(QUEUE);
        let (issues, mut issues_waiting) = mpsc::channel(QUEUE);
        let (refusals, mut refusals_waiting) = mpsc::channel(QUEUE);
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
                write_all(&db, &messages).await;
                for message in messages {
                    match message {
                        // The send fails if the caller no longer waits.
                        Message::Written(done) => drop(done.send(())),
                        Message::Write { .. } | Message::Refused { .. } | Message::Group(_) => {}
                    }
                }
            }
        });
        Self { acts, issues, refusals, clock, dropped: Arc::default() }
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
}

impl EventSink for Audit {
    fn record(&self, event: &Event<'_>) {
        keyfob::events::TracingSink.record(event);
        if let Some(refusal) = Refusal::of(event) {
            let at = self.clock.now().as_unix_millis();
            return self.send(&self.refusals, Message::Refused { at, refusal });
        }
        let (key, actor) = match event {
            // An entry for each verification of a busy token would hide the operations of people.
            // The uses are only counted: see `uses`.
            Event::Verified { .. } => return,
            Event::Issued { key, actor, issuer } => {
                if let Some(issuer) = issuer {
                    let by = TokenKey { project: key.project, id: issuer.id };
                    self.push(by, Act::IssuedToken(key.id), Some(actor));
                }
                (*key, Some(*actor))
            }
            Event::Rotated { key, successor, actor, .. } => {
                // The audit trail of the new token begins here.
                let new = TokenKey { project: key.project, id: *successor };
                self.push(new, Act::Issued(Origin::Replaces(key.id)), Some(actor));
                (*key, Some(*actor))
            }
            Event::Changed { key, actor, .. }
            | Event::Imported { key, actor }
            | Event::Revoked { key, actor, .. }
            | Event::Leaked { key, actor, .. } => (*key, Some(*actor)),
            Event::Expiring { key, .. } => (*key, None),
            Event::GroupRevoked { project, group, actor, reason, .. } => {
                let at = self.clock.now().as_unix_millis();
                return self.send(&self.acts, Message::Group(Group::new(at, project, group, actor, *reason)));
            }
            Event::IssuedRevoked { project, issuer, actor, .. } => {
                (TokenKey { project: *project, id: *issuer }, Some(*actor))
            }
            // These events belong to no token, or to a token that may not exist. They are only in
            // the log.
            _ => return,
        };
        if let Some(act) = Act::of(event) {
            self.push(key, act, actor);
        }
    }
}

impl Audit {
    fn push(&self, key: TokenKey, act: Act, actor: Option<&Actor>) {
        let actor = actor.map_or_else(String::new, |actor| actor.as_str().to_owned());
        let (at, event, detail) = (self.clock.now().as_unix_millis(), act.event(), act.detail());
        let entry = Entry { at, event, actor, detail };
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

/// Writes messages in one transaction, so that the disk is synchronized once. If the transaction
/// fails, writes the messages one by one.
async fn write_all(db: &Db, messages: &[Message]) {
    let together = async {
        let mut transaction = db.begin().await?;
        for message in messages {
            message.write(&mut transaction).await?;
        }
        transaction.commit().await
    };
    let Err(error) = together.await else { return };
    tracing::warn!(error = &error as &dyn std::error::Error, "cannot write events together; writing them one by one");
    for message in messages {
        let alone = async {
            let mut transaction = db.begin().await?;
            message.write(&mut transaction).await?;
            transaction.commit().await
        };
        if let Err(error) = alone.await {
            tracing::error!(error = &error as &dyn std::error::Error, "an event of the audit trail is lost");
        }
    }
}

impl Message {
    async fn write(&self, database: &mut Tx) -> sqlx::Result<()> {
        match self {
            Self::Write { key, entry } => write(database, key, entry).await,
            Self::Refused { at, refusal } => refusal.write(database, *at).await,
            Self::Group(group) => group.write(database).await,
            Self::Written(_) => Ok(()),
        }
    }
}

async fn write(database: &mut Tx, key: &TokenKey, entry: &Entry) -> sqlx::Result<()> {
    let sql = "INSERT INTO token_events (at, project, token_id, event, actor, detail) VALUES (?, ?, ?, ?, ?, ?)";
    let row = query(sql).bind(entry.at).bind(key.project.as_str()).bind(key.id.as_str());
    row.bind(entry.event).bind(&entry.actor).bind(&entry.detail).execute(&mut *database).await?;
    if entry.event == ISSUED_TOKEN && is_of_token(&entry.actor) {
        let sql = concat!(
            "DELETE FROM token_events WHERE project = ?1 AND token_id = ?2 AND ",
            issued_by_itself!(),
            " AND id <= (SELECT id FROM token_events WHERE project = ?1 AND token_id = ?2 AND ",
            issued_by_itself!(),
            " ORDER BY id DESC LIMIT 1 OFFSET ?3)"
        );
        let surplus = query(sql).bind(key.project.as_str()).bind(key.id.as_str()).bind(MOST_ISSUED);
        surplus.execute(database).await?;
    }
    Ok(())
}
