//! The kind of a token's holder.

/// The kind of a token's holder, which decides the lifetimes that the policy allows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum TokenKind {
    /// A person, who uses the token in their own scripts and tools.
    #[default]
    Human,
    /// A service that runs without a person.
    Service,
    /// A program that acts for a person for a limited time, such as an AI agent or a CI job.
    Agent,
}

word_type!(TokenKind { Human = "human", Service = "service", Agent = "agent" });
