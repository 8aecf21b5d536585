//! The orders in which a list can be sorted.

/// The value by which a list is sorted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum ListOrder {
    /// The time at which the token was created.
    #[default]
    Created,
    /// The folded name of the token, compared by code point.
    Name,
    /// The time at which the token expires. Tokens that never expire come last.
    Expires,
}

word_type!(ListOrder { Created = "created", Name = "name", Expires = "expires" });
