//! Where a token was last used from.

use core::net::IpAddr;

use super::invalid::{Invalid, InvalidField};
use super::text::{StoredText, bounded, stored};
use super::visible::is_shown;

/// Where a use of a token came from, as far as the host tells it and has asked for it to be recorded.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct UsedFrom {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// What the client says it is: the text of its `User-Agent` header. Anybody can write anything there.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "super::text::as_stored::if_any"))]
    pub client: Option<ClientText>,
}

impl UsedFrom {
    /// Returns whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.address.is_none() && self.client.is_none()
    }
}

/// What a client says it is, as people are shown it: 1 to 255 characters, each of which is seen.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientText(Box<str>);

impl ClientText {
    /// The most characters.
    pub const MAX_CHARS: usize = 255;

    /// Takes a text, trimmed.
    ///
    /// # Errors
    /// Returns [`Invalid`] if nothing is left of the text, if it is longer than 255 characters, or if it holds a character
    /// that is not shown.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        bounded(text, InvalidField::ClientText, Self::MAX_CHARS).map(|text| Self(text.into()))
    }

    /// Takes what can be shown of a header's value, at most its first 255 characters. `None` if that is nothing.
    ///
    /// ```
    /// use keyfob::record::ClientText;
    ///
    /// let client = ClientText::of_header(b" git/2.47\x07 \xff(x) ").expect("something is left");
    /// assert_eq!(client.as_str(), "git/2.47 (x)");
    /// assert_eq!(ClientText::of_header(b" \t"), None);
    /// ```
    pub fn of_header(value: &[u8]) -> Option<Self> {
        // No character takes more than four bytes, so what lies further back is never looked at.
        let value = String::from_utf8_lossy(value.get(..4 * Self::MAX_CHARS).unwrap_or(value));
        let shown = value.chars().filter(|letter| is_shown(*letter) && *letter != char::REPLACEMENT_CHARACTER);
        let text: String = shown.take(Self::MAX_CHARS).collect();
        Self::new(&text).ok()
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl StoredText for ClientText {
    fn of_stored(text: &str) -> Result<Self, Invalid> {
        stored(text, InvalidField::ClientText, Self::MAX_CHARS).map(|text| Self(text.into()))
    }
}

text_type!(ClientText);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::invalid::InvalidKind;

    #[test]
    fn what_can_be_shown_of_a_header_is_kept() {
        let of = |value: &[u8]| ClientText::of_header(value).map(|client| client.as_str().to_owned());
        assert_eq!(of(b"curl/8.5.0").as_deref(), Some("curl/8.5.0"));
        assert_eq!(of("a\u{202e}b\u{200b}\nc".as_bytes()).as_deref(), Some("abc"));
        assert_eq!(of(b"\xff\xfe"), None);
        assert_eq!(of(b""), None);
        assert_eq!(of(&[b'x'; 5000]).map(|text| text.len()), Some(255));
        assert_eq!(of("\u{1f511}".repeat(400).as_bytes()).map(|text| text.chars().count()), Some(255));
    }

    #[test]
    fn a_text_that_is_given_is_not_mended() {
        let kind = |text: &str| ClientText::new(text).unwrap_err().kind();
        assert_eq!(kind("a\u{202e}b"), InvalidKind::Character);
        assert_eq!(kind(&"x".repeat(256)), InvalidKind::TooLong { max: 255 });
        assert_eq!(kind(" "), InvalidKind::Empty);
    }

    #[test]
    fn a_use_from_nowhere_is_empty() {
        assert!(UsedFrom::default().is_empty());
        assert!(!UsedFrom { address: Some("10.0.0.1".parse().unwrap()), client: None }.is_empty());
        assert!(!UsedFrom { address: None, client: ClientText::of_header(b"git") }.is_empty());
    }
}
