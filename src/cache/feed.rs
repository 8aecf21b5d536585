//! The feed of changes by other processes, from the engine of a store.

use core::future::Future;

use crate::words::ids::{ProjectId, TokenKey};

/// An event of a feed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FeedEvent {
    /// This token was changed or inserted.
    Token(TokenKey),
    /// Any token of this project may have been changed.
    Project(ProjectId),
    /// The feed is connected, and nothing was changed.
    Nothing,
    /// Changes may have been missed up to now. A feed sends this at its start, when it notices a
    /// loss, and after it reconnects.
    Lost,
}

impl FeedEvent {
    /// Parses a message on an engine's channel: `PROJECT ID` is a token, `PROJECT` is a project,
    /// and an empty message is nothing. Any other message may come from a later version and mean
    /// any change, so it counts as a loss.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(crate) fn heard(word: &str) -> Self {
        if word.is_empty() {
            return Self::Nothing;
        }
        let told = match word.split_once(' ') {
            Some((project, id)) => {
                let (project, id) = (ProjectId::new(project).ok(), crate::words::ids::TokenId::new(id).ok());
                project.zip(id).map(|(project, id)| Self::Token(TokenKey { project, id }))
            }
            None => ProjectId::new(word).ok().map(Self::Project),
        };
        told.unwrap_or(Self::Lost)
    }
}

/// A feed of the changes that any process makes to a store. It only shortens the delay: without it,
/// a change becomes visible within the bound of the cache.
pub trait Feed: Send {
    /// Returns the next event. Waits until there is one, and reconnects by itself after a loss.
    fn next(&mut self) -> impl Future<Output = FeedEvent> + Send;
}
