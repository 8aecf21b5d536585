//! What a commit has changed, as it is told to caches and standbys.

use core::fmt;

use crate::words::ids::{ProjectId, TokenKey};

/// The channel on which changes are told.
pub(super) const CHANNEL: &str = "keyfob";

/// What caches elsewhere, and standbys, must not answer with any more.
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
