//! What lists and counts are asked.

use super::cursor::Cursor;
use super::order::ListOrder;
use crate::rules::record::TokenRecord;
use crate::rules::status::Status;
use crate::words::folded::FoldedName;
use crate::words::ids::{KeyNumber, ProjectId, TokenId};
use crate::words::invalid::{Invalid, InvalidField, InvalidKind};
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// One page of one project's tokens.
///
/// All filters must hold. Fields are public for stores to read; [`ListQuery::new`] gives the widest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListQuery {
    /// The project.
    pub project: ProjectId,
    /// Only this owner's.
    pub owner: Option<OwnerId>,
    /// Only those that this token issued, bound to it or not.
    pub issuer: Option<TokenId>,
    /// Only those that are so at a time.
    pub status: Option<StatusFilter>,
    /// Only those whose name contains this, in any case ([`Name::folded`](crate::Name::folded)).
    pub name_contains: Option<FoldedName>,
    /// Only those that expire strictly before this time; never-expiring ones do not.
    pub expires_before: Option<Timestamp>,
    /// Only those last used strictly before this time, or never used and created strictly before it.
    pub last_used_before: Option<Timestamp>,
    /// By what to sort. Ties go by id, in the same direction.
    pub order: ListOrder,
    /// Largest first.
    pub descending: bool,
    /// Start behind this row: [`Page::next`] of the page before, under the same order.
    pub after: Option<Cursor>,
    /// The most rows of the page, 1 to 1,000.
    pub most: PageSize,
}

impl ListQuery {
    /// All tokens of a project, as they were created, newest first, 100 a page.
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

    /// Whether the record passes every filter, for stores that filter in memory. The cursor is not looked at.
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

    /// Whether the cursor, where there is one, was made under the query's order.
    ///
    /// # Errors
    /// [`Invalid`] where it was not.
    pub fn checked_after(&self) -> Result<Option<&Cursor>, Invalid> {
        match &self.after {
            Some(cursor) if cursor.key.order() != self.order => {
                Err(Invalid::new(InvalidField::Cursor, InvalidKind::Shape))
            }
            after => Ok(after.as_ref()),
        }
    }
}

/// Those that are so at a time, which the caller gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatusFilter {
    /// The statuses.
    pub group: StatusGroup,
    /// The time at which a token has one of them.
    pub at: Timestamp,
}

/// One status, or a group of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StatusGroup {
    /// Those for which [`Status::is_live`] holds.
    Live,
    /// Those that have ended: all others.
    Ended,
    /// Just these.
    Only(Status),
    /// All but these: [`Status::Revoked`] for a page where what its owner deleted is gone and what ended by itself is not.
    Except(Status),
}

impl StatusGroup {
    /// Whether a status is one of the group.
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
    /// Whether the record is so at that time.
    pub fn matches(&self, record: &TokenRecord) -> bool {
        self.group.contains(record.status(self.at))
    }
}

/// How many tokens of one project, of which kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CountQuery {
    /// The project.
    pub project: ProjectId,
    /// Only this owner's.
    pub owner: Option<OwnerId>,
    /// Only those made with this key.
    pub key_number: Option<KeyNumber>,
    /// Only those that are so at a time.
    pub status: Option<StatusFilter>,
}

impl CountQuery {
    /// All tokens of a project.
    pub fn new(project: ProjectId) -> Self {
        Self { project, owner: None, key_number: None, status: None }
    }

    /// Whether the record passes every filter.
    pub fn matches(&self, record: &TokenRecord) -> bool {
        record.project == self.project
            && self.owner.as_ref().is_none_or(|owner| *owner == record.owner)
            && self.key_number.is_none_or(|number| record.id.key_number() == number)
            && self.status.as_ref().is_none_or(|filter| filter.matches(record))
    }
}

/// How many rows one call touches or returns: 1 to 1,000. The default is 100.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PageSize(u16);

impl PageSize {
    /// 1,000.
    pub const MAX: Self = Self(1000);

    /// This many, at least 1 and at most 1,000.
    pub const fn clamped(rows: usize) -> Self {
        match rows {
            0 => Self(1),
            1..=999 => Self(rows as u16),
            _ => Self::MAX,
        }
    }

    /// As a number.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self(100)
    }
}

/// Rows of a list, and where the next page starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T> {
    /// The rows, in order.
    pub items: Vec<T>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// The page with each row turned into something else.
    pub fn map<U>(self, turn: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(turn).collect(), next: self.next }
    }
}
