//! The changes of a commit, as caches and standbys receive them.

use core::fmt;

use crate::words::ids::{ProjectId, TokenKey};

/// The channel on which changes are sent with `NOTIFY`.
pub(super) const CHANNEL: &str = "keyfob";

/// A token or a project that a commit has changed. Caches of other processes, and standbys, must no
/// longer serve its older state. Its text is the payload of the notification.
pub(super) enum Changed<'c> {
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
    pub(super) fn project(&self) -> &ProjectId {
        match self {
            Self::Token(key) => &key.project,
            Self::Project(project) => project,
        }
    }
}
