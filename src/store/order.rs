//! The orders of a list.

/// By what a list is sorted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum ListOrder {
    /// When the token was created.
    #[default]
    Created,
    /// Its folded name, by code point.
    Name,
    /// When it expires; never is last.
    Expires,
}

word_type!(ListOrder { Created = "created", Name = "name", Expires = "expires" });
