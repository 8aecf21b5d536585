//! The periodic work of the service, and the outcome of its last runs. Each process writes its own
//! last uses. The other work is done by one process for all, under a lease.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keyfob::Timestamp;
use tokio::task::JoinSet;

use crate::app::App;
use crate::lease::{self, Last, Lease};
use crate::setup::SetupError;
use crate::tokens::{notices, purge};

/// The time after which a process asks again whether work for all processes is due.
const ASKED: Duration = Duration::from_secs(5);

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

    /// Returns the name of the job in metrics, and of its lease.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Notices => "notices",
            Self::Orphans => "orphans",
            Self::Purge => "purge",
        }
    }

    /// Returns the name of the lease under which one process does the work for all, or `None` if
    /// each process does it.
    fn lease(self) -> Option<&'static str> {
        (self != Self::Usage).then_some(self.name())
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

/// The numbers of runs of a job in this process that have ended, and that failed.
#[derive(Clone, Copy, Default, Debug)]
pub struct Runs {
    pub ended: u64,
    pub failed: u64,
}

/// The outcomes of all jobs in this process. Show an error only to administrators.
#[derive(Default)]
pub struct Housekeeping {
    last: Mutex<[(Runs, Option<Last>); Job::ALL.len()]>,
}

impl Housekeeping {
    /// Returns the outcome of the job in this process, or `None` if the job has not yet run to its
    /// end.
    pub fn last(&self, job: Job) -> Option<Last> {
        self.outcomes()[job as usize].1.clone()
    }

    /// Returns how often the job has run in this process.
    pub fn runs(&self, job: Job) -> Runs {
        self.outcomes()[job as usize].0
    }

    fn note(&self, job: Job, at: Timestamp, result: &Result<(), SetupError>) {
        let (runs, last) = &mut self.outcomes()[job as usize];
        runs.ended += 1;
        runs.failed += u64::from(result.is_err());
        let succeeded_at = match result {
            Ok(()) => Some(at),
            Err(_) => last.as_ref().and_then(|last| last.succeeded_at),
        };
        *last = Some(Last { at, error: result.as_ref().err().map(|error| with_causes(&**error)), succeeded_at });
    }

    // No code here panics while it holds the lock.
    fn outcomes(&self) -> MutexGuard<'_, [(Runs, Option<Last>); Job::ALL.len()]> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the last run of the job, in this process or in another one.
pub async fn last(app: &App, job: Job) -> Option<Last> {
    let here = app.housekeeping.last(job);
    let Some(name) = job.lease() else { return here };
    match lease::last(&app.db, name).await {
        Ok(anywhere) => anywhere.into_iter().chain(here).max_by_key(|last| last.at),
        // An administrator asks most while the database fails.
        Err(error) => {
            tracing::warn!(error = &*error as &dyn Error, "cannot read when periodic work was done");
            here
        }
    }
}

/// Runs a job once, and stores its outcome in [`App::housekeeping`]. If the job fails, logs the
/// error and returns its text.
///
/// # Errors
/// Returns the text of the error of the job.
pub async fn run(app: &App, job: Job) -> Result<(), String> {
    let result = job.run(app).await;
    if let Err(error) = &result {
        let next = job.interval().as_secs();
        tracing::warn!(error = &**error as &dyn Error, "cannot {}; the next try is in {next} seconds", job.words());
    }
    app.housekeeping.note(job, app.tokens.now(), &result);
    result.map_err(|error| with_causes(&*error))
}

/// Runs a job if it is due and no other process does it.
async fn run_if_due(app: &App, job: Job, name: &'static str) {
    let done = async {
        match Lease::take(&app.db, name, job.interval()).await? {
            Some(lease) => lease.work(|| app.tokens.now(), run(app, job)).await,
            None => Ok(true),
        }
    };
    match done.await {
        Ok(true) => {}
        Ok(false) => tracing::warn!("another process took over to {}", job.words()),
        Err(error) => {
            tracing::warn!(error = &*error as &dyn Error, "cannot read or store whether to {} is due", job.words());
        }
    }
}

/// Starts the periodic work. Each job is a separate task, so that no job waits for another. If the
/// service receives GitHub's reports, a further task fetches GitHub's keys when they are old.
pub fn start(app: &Arc<App>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for job in Job::ALL {
        let app = Arc::clone(app);
        match job.lease() {
            Some(name) => tasks.spawn(every(ASKED, async move || run_if_due(&app, job, name).await)),
            None => tasks.spawn(every(job.interval(), async move || drop(run(&app, job).await))),
        };
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

/// Returns the text of an error and of its causes. A cause whose text is in the text before it is
/// left out, because some errors repeat their cause.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text += &format!(": {words}");
        }
        cause = error.source();
    }
    text
}
