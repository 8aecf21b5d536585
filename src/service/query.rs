//! What lists and counts are asked, and how a page is cut.

use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::rules::record::TokenRecord;
use crate::rules::status::Status;
use crate::words::error::{Field, Flaw, Invalid};
use crate::words::ids::{KeyNumber, ProjectId, TokenId};
use crate::words::text::{OwnerId, fold};
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
    /// Only those that are so at a time.
    pub status: Option<StatusFilter>,
    /// Only those whose name contains this, in any case ([`Name::folded`](crate::Name::folded)); empty is no filter.
    pub name_contains: String,
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
            status: None,
            name_contains: String::new(),
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
            && self.status.as_ref().is_none_or(|filter| filter.matches(record))
            && (self.name_contains.is_empty() || record.name.folded().contains(&self.folded_name()))
            && self.expires_before.is_none_or(|time| record.expires_at.is_some_and(|end| end < time))
            && self.last_used_before.is_none_or(|time| last_used < time)
    }

    /// The searched name as names are folded.
    pub fn folded_name(&self) -> String {
        fold(&self.name_contains)
    }

    /// Whether the cursor, where there is one, was made under the query's order.
    ///
    /// # Errors
    /// [`Invalid`] where it was not.
    pub fn checked_after(&self) -> Result<Option<&Cursor>, Invalid> {
        match &self.after {
            Some(cursor) if cursor.key.order() != self.order => Err(Invalid::new(Field::Cursor, Flaw::Shape)),
            after => Ok(after.as_ref()),
        }
    }
}

/// By what a list is sorted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum ListOrder {
    /// When the token was created.
    #[default]
    Created,
    /// Its folded name, by code point.
    Name,
    /// When it expires; never is last.
    Expires,
}

word_type!(ListOrder { Created = "created", Name = "name", Expires = "expires" });

/// Those that are so at a time, which the caller gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatusFilter {
    /// So.
    pub life: Life,
    /// At this time.
    pub at: Timestamp,
}

/// One status, or a group of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Life {
    /// Those for which [`Status::is_live`] holds.
    Live,
    /// The others.
    Dead,
    /// Just these.
    Only(Status),
}

impl StatusFilter {
    /// Whether the record is so at that time.
    pub fn matches(&self, record: &TokenRecord) -> bool {
        let status = record.status(self.at);
        match self.life {
            Life::Live => status.is_live(),
            Life::Dead => !status.is_live(),
            Life::Only(only) => status == only,
        }
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

/// A place in a sorted list: the last row's sort value and id, so that it stays a place when that row goes.
///
/// As text it is opaque and fits a URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// The sort value of the last row.
    pub key: SortKey,
    /// Its id.
    pub id: TokenId,
}

/// What a row is sorted by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SortKey {
    /// When it was created.
    Created(Timestamp),
    /// Its folded name.
    Name(String),
    /// When it expires; never is the end of time plus one.
    Expires(Expiry),
}

/// An expiry as it sorts: never is last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Expiry {
    /// At this time.
    At(Timestamp),
    /// Never.
    Never,
}

impl SortKey {
    /// That of a record under an order.
    pub fn of(record: &TokenRecord, order: ListOrder) -> Self {
        match order {
            ListOrder::Created => Self::Created(record.created_at),
            ListOrder::Name => Self::Name(record.name.folded()),
            ListOrder::Expires => Self::Expires(record.expires_at.map_or(Expiry::Never, Expiry::At)),
        }
    }

    /// The order that it belongs to.
    pub fn order(&self) -> ListOrder {
        match self {
            Self::Created(_) => ListOrder::Created,
            Self::Name(_) => ListOrder::Name,
            Self::Expires(_) => ListOrder::Expires,
        }
    }
}

impl Cursor {
    /// The place of a record under an order.
    pub fn of(record: &TokenRecord, order: ListOrder) -> Self {
        Self { key: SortKey::of(record, order), id: record.id }
    }

    /// How two places under one order stand to each other, ascending.
    pub fn compare(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key).then(self.id.cmp(&other.id))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &self.key {
            SortKey::Created(time) => format!("{}c{}", self.id, time.as_unix_millis()),
            SortKey::Name(name) => format!("{}n{name}", self.id),
            SortKey::Expires(Expiry::At(time)) => format!("{}e{}", self.id, time.as_unix_millis()),
            SortKey::Expires(Expiry::Never) => format!("{}e", self.id),
        };
        f.write_str(&URL_SAFE_NO_PAD.encode(text))
    }
}

impl FromStr for Cursor {
    type Err = Invalid;

    /// # Errors
    /// [`Invalid`] for what no cursor's Display wrote, or more than 8 KiB.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text).ok_or(Invalid::new(Field::Cursor, Flaw::Shape))
    }
}

impl Cursor {
    fn parse(text: &str) -> Option<Self> {
        const MAX_BYTES: usize = 8 * 1024;
        if text.len() > MAX_BYTES {
            return None;
        }
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (id, key) = text.split_at_checked(TokenId::LEN)?;
        let id = TokenId::new(id).ok()?;
        let time = |millis: &str| Timestamp::from_unix_millis(millis.parse().ok()?).ok();
        let (kind, value) = key.split_at_checked(1)?;
        let key = match (kind, value) {
            ("c", millis) => SortKey::Created(time(millis)?),
            ("n", name) => SortKey::Name(name.to_owned()),
            ("e", "") => SortKey::Expires(Expiry::Never),
            ("e", millis) => SortKey::Expires(Expiry::At(time(millis)?)),
            _ => return None,
        };
        Some(Self { key, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_a_url() {
        let id = TokenId::new("1abcdefghijklmno").unwrap();
        for key in [
            SortKey::Created(Timestamp::MIN),
            SortKey::Name("ein Änd\"erung & 名".into()),
            SortKey::Expires(Expiry::At(Timestamp::MAX)),
            SortKey::Expires(Expiry::Never),
        ] {
            let cursor = Cursor { key, id };
            let text = cursor.to_string();
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            assert_eq!(text.parse(), Ok(cursor));
        }
    }

    #[test]
    fn what_is_no_cursor() {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for text in [
            String::new(),
            "***".into(),
            encode("short"),
            encode("1abcdefghijklmno"),
            encode("1abcdefghijklmnox1"),
            encode("1abcdefghijklmnoc"),
            encode("1abcdefghijklmnoc99999999999999999999"),
            encode("1abcdefghijklm-oc1"),
            encode("1abcdefghijklmnä"),
            "A".repeat(8 * 1024 + 1),
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }

    #[test]
    fn never_sorts_behind_the_end_of_time() {
        assert!(SortKey::Expires(Expiry::Never) > SortKey::Expires(Expiry::At(Timestamp::MAX)));
    }
}
