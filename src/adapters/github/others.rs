//! The reported texts that are not tokens of keyfob: a hook of the host claims and labels them.

use core::error::Error;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use crate::leak::report::{LeakReport, Reported};
use crate::rules::error::Error as TokenError;
use crate::tokens::report_leak::LeakOutcome;

/// The maximum time that all calls of the hook for one delivery take together. GitHub waits for the
/// response.
pub(super) const MOST_TIME: Duration = Duration::from_secs(10);

/// The error of a hook that could not handle a reported text.
pub type OtherTokensError = Box<dyn Error + Send + Sync>;

/// A hook of a service that has further kinds of token besides those of keyfob, such as session
/// ids, deploy keys or the tokens of an earlier system. GitHub sends the reports of all kinds to
/// one address.
///
/// [`GitHubWebhook::with_other_tokens`](crate::leak::github::GitHubWebhook::with_other_tokens) sets
/// the hook.
pub trait OtherTokens: Send + Sync {
    /// Handles a reported text in which keyfob has found no token of your service. If the text is
    /// one of your other tokens, revoke it, and return its label. Return `None` if the text is of
    /// no kind that you know. keyfob then labels it as a false positive. A text without a token of
    /// keyfob gets no label at all if it is longer than [512
    /// bytes](crate::leak::LeakedToken::MAX_LEN) without its scheme, and so is each part of a Basic
    /// credential.
    ///
    /// The webhook calls this method once for each text, one text after the other, after it has
    /// revoked all tokens of keyfob. The method must be fast: all calls for one delivery together
    /// have 10 seconds, and a delivery has up to 10,000 texts. After a repeat of a delivery, the
    /// method gets the same texts again.
    ///
    /// # Errors
    /// Returns an error if the text could not be handled. The response to GitHub then has no label
    /// for this text, and the labels of all other texts.
    fn label(
        &self,
        reported: &ReportedText<'_>,
    ) -> impl Future<Output = Result<Option<GitHubLabel>, OtherTokensError>> + Send;
}

impl<O: OtherTokens + ?Sized> OtherTokens for Arc<O> {
    async fn label(&self, reported: &ReportedText<'_>) -> Result<Option<GitHubLabel>, OtherTokensError> {
        (**self).label(reported).await
    }
}

/// The label of a reported text in the response to GitHub.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum GitHubLabel {
    /// Your service issued the reported token.
    TruePositive,
    /// The text is not a token of your service.
    FalsePositive,
}

impl GitHubLabel {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::TruePositive => "true_positive",
            Self::FalsePositive => "false_positive",
        }
    }
}

/// A text that GitHub reported. Debug shows no part of the text.
#[non_exhaustive]
pub struct ReportedText<'r> {
    /// The name of the pattern by which GitHub found the text. You agreed on these names with
    /// GitHub. The name is empty if the report has none.
    pub kind: &'r str,
    /// The URL at which the text was found, or an empty text. **Strangers wrote the URL**: show it
    /// as text, and never open it.
    pub url: &'r str,
    /// The kind of place in which the text was found, such as `content`, or an empty text.
    pub source: &'r str,
    text: &'r str,
}

impl ReportedText<'_> {
    /// Returns the reported text. It may be a token that still works, with other text around it. It
    /// has at most [`LeakReport::MAX_BYTES`] bytes.
    pub fn expose_secret(&self) -> &str {
        self.text
    }
}

impl fmt::Debug for ReportedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReportedText").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A reported text that the hook claimed, or could not handle.
#[derive(Debug)]
#[non_exhaustive]
pub struct OtherReport {
    /// The index of the report's entry that has the text, counted from 0.
    pub entry: usize,
    /// The SHA-256 of the text.
    pub text_hash: [u8; 32],
    /// The name of the pattern by which GitHub found the text.
    pub kind: Box<str>,
    /// The label of the text, or the error of the hook. If the hook took too long, the error says
    /// so.
    pub outcome: Result<GitHubLabel, OtherTokensError>,
}

type Labelled<'f> = Pin<Box<dyn Future<Output = Result<Option<GitHubLabel>, OtherTokensError>> + Send + 'f>>;

/// The object-safe version of [`OtherTokens`].
pub(super) trait ErasedOtherTokens: Send + Sync {
    fn label<'f>(&'f self, reported: &'f ReportedText<'f>) -> Labelled<'f>;
}

