//! The changes that a commit makes. Caches receive them as notifications, and reads from standbys
//! must include them.

use core::fmt;

use crate::words::ids::{ProjectId, TokenKey};

/// A token or a project that a commit has changed. After the commit, caches of other processes must
/// no longer serve the older state, and this store must not read the older state from a standby.
/// The `Display` text is the payload of the notification.
pub(in crate::adapters) enum Changed<'c> {
    Token(&'c TokenKey),
    Project(&'c ProjectId),
}

impl fmt::Display for Changed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(TokenKey { project, id }) => write!(f, "{project} {id}"),
            Self::Project(project) => write!(f, "{project}"),
        }
    }
}

impl Changed<'_> {
    #[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "only PostgreSQL has standbys"))]
    pub(in crate::adapters) fn project(&self) -> &ProjectId {
        match self {
            Self::Token(key) => &key.project,
            Self::Project(project) => project,
        }
    }
}
