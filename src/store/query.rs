//! The queries of lists and counts, and the pages of a list.

use super::cursor::Cursor;
use super::order::ListOrder;
use crate::rules::record::TokenRecord;
use crate::rules::status::Status;
use crate::words::folded::FoldedName;
use crate::words::ids::{KeyNumber, ProjectId, TokenId};
use crate::words::invalid::{Invalid, InvalidField, InvalidKind};
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// A query for one page of one project's tokens. A record must pass every filter.
///
/// [`ListQuery::new`] creates a query without filters. The fields are public so that stores can
/// read them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListQuery {
    /// The project to list.
    pub project: ProjectId,
    /// If set, only tokens of this owner.
    pub owner: Option<OwnerId>,
    /// If set, only tokens that this token issued: bound and independent ones.
    pub issuer: Option<TokenId>,
    /// If set, only tokens that have one of these statuses at a given time.
    pub status: Option<StatusFilter>,
    /// If set, only tokens whose name contains this text, ignoring case
    /// ([`Name::folded`](crate::Name::folded)).
    pub name_contains: Option<FoldedName>,
    /// If set, only tokens that expire strictly before this time. Tokens that never expire are
    /// excluded.
    pub expires_before: Option<Timestamp>,
    /// If set, only tokens last used strictly before this time. For a token that was never used,
    /// its time of creation counts.
    pub last_used_before: Option<Timestamp>,
    /// The value to sort by. Records with equal values are sorted by id, in the same direction.
    pub order: ListOrder,
    /// Whether the largest value comes first.
    pub descending: bool,
    /// If set, the page starts after this position: [`Page::next`] of the page before, under the
    /// same order.
    pub after: Option<Cursor>,
    /// The most records on the page: 1 to 1,000.
    pub most: PageSize,
}

impl ListQuery {
    /// Creates a query for all tokens of a project, newest first, 100 per page.
    pub fn new(project: ProjectId) -> Self {
        Self {
            project,
            owner: None,
            issuer: None,
            status: None,
            name_contains: None,
            expires_before: None,
            last_used_before: None,
            order: ListOrder::Created,
            descending: true,
            after: None,
            most: PageSize::default(),
        }
    }

    /// Returns whether the record passes every filter, for stores that filter in memory. The cursor
    /// is not considered.
    pub fn matches(&self, record: &TokenRecord) -> bool {
        let last_used = record.last_used_at.unwrap_or(record.created_at);
        record.project == self.project
            && self.owner.as_ref().is_none_or(|owner| *owner == record.owner)
            && self.issuer.is_none_or(|id| record.issuer.is_some_and(|issuer| issuer.id == id))
            && self.status.as_ref().is_none_or(|filter| filter.matches(record))
            && self.name_contains.as_ref().is_none_or(|part| record.name.folded().contains(part.as_str()))
            && self.expires_before.is_none_or(|time| record.expires_at.is_some_and(|end| end < time))
            && self.last_used_before.is_none_or(|time| last_used < time)
    }

    /// Returns the cursor, if the query has one.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the cursor was created under another order.
    pub fn checked_after(&self) -> Result<Option<&Cursor>, Invalid> {
        match &self.after {
            Some(cursor) if cursor.key.order() != self.order => {
                Err(Invalid::new(InvalidField::Cursor, InvalidKind::Shape))
            }
            after => Ok(after.as_ref()),
        }
    }
}

/// A filter by the status that a token has at a given time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatusFilter {
    /// The statuses that pass.
    pub group: StatusGroup,
    /// The time at which the token must have one of them.
    pub at: Timestamp,
}

/// A set of statuses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StatusGroup {
    /// The statuses that are [live](Status::is_live).
    Live,
    /// The statuses that are not live: the token has ended.
    Ended,
    /// This status only.
    Only(Status),
    /// All statuses except this one. To hide the tokens that their owner revoked, but show those
    /// that expired, exclude [`Status::Revoked`].
    Except(Status),
}

impl StatusGroup {
    /// Returns whether the set contains the status.
    pub fn contains(self, status: Status) -> bool {
        match self {
            Self::Live => status.is_live(),
            Self::Ended => !status.is_live(),
            Self::Only(only) => status == only,
            Self::Except(except) => status != except,
        }
    }
}

impl StatusFilter {
    /// Returns whether the record has one of the statuses at the time of the filter.
    pub fn matches(&self, record: &TokenRecord) -> bool {
        self.group.contains(record.status(self.at))
    }
}

/// A query that counts tokens of one project. A record must pass every filter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CountQuery {
    /// The project to count in.
    pub project: ProjectId,
    /// If set, only tokens of this owner.
    pub owner: Option<OwnerId>,
    /// If set, only tokens whose digest uses the key of this number.
    pub key_number: Option<KeyNumber>,
    /// If set, only tokens that have one of these statuses at a given time.
    pub status: Option<StatusFilter>,
}

impl CountQuery {
    /// Creates a query that counts all tokens of a project.
    pub fn new(project: ProjectId) -> Self {
        Self { project, owner: None, key_number: None, status: None }
    }

    /// Returns whether the record passes every filter.
    pub fn matches(&self, record: &TokenRecord) -> bool {
        record.project == self.project
            && self.owner.as_ref().is_none_or(|owner| *owner == record.owner)
            && self.key_number.is_none_or(|number| record.id.key_number() == number)
            && self.status.as_ref().is_none_or(|filter| filter.matches(record))
    }
}

/// The most records that one call changes or returns: 1 to 1,000. The default is 100.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PageSize(u16);

impl PageSize {
    /// The largest size: 1,000.
    pub const MAX: Self = Self(1000);

    /// Creates a size from a number of records. A number outside 1 to 1,000 becomes the nearest
    /// bound.
    pub const fn clamped(rows: usize) -> Self {
        match rows {
            0 => Self(1),
            1..=999 => Self(rows as u16),
            _ => Self::MAX,
        }
    }

    /// Returns the size as a number of records.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self(100)
    }
}

/// One page of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T> {
    /// The items, in the order of the query.
    pub items: Vec<T>,
    /// The position at which the next page starts, or `None` on the last page.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Returns the page with `turn` applied to each item.
    pub fn map<U>(self, turn: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(turn).collect(), next: self.next }
    }
}
