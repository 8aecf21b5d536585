//! A guard for a change by this process: after the change, the cache never returns the old record.

use std::sync::Arc;

use super::held::Held;
use super::protocol::Since;
use crate::rules::record::TokenRecord;
use crate::words::ids::{ProjectId, TokenKey};

/// A guard for a change of some tokens, or of a whole project, by this process. When the guard is
/// dropped, the cache drops the old records of these tokens. So the cache never returns the old
/// records afterwards, even if the store call fails or its future is dropped midway.
pub(super) struct Writing<'c> {
    pub(super) cache: &'c Held,
    pub(super) keys: &'c [TokenKey],
    pub(super) project: Option<&'c ProjectId>,
    pub(super) since: Option<Since>,
}

impl Writing<'_> {
    /// Ends the change after the store has acknowledged it. The first of the `keys` gets `record`,
    /// which the store has returned, as its new cache entry. The entries of the other keys are
    /// dropped.
    pub(super) fn gave(mut self, record: &Arc<TokenRecord>) {
        if let (Some((first, others)), Some(since)) = (self.keys.split_first(), self.since) {
            self.cache.shards.wrote(first, record, since);
            self.keys = others;
        }
    }

    /// Ends the guard of an operation on a whole project after the store has acknowledged which
    /// tokens the operation changed. The cache drops its entries of these tokens, and keeps the
    /// other entries of the project.
    pub(super) fn changed_only(mut self, keys: impl IntoIterator<Item = TokenKey>) {
        self.project = None;
        keys.into_iter().for_each(|key| self.cache.shards.forget(&key));
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        for key in self.keys {
            self.cache.shards.forget(key);
        }
        if let Some(project) = self.project {
            self.cache.shards.move_epoch(project);
        }
    }
}
