//! The scopes of this service, and what they allow.

use std::sync::LazyLock;

use keyfob::Scope;

/// A scope with a sentence about what it allows.
pub struct Known {
    pub scope: &'static str,
    pub words: &'static str,
}

/// The scope to list and to use the project's models.
pub const MODELS_USE: &str = "models:use";
/// The scope to read the project's notes.
pub const NOTES_READ: &str = "notes:read";

/// The scope to issue tokens for agents. They are bound to the token that issues them.
pub const TOKENS_MANAGE: &str = "tokens:manage";

/// [`TOKENS_MANAGE`] as a [`Scope`].
pub static MANAGE: LazyLock<Scope> = LazyLock::new(|| Scope::new(TOKENS_MANAGE).expect("the constant is a scope"));

pub const ALL: [Known; 3] = [
    Known { scope: MODELS_USE, words: "Use the project's models, as editors do" },
    Known { scope: NOTES_READ, words: "Read the project's notes" },
    Known { scope: TOKENS_MANAGE, words: "Create agent tokens, which end with this one" },
];

/// The scopes of a token if the request names none: clients of the JSON API know no scopes, and
/// editors need this one.
pub const DEFAULT: &str = MODELS_USE;
