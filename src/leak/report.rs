//! Reads leak reports.

use core::fmt;
use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sha2::{Digest as _, Sha256};

use super::encoded;
use super::finder::Finder;
use crate::words::credential::Credential;
use crate::words::invalid::{Invalid, InvalidField, InvalidKind};
use crate::words::leaked::LeakedToken;

/// One token of a leak report. Debug shows only the public part of the token, because other fields,
/// such as the URL, may contain the whole token.
#[non_exhaustive]
pub struct LeakReport {
    /// The token that was found in the reported text. If no token was found, the field holds the
    /// text itself, which may be a token that your service issued before it used keyfob.
    pub token: LeakedToken,
    /// The index of the report's entry that held the token, counted from 0. If an entry holds
    /// several tokens, there is one `LeakReport` for each token.
    pub entry: usize,
    /// The SHA-256 of the entry's text as it was reported. A response to GitHub identifies the text
    /// by this hash.
    pub text_hash: [u8; 32],
    /// The name of the pattern by which the scanner found the token. The text is empty if the
    /// report names no pattern. All tokens of one entry have the same `kind`, `url` and `source`.
    pub kind: Arc<str>,
    /// The URL at which the token was found. The text is empty if the report names no URL.
    /// **Strangers wrote the URL**: show it as text, and never open it.
    pub url: Arc<str>,
    /// The kind of place in which the token was found, such as `content`, `commit` or
    /// `issue_title`. The text is empty if the report names no kind of place.
    pub source: Arc<str>,
}

/// An entry of a report.
#[derive(Deserialize)]
pub(crate) struct Reported<'b> {
    /// The reported text. It is borrowed from the body, unless the text has JSON escapes.
    #[serde(borrow)]
    pub(crate) token: Cow<'b, str>,
    #[serde(default, rename = "type")]
    pub(crate) kind: Option<String>,
    #[serde(default)]
    pub(crate) url: Option<String>,
    #[serde(default)]
    pub(crate) source: Option<String>,
}

impl<'b> Reported<'b> {
    /// Reads the first 10,000 entries of a report.
    #[cfg(feature = "github")]
    pub(crate) fn read(body: &'b [u8]) -> Result<Vec<Self>, Invalid> {
        serde_json::from_slice(body).map(|Entries { entries, .. }| entries).map_err(|_| invalid(InvalidKind::Shape))
    }

    /// Returns the SHA-256 of the text.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.token.as_bytes()).into()
    }
}

impl fmt::Debug for LeakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeakReport").field("token", &self.token).finish_non_exhaustive()
    }
}

impl LeakReport {
    /// The maximum length of a report in bytes. About 10,000 tokens fit, with the places where they
    /// were found.
    pub const MAX_BYTES: usize = 4 << 20;
    /// The maximum number of entries in a report, and the maximum number of tokens in all entries
    /// together.
    pub const MAX_COUNT: usize = 10_000;

    /// Reads a report: a JSON array of objects with the members `token`, `type`, `url` and
    /// `source`. Only `token` is required. GitHub sends reports in this form, and other reporters
    /// can use the form too.
    ///
    /// A reported text may hold more than the token. Pass a finder with [your
    /// prefixes](crate::Keyring::prefixes). It finds each token in the text, no matter which
    /// characters surround the token: white space, quotes, `Bearer `, `token=`, invisible
    /// characters or a whole file. Tokens in base64 are found too, as in
    /// `Authorization: Basic …`. Each line of base64 is decoded by itself, so a token that
    /// continues in the next line is not found. A token that occurs several times in one text gives
    /// only one `LeakReport`.
    ///
    /// If the finder finds no token, the text itself counts as a token, because your service may
    /// have issued it before it used keyfob. [`report_leak`](crate::Tokens::report_leak) then
    /// removes a `Bearer` or `Basic` scheme, and characters that are often pasted together with a
    /// token. If the rest is longer than any token, the text is ignored. An imported token is not
    /// found in a longer text, or beside a token that the finder finds.
    ///
    /// The memory for the result is proportional to the body. When you report the tokens, each
    /// costs a store call, or several if the service accepts imported tokens. If anyone can send
    /// reports, limit the number of tokens with [`read_up_to`](Self::read_up_to).
    ///
    /// ```
    /// use keyfob::{Prefix, leak::{Finder, LeakReport}};
    ///
    /// let finder = Finder::new([Prefix::new("acme_pat")?]);
    /// let text = "export TOKEN='acme_pat_145_00123456789ABCDE_\
    ///     AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o'";
    /// let body = format!(r#"[{{"token": "{text}"}}]"#);
    /// let reports = LeakReport::read_all(body.as_bytes(), &finder)?;
    /// assert_eq!(reports[0].token.public_part(), Some("acme_pat_145_00123456789ABCDE"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// - Returns [`InvalidKind::TooLong`] if the body is longer than
    ///   [`MAX_BYTES`](Self::MAX_BYTES).
    /// - Returns [`InvalidKind::TooMany`] if the body has more entries or tokens than
    ///   [`MAX_COUNT`](Self::MAX_COUNT).
    /// - Returns [`InvalidKind::Shape`] if the body is not a JSON array of such objects.
    pub fn read_all(body: &[u8], finder: &Finder) -> Result<Vec<Self>, Invalid> {
        Self::read_up_to(Self::MAX_COUNT, body, finder)
    }

    /// Reads a report as [`read_all`](Self::read_all) does, but allows at most `most` entries and
    /// at most `most` tokens. If `most` is above [`MAX_COUNT`](Self::MAX_COUNT), `MAX_COUNT`
    /// applies.
    ///
    /// # Errors
    /// Returns [`InvalidKind::TooMany`] if the body has more than `most` entries or tokens.
    /// Otherwise returns the errors of [`read_all`](Self::read_all).
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
        for (entry, reported) in entries.into_iter().enumerate() {
            let text_hash = reported.hash();
            let Reported { token: text, kind, url, source } = reported;
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

/// Returns each token in a reported text once. If no token is found, returns the text itself,
/// because it may be a token that the service issued before it used keyfob.
fn tokens_in(text: &[u8], finder: &Finder) -> Vec<LeakedToken> {
    let clear = finder.find_in(text).into_iter().map(|found| found.token);
    let mut found: Vec<_> = clear.chain(encoded::tokens_in(text, finder)).enumerate().collect();
    if found.is_empty() {
        // The service finds the token in this text later, because only the service knows the shapes
        // of imported tokens.
        let (whole, fits) = (text.trim_ascii(), |text: &[u8]| text.len() <= LeakedToken::MAX_LEN);
        let may_be_token = fits(whole) || Credential::all_in(whole).iter().any(|text| fits(text.as_ref()));
        return may_be_token.then(|| LeakedToken::of_report(whole)).into_iter().collect();
    }
    // Finds equal tokens by sorting, because a hash set would need copies of the tokens. The sort
    // is stable, so the first of equal tokens is kept.
    found.sort_by(|(_, one), (_, other)| one.as_bytes().cmp(other.as_bytes()));
    found.dedup_by(|(_, later), (_, first)| later.as_bytes() == first.as_bytes());
    found.sort_unstable_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, token)| token).collect()
}

/// An entry that is a JSON object. serde would also read an entry from an array, in the order of
/// the declared members.
struct Object<'b>(Reported<'b>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<'de>, A::Error> {
                Reported::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// The first [`MAX_COUNT`](LeakReport::MAX_COUNT) entries of a report, and whether the report has
/// more entries.
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
                        Some(Object(entry)) => entries.push(entry),
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
