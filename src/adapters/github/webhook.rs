//! One delivery of GitHub's, from its headers to the answer.

use core::error::Error;
use core::fmt;
use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::keys::GitHubKeys;
use super::report::{LeakReport, ReportError};
use crate::service::leak::LeakOutcome;
use crate::service::owners::Owners;
use crate::service::store::TokenStore;
use crate::service::store_error::StoreError;
use crate::service::tokens::Tokens;
use crate::words::clock::Clock;
use crate::words::text::Actor;

/// The end point for the reports of GitHub's secret scanning, apart from HTTP itself: give it what was sent, and answer what it says.
///
/// ```no_run
/// use keyfob::{Actor, Delivery, GitHubError, GitHubKeys, GitHubWebhook, ReportError};
/// # async fn fetch(_: &str) -> Vec<u8> { Vec::new() }
/// # async fn example(
/// #     tokens: keyfob::Tokens<keyfob::MemoryStore>, webhook: GitHubWebhook, key_id: &str, signature: &str, body: &[u8],
/// # ) -> Result<(u16, String), Box<dyn std::error::Error>> {
///
/// // At the start: GitHubWebhook::new(GitHubKeys::from_json(&fetch(GitHubKeys::ADDRESS).await)?).
/// // For each POST, with the headers Github-Public-Key-Identifier and Github-Public-Key-Signature and the body as it came:
/// let delivery = Delivery { key_id, signature, body };
/// match tokens.handle_github(&webhook, &Actor::new("GitHub secret scanning")?, delivery).await {
///     Ok(handled) => {
///         for (report, outcome) in &handled.leaks {
///             if let Some(token) = outcome.token() {
///                 println!("{}: your token {} was found at {}", token.owner, token.name, report.url);
///             }
///         }
///         Ok((200, webhook.answer(&handled)))
///     }
///     // Once a minute at most, then the delivery once more:
///     Err(GitHubError::Report(ReportError::UnknownKey)) => {
///         webhook.set_keys(GitHubKeys::from_json(&fetch(GitHubKeys::ADDRESS).await)?);
///         Ok((403, String::new()))
///     }
///     Err(error) => Ok((error.status(), error.to_string())),
/// }
/// # }
/// ```
#[derive(Debug, Default)]
pub struct GitHubWebhook {
    keys: RwLock<GitHubKeys>,
    answered: Mutex<Answered>,
}

/// What was answered last, by the digests of the bodies: of a signature there are several for one body.
#[derive(Debug, Default)]
struct Answered {
    known: HashSet<[u8; 32]>,
    in_order: VecDeque<[u8; 32]>,
}

/// What GitHub sent.
#[derive(Clone, Copy)]
pub struct Delivery<'d> {
    /// The header `Github-Public-Key-Identifier`.
    pub key_id: &'d str,
    /// The header `Github-Public-Key-Signature`.
    pub signature: &'d str,
    /// The body, byte by byte as it came.
    pub body: &'d [u8],
}

/// The body holds tokens.
impl fmt::Debug for Delivery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// A report that was handled: what it named is revoked.
#[derive(Debug)]
#[non_exhaustive]
pub struct Handled {
    /// Each token, and what it was.
    pub leaks: Vec<(LeakReport, LeakOutcome)>,
    digest: [u8; 32],
}

/// Why a report was not handled.
#[derive(Debug)]
#[non_exhaustive]
pub enum GitHubError {
    /// It is refused.
    Report(ReportError),
    /// The store failed, maybe in the middle. A repeat of the report is taken.
    Store(StoreError),
}

impl GitHubError {
    /// The status to answer with: [`ReportError::status`], or 503.
    pub fn status(&self) -> u16 {
        match self {
            Self::Report(error) => error.status(),
            Self::Store(_) => 503,
        }
    }
}

impl fmt::Display for GitHubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Report(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl Error for GitHubError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Report(_) => None,
            Self::Store(error) => error.source(),
        }
    }
}

