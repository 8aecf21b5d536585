//! What this process changes, which its cache must not answer as it was before.

use std::sync::Arc;

use super::held::Held;
use super::protocol::Since;
use crate::rules::record::TokenRecord;
use crate::words::ids::{ProjectId, TokenKey};

/// An act of this process on some keys, or on a project's. However it ends, also where its future is dropped half-way,
/// nothing from before it is answered afterwards.
pub(super) struct Writing<'c> {
    pub(super) cache: &'c Held,
    pub(super) keys: &'c [TokenKey],
    pub(super) project: Option<&'c ProjectId>,
    pub(super) since: Option<Since>,
}

impl Writing<'_> {
    /// It is acknowledged, and gave this record of the first key.
    pub(super) fn gave(mut self, record: &Arc<TokenRecord>) {
        if let (Some((first, others)), Some(since)) = (self.keys.split_first(), self.since) {
            self.cache.shards.wrote(first, record, since);
            self.keys = others;
        }
    }

    /// It is acknowledged, and there was nothing to do in the project.
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
