//! The orders in which a list of tokens can be sorted.

/// The order of a list of tokens: the value by which the list is sorted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum ListOrder {
    /// The time at which the token was created.
    #[default]
    Created,
    /// The folded name of the token. Names are compared by Unicode code point.
    Name,
    /// The time at which the token expires. Tokens that never expire come last.
    Expires,
}

word_type!(ListOrder { Created = "created", Name = "name", Expires = "expires" });
