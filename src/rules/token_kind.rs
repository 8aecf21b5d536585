//! Who holds a token.

/// Who holds the token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum TokenKind {
    /// A person, their scripts and editors.
    #[default]
    Human,
    /// A service that no person stands behind.
    Service,
    /// A program that acts for a person for a while: an AI agent, an editor, a CI job.
    Agent,
}

word_type!(TokenKind { Human = "human", Service = "service", Agent = "agent" });
