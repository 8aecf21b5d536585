//! The queries for lists and counts of tokens, and the pages of a list.

use super::cursor::Cursor;
use super::order::ListOrder;
use crate::rules::record::TokenRecord;
use crate::rules::status::Status;
use crate::words::folded::FoldedName;
use crate::words::ids::{KeyNumber, ProjectId, TokenId};
use crate::words::invalid::{Invalid, InvalidField, InvalidKind};
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// A query for one page of a list of one project's tokens. The list contains the records that pass
/// every filter.
///
/// [`ListQuery::new`] creates a query without filters. The fields are public so that stores can
/// read them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListQuery {
    /// The project whose tokens are listed.
    pub project: ProjectId,
    /// If set, the list contains only tokens of this owner.
    pub owner: Option<OwnerId>,
    /// If set, the list contains only tokens that the token with this id issued, both bound and
    /// independent tokens.
    pub issuer: Option<TokenId>,
    /// If set, the list contains only tokens with one of the filter's statuses at the filter's
    /// time.
    pub status: Option<StatusFilter>,
    /// If set, the list contains only tokens whose name contains this text. The case of letters is
    /// ignored, as [`Name::folded`](crate::Name::folded) defines it.
    pub name_contains: Option<FoldedName>,
    /// If set, the list contains only tokens that expire strictly before this time, and none that
    /// never expire.
    pub expires_before: Option<Timestamp>,
    /// If set, the list contains only tokens that were last used strictly before this time. If a
    /// token was never used, its time of creation is compared instead.
    pub last_used_before: Option<Timestamp>,
    /// The value by which the list is sorted. Records with equal values are sorted by id, in the
    /// same direction.
    pub order: ListOrder,
    /// Whether the list is in descending order, with the largest value first.
    pub descending: bool,
    /// If set, the page starts after this position. The position is the [`Page::next`] of the
    /// previous page, from a query with the same order.
    pub after: Option<Cursor>,
    /// The maximum number of records on the page: 1 to 1,000.
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

    /// Returns whether the record is in the project and passes every filter. Stores that filter in
    /// memory call this method. The method ignores the cursor.
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

    /// Returns [`after`](Self::after), or `None` if the query has no cursor.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the cursor was created under another order than the order of this
    /// query.
    pub fn checked_after(&self) -> Result<Option<&Cursor>, Invalid> {
        match &self.after {
            Some(cursor) if cursor.key.order() != self.order => {
                Err(Invalid::new(InvalidField::Cursor, InvalidKind::Shape))
            }
            after => Ok(after.as_ref()),
        }
    }
}

/// A filter for tokens. A token passes if it has one of several statuses at a given time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatusFilter {
    /// The group of statuses. A token matches if its status at the time [`at`](Self::at) is in it.
    pub group: StatusGroup,
    /// The time at which a token must have one of the statuses in [`group`](Self::group).
    pub at: Timestamp,
}

/// A set of statuses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StatusGroup {
    /// The statuses that are [live](Status::is_live).
    Live,
    /// The statuses of ended tokens: all statuses that are not [live](Status::is_live).
    Ended,
    /// A set that contains only this status.
    Only(Status),
    /// All statuses except this one. For example, `Except(Status::Revoked)` hides revoked tokens
    /// but still lists expired tokens.
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
    /// Returns whether the record has one of the filter's statuses at the filter's time.
    pub fn matches(&self, record: &TokenRecord) -> bool {
        self.group.contains(record.status(self.at))
    }
}

/// A query for the number of tokens in one project that pass every filter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CountQuery {
    /// The project whose tokens are counted.
    pub project: ProjectId,
    /// If set, only tokens of this owner pass.
    pub owner: Option<OwnerId>,
    /// If set, the query counts only tokens whose digest was computed with the key of this number.
    pub key_number: Option<KeyNumber>,
    /// If set, only tokens that match this filter are counted.
    pub status: Option<StatusFilter>,
}

impl CountQuery {
    /// Creates a query that counts all tokens of a project.
    pub fn new(project: ProjectId) -> Self {
        Self { project, owner: None, key_number: None, status: None }
    }

    /// Returns whether the record is in the project and passes every filter.
    pub fn matches(&self, record: &TokenRecord) -> bool {
        record.project == self.project
            && self.owner.as_ref().is_none_or(|owner| *owner == record.owner)
            && self.key_number.is_none_or(|number| record.id.key_number() == number)
            && self.status.as_ref().is_none_or(|filter| filter.matches(record))
    }
}

/// The maximum number of records that one call changes or returns: 1 to 1,000. The default is 100.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PageSize(u16);

impl PageSize {
    /// The largest size: 1,000.
    pub const MAX: Self = Self(1000);

    /// Creates a size from a number of records. Raises 0 to 1, and reduces a number over 1,000 to
    /// 1,000.
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
    /// The items on the page, in the order of the query.
    pub items: Vec<T>,
    /// The position at which the next page starts, or `None` on the last page.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Returns the page with each item replaced by the result of `turn` for this item. The position
    /// of the next page stays the same.
    pub fn map<U>(self, turn: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(turn).collect(), next: self.next }
    }
}
