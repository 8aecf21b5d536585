//! One delivery of GitHub's, from its headers to the answer.

use core::fmt;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::public_keys::GitHubKeys;
use crate::leak::finder::Finder;
use crate::leak::report::{LeakReport, ReportError};
use crate::store::contract::TokenStore;
use crate::tokens::owners::Owners;
use crate::tokens::report_leak::LeakOutcome;
use crate::tokens::service::Tokens;
use crate::words::clock::Clock;
use crate::words::ids::Prefix;
use crate::words::store_error::StoreError;
use crate::words::text::Actor;

/// The end point for the reports of GitHub's secret scanning, apart from HTTP itself: give it what was sent, and answer what it says.
///
/// ```no_run
/// use keyfob::{Actor, Delivery, GitHubKeys, GitHubWebhook};
/// # async fn fetch(_: &str) -> Vec<u8> { Vec::new() }
/// # async fn example(
/// #     tokens: keyfob::Tokens<keyfob::MemoryStore>, webhook: GitHubWebhook, key_id: &str, signature: &str, body: &[u8],
/// # ) -> Result<(u16, String), Box<dyn std::error::Error>> {
///
/// // At the start, and by set_keys each day: GitHubWebhook::new(GitHubKeys::from_json(&fetch(GitHubKeys::ADDRESS).await)?).
/// // For each POST, with the headers Github-Public-Key-Identifier and Github-Public-Key-Signature and the body as it came:
/// let (delivery, reporter) = (Delivery { key_id, signature, body }, Actor::new("GitHub secret scanning")?);
/// let mut handled = tokens.handle_github(&webhook, &reporter, delivery).await;
/// if matches!(&handled, Err(error) if error.is_about_keys()) {
///     // Once in some minutes at most.
///     webhook.set_keys(GitHubKeys::from_json(&fetch(GitHubKeys::ADDRESS).await)?);
///     handled = tokens.handle_github(&webhook, &reporter, delivery).await;
/// }
/// let handled = match handled {
///     Ok(handled) => handled,
///     Err(error) => return Ok((error.status(), error.to_string())),
/// };
/// for (report, outcome) in &handled.leaks {
///     if let Some(token) = outcome.as_ref().ok().and_then(|outcome| outcome.token()) {
///         println!("{}: your token {} was found at {}", token.owner, token.name, report.url);
///     }
/// }
/// Ok(webhook.answer(&handled).map_or_else(|error| (503, error.to_string()), |body| (200, body)))
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

impl Delivery<'_> {
    /// Returns the SHA-256 of the body, which identifies a delivery: one body has several valid
    /// signatures. Store it when you answer the delivery, and pass it to
    /// [`GitHubWebhook::remember`] in other processes and after a restart.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.body).into()
    }
}

/// The body holds tokens.
impl fmt::Debug for Delivery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// A report that was handled: what it named is revoked, but where the store failed.
#[derive(Debug)]
#[must_use = "GitHub waits for what `GitHubWebhook::answer` says"]
#[non_exhaustive]
pub struct Handled {
    /// Each token that was found in a reported text, and what it was.
    pub leaks: Vec<(LeakReport, Result<LeakOutcome, StoreError>)>,
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
    /// [`digest`](Delivery::digest). It is refused as a replay from then on.
    pub fn remember(&self, digest: [u8; 32]) {
        self.answered().add(digest);
    }

    /// What a delivery reports, where it is GitHub's and was not handled before.
    fn open(&self, delivery: &Delivery<'_>, prefixes: &[Prefix]) -> Result<(Vec<LeakReport>, [u8; 32]), ReportError> {
        let Delivery { key_id, signature, body } = *delivery;
        if body.len() > LeakReport::MAX_BYTES {
            return Err(ReportError::TooLarge);
        }
        // As in `set_keys`.
        self.keys.read().unwrap_or_else(PoisonError::into_inner).check(key_id, signature, body)?;
        let digest = delivery.digest();
        if self.answered().known.contains(&digest) {
            return Err(ReportError::Replayed);
        }
        let finder = Finder::new(prefixes.iter().copied());
        Ok((LeakReport::read_all(body, &finder)?, digest))
    }

    /// What to answer, with status 200 and as `application/json`: for each reported text whether it was a true positive, that is,
    /// whether any token in it was one of the service's. Texts are named by their SHA-256 in hexadecimal digits, which GitHub's
    /// programme takes in their place.
    ///
    /// From then on the same report is refused as a replay. So call it once all that you do about the leaks is done, and where its
    /// answer is sent: not in a task that goes on when the connection is gone.
    ///
    /// # Errors
    /// A [`StoreError`] of one of the tokens: [report it](Tokens::report_leak) again, more than once, and write what it gives into
    /// [`Handled::leaks`]. Where it goes on failing, answer 503. A report that was not answered is handled like a new one when it is
    /// sent again; but GitHub does not say that it sends one again.
    pub fn answer<'h>(&self, handled: &'h Handled) -> Result<String, &'h StoreError> {
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

impl<S: TokenStore, C: Clock, O: Owners> Tokens<S, C, O> {
    /// Revokes each token in the texts that GitHub reports ([`report_leak`](Self::report_leak)), and says what it was. All are tried, also behind one for which
    /// the store failed. What to answer is said by [`GitHubWebhook::answer`].
    ///
    /// # Errors
    /// [`ReportError`]: nothing was revoked.
    pub async fn handle_github(
        &self,
        webhook: &GitHubWebhook,
        actor: &Actor,
        delivery: Delivery<'_>,
    ) -> Result<Handled, ReportError> {
        let (reports, digest) = webhook.open(&delivery, self.keyring().prefixes())?;
        let mut leaks = Vec::with_capacity(reports.len());
        for report in reports {
            let outcome = self.report_leak(actor, &report.token).await;
            leaks.push((report, outcome));
        }
        Ok(Handled { leaks, digest })
    }
}

fn feedback(leaks: &[(LeakReport, Result<LeakOutcome, StoreError>)]) -> Result<String, &StoreError> {
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
