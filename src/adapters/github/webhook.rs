//! The handling of one delivery, from its headers to the response.

use core::fmt;
use core::future::Future;
use core::time::Duration;
use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::others::{ErasedOtherTokens, GitHubLabel, MOST_TIME, OtherReport, OtherTokens, label_others, labels};
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

/// The endpoint for the deliveries of GitHub's secret scanning, without the HTTP part. Pass it the
/// headers and the body of a request, and send the status and the text that it returns.
///
/// ```no_run
/// use keyfob::{Actor, MemoryStore, Tokens};
/// use keyfob::leak::github::{GitHubDelivery, GitHubKeys, GitHubWebhook};
/// # async fn fetch(_: &str) -> Option<Vec<u8>> { None }
///
/// /// Handles a POST with the headers Github-Public-Key-Identifier and
/// /// Github-Public-Key-Signature, and the unchanged body.
/// async fn leaks(
///     tokens: &Tokens<MemoryStore>,
///     webhook: &GitHubWebhook,
///     delivery: GitHubDelivery<'_>,
/// ) -> Result<(u16, String), Box<dyn std::error::Error>> {
///     // `handle` calls this if the key is unknown. Ask GitHub at most once in
///     // a few minutes.
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
///         let token = outcome.as_ref().ok().and_then(|outcome| outcome.token());
///         if let Some(token) = token {
///             println!("{}: {} was found at {}", token.owner, token.name, leak.url);
///         }
///     }
///     Ok(match webhook.answer(&report) {
///         Ok(body) => (200, body),
///         Err(error) => (503, error.to_string()),
///     })
/// }
/// ```
#[derive(Default)]
pub struct GitHubWebhook {
    keys: RwLock<GitHubKeys>,
    answered: Mutex<Answered>,
    others: Option<Box<dyn ErasedOtherTokens>>,
}

impl fmt::Debug for GitHubWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitHubWebhook").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// The pauses before the first, second and third repeat of the revocations that failed in the
/// store.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1600)];

/// The digests of the bodies of the latest answered deliveries. A signature would not identify a
/// delivery, because one body has several valid signatures.
#[derive(Debug, Default)]
struct Answered {
    known: HashSet<[u8; 32]>,
    in_order: VecDeque<[u8; 32]>,
}

/// A request of GitHub's secret scanning.
#[derive(Clone, Copy)]
pub struct GitHubDelivery<'d> {
    /// The value of the header `Github-Public-Key-Identifier`.
    pub key_id: &'d str,
    /// The value of the header `Github-Public-Key-Signature`.
    pub signature: &'d str,
    /// The unchanged bytes of the body.
    pub body: &'d [u8],
}

impl GitHubDelivery<'_> {
    /// Returns the SHA-256 digest of the body. The digest identifies the delivery. The signature
    /// does not, because one body has several valid signatures. Store the digest when you answer
    /// the delivery, and pass it to [`GitHubWebhook::remember`] in other processes and after a
    /// restart.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.body).into()
    }
}

/// Shows only the length of the body, because the body contains tokens.
impl fmt::Debug for GitHubDelivery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitHubDelivery").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// The result of handling a delivery. Each reported token of your service is revoked, unless the
/// store failed for this token.
#[derive(Debug)]
#[must_use = "GitHub waits for what `GitHubWebhook::answer` says"]
#[non_exhaustive]
pub struct ProcessedReport {
    /// Each token that was found in a reported text, with the outcome of revoking it.
    pub leaks: Vec<(LeakReport, Result<LeakOutcome, Error>)>,
    /// The texts that your [hook](GitHubWebhook::with_other_tokens) labelled or could not handle,
    /// in the order of the report.
    pub others: Vec<OtherReport>,
    digest: [u8; 32],
}

impl GitHubWebhook {
    /// The maximum number of answered deliveries that the endpoint remembers, so that it can refuse
    /// a replay. Other processes do not know these deliveries, and this process loses them in a
    /// restart. A process that does not know a delivery handles a replay like a new delivery. The
    /// replay then has no further effect on the tokens, because they are already revoked. To make a
    /// process know a delivery, call [`remember`](Self::remember).
    pub const REMEMBERED: usize = 10_000;

    /// Creates an endpoint for deliveries that are signed with these keys.
    pub fn new(keys: GitHubKeys) -> Self {
        Self { keys: RwLock::new(keys), ..Self::default() }
    }

