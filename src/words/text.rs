//! Bounded texts from the service: names, owners, actors, metadata and request ids.

use super::fold::fold;
use super::invalid::{Invalid, InvalidField, InvalidKind};
use super::visible::is_visible;

/// Defines a type for a text that is shown to people. The text has 1 to 255 characters.
macro_rules! host_text {
    ($(#[$docs:meta])* $type:ident, $field:ident) => {
        $(#[$docs])*
        ///
        /// The text has 1 to 255 characters after white space at both ends is trimmed. People see
        /// the text, so characters that could deceive them are refused:
        /// - Control characters, and line and paragraph separators.
        /// - Format characters (Unicode's general category Cf), such as bidirectional overrides and
        ///   zero-width characters.
        /// - Other characters that show nothing, such as fillers, tags, and variation selectors
        ///   that do not follow an emoji.
        ///
        /// This rule applies to new text, and later versions may refuse more characters. For text
        /// in a store or in a serialized [`TokenRecord`](crate::TokenRecord), only the length and
        /// the control characters are checked. A stricter rule therefore never makes a stored token
        /// unreadable. Escape the text wherever you show it.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Box<str>);

        impl $type {
            /// The maximum number of characters in the text.
            pub const MAX_CHARS: usize = 255;

            /// Creates the value from a text, which is trimmed at both ends.
            ///
            /// # Errors
            /// Returns [`Invalid`] if the trimmed text is empty, has more than 255 characters, or
            /// holds a character that is not safe to show to people, such as a control character.
            pub fn new(text: &str) -> Result<Self, Invalid> {
                bounded(text, InvalidField::$field, Self::MAX_CHARS).map(|text| Self(text.into()))
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl StoredText for $type {
            fn of_stored(text: &str) -> Result<Self, Invalid> {
                stored(text, InvalidField::$field, Self::MAX_CHARS).map(|text| Self(text.into()))
            }
        }

        text_type!($type);
    };
}

host_text!(
    /// The name of a token, in which the owner describes what the token is for, such as "VS Code
    /// integration".
    ///
    /// An emoji may have a variation selector, which many keyboards add (`☁️`). The joiners U+200C
    /// and U+200D are refused, because two names that differ only in a joiner may look the same.
    /// This excludes emoji that are joined from several emoji, and words with joiners, as in
    /// Persian. Users can put the emoji side by side, or write a space instead of the joiner.
    Name, Name
);
host_text!(
    /// The id of the user that a token acts for, as your service assigned it. A number converts
    /// infallibly, as in `OwnerId::from(user.id)`.
    ///
    /// A newer version of keyfob may refuse an id that an older version accepted. To list or revoke
    /// the tokens of such an owner, use the [`TokenView::owner`](crate::TokenView::owner) of one of
    /// these tokens as the id.
    OwnerId, OwnerId
);
host_text!(
    /// The user or program that performs an operation, as your service names it. Take the actor
    /// from the authenticated session, never from the body of a request. A number converts
    /// infallibly, as in `Actor::from(user.id)`.
    Actor, Actor
);
host_text!(
    /// The id that a caller gives to a request. If the response is lost and the caller repeats the
    /// request with the same id, keyfob recognizes the repeat.
    RequestId, RequestId
);

impl From<&OwnerId> for Actor {
    fn from(owner: &OwnerId) -> Self {
        Self(owner.0.clone())
    }
}

impl OwnerId {
    /// Creates an owner from a text that needs no check, such as a number.
    pub(super) fn from_checked(text: &str) -> Self {
        Self(text.into())
    }

    pub(super) fn from_number(number: impl ToString) -> Self {
        Self(number.to_string().into())
    }
}

impl Actor {
    pub(super) fn from_number(number: impl ToString) -> Self {
        Self(number.to_string().into())
    }

    /// Creates the actor for a token that performs an operation. The public part has at most 70
    /// characters and needs no check.
    pub(crate) fn of_token(public_part: &str) -> Self {
        Self(format!("token {public_part}").into())
    }
}

impl Name {
    /// Returns the form in which the name is searched and sorted: Unicode lower case, with each
    /// final sigma `ς` replaced by `σ`. All stores use the same form.
    pub fn folded(&self) -> String {
        fold(&self.0)
    }
}

/// Text that your service keeps with a token, such as JSON. It has at most 4,096 bytes and no NUL.
/// keyfob does not interpret it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Metadata(Box<str>);

impl Metadata {
    /// The maximum number of bytes in the metadata.
    pub const MAX_BYTES: usize = 4096;

    /// Creates metadata from a text, without trimming it.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the text is longer than 4,096 bytes or holds a NUL, which PostgreSQL
    /// cannot store.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        if text.len() > Self::MAX_BYTES {
            return Err(Invalid::new(InvalidField::Metadata, InvalidKind::TooLong { max: Self::MAX_BYTES }));
        }
        if text.contains('\0') {
            return Err(Invalid::new(InvalidField::Metadata, InvalidKind::Character));
        }
        Ok(Self(text.into()))
    }

    /// Returns the text of the metadata.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_type!(Metadata);

/// A type of text that people see. Its values can be created from stored text even if the current
/// rule for new values refuses the text.
#[cfg_attr(
    not(any(feature = "serde", feature = "sqlite", feature = "postgres", feature = "mysql", feature = "redis")),
    allow(dead_code, reason = "only these read stored text")
)]
pub(crate) trait StoredText: Sized {
    /// Creates the value from a stored text. The text may contain characters that are not allowed
    /// in new texts, because an older rule may have applied when it was stored.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the text is empty, if it is longer than the current bound, or if it
    /// holds a control character. No version has ever stored a control character, and Unicode adds
    /// no new control characters.
    fn of_stored(text: &str) -> Result<Self, Invalid>;
}

/// Trims a text, and returns it if it is allowed as a new text: [`stored`] accepts it, and
/// [`is_visible`] returns true. Returns an error otherwise.
pub(super) fn bounded(text: &str, field: InvalidField, max: usize) -> Result<&str, Invalid> {
    let text = stored(text.trim(), field, max)?;
    if !is_visible(text) {
        return Err(Invalid::new(field, InvalidKind::Character));
    }
    Ok(text)
}

/// Returns the text if it is not empty, has at most `max` characters, and holds no control
/// character. This is the rule for stored text. If the text breaks the rule, returns an error.
pub(super) fn stored(text: &str, field: InvalidField, max: usize) -> Result<&str, Invalid> {
    if text.is_empty() {
        return Err(Invalid::new(field, InvalidKind::Empty));
    }
    // The number of bytes is checked first, so that a huge text is refused without counting its
    // characters.
    if text.len() > 4 * max || text.chars().count() > max {
        return Err(Invalid::new(field, InvalidKind::TooLong { max }));
    }
    if text.chars().any(char::is_control) {
        return Err(Invalid::new(field, InvalidKind::Character));
    }
    Ok(text)
}

/// Functions for `#[serde(deserialize_with)]` that deserialize a text of a record. They apply only
/// the rule for stored text, not the stricter rule for new text.
#[cfg(feature = "serde")]
pub(crate) mod as_stored {
    use std::borrow::Cow;

    use serde::de::{Deserialize, Deserializer, Error};

    use super::StoredText;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: StoredText>(deserializer: D) -> Result<T, D::Error> {
        T::of_stored(&<Cow<'de, str>>::deserialize(deserializer)?).map_err(D::Error::custom)
    }

    pub(crate) fn if_any<'de, D: Deserializer<'de>, T: StoredText>(deserializer: D) -> Result<Option<T>, D::Error> {
        let text = <Option<Cow<'de, str>>>::deserialize(deserializer)?;
        text.map(|text| T::of_stored(&text)).transpose().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded_in_characters() {
        assert_eq!(Name::new("  VSCode Integration\n").unwrap().as_str(), "VSCode Integration");
        for widest in ["ж", "𝄞"] {
            assert_eq!(Name::new(&widest.repeat(255)).unwrap().as_str().chars().count(), 255);
        }
        let flaw = |text: &str| Name::new(text).unwrap_err().kind();
        assert_eq!(flaw(&"ж".repeat(256)), InvalidKind::TooLong { max: 255 });
        assert_eq!(flaw(" \t\n"), InvalidKind::Empty);
        assert_eq!(flaw("a\0b"), InvalidKind::Character);
        assert_eq!(flaw("a\u{85}b"), InvalidKind::Character);
    }

    #[test]
    fn stored_text_is_read_by_an_older_rule() {
        for text in ["\u{1f469}\u{200d}\u{1f4bb}", "\u{202e}a", "\u{200b}", &"ж".repeat(255)] {
            assert_eq!(Name::of_stored(text).unwrap().as_str(), text);
            assert_eq!(Actor::of_stored(text).unwrap().as_str(), text);
        }
        let flaw = |text: &str| Name::of_stored(text).unwrap_err().kind();
        assert_eq!(flaw(""), InvalidKind::Empty);
        assert_eq!(flaw(&"ж".repeat(256)), InvalidKind::TooLong { max: 255 });
        for control in ["a\0b", "a\nb", "\u{85}"] {
            assert_eq!(flaw(control), InvalidKind::Character);
        }
    }

    #[test]
    fn names_fold_alike_at_every_place_of_a_letter() {
        assert_eq!(Name::new("ΟΔΥΣ").unwrap().folded(), "οδυσ");
        assert!(Name::new("Οδυσσεύς").unwrap().folded().contains(&fold("ΟΔΥΣ")));
        assert_eq!(Name::new("Straße ÄÖ Ж").unwrap().folded(), "straße äö ж");
    }

    #[test]
    fn metadata_is_kept_as_it_is() {
        let text = "{\n  \"team\": \"ci\"\n} ";
        assert_eq!(Metadata::new(text).unwrap().as_str(), text);
        assert!(Metadata::new(&"m".repeat(4096)).is_ok());
        assert!(Metadata::new(&"m".repeat(4097)).is_err());
        assert_eq!(Metadata::new("\0").unwrap_err().kind(), InvalidKind::Character);
    }
}
