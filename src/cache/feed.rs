//! The feed through which the database of a store reports changes by other processes.

use core::future::Future;

use crate::words::ids::{ProjectId, TokenKey};

/// An event of a [`Feed`]: a change in the store, or a message about the feed itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FeedEvent {
    /// The token with this key was changed or inserted.
    Token(TokenKey),
    /// Tokens of this project may have changed. The event does not name them.
    Project(ProjectId),
    /// The feed is connected, and there is no change to report.
    Nothing,
    /// The feed may have missed changes before this event. A feed sends this event at its start,
    /// when it notices that its connection is lost, and after it reconnects.
    Lost,
}

impl FeedEvent {
    /// Parses a message from the notification channel of the database.
    ///
    /// `PROJECT ID` means [`Token`](Self::Token), `PROJECT` means [`Project`](Self::Project), and
    /// an empty message means [`Nothing`](Self::Nothing). Any other message means
    /// [`Lost`](Self::Lost), because a later version of keyfob may have sent it to report a change.
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

/// A feed of the changes that any process makes to a store. A cache that follows the feed returns
/// changed records sooner. Without a feed, the cache may return the old records until its bound has
/// passed.
pub trait Feed: Send {
    /// Waits for the next event and returns it. If the connection is lost, the feed returns
    /// [`FeedEvent::Lost`] and reconnects by itself.
    fn next(&mut self) -> impl Future<Output = FeedEvent> + Send;
}