impl<O: OtherTokens> ErasedOtherTokens for O {
    fn label<'f>(&'f self, reported: &'f ReportedText<'f>) -> Labelled<'f> {
        Box::pin(OtherTokens::label(self, reported))
    }
}

#[derive(Debug)]
struct TooSlow;

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the hook for other tokens took more than {} s for one delivery", MOST_TIME.as_secs())
    }
}

impl Error for TooSlow {}

/// Calls the hook for each entry of a delivery in which no token of keyfob was found. `body` must
/// be a valid report. `leaks` are the outcomes for the texts that may be tokens of keyfob. All
/// calls together take at most `time`.
pub(super) async fn label_others(
    hook: &dyn ErasedOtherTokens,
    time: Duration,
    body: &[u8],
    leaks: &[(LeakReport, Result<LeakOutcome, TokenError>)],
) -> Vec<OtherReport> {
    let is_settled = |outcome: &Result<LeakOutcome, TokenError>| match outcome {
        Ok(outcome) => outcome.token().is_some(),
        // The store failed, so the text may be a token of keyfob.
        Err(_) => true,
    };
    let settled: BTreeSet<usize> =
        leaks.iter().filter(|(_, outcome)| is_settled(outcome)).map(|(report, _)| report.entry).collect();
    let (deadline, mut others) = (Instant::now() + time, Vec::new());
    let entries = Reported::read(body).expect("the report was read before");
    for (entry, reported) in entries.iter().enumerate().filter(|(entry, _)| !settled.contains(entry)) {
        let text = ReportedText {
            kind: reported.kind.as_deref().unwrap_or(""),
            url: reported.url.as_deref().unwrap_or(""),
            source: reported.source.as_deref().unwrap_or(""),
            text: &reported.token,
        };
        let outcome = match timeout_at(deadline, hook.label(&text)).await {
            Ok(Ok(None)) => continue,
            Ok(Ok(Some(label))) => Ok(label),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(TooSlow.into()),
        };
        others.push(OtherReport { entry, text_hash: reported.hash(), kind: text.kind.into(), outcome });
    }
    others
}

/// Returns the labels of all texts in the order of the report: the hash, the kind and the label of
/// each text.
///
/// # Errors
/// Returns the error for one of the tokens of keyfob if the store failed.
pub(super) fn labels<'l>(
    leaks: &'l [(LeakReport, Result<LeakOutcome, TokenError>)],
    others: &'l [OtherReport],
) -> Result<impl Iterator<Item = (&'l [u8; 32], &'l str, GitHubLabel)>, &'l TokenError> {
    let mut labels = BTreeMap::new();
    for (report, outcome) in leaks {
        let label =
            labels.entry(report.entry).or_insert((&report.text_hash, &*report.kind, GitHubLabel::FalsePositive));
        if outcome.as_ref()?.token().is_some() {
            label.2 = GitHubLabel::TruePositive;
        }
    }
    for OtherReport { entry, text_hash, kind, outcome } in others {
        match outcome {
            Ok(label) => drop(labels.insert(*entry, (text_hash, kind, *label))),
            Err(_) => drop(labels.remove(entry)),
        }
    }
    Ok(labels.into_values())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hook that handles only the first text, and never returns for the others.
    struct Hanging;

    impl OtherTokens for Hanging {
        async fn label(&self, reported: &ReportedText<'_>) -> Result<Option<GitHubLabel>, OtherTokensError> {
            if reported.expose_secret() != "first" {
                core::future::pending::<()>().await;
            }
            Ok(Some(GitHubLabel::TruePositive))
        }
    }

    #[tokio::test]
    async fn a_hook_that_hangs_loses_its_own_labels() {
        let body = br#"[{"token": "first"}, {"token": "second"}, {"token": "third"}]"#;
        let others = label_others(&Hanging, Duration::from_millis(20), body, &[]).await;
        let outcomes: Vec<_> = others.iter().map(|other| other.outcome.as_ref().map_err(ToString::to_string)).collect();
        let too_slow = || Err("the hook for other tokens took more than 10 s for one delivery".to_owned());
        assert_eq!(outcomes, [Ok(&GitHubLabel::TruePositive), too_slow(), too_slow()]);
        let labels: Vec<_> = labels(&[], &others).unwrap().map(|(.., label)| label.as_str()).collect();
        assert_eq!(labels, ["true_positive"]);
    }
}
