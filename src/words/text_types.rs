//! The macros that implement the common traits of text types and of enums with names.

/// Implements the conversions and the serde traits for a text type that has an `as_str` method.
/// `$new` is the function that parses a text.
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

/// Implements Display, Debug and the conversions for a text type.
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

/// Gives each variant of an enum a name for stores, queries and serde. Implements the conversions
/// between variants and names.
macro_rules! word_type {
    ($type:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            /// All variants, in the order of their declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Returns the name of the variant. Stores, queries and serde use this name.
            pub const fn as_str(&self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }

            /// Parses the name of a variant.
            ///
            /// # Errors
            /// Returns [`Invalid`](crate::Invalid) if no variant has this name.
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
