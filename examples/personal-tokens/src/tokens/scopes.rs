//! The scopes of this service, and what each one allows.

use std::sync::LazyLock;

use keyfob::Scope;

/// A scope of this service, with a text that says what it allows.
pub struct Known {
    pub scope: &'static str,
    pub words: &'static str,
}

/// The scope that allows a token to list and use the models of its project.
pub const MODELS_USE: &str = "models:use";
/// The scope that allows a token to read the notes of its project.
pub const NOTES_READ: &str = "notes:read";

/// The scope that allows a token to issue tokens for agents, which are bound to the issuing token.
pub const TOKENS_MANAGE: &str = "tokens:manage";

/// [`TOKENS_MANAGE`] as a [`Scope`].
pub static MANAGE: LazyLock<Scope> = LazyLock::new(|| Scope::new(TOKENS_MANAGE).expect("the constant is a scope"));

pub const ALL: [Known; 3] = [
    Known { scope: MODELS_USE, words: "Use the project's models, as editors do" },
    Known { scope: NOTES_READ, words: "Read the project's notes" },
    Known { scope: TOKENS_MANAGE, words: "Create agent tokens, which end with this one" },
];

/// Returns the text that says what a scope allows. It is empty if the service does not know the
/// scope.
pub fn words(scope: &str) -> &'static str {
    ALL.iter().find(|known| known.scope == scope).map_or("", |known| known.words)
}

/// The scope of a new token if the request names no scopes. Clients of the JSON API need not know
/// about scopes, and editors need this scope.
pub const DEFAULT: &str = MODELS_USE;
