//! Who acts for whom.

use super::proof::Held;
use crate::words::ids::TokenKey;
use crate::words::text::OwnerId;

/// Who acts for whom: the user, the token that was presented, and the tokens that it is bound to. From
/// [`Verified::acting`](crate::Verified::acting).
///
/// With the feature `serde` it is written as the claims `sub` and `act` of RFC 8693 section 4.1: the subject is the owner, the
/// outermost actor is the token that was presented, and within it is each token that it was issued by. Tokens are named by
/// their public parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acting<'a> {
    owner: &'a OwnerId,
    tokens: Vec<(TokenKey, String)>,
}

impl<'a> Acting<'a> {
    pub(super) fn new(held: &'a Held) -> Self {
        let tokens = held.records().map(|record| (record.key(), record.public_part())).collect();
        Self { owner: &held.record.owner, tokens }
    }

    /// Returns the user that the tokens act for.
    pub fn owner(&self) -> &'a OwnerId {
        self.owner
    }

    /// Returns the token that was presented.
    pub fn token(&self) -> TokenKey {
        self.tokens[0].0
    }

    /// Returns the tokens that it is bound to, nearest first.
    pub fn issuers(&self) -> impl Iterator<Item = TokenKey> {
        self.tokens.iter().skip(1).map(|(key, _)| *key)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Acting<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Subject<'s> {
            sub: &'s str,
            #[serde(skip_serializing_if = "Option::is_none")]
            act: Option<Box<Subject<'s>>>,
        }
        let actors = self.tokens.iter().rev().map(|(_, public_part)| public_part.as_str());
        let act = actors.fold(None, |act, sub| Some(Box::new(Subject { sub, act })));
        Subject { sub: self.owner.as_str(), act }.serialize(serializer)
    }
}
