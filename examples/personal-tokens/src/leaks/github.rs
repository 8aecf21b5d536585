//! Fetches the keys with which GitHub's secret scanning signs its reports.

use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Clock, Timestamp,
    leak::github::{GitHubKeys, GitHubWebhook},
};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::sync::Mutex;

use crate::db::Db;
use crate::leaks::deliveries;
use crate::setup::SetupError;

/// The minimum time between a successful fetch and the next fetch, even if reports name unknown
/// keys. GitHub answers at most 60 unauthenticated requests an hour.
const PAUSE: Duration = Duration::from_secs(5 * 60);
/// The minimum time between a failed fetch and the next fetch. It is shorter than [`PAUSE`],
/// because a report may be waiting for the keys. It is not less than a minute, because GitHub
/// answers at most 60 unauthenticated requests an hour.
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
    /// The time at which the keys were last requested, and the keys if the request succeeded. It is
    /// `None` before the first request.
    asked: Mutex<Option<(Timestamp, Option<GitHubKeys>)>>,
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
        Ok(Self { webhook: GitHubWebhook::default(), address, client, clock, db, asked: Mutex::default() })
    }

    /// Fetches the keys if they are a day old, if the last fetch failed, or if there was no fetch
    /// yet. Call this function periodically.
    pub async fn keep_keys(&self) {
        let asked = self.asked.lock().await.as_ref().map(|(at, keys)| (*at, keys.is_some()));
        if !asked.is_some_and(|(at, came)| came && self.is_within(OLD, at)) {
            self.fetch_keys().await;
        }
    }

    /// Fetches the keys and gives them to the webhook, unless the last fetch was too recent: less
    /// than `PAUSE` ago, or less than `PAUSE_AFTER_FAILURE` ago if it failed. Returns the keys
    /// if they are less than [`FRESH`] old, otherwise `None`.
    pub async fn fetch_keys(&self) -> Option<GitHubKeys> {
        // Hold the lock during the fetch, so that reports that arrive at the same time cause only
        // one fetch.
        let mut asked = self.asked.lock().await;
        if let Some((at, keys)) = &*asked
            && self.is_within(if keys.is_some() { PAUSE } else { PAUSE_AFTER_FAILURE }, *at)
        {
            return keys.clone().filter(|_| self.is_within(FRESH, *at));
        }
        let keys = match self.ask().await {
            Ok(keys) => {
                let current: Vec<&str> = keys.current_ids().collect();
                if let Err(error) = deliveries::keep_of(&self.db, &current).await {
                    // This is only a warning, because old rows only take room.
                    tracing::warn!(
                        error = &*error as &dyn std::error::Error,
                        "cannot delete old reports of GitHub; the next fetch of its keys tries again"
                    );
                }
                self.webhook.set_keys(keys.clone());
                Some(keys)
            }
            Err(error) => {
                tracing::error!(
                    error = &*error as &dyn std::error::Error,
                    "cannot fetch GitHub's keys; the next try is in a minute"
                );
                None
            }
        };
        *asked = Some((self.clock.now(), keys.clone()));
        keys
    }

    /// Returns whether less than `time` has passed since `since`. Returns `false` if the clock was
    /// set back before `since`.
    fn is_within(&self, time: Duration, since: Timestamp) -> bool {
        let now = self.clock.now();
        since <= now && now.saturating_since(since) < time
    }

    async fn ask(&self) -> Result<GitHubKeys, SetupError> {
        let mut answer = self.client.get(self.address.clone()).send().await?.error_for_status()?;
        let mut text = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            text.extend_from_slice(&piece);
            if text.len() > MOST_BYTES {
                return Err("the list of keys has more than 64 KiB".into());
            }
        }
        Ok(GitHubKeys::from_json(&text)?)
    }
}
