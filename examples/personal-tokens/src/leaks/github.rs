//! GitHub's secret scanning: the keys that its reports are signed with, fetched where they are published.

use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Clock, Timestamp,
    leak::github::{GitHubKeys, GitHubWebhook},
};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use sqlx::SqlitePool;
use tokio::sync::Mutex;

use crate::leaks::deliveries;
use crate::setup::SetupError;

/// The least time between two fetches, whatever keys reports name: GitHub answers 60 such questions in an hour.
const PAUSE: Duration = Duration::from_secs(5 * 60);
/// The same after one that failed: a report waits for the keys, and a minute is as often as GitHub answers.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(60);
/// For so long nobody asks whether there are newer ones.
const FRESH: Duration = Duration::from_secs(10);
/// After so long they are fetched whatever reports name, as GitHub may have withdrawn one.
const OLD: Duration = Duration::from_secs(24 * 60 * 60);
const PATIENCE: Duration = Duration::from_secs(10);
const MOST_BYTES: usize = 64 * 1024;

pub struct GitHub {
    pub webhook: GitHubWebhook,
    address: Url,
    client: Client,
    clock: Arc<dyn Clock>,
    pool: SqlitePool,
    /// When they were asked for, and what came.
    asked: Mutex<Option<(Timestamp, Option<GitHubKeys>)>>,
}

impl GitHub {
    /// With no key yet: they are fetched by [`keep_keys`](Self::keep_keys), or for the first report.
    pub fn new(address: Url, clock: Arc<dyn Clock>, pool: SqlitePool) -> Result<Self, SetupError> {
        let client = Client::builder()
            .timeout(PATIENCE)
            .redirect(Policy::none())
            .user_agent("keyfob-personal-tokens")
            .build()?;
        Ok(Self { webhook: GitHubWebhook::default(), address, client, clock, pool, asked: Mutex::default() })
    }

    /// Fetches the keys where those that are there are a day old, or did not come. To be called now and then.
    pub async fn keep_keys(&self) {
        let asked = self.asked.lock().await.as_ref().map(|(at, keys)| (*at, keys.is_some()));
        if !asked.is_some_and(|(at, came)| came && self.is_within(OLD, at)) {
            self.fetch_keys().await;
        }
    }

    /// Fetches the keys, unless they were asked for a short while ago, and gives them to the webhook. Returns them if they are of
    /// this moment.
    pub async fn fetch_keys(&self) -> Option<GitHubKeys> {
        // Held for the while, so that reports that come together fetch once.
        let mut asked = self.asked.lock().await;
        if let Some((at, keys)) = &*asked
            && self.is_within(if keys.is_some() { PAUSE } else { PAUSE_AFTER_FAILURE }, *at)
        {
            return keys.clone().filter(|_| self.is_within(FRESH, *at));
        }
        let keys = match self.ask().await {
            Ok(keys) => {
                let current: Vec<&str> = keys.current_ids().collect();
                if let Err(error) = deliveries::keep_of(&self.pool, &current).await {
                    // They take room, and no harm is done.
                    tracing::warn!(
                        error = &*error as &dyn std::error::Error,
                        "old reports of GitHub are not forgotten"
                    );
                }
                self.webhook.set_keys(keys.clone());
                Some(keys)
            }
            Err(error) => {
                tracing::error!(error = &*error as &dyn std::error::Error, "GitHub's keys are not to be had");
                None
            }
        };
        *asked = Some((self.clock.now(), keys.clone()));
        keys
    }

    /// Whether less than this has gone by since then. A clock that was set back does not tell.
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
                return Err("the answer is too long".into());
            }
        }
        Ok(GitHubKeys::from_json(&text)?)
    }
}
