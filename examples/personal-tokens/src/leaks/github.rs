//! Fetches the keys with which GitHub's secret scanning signs its reports.
//!
//! One process fetches the keys for all processes on the same database. The others read them from
//! the database.

use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Clock, Timestamp,
    leak::github::{GitHubKeys, GitHubWebhook},
};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::sync::Mutex;

use crate::db::{Db, query};
use crate::leaks::deliveries;
use crate::setup::SetupError;

/// The minimum time between a successful fetch and the next fetch, even if reports name unknown
/// keys. GitHub answers at most 60 unauthenticated requests an hour.
const PAUSE: Duration = Duration::from_secs(5 * 60);
/// The minimum time between a failed fetch and the next fetch. It is shorter than [`PAUSE`],
/// because a report may be waiting for the keys. It is not less than a minute, because GitHub
/// answers at most 60 unauthenticated requests an hour. A fetch counts as failed while it is in
/// progress, so another process fetches the keys if the process dies.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(60);
/// The maximum age of the keys that [`GitHub::fetch_keys`] returns.
const FRESH: Duration = Duration::from_secs(10);
/// The age at which keys are fetched again even if no report names an unknown key, because GitHub
/// may have withdrawn a key.
const OLD: Duration = Duration::from_secs(24 * 60 * 60);
const PATIENCE: Duration = Duration::from_secs(10);
const MOST_BYTES: usize = 64 * 1024;

pub struct GitHub {
    pub webhook: GitHubWebhook,
    address: Url,
    client: Client,
    clock: Arc<dyn Clock>,
    db: Db,
    /// The keys of the webhook, and the time at which their fetch began. It is `None` before the
    /// first keys.
    held: Mutex<Option<(Timestamp, GitHubKeys)>>,
}

/// The fetches of all processes.
struct Fetches {
    /// The time at which the last fetch began.
    asked_at: i64,
    /// The time at which the last successful fetch began.
    came_at: i64,
}

impl GitHub {
    /// Creates the receiver of GitHub's reports. It has no keys until
    /// [`keep_keys`](Self::keep_keys) or the first report fetches them.
    pub fn new(address: Url, clock: Arc<dyn Clock>, db: Db) -> Result<Self, SetupError> {
        let client = Client::builder()
            .timeout(PATIENCE)
            .redirect(Policy::none())
            .user_agent("keyfob-personal-tokens")
            .build()?;
        Ok(Self { webhook: GitHubWebhook::default(), address, client, clock, db, held: Mutex::default() })
    }

    /// Takes over the keys that another process has fetched. Fetches the keys if they are a day
    /// old, if the last fetch failed, or if there was no fetch yet. Call this function
    /// periodically.
    pub async fn keep_keys(&self) {
        self.current(OLD).await;
    }

    /// Fetches the keys and gives them to the webhook, unless the last fetch was too recent: less
    /// than `PAUSE` ago, or less than `PAUSE_AFTER_FAILURE` ago if it failed. Returns the keys
    /// if they are less than [`FRESH`] old, otherwise `None`.
    pub async fn fetch_keys(&self) -> Option<GitHubKeys> {
        self.current(PAUSE).await
    }

    /// Fetches the keys if they are at least `age` old.
    async fn current(&self, age: Duration) -> Option<GitHubKeys> {
        // Hold the lock during the fetch, so that reports that arrive at the same time cause only
        // one fetch.
        let mut held = self.held.lock().await;
        if let Err(error) = self.update(&mut held, age).await {
            tracing::error!(
                error = &*error as &dyn std::error::Error,
                "cannot fetch GitHub's keys; the next try is in a minute"
            );
        }
        held.as_ref().filter(|(at, _)| self.is_within(FRESH, *at)).map(|(_, keys)| keys.clone())
    }

    async fn update(&self, held: &mut Option<(Timestamp, GitHubKeys)>, age: Duration) -> Result<(), SetupError> {
        let last = self.take_over(held).await?;
        let pause = if last.asked_at == last.came_at { age } else { PAUSE_AFTER_FAILURE };
        if self.is_within(pause, Timestamp::from_unix_millis(last.asked_at)?) {
            return Ok(());
        }
        let now = self.clock.now();
        // Of several processes, the first one changes the row.
        let sql = "UPDATE github_keys SET asked_at = ? WHERE id = 1 AND asked_at = ?";
        if query(sql).bind(now.as_unix_millis()).bind(last.asked_at).execute(&self.db).await? == 0 {
            return Ok(());
        }
        let document = self.ask().await?;
        let keys = GitHubKeys::from_json(document.as_bytes())?;
        let sql = "UPDATE github_keys SET came_at = asked_at, document = ? WHERE id = 1 AND asked_at = ?";
        query(sql).bind(document).bind(now.as_unix_millis()).execute(&self.db).await?;
        let current: Vec<&str> = keys.current_ids().collect();
        if let Err(error) = deliveries::keep_of(&self.db, &current).await {
            // This is only a warning, because old rows only take room.
            tracing::warn!(
                error = &*error as &dyn std::error::Error,
                "cannot delete old reports of GitHub; the next fetch of its keys tries again"
            );
        }
        self.webhook.set_keys(keys.clone());
        *held = Some((now, keys));
        Ok(())
    }

    /// Gives the keys of the last successful fetch to the webhook, if another process fetched them.
    async fn take_over(&self, held: &mut Option<(Timestamp, GitHubKeys)>) -> Result<Fetches, SetupError> {
        let sql = "SELECT asked_at, came_at, document FROM github_keys WHERE id = 1";
        let (asked_at, came_at, document): (i64, i64, String) = query(sql).fetch_one(&self.db).await?;
        let at = Timestamp::from_unix_millis(came_at)?;
        if !document.is_empty() && held.as_ref().is_none_or(|(held_at, _)| *held_at != at) {
            let keys = GitHubKeys::from_json(document.as_bytes())?;
            self.webhook.set_keys(keys.clone());
            *held = Some((at, keys));
        }
        Ok(Fetches { asked_at, came_at })
    }

    /// Returns whether less than `time` has passed since `since`. Returns `false` if the clock was
    /// set back before `since`.
    fn is_within(&self, time: Duration, since: Timestamp) -> bool {
        let now = self.clock.now();
        since <= now && now.saturating_since(since) < time
    }

    async fn ask(&self) -> Result<String, SetupError> {
        let mut answer = self.client.get(self.address.clone()).send().await?.error_for_status()?;
        let mut text = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            text.extend_from_slice(&piece);
            if text.len() > MOST_BYTES {
                return Err("the list of keys has more than 64 KiB".into());
            }
        }
        Ok(String::from_utf8(text)?)
    }
}
