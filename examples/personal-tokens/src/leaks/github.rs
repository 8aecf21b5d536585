//! GitHub's secret scanning: the keys that its reports are signed with, fetched where they are published.

use std::time::Duration;

use keyfob::{GitHubKeys, GitHubWebhook};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::setup::SetupError;

/// The least time between two fetches, whatever keys reports name.
const PAUSE: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(10);
const MOST_BYTES: u64 = 64 * 1024;

pub struct GitHub {
    pub webhook: GitHubWebhook,
    address: Url,
    client: Client,
    fetched: Mutex<Option<Instant>>,
}

impl GitHub {
    /// With no key yet: they are fetched for the first report.
    pub fn new(address: Url) -> Result<Self, SetupError> {
        let client = Client::builder()
            .timeout(PATIENCE)
            .redirect(Policy::none())
            .user_agent("keyfob-personal-tokens")
            .build()?;
        Ok(Self { webhook: GitHubWebhook::default(), address, client, fetched: Mutex::default() })
    }

    /// Fetches the keys, unless that was done a moment ago. Says whether there are new ones.
    pub async fn fetch_keys(&self) -> bool {
        // Held for the while, so that reports that come together fetch once.
        let mut fetched = self.fetched.lock().await;
        if fetched.is_some_and(|fetched| fetched.elapsed() < PAUSE) {
            return false;
        }
        *fetched = Some(Instant::now());
        match self.ask().await {
            Ok(keys) => {
                self.webhook.set_keys(keys);
                true
            }
            Err(error) => {
                tracing::error!(error = &*error as &dyn std::error::Error, "GitHub's keys are not to be had");
                false
            }
        }
    }

    async fn ask(&self) -> Result<GitHubKeys, SetupError> {
        let answer = self.client.get(self.address.clone()).send().await?.error_for_status()?;
        if answer.content_length().is_none_or(|length| length > MOST_BYTES) {
            return Err("the answer is of no known length, or too long".into());
        }
        Ok(GitHubKeys::from_json(&answer.bytes().await?)?)
    }
}
