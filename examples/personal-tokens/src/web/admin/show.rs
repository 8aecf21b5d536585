//! The choice of the tokens that the administrator's tables show.

use std::time::Duration;

use keyfob::{
    OwnerId, ProjectId, Timestamp, TokenView,
    store::{ListQuery, PageSize, StatusFilter, StatusGroup},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The tokens that a table contains.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Show {
    All,
    Live,
    Ended,
    /// The live tokens that expire within 7 days.
    ExpiresSoon,
    /// The live tokens that never expire.
    NeverExpires,
    /// The live tokens that were never used.
    NeverUsed,
    /// The live tokens that were not used for 30 days, or were created 30 days ago and never used.
    Unused,
}

impl Show {
    pub const ALL: [Self; 7] =
        [Self::All, Self::Live, Self::Ended, Self::ExpiresSoon, Self::NeverExpires, Self::NeverUsed, Self::Unused];

    pub fn parse(word: &str) -> Self {
        Self::ALL.into_iter().find(|show| show.as_str() == word).unwrap_or(Self::All)
    }

    /// Returns the word in the URL of the page.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Live => "live",
            Self::Ended => "ended",
            Self::ExpiresSoon => "expires-7",
            Self::NeverExpires => "no-expiry",
            Self::NeverUsed => "never-used",
            Self::Unused => "unused-30",
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::All => "All tokens",
            Self::Live => "Live tokens",
            Self::Ended => "Ended tokens",
            Self::ExpiresSoon => "Expire within 7 days",
            Self::NeverExpires => "Never expire",
            Self::NeverUsed => "Never used",
            Self::Unused => "Unused for 30 days",
        }
    }

    /// Returns whether the store can count the tokens of the choice. It cannot count by expiry and
    /// by last use.
    pub fn is_counted(self) -> bool {
        matches!(self, Self::All | Self::Live | Self::Ended)
    }

    pub fn group(self) -> Option<StatusGroup> {
        match self {
            Self::All => None,
            Self::Ended => Some(StatusGroup::Ended),
            _ => Some(StatusGroup::Live),
        }
    }

    /// Returns the query for the tokens of one project. The result may contain tokens that do not
    /// [pass](Self::passes).
    pub fn query(self, project: ProjectId, owner: Option<OwnerId>, now: Timestamp) -> ListQuery {
        let mut query = ListQuery::new(project);
        query.owner = owner;
        query.status = self.group().map(|group| StatusFilter { group, at: now });
        query.most = PageSize::default();
        match self {
            Self::ExpiresSoon => query.expires_before = Some(now.saturating_add(7 * DAY)),
            Self::Unused => query.last_used_before = Some(now.saturating_sub(30 * DAY)),
            // The store has no filter for these.
            Self::NeverExpires | Self::NeverUsed => query.most = PageSize::MAX,
            Self::All | Self::Live | Self::Ended => {}
        }
        query
    }

    /// Returns whether a token of the [query](Self::query) belongs to the choice.
    pub fn passes(self, view: &TokenView) -> bool {
        match self {
            Self::NeverExpires => view.expires_at.is_none(),
            Self::NeverUsed => view.last_used_at.is_none(),
            _ => true,
        }
    }
}
