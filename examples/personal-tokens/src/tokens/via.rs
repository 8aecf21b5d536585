//! The way by which a person created a token. The metadata of the token stores it.

use keyfob::{TokenView, record::Metadata};
use serde_json::{Value, json};

/// The way by which a person created a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Via {
    /// A form of the pages.
    Page,
    /// The JSON API.
    Api,
}

impl Via {
    const ALL: [Self; 2] = [Self::Page, Self::Api];

    fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Api => "api",
        }
    }

    /// Returns the metadata of a new token.
    pub fn metadata(self) -> Metadata {
        let text = json!({ "created_with": self.as_str() }).to_string();
        Metadata::new(&text).expect("a short text without a NUL is valid metadata")
    }

    /// Reads the metadata of a token. Returns `None` for an agent token, which cannot have
    /// metadata, and for a token that another program or an earlier version of the service created.
    pub fn of(view: &TokenView) -> Option<Self> {
        let metadata: Value = serde_json::from_str(view.metadata.as_str()).ok()?;
        let word = metadata.get("created_with")?.as_str()?;
        Self::ALL.into_iter().find(|via| via.as_str() == word)
    }
}
