//! The scopes that this service has, and what they mean.

/// A scope, and what it lets a token do.
pub struct Known {
    pub scope: &'static str,
    pub words: &'static str,
}

/// To list the project's models and to ask them.
pub const MODELS_USE: &str = "models:use";
/// To read the project's notes.
pub const NOTES_READ: &str = "notes:read";

pub const ALL: [Known; 2] = [
    Known { scope: MODELS_USE, words: "Use the project's models, as editors do" },
    Known { scope: NOTES_READ, words: "Read the project's notes" },
];

/// What a token may do where nobody says: clients of the JSON API know no scopes, and editors need this one.
pub const DEFAULT: &str = MODELS_USE;
