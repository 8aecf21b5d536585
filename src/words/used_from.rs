//! The address and the client from which a token was used.

use core::net::IpAddr;

use super::invalid::{Invalid, InvalidField};
use super::text::{StoredText, bounded, stored};
use super::visible::is_shown;

/// The address and the client from which a token was used. keyfob records them only if your service
/// turns the recording on and passes them to keyfob.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct UsedFrom {
    /// The address of the client, or `None` if it is not known.
    pub address: Option<IpAddr>,
    /// The client's description of itself from its `User-Agent` header, or `None` if it is not
    /// known. A client can send any text in this header.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "super::text::as_stored::if_any"))]
    pub client: Option<ClientText>,
}

impl UsedFrom {
    /// Returns whether both the address and the client are missing.
    pub fn is_empty(&self) -> bool {
        self.address.is_none() && self.client.is_none()
    }
}

/// The description that a client gives of itself. It has 1 to 255 characters, and all of them may
/// be shown to people.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientText(Box<str>);

impl ClientText {
    /// The maximum number of characters in the description.
    pub const MAX_CHARS: usize = 255;

    /// Creates the description from a text, trimmed at both ends.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the trimmed text is empty, has more than 255 characters, or holds a
    /// character that is not safe to show to people, such as a control character.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        bounded(text, InvalidField::ClientText, Self::MAX_CHARS).map(|text| Self(text.into()))
    }

    /// Creates the description from the value of a header. Drops all characters that are not
    /// allowed in displayed text, and keeps at most 255 of the others. Returns `None` if no
    /// character is left.
    ///
    /// ```
    /// use keyfob::record::ClientText;
    ///
    /// let value = b" git/2.47\x07 \xff(x) ";
    /// let client = ClientText::of_header(value).expect("something is left");
    /// assert_eq!(client.as_str(), "git/2.47 (x)");
    /// assert_eq!(ClientText::of_header(b" \t"), None);
    /// ```
    pub fn of_header(value: &[u8]) -> Option<Self> {
        // 255 characters take at most 1,020 bytes. Later bytes are ignored, even if dropped
        // characters leave fewer than 255.
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
    fn only_characters_of_a_header_that_may_be_shown_are_kept() {
        let of = |value: &[u8]| ClientText::of_header(value).map(|client| client.as_str().to_owned());
        assert_eq!(of(b"curl/8.5.0").as_deref(), Some("curl/8.5.0"));
        assert_eq!(of("a\u{202e}b\u{200b}\nc".as_bytes()).as_deref(), Some("abc"));
        assert_eq!(of(b"\xff\xfe"), None);
        assert_eq!(of(b""), None);
        assert_eq!(of(&[b'x'; 5000]).map(|text| text.len()), Some(255));
        assert_eq!(of("\u{1f511}".repeat(400).as_bytes()).map(|text| text.chars().count()), Some(255));
    }

    #[test]
    fn new_refuses_a_text_that_of_header_would_shorten() {
        let kind = |text: &str| ClientText::new(text).unwrap_err().kind();
        assert_eq!(kind("a\u{202e}b"), InvalidKind::Character);
        assert_eq!(kind(&"x".repeat(256)), InvalidKind::TooLong { max: 255 });
        assert_eq!(kind(" "), InvalidKind::Empty);
    }

    #[test]
    fn a_place_without_address_and_description_is_empty() {
        assert!(UsedFrom::default().is_empty());
        assert!(!UsedFrom { address: Some("10.0.0.1".parse().unwrap()), client: None }.is_empty());
        assert!(!UsedFrom { address: None, client: ClientText::of_header(b"git") }.is_empty());
    }
}
