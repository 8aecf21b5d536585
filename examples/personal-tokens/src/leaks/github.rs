//! GitHub's secret scanning: the keys that its reports are signed with, fetched where they are published.

use std::time::Duration;

use keyfob::{GitHubKeys, GitHubWebhook};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::setup::SetupError;

/// The least time between two fetches, whatever keys reports name: GitHub answers 60 such questions in an hour.
const PAUSE: Duration = Duration::from_secs(5 * 60);
/// For so long nobody asks whether there are newer ones.
const FRESH: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(10);
const MOST_BYTES: usize = 64 * 1024;

pub struct GitHub {
    pub webhook: GitHubWebhook,
    address: Url,
    client: Client,
    /// When they were asked for, and whether they came.
    asked: Mutex<Option<(Instant, bool)>>,
}

impl GitHub {
    /// With no key yet: they are fetched for the first report.
    pub fn new(address: Url) -> Result<Self, SetupError> {
        let client = Client::builder()
            .timeout(PATIENCE)
            .redirect(Policy::none())
            .user_agent("keyfob-personal-tokens")
            .build()?;
        Ok(Self { webhook: GitHubWebhook::default(), address, client, asked: Mutex::default() })
    }

    /// Fetches the keys, unless they were asked for a while ago. Says whether those that are there are of this moment.
    pub async fn fetch_keys(&self) -> bool {
        // Held for the while, so that reports that come together fetch once.
        let mut asked = self.asked.lock().await;
        if let Some((at, came)) = *asked
            && at.elapsed() < PAUSE
        {
            return came && at.elapsed() < FRESH;
        }
        let came = match self.ask().await {
            Ok(keys) => {
                self.webhook.set_keys(keys);
                true
            }
            Err(error) => {
                tracing::error!(error = &*error as &dyn std::error::Error, "GitHub's keys are not to be had");
                false
            }
        };
        *asked = Some((Instant::now(), came));
        came
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
