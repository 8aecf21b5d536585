//! A change by this process, after which the cache must not return the old record.

use std::sync::Arc;

use super::held::Held;
use super::protocol::Since;
use crate::rules::record::TokenRecord;
use crate::words::ids::{ProjectId, TokenKey};

/// A change of some tokens, or of a project, that this process is making. However it ends, also if
/// its future is dropped midway, the cache returns nothing from before it afterwards.
pub(super) struct Writing<'c> {
    pub(super) cache: &'c Held,
    pub(super) keys: &'c [TokenKey],
    pub(super) project: Option<&'c ProjectId>,
    pub(super) since: Option<Since>,
}

impl Writing<'_> {
    /// Records that the store acknowledged the change, and returned this record for the first key.
    pub(super) fn gave(mut self, record: &Arc<TokenRecord>) {
        if let (Some((first, others)), Some(since)) = (self.keys.split_first(), self.since) {
            self.cache.shards.wrote(first, record, since);
            self.keys = others;
        }
    }

    /// Records that the store acknowledged the call, and changed nothing in the project.
    pub(super) fn changed_nothing(mut self) {
        self.project = None;
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
