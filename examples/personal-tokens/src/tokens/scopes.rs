//! The scopes that this service has, and what they mean.

use std::sync::LazyLock;

use keyfob::Scope;

/// A scope, and what it lets a token do.
pub struct Known {
    pub scope: &'static str,
    pub words: &'static str,
}

/// To list the project's models and to ask them.
pub const MODELS_USE: &str = "models:use";
/// To read the project's notes.
pub const NOTES_READ: &str = "notes:read";

/// To issue tokens for agents. They are bound to the token that issues them.
pub const TOKENS_MANAGE: &str = "tokens:manage";

/// [`TOKENS_MANAGE`].
pub static MANAGE: LazyLock<Scope> = LazyLock::new(|| Scope::new(TOKENS_MANAGE).expect("the constant is a scope"));

pub const ALL: [Known; 3] = [
    Known { scope: MODELS_USE, words: "Use the project's models, as editors do" },
    Known { scope: NOTES_READ, words: "Read the project's notes" },
    Known { scope: TOKENS_MANAGE, words: "Create agent tokens, which end with this one" },
];

/// What a token may do where nobody says: clients of the JSON API know no scopes, and editors need this one.
pub const DEFAULT: &str = MODELS_USE;
