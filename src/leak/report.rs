//! What a report says.

use core::fmt;
use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use sha2::{Digest as _, Sha256};

use super::encoded;
use super::finder::Finder;
use crate::words::credential::Credential;
use crate::words::invalid::{Invalid, InvalidField, InvalidKind};
use crate::words::leaked::LeakedToken;

/// One token that was reported as leaked. Debug shows the token's public part only: the address may hold all of it.
#[non_exhaustive]
pub struct LeakReport {
    /// The token: one that was found in the reported text, or that text if none was found, as it may be a token from before
    /// keyfob.
    pub token: LeakedToken,
    /// The entry of the report in which it stood, counted from 0. A text that holds several tokens is several `LeakReport`s.
    pub entry: usize,
    /// The SHA-256 of that entry's text as it was reported, by which GitHub names it in its answer.
    pub text_hash: [u8; 32],
    /// By which of the scanner's patterns it was found; may be empty. The tokens of one entry share this text and the next two.
    pub kind: Arc<str>,
    /// Where it was found; may be empty. **Written by strangers**: show it as text, and follow it never.
    pub url: Arc<str>,
    /// In what: `content`, `commit`, `issue_title` and others; may be empty.
    pub source: Arc<str>,
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
    /// The most bytes of a body: some 10,000 tokens with where they were found.
    pub const MAX_BYTES: usize = 4 << 20;
    /// The most entries of a body, and the most tokens in all of its texts.
    pub const MAX_COUNT: usize = 10_000;

    /// Reads a bulk report, a JSON array of `{"token", "type", "url", "source"}` of which only the first must be there. It is
    /// GitHub's form, and fit for reports by anybody.
    ///
    /// A reported text need not be the token alone. The finder, which should have [your prefixes](crate::Keyring::prefixes), finds
    /// each token in it, whatever stands around it: white space, quotes, `Bearer `, `token=`, invisible characters or a
    /// whole file. It also searches what the text holds in base64, as `Authorization: Basic …` has a token; base64 with
    /// line breaks in it is not searched as one. If it finds none, the text is taken for one token, without what a paste
    /// leaves around it, or with `Basic ` before it for such a header's value. A text that is longer than any token and
    /// holds none is left out. A token that repeats in one text is one `LeakReport`.
    ///
    /// What is returned takes memory in proportion to the body, but each token costs a look into the store. Bound their
    /// number by [`read_up_to`](Self::read_up_to) if anybody may report.
    ///
    /// ```
    /// use keyfob::{Prefix, leak::{Finder, LeakReport}};
    ///
    /// let finder = Finder::new([Prefix::new("acme_pat")?]);
    /// let body = br#"[{"token": "export TOKEN='acme_pat_145_00123456789ABCDE_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o'"}]"#;
    /// let reports = LeakReport::read_all(body, &finder)?;
    /// assert_eq!(reports[0].token.public_part(), Some("acme_pat_145_00123456789ABCDE"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Returns [`InvalidKind::TooLong`] if the body is longer than [`MAX_BYTES`](Self::MAX_BYTES), [`InvalidKind::TooMany`] if
    /// it has more entries or tokens than [`MAX_COUNT`](Self::MAX_COUNT), and [`InvalidKind::Shape`] if it is not such an
    /// array.
    pub fn read_all(body: &[u8], finder: &Finder) -> Result<Vec<Self>, Invalid> {
        Self::read_up_to(Self::MAX_COUNT, body, finder)
    }

    /// Reads a report as [`read_all`](Self::read_all) does, with at most `most` entries and tokens.
    ///
    /// # Errors
    /// Returns [`InvalidKind::TooMany`] if the body has more entries or tokens than `most`, and otherwise fails as
    /// [`read_all`](Self::read_all) does.
    pub fn read_up_to(most: usize, body: &[u8], finder: &Finder) -> Result<Vec<Self>, Invalid> {
        if body.len() > Self::MAX_BYTES {
            return Err(invalid(InvalidKind::TooLong { max: Self::MAX_BYTES }));
        }
        let Entries { entries, are_too_many } =
            serde_json::from_slice(body).map_err(|_| invalid(InvalidKind::Shape))?;
        let most = most.min(Self::MAX_COUNT);
        if are_too_many || entries.len() > most {
            return Err(invalid(InvalidKind::TooMany { max: most }));
        }
        let mut reports = Vec::with_capacity(entries.len());
        for (entry, Reported { token: text, kind, url, source }) in entries.into_iter().enumerate() {
            let text_hash = Sha256::digest(text.as_bytes()).into();
            let [kind, url, source] = [kind, url, source].map(|text| Arc::<str>::from(text.unwrap_or_default()));
            for token in tokens_in(text.as_bytes(), finder) {
                if reports.len() == most {
                    return Err(invalid(InvalidKind::TooMany { max: most }));
                }
                let (kind, url, source) = (Arc::clone(&kind), Arc::clone(&url), Arc::clone(&source));
                reports.push(Self { token, entry, text_hash, kind, url, source });
            }
        }
        Ok(reports)
    }
}

const fn invalid(kind: InvalidKind) -> Invalid {
    Invalid::new(InvalidField::LeakReport, kind)
}

/// Returns each token in a reported text once, or what may be one of an earlier system.
fn tokens_in(text: &[u8], finder: &Finder) -> Vec<LeakedToken> {
    let clear = finder.find_in(text).into_iter().map(|found| found.token);
    let mut found: Vec<_> = clear.chain(encoded::tokens_in(text, finder)).enumerate().collect();
    if found.is_empty() {
        // A text that is longer than any token is none.
        return LeakedToken::new(&Credential::pasted(text)).into_iter().collect();
    }
    // Sorted rather than hashed, because no copy of a token is made. A stable sort keeps the first of a repeated token.
    found.sort_by(|(_, one), (_, other)| one.as_bytes().cmp(other.as_bytes()));
    found.dedup_by(|(_, later), (_, first)| later.as_bytes() == first.as_bytes());
    found.sort_unstable_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, token)| token).collect()
}

/// The first entries of a body, and whether there were more.
struct Entries<'b> {
    entries: Vec<Reported<'b>>,
    are_too_many: bool,
}

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Array;

        impl<'de> Visitor<'de> for Array {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Entries<'de>, A::Error> {
                let mut entries = Vec::new();
                while entries.len() < LeakReport::MAX_COUNT {
                    match array.next_element()? {
                        Some(entry) => entries.push(entry),
                        None => return Ok(Entries { entries, are_too_many: false }),
                    }
                }
                let mut are_too_many = false;
                while array.next_element::<IgnoredAny>()?.is_some() {
                    are_too_many = true;
                }
                Ok(Entries { entries, are_too_many })
            }
        }

        deserializer.deserialize_seq(Array)
    }
}
