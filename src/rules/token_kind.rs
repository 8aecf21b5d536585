//! The kind of holder that a token is for.

/// The kind of holder that a token is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum TokenKind {
    /// A person, with their scripts and editors.
    #[default]
    Human,
    /// A service that works on its own, without a person.
    Service,
    /// A program that acts for a person for a while: an AI agent, an editor or a CI job.
    Agent,
}

word_type!(TokenKind { Human = "human", Service = "service", Agent = "agent" });
