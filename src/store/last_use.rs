//! The last use of a token, as a store records it.

use std::collections::BTreeMap;

use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::timestamp::Timestamp;
use crate::words::used_from::UsedFrom;

/// One use of a token, for a store to record as the last use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LastUse {
    /// The token that was used.
    pub key: TokenKey,
    /// The time of the use.
    pub used_at: Timestamp,
    /// The address and client of the use, if the service records them.
    pub from: Option<UsedFrom>,
}

impl LastUse {
    /// Returns the latest use of each token, grouped by project. Stores that write many last uses
    /// with one statement call this function first.
    pub fn latest(touches: &[Self]) -> BTreeMap<ProjectId, BTreeMap<TokenId, &Self>> {
        let mut projects: BTreeMap<ProjectId, BTreeMap<TokenId, &Self>> = BTreeMap::new();
        for touch in touches {
            let last = projects.entry(touch.key.project).or_default().entry(touch.key.id).or_insert(touch);
            if last.used_at < touch.used_at {
                *last = touch;
            }
        }
        projects
    }
}
