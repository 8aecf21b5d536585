//! The periodic work of the process, and the outcome of its last runs.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keyfob::Timestamp;
use tokio::task::JoinSet;

use crate::app::App;
use crate::setup::SetupError;
use crate::tokens::{notices, purge};

/// A piece of work that the process repeats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Job {
    /// Writes the last uses of tokens, and the numbers of their uses.
    Usage,
    /// Gathers the notices of coming expiries.
    Notices,
    /// Revokes the tokens that are bound to an ended issuer. Verification already rejects these
    /// tokens.
    Orphans,
    /// Deletes tokens that ended long ago, and other data whose time is over.
    Purge,
}

impl Job {
    pub const ALL: [Self; 4] = [Self::Usage, Self::Notices, Self::Orphans, Self::Purge];

    /// Returns the time from one run to the next.
    pub const fn interval(self) -> Duration {
        Duration::from_secs(match self {
            Self::Usage => 5,
            Self::Notices => 60,
            Self::Orphans => 60 * 60,
            Self::Purge => 24 * 60 * 60,
        })
    }

    /// Returns a description of the job, in words that follow "cannot".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Usage => "write the uses of tokens",
            Self::Notices => "gather the notices of coming expiries",
            Self::Orphans => "revoke the tokens of ended issuers",
            Self::Purge => "delete the data whose time is over",
        }
    }

    async fn run(self, app: &App) -> Result<(), SetupError> {
        match self {
            Self::Usage => {
                let (last, numbers) = tokio::join!(app.tokens.flush_usage(), app.uses.write());
                last?;
                numbers?;
            }
            Self::Notices => notices::gather(app).await?,
            Self::Orphans => drop(app.tokens.revoke_orphans().await?),
            Self::Purge => drop(purge::purge(app).await?),
        }
        Ok(())
    }
}

/// The outcome of the runs of one job in this process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The time at which the last run ended.
    pub at: Timestamp,
    /// The error of the last run with its causes, or `None` if the run succeeded. Show it only to
    /// administrators.
    pub error: Option<String>,
    /// The time at which the last successful run ended, if any run has succeeded.
    pub succeeded_at: Option<Timestamp>,
}

/// The outcomes of all jobs in this process. Other processes on the same data directory have their
/// own.
#[derive(Default)]
pub struct Housekeeping {
    last: Mutex<[Option<Outcome>; Job::ALL.len()]>,
}

impl Housekeeping {
    /// Returns the outcome of the job, or `None` if the job has not yet run to its end.
    pub fn last(&self, job: Job) -> Option<Outcome> {
        self.outcomes()[job as usize].clone()
    }

    fn note(&self, job: Job, at: Timestamp, result: &Result<(), SetupError>) {
        let last = &mut self.outcomes()[job as usize];
        let succeeded_at = match result {
            Ok(()) => Some(at),
            Err(_) => last.as_ref().and_then(|last| last.succeeded_at),
        };
        *last = Some(Outcome { at, error: result.as_ref().err().map(|error| with_causes(&**error)), succeeded_at });
    }

    // No code here panics while it holds the lock.
    fn outcomes(&self) -> MutexGuard<'_, [Option<Outcome>; Job::ALL.len()]> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a job once, and stores its outcome in [`App::housekeeping`]. If the job fails, logs the
/// error.
pub async fn run(app: &App, job: Job) {
    let result = job.run(app).await;
    if let Err(error) = &result {
        let next = job.interval().as_secs();
        tracing::warn!(error = &**error as &dyn Error, "cannot {}; the next try is in {next} seconds", job.words());
    }
    app.housekeeping.note(job, app.tokens.now(), &result);
}

/// Starts the periodic work. Each job is a separate task, so that no job waits for another. If the
/// service receives GitHub's reports, a further task fetches GitHub's keys when they are old.
pub fn start(app: &Arc<App>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for job in Job::ALL {
        let app = Arc::clone(app);
        tasks.spawn(every(job.interval(), async move || run(&app, job).await));
    }
    if let Some(github) = app.github.clone() {
        tasks.spawn(every(Duration::from_secs(60), async move || github.keep_keys().await));
    }
    tasks
}

/// Calls `operation` immediately, and then once in each interval of length `time`. Never returns.
async fn every(time: Duration, operation: impl AsyncFn()) {
    let mut times = tokio::time::interval(time);
    loop {
        times.tick().await;
        operation().await;
    }
}

fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
