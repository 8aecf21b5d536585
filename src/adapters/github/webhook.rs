//! One delivery of GitHub's, from its headers to the answer.

use core::fmt;
use core::future::Future;
use core::time::Duration;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::public_keys::GitHubKeys;
use super::refusal::DeliveryRefusal;
use crate::leak::finder::Finder;
use crate::leak::report::LeakReport;
use crate::rules::error::Error;
use crate::store::contract::TokenStore;
use crate::tokens::report_leak::LeakOutcome;
use crate::tokens::service::Tokens;
use crate::words::ids::Prefix;
use crate::words::invalid::{Invalid, InvalidField, InvalidKind};
use crate::words::text::Actor;

/// The end point for the reports of GitHub's secret scanning, apart from HTTP itself: pass it what was sent, and answer what it
/// returns.
///
/// ```no_run
/// use keyfob::{Actor, MemoryStore, Tokens};
/// use keyfob::leak::github::{GitHubDelivery, GitHubKeys, GitHubWebhook};
/// # async fn fetch(_: &str) -> Option<Vec<u8>> { None }
///
/// /// For each POST: the headers Github-Public-Key-Identifier and
/// /// Github-Public-Key-Signature, and the body as it came.
/// async fn leaks(
///     tokens: &Tokens<MemoryStore>,
///     webhook: &GitHubWebhook,
///     delivery: GitHubDelivery<'_>,
/// ) -> Result<(u16, String), Box<dyn std::error::Error>> {
///     // Asked if the delivery names a key that is not known: once in some minutes at most.
///     let keys = || async {
///         let answer = fetch(GitHubKeys::ADDRESS).await?;
///         GitHubKeys::from_json(&answer).ok()
///     };
///     let reporter = Actor::new("GitHub secret scanning")?;
///     let report = match webhook.handle(tokens, &reporter, delivery, keys).await {
///         Ok(report) => report,
///         Err(refusal) => return Ok((refusal.status(), refusal.to_string())),
///     };
///     for (leak, outcome) in &report.leaks {
///         if let Some(token) = outcome.as_ref().ok().and_then(|outcome| outcome.token()) {
///             println!("{}: {} was found at {}", token.owner, token.name, leak.url);
///         }
///     }
///     Ok(match webhook.answer(&report) {
///         Ok(body) => (200, body),
///         Err(error) => (503, error.to_string()),
///     })
/// }
/// ```
#[derive(Debug, Default)]
pub struct GitHubWebhook {
    keys: RwLock<GitHubKeys>,
    answered: Mutex<Answered>,
}

/// Between one try and the next if the store fails.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1600)];

/// What was answered last, by the digests of the bodies: of a signature there are several for one body.
#[derive(Debug, Default)]
struct Answered {
    known: HashSet<[u8; 32]>,
    in_order: VecDeque<[u8; 32]>,
}

/// What GitHub sent.
#[derive(Clone, Copy)]
pub struct GitHubDelivery<'d> {
    /// The header `Github-Public-Key-Identifier`.
    pub key_id: &'d str,
    /// The header `Github-Public-Key-Signature`.
    pub signature: &'d str,
    /// The body, byte by byte as it came.
    pub body: &'d [u8],
}

impl GitHubDelivery<'_> {
    /// Returns the SHA-256 of the body, which identifies a delivery: one body has several valid
    /// signatures. Store it when you answer the delivery, and pass it to
    /// [`GitHubWebhook::remember`] in other processes and after a restart.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.body).into()
    }
}

/// The body holds tokens.
impl fmt::Debug for GitHubDelivery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitHubDelivery").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// A report that was handled: what it named is revoked, but where the store failed.
#[derive(Debug)]
#[must_use = "GitHub waits for what `GitHubWebhook::answer` says"]
#[non_exhaustive]
pub struct ProcessedReport {
    /// Each token that was found in a reported text, and what it was.
    pub leaks: Vec<(LeakReport, Result<LeakOutcome, Error>)>,
    digest: [u8; 32],
}

impl GitHubWebhook {
    /// The most answered reports that are remembered, so that a replay is refused. Another process,
    /// and this one after a restart, handles a repeat once more, which changes nothing, unless you
    /// call [`remember`](Self::remember).
    pub const REMEMBERED: usize = 10_000;

    /// For reports that these keys sign.
    pub fn new(keys: GitHubKeys) -> Self {
        Self { keys: RwLock::new(keys), answered: Mutex::default() }
    }