impl GitHubWebhook {
    /// How many answered reports are remembered, so that a replay is told from a new one. Across processes and restarts a repeat is handled once more,
    /// which changes nothing.
    pub const REMEMBERED: usize = 10_000;

    /// For reports that these keys sign.
    pub fn new(keys: GitHubKeys) -> Self {
        Self { keys: RwLock::new(keys), answered: Mutex::default() }
    }

    /// Goes on with these keys.
    pub fn set_keys(&self, keys: GitHubKeys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// What a delivery reports, where it is GitHub's and was not handled before.
    fn open(&self, delivery: &Delivery<'_>) -> Result<(Vec<LeakReport>, [u8; 32]), ReportError> {
        let Delivery { key_id, signature, body } = *delivery;
        if body.len() > LeakReport::MAX_BYTES {
            return Err(ReportError::TooLarge);
        }
        self.keys.read().unwrap_or_else(PoisonError::into_inner).check(key_id, signature, body)?;
        let digest = Sha256::digest(body).into();
        if self.answered().known.contains(&digest) {
            return Err(ReportError::Replayed);
        }
        Ok((LeakReport::read_all(body)?, digest))
    }

    /// What to answer, with status 200 and as `application/json`: for each token whether it was a true positive. Tokens are named by
    /// their SHA-256 in hexadecimal digits, which GitHub's programme takes in place of their texts.
    ///
    /// From now on the same report is refused as a replay. So call it once all that you do about the leaks is done: where that
    /// fails, answer 503, and GitHub's next try is handled as this one was.
    pub fn answer(&self, handled: &Handled) -> String {
        self.answered().add(handled.digest);
        feedback(&handled.leaks)
    }

    // No code here panics while it holds the lock, so a poisoned one holds nothing half-done.
    fn answered(&self) -> MutexGuard<'_, Answered> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answered {
    fn add(&mut self, digest: [u8; 32]) {
        if self.known.insert(digest) {
            self.in_order.push_back(digest);
        }
        if self.in_order.len() > GitHubWebhook::REMEMBERED
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

impl<S: TokenStore, C: Clock, O: Owners> Tokens<S, C, O> {
    /// Revokes what GitHub reports ([`report_leak`](Self::report_leak)), and says what it was. What to answer is said by
    /// [`GitHubWebhook::answer`].
    ///
    /// # Errors
    /// [`GitHubError`]: nothing was revoked, but where the store failed in the middle.
    pub async fn handle_github(
        &self,
        webhook: &GitHubWebhook,
        actor: &Actor,
        delivery: Delivery<'_>,
    ) -> Result<Handled, GitHubError> {
        let (reports, digest) = webhook.open(&delivery).map_err(GitHubError::Report)?;
        let mut leaks = Vec::with_capacity(reports.len());
        for report in reports {
            let outcome = self.report_leak(actor, &report.token).await.map_err(GitHubError::Store)?;
            leaks.push((report, outcome));
        }
        Ok(Handled { leaks, digest })
    }
}

fn feedback(leaks: &[(LeakReport, LeakOutcome)]) -> String {
    let one = |(report, outcome): &(LeakReport, LeakOutcome)| {
        let label = if outcome.token().is_some() { "true_positive" } else { "false_positive" };
        json!({ "token_hash": hex(&Sha256::digest(report.token.as_bytes())), "token_type": report.kind, "label": label })
    };
    leaks.iter().map(one).collect::<Value>().to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> [u8; 32] {
        Sha256::digest(number.to_string()).into()
    }

    #[test]
    fn the_oldest_report_is_forgotten_first() {
        let mut answered = Answered::default();
        for number in 0..=GitHubWebhook::REMEMBERED {
            answered.add(digest(number));
            answered.add(digest(number));
        }
        assert_eq!(
            (answered.known.len(), answered.in_order.len()),
            (GitHubWebhook::REMEMBERED, GitHubWebhook::REMEMBERED)
        );
        assert!(!answered.known.contains(&digest(0)) && answered.known.contains(&digest(1)));
    }
}