    /// Sets the hook that labels the reported texts which are not tokens of keyfob.
    ///
    /// ```
    /// use keyfob::leak::github::{GitHubLabel, GitHubWebhook, OtherTokens};
    /// use keyfob::leak::github::{OtherTokensError, ReportedText};
    ///
    /// struct DeployKeys;
    ///
    /// # impl DeployKeys {
    /// #     async fn revoke(&self, _: &str) -> Result<bool, OtherTokensError> { Ok(true) }
    /// # }
    /// impl OtherTokens for DeployKeys {
    ///     async fn label(
    ///         &self,
    ///         reported: &ReportedText<'_>,
    ///     ) -> Result<Option<GitHubLabel>, OtherTokensError> {
    ///         if reported.kind != "acme_deploy_key" {
    ///             return Ok(None);
    ///         }
    ///         let is_ours = self.revoke(reported.expose_secret()).await?;
    ///         Ok(Some(match is_ours {
    ///             true => GitHubLabel::TruePositive,
    ///             false => GitHubLabel::FalsePositive,
    ///         }))
    ///     }
    /// }
    /// let webhook = GitHubWebhook::default().with_other_tokens(DeployKeys);
    /// ```
    #[must_use]
    pub fn with_other_tokens(self, others: impl OtherTokens + 'static) -> Self {
        Self { others: Some(Box::new(others)), ..self }
    }

    /// Replaces the keys with which the endpoint checks signatures.
    pub fn set_keys(&self, keys: GitHubKeys) {
        // No code panics while it holds this lock to write.
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// Records that another process, or this process before a restart, has answered a delivery.
    /// From then on, the endpoint refuses this delivery as a replay. `digest` is the
    /// [`digest`](GitHubDelivery::digest) of the delivery.
    pub fn remember(&self, digest: [u8; 32]) {
        self.answered().add(digest);
    }

    /// Checks that GitHub has signed a delivery and that the delivery has not been answered before.
    /// Returns the reports in the delivery, and its digest.
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
        // No code panics while it holds the lock to write.
        self.keys.read().unwrap_or_else(PoisonError::into_inner).check(key_id, signature, body)?;
        let digest = delivery.digest();
        if self.answered().known.contains(&digest) {
            return Err(DeliveryRefusal::Replayed);
        }
        let finder = Finder::new(prefixes.iter().copied());
        Ok((LeakReport::read_all(body, &finder)?, digest))
    }

    /// Revokes each token of your service that the delivery reports, with
    /// [`report_leak`](Tokens::report_leak). Returns an outcome for each token in the reported
    /// texts. Then calls the [hook](Self::with_other_tokens) for the other texts, for at most 10
    /// seconds.
    ///
    /// If the store fails for a token, this does not affect the other tokens. The failed
    /// revocations are repeated after pauses of 0.1, 0.4 and 1.6 seconds. The calls to the store
    /// take additional time.
    ///
    /// `newer_keys` is called at most once, and only if the delivery names a key that is unknown or
    /// not in use. It must return the keys that GitHub publishes now, or `None` if it cannot fetch
    /// them. After `None`, the delivery is refused. Any client can name an unknown key, so limit
    /// how often and for how long `newer_keys` calls GitHub. GitHub allows 60 of these requests an
    /// hour. To stop accepting a key soon after GitHub withdraws it, also [set](Self::set_keys) the
    /// keys once a day.
    ///
    /// # Errors
    /// Returns a [`DeliveryRefusal`] if the delivery is not signed by a current key of GitHub, is
    /// not a valid report, or has already been answered. In these cases, no token is revoked.
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
        let others = match &self.others {
            Some(hook) => label_others(&**hook, MOST_TIME, delivery.body, &leaks).await,
            None => Vec::new(),
        };
        Ok(ProcessedReport { leaks, others, digest })
    }

    /// Returns the body of the response. Send it with status 200 and the content type
    /// `application/json`.
    ///
    /// For each reported text, the body says whether the text is a true positive: whether your
    /// service issued at least one of the tokens in it. If your
    /// [hook](Self::with_other_tokens) could not handle a text, the body does not mention it. To
    /// get a repeat from GitHub instead, respond with status 503 and do not make this call.
    ///
    /// The body names each text by the SHA-256
    /// digest of the text in hexadecimal digits, as GitHub's program allows.
    ///
    /// From this call on, the endpoint refuses the same delivery as a replay. So make this call
    /// after all of your other work on the leaks, and in the task that sends the response. A task
    /// that continues after the connection is closed must not make this call. Otherwise GitHub's
    /// repeat of the delivery would be refused, although GitHub has received no response.
    ///
    /// # Errors
    /// Returns the error for one of the tokens if the store failed for any token. In this case,
    /// respond with status 503. If GitHub sends the delivery again, it is handled like a new
    /// delivery, but GitHub does not promise to send it again.
    pub fn answer<'h>(&self, handled: &'h ProcessedReport) -> Result<String, &'h Error> {
        let feedback = feedback(handled)?;
        self.answered().add(handled.digest);
        Ok(feedback)
    }

    // No code panics while it holds this lock, so a poisoned lock holds complete data.
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

fn feedback(handled: &ProcessedReport) -> Result<String, &Error> {
    let label = |(text_hash, kind, label): (&[u8; 32], &str, GitHubLabel)| json!({ "token_hash": hex(text_hash), "token_type": kind, "label": label.as_str() });
    Ok(labels(&handled.leaks, &handled.others)?.map(label).collect::<Value>().to_string())
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