    /// Goes on with these keys.
    pub fn set_keys(&self, keys: GitHubKeys) {
        // No code panics while it holds this lock to write.
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// Records that another process, or this one before a restart, answered the delivery with this
    /// [`digest`](GitHubDelivery::digest). It is refused as a replay from then on.
    pub fn remember(&self, digest: [u8; 32]) {
        self.answered().add(digest);
    }

    /// What a delivery reports, where it is GitHub's and was not handled before.
    fn open(
        &self,
        delivery: &GitHubDelivery<'_>,
        prefixes: &[Prefix],
    ) -> Result<(Vec<LeakReport>, [u8; 32]), DeliveryRefusal> {
        let GitHubDelivery { key_id, signature, body } = *delivery;
        if body.len() > LeakReport::MAX_BYTES {
            let kind = InvalidKind::TooLong { max: LeakReport::MAX_BYTES };
            return Err(Invalid::new(InvalidField::LeakReport, kind).into());
        }
        // As in `set_keys`.
        self.keys.read().unwrap_or_else(PoisonError::into_inner).check(key_id, signature, body)?;
        let digest = delivery.digest();
        if self.answered().known.contains(&digest) {
            return Err(DeliveryRefusal::Replayed);
        }
        let finder = Finder::new(prefixes.iter().copied());
        Ok((LeakReport::read_all(body, &finder)?, digest))
    }

    /// Revokes each token in the texts that GitHub reports, as [`report_leak`](Tokens::report_leak) does, and returns what each
    /// was. All are tried, also after one for which the store failed; such a one is tried again, after pauses of 0.1, 0.4
    /// and 1.6 seconds. The calls of the store take their own time besides.
    ///
    /// `newer_keys` is called once at most, if the delivery names a key that is not known or not in use. It returns the keys
    /// that GitHub publishes now, or `None` if they are not to be had; then the delivery is refused. Anybody can name a key, so
    /// bound how often and how long it asks: GitHub answers 60 such questions in an hour. To believe no key for long that
    /// GitHub has withdrawn, also [set](Self::set_keys) the keys each day.
    ///
    /// # Errors
    /// Returns [`DeliveryRefusal`] if the delivery is not GitHub's, is no report, or was answered before. Nothing was revoked.
    pub async fn handle<S, F>(
        &self,
        tokens: &Tokens<S>,
        actor: &Actor,
        delivery: GitHubDelivery<'_>,
        newer_keys: impl FnOnce() -> F,
    ) -> Result<ProcessedReport, DeliveryRefusal>
    where
        S: TokenStore,
        F: Future<Output = Option<GitHubKeys>>,
    {
        let prefixes = tokens.keyring().prefixes();
        let (reports, digest) = match self.open(&delivery, prefixes) {
            Err(refusal) if refusal.is_about_keys() => {
                self.set_keys(newer_keys().await.ok_or(refusal)?);
                self.open(&delivery, prefixes)?
            }
            opened => opened?,
        };
        let mut leaks = Vec::with_capacity(reports.len());
        for report in reports {
            let outcome = tokens.report_leak(actor, &report.token).await;
            leaks.push((report, outcome));
        }
        for pause in PAUSES {
            if leaks.iter().all(|(_, outcome)| outcome.is_ok()) {
                break;
            }
            tokio::time::sleep(pause).await;
            for (report, outcome) in &mut leaks {
                if outcome.is_err() {
                    *outcome = tokens.report_leak(actor, &report.token).await;
                }
            }
        }
        Ok(ProcessedReport { leaks, digest })
    }

    /// What to answer, with status 200 and as `application/json`: for each reported text whether it was a true positive, that is,
    /// whether any token in it was one of the service's. Texts are named by their SHA-256 in hexadecimal digits, which GitHub's
    /// programme takes in their place.
    ///
    /// From then on the same report is refused as a replay. So call it once all that you do about the leaks is done, and where its
    /// answer is sent: not in a task that goes on when the connection is gone.
    ///
    /// # Errors
    /// Returns the error of one of the tokens if the store failed for any: answer 503. A report that was not answered is handled
    /// like a new one when it is sent again; but GitHub does not say that it sends one again.
    pub fn answer<'h>(&self, handled: &'h ProcessedReport) -> Result<String, &'h Error> {
        let feedback = feedback(&handled.leaks)?;
        self.answered().add(handled.digest);
        Ok(feedback)
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

fn feedback(leaks: &[(LeakReport, Result<LeakOutcome, Error>)]) -> Result<String, &Error> {
    let mut texts = BTreeMap::new();
    for (report, outcome) in leaks {
        let is_ours = outcome.as_ref()?.token().is_some();
        texts.entry(report.entry).or_insert((report, false)).1 |= is_ours;
    }
    let label = |(report, is_ours): &(&LeakReport, bool)| {
        let label = if *is_ours { "true_positive" } else { "false_positive" };
        json!({ "token_hash": hex(&report.text_hash), "token_type": &*report.kind, "label": label })
    };
    Ok(texts.values().map(label).collect::<Value>().to_string())
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
