//! What other processes change, as an engine tells it.

use core::future::Future;

use crate::words::ids::{ProjectId, TokenKey};

/// What a feed tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FeedEvent {
    /// This token was changed, or made.
    Token(TokenKey),
    /// Any of this project's may have been changed.
    Project(ProjectId),
    /// The feed is well, and nothing was changed.
    Nothing,
    /// Changes may have gone untold until now: at the start, once a loss is known, and when the feed is there again.
    Lost,
}

impl FeedEvent {
    /// What a word on an engine's channel means: `PROJECT ID`, `PROJECT`, or nothing. What is none of these may be of a later
    /// version, and mean anything.
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

/// The changes of a store, by whichever process. It only hastens: what it does not tell is found out within the bound.
pub trait Feed: Send {
    /// What it tells next. It waits for as long as there is nothing to tell, and finds its way back by itself where it
    /// is lost.
    fn next(&mut self) -> impl Future<Output = FeedEvent> + Send;
}
