//! What a report says, and why one is refused.

use core::error::Error;
use core::fmt;
use std::borrow::Cow;

use serde::Deserialize;

use crate::words::leaked::LeakedToken;

/// One token that a report names. Debug shows the token's public part only: the address may hold all of it.
#[non_exhaustive]
pub struct LeakReport {
    /// The token.
    pub token: LeakedToken,
    /// By which of the scanner's patterns it was found; may be empty.
    pub kind: String,
    /// Where it was found; may be empty. **Written by strangers**: show it as text, and follow it never.
    pub url: String,
    /// In what: `content`, `commit`, `issue_title` and others; may be empty.
    pub source: String,
}

#[derive(Deserialize)]
struct Reported<'b> {
    /// A piece of the body, unless it has escapes.
    #[serde(borrow)]
    token: Cow<'b, str>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    source: Option<String>,
}

impl fmt::Debug for LeakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeakReport").field("token", &self.token).finish_non_exhaustive()
    }
}

impl LeakReport {
    /// The most bytes of a body: some 10,000 tokens with where they were found, but 300,000 entries of the shortest. Limit their
    /// number too where others than GitHub may send them.
    pub const MAX_BYTES: usize = 4 << 20;

    /// Reads a bulk report, a JSON array of `{"token", "type", "url", "source"}` of which only the first must be there. It is
    /// GitHub's form, and fit for reports by anybody whom you know by other means, such as a token with a scope for it. What is longer than any
    /// token is left out.
    ///
    /// # Errors
    /// [`ReportError::TooLarge`] and [`ReportError::Malformed`].
    pub fn read_all(body: &[u8]) -> Result<Vec<Self>, ReportError> {
        if body.len() > Self::MAX_BYTES {
            return Err(ReportError::TooLarge);
        }
        let reported: Vec<Reported<'_>> = serde_json::from_slice(body).map_err(|_| ReportError::Malformed)?;
        let report = |Reported { token, kind, url, source }: Reported<'_>| {
            let token = LeakedToken::new(&*token).ok()?;
            let [kind, url, source] = [kind, url, source].map(Option::unwrap_or_default);
            Some(Self { token, kind, url, source })
        };
        Ok(reported.into_iter().filter_map(report).collect())
    }
}

/// Why a report is refused. None says anything of what was sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ReportError {
    /// Longer than [`LeakReport::MAX_BYTES`].
    TooLarge,
    /// Signed by a key that is not among those that were fetched: fetch them again.
    UnknownKey,
    /// Signed by a key that GitHub did not use when they were fetched: fetch them again, as it may since.
    OldKey,
    /// Not what this key signed.
    Signature,
    /// The same body was handled before.
    Replayed,
    /// No JSON, or another than a report's.
    Malformed,
}

impl ReportError {
    /// Whether other keys might have told otherwise: fetch them, and try the report once more.
    pub fn is_about_keys(self) -> bool {
        matches!(self, Self::UnknownKey | Self::OldKey)
    }

    /// The status to answer with.
    pub fn status(self) -> u16 {
        match self {
            Self::TooLarge => 413,
            Self::UnknownKey | Self::OldKey | Self::Signature => 403,
            Self::Replayed => 409,
            Self::Malformed => 400,
        }
    }
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the report is too large",
            Self::UnknownKey => "the report is signed by an unknown key",
            Self::OldKey => "the report is signed by a key that is not in use",
            Self::Signature => "the report's signature does not fit",
            Self::Replayed => "the report was handled before",
            Self::Malformed => "the report is not a JSON array of tokens",
        })
    }
}

impl Error for ReportError {}
