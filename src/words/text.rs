//! Bounded text of the host's own: names, owners, actors, metadata, request ids.

use super::fold::fold;
use super::invalid::{Invalid, InvalidField, InvalidKind};
use super::visible::is_visible;

/// Conversions and serde for a type that is text: it has a `new` and an `as_str`.
macro_rules! text_conversions {
    ($type:ident, $new:ident) => {
        impl core::str::FromStr for $type {
            type Err = $crate::words::invalid::Invalid;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::$new(text)
            }
        }

        impl TryFrom<&str> for $type {
            type Error = $crate::words::invalid::Invalid;
            fn try_from(text: &str) -> Result<Self, Self::Error> {
                Self::$new(text)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::$new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

/// The same with Display and Debug, for a struct.
macro_rules! text_type {
    ($type:ident) => {
        impl core::fmt::Display for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl core::fmt::Debug for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{}({:?})", stringify!($type), self.as_str())
            }
        }

        text_conversions!($type, new);
    };
}

/// The words of an enum: each variant's name in stores, queries and serde.
macro_rules! word_type {
    ($type:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            /// Every variant, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its word, as stores, queries and serde write it.
            pub const fn as_str(&self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }

            /// Reads the word of a variant.
            ///
            /// # Errors
            /// Returns [`Invalid`](crate::Invalid) for any other text.
            pub fn parse(text: &str) -> Result<Self, $crate::words::invalid::Invalid> {
                use $crate::words::invalid::{Invalid, InvalidField, InvalidKind};
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(Invalid::new(InvalidField::Word, InvalidKind::Shape)),
                }
            }
        }

        impl core::fmt::Display for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        text_conversions!($type, parse);
    };
}

macro_rules! host_text {
    ($(#[$docs:meta])* $type:ident, $field:ident) => {
        $(#[$docs])*
        ///
        /// It has 1 to 255 characters after white space is trimmed at both ends. It is shown to people, so a character that hides
        /// or deceives is refused: control characters, line and paragraph separators, format characters (Unicode's
        /// general category Cf, and so every bidirectional override and every zero-width character), and whatever else
        /// shows nothing, such as fillers, tags and variation selectors.
        ///
        /// This is a rule for what comes in, and it grows with Unicode. What a store holds, or a serialized
        /// [`TokenRecord`](crate::TokenRecord), is read by length and without control characters only, so that a later rule
        /// never makes a token unreadable: escape it where you show it.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Box<str>);

        impl $type {
            /// The most characters.
            pub const MAX_CHARS: usize = 255;

            /// Takes a text, trimmed.
            ///
            /// # Errors
            /// Returns [`Invalid`] if nothing is left of the text, if it is longer than 255 characters, or if it holds a
            /// character that is not shown.
            pub fn new(text: &str) -> Result<Self, Invalid> {
                bounded(text, InvalidField::$field, Self::MAX_CHARS).map(|text| Self(text.into()))
            }

            /// As text.
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
    /// What a token is for, in its owner's words: "VS Code integration".
    ///
    /// An emoji may carry its variation selector, as keyboards write it (`☁️`). Joiners are format characters: emoji that are
    /// joined of several by U+200D, and words that are written with U+200C or U+200D, as in Persian, are refused,
    /// because with and without a joiner two names may look the same. Write a space, or the emoji side by side.
    Name, Name
);
host_text!(
    /// The host's id of the user that a token acts for.
    ///
    /// If an older rule accepted an id of yours that today's refuses, take it from a token that it owns
    /// ([`TokenView::owner`](crate::TokenView::owner)), to list or revoke the others.
    OwnerId, OwnerId
);
host_text!(
    /// Who did something, as the host names it. Always from the host's own session, never from a request body.
    Actor, Actor
);
host_text!(
    /// The caller's own id of a request, so that a repeat after a lost answer is known as one.
    RequestId, RequestId
);

impl From<&OwnerId> for Actor {
    fn from(owner: &OwnerId) -> Self {
        Self(owner.0.clone())
    }
}

impl Actor {
    /// A token that acts: its public part has at most 71 characters, none of them a control character.
    pub(crate) fn of_token(public_part: &str) -> Self {
        Self(format!("token {public_part}").into())
    }
}

impl Name {
    /// The form by which names are searched and sorted, the same in every store: Unicode lower case, and one
    /// sigma.
    pub fn folded(&self) -> String {
        fold(&self.0)
    }
}

/// Text of the host's own beside a token, often JSON. At most 4,096 bytes, no NUL; keyfob never reads it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Metadata(Box<str>);

impl Metadata {
    /// The most bytes.
    pub const MAX_BYTES: usize = 4096;

    /// This text, as it is.
    ///
    /// # Errors
    /// [`Invalid`] where it is too long or holds a NUL, which PostgreSQL cannot store.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        if text.len() > Self::MAX_BYTES {
            return Err(Invalid::new(InvalidField::Metadata, InvalidKind::TooLong { max: Self::MAX_BYTES }));
        }
        if text.contains('\0') {
            return Err(Invalid::new(InvalidField::Metadata, InvalidKind::Character));
        }
        Ok(Self(text.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_type!(Metadata);

/// Text that is shown, as it is read back from where it is stored.
#[cfg_attr(
    not(any(feature = "serde", feature = "sqlite", feature = "postgres", feature = "redis")),
    allow(dead_code, reason = "only these read stored text")
)]
pub(crate) trait StoredText: Sized {
    /// Takes a text that was valid when it was stored, perhaps by an older rule for what is shown.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the text is empty, longer than today's bound, or holds a control character, which no version
    /// has stored and Unicode adds none of.
    fn of_stored(text: &str) -> Result<Self, Invalid>;
}

/// Trims a text that is shown, and refuses what is not to be.
pub(super) fn bounded(text: &str, field: InvalidField, max: usize) -> Result<&str, Invalid> {
    let text = stored(text.trim(), field, max)?;
    if !is_visible(text) {
        return Err(Invalid::new(field, InvalidKind::Character));
    }
    Ok(text)
}

/// Refuses what was never stored as text that is shown.
pub(super) fn stored(text: &str, field: InvalidField, max: usize) -> Result<&str, Invalid> {
    if text.is_empty() {
        return Err(Invalid::new(field, InvalidKind::Empty));
    }
    // The byte count first: a huge text is refused without being walked.
    if text.len() > 4 * max || text.chars().count() > max {
        return Err(Invalid::new(field, InvalidKind::TooLong { max }));
    }
    if text.chars().any(char::is_control) {
        return Err(Invalid::new(field, InvalidKind::Character));
    }
    Ok(text)
}

/// Reads text of a serialized record, for `#[serde(with)]`.
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
    fn names_fold_alike_wherever_a_letter_stands() {
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
