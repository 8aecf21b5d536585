//! A position in a sorted list of tokens, and the text form of the position.

use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::order::ListOrder;
use crate::rules::record::TokenRecord;
use crate::words::folded::FoldedName;
use crate::words::ids::TokenId;
use crate::words::invalid::{Invalid, InvalidField, InvalidKind};
use crate::words::timestamp::Timestamp;

/// A position in a sorted list, after one record. It consists of the sort value and the id of this
/// record. The position stays valid if the record is deleted.
///
/// The text form of a cursor is opaque and safe in a URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// The sort value of the record before the position.
    pub key: SortKey,
    /// The id of the record before the position.
    pub id: TokenId,
}

/// The value by which a list sorts a record.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SortKey {
    /// The time at which the token was created.
    Created(Timestamp),
    /// The folded name of the token.
    Name(FoldedName),
    /// The expiry of the token. [`Expiry::Never`] sorts after every time.
    Expires(Expiry),
}

/// The expiry of a token as a sort value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Expiry {
    /// The token expires at this time.
    At(Timestamp),
    /// The token never expires. This value sorts after every time.
    Never,
}

impl SortKey {
    /// Returns the value by which this order sorts the record.
    pub fn of(record: &TokenRecord, order: ListOrder) -> Self {
        match order {
            ListOrder::Created => Self::Created(record.created_at),
            ListOrder::Name => Self::Name(FoldedName::from(&record.name)),
            ListOrder::Expires => Self::Expires(record.expires_at.map_or(Expiry::Never, Expiry::At)),
        }
    }

    /// Returns the order that sorts by this kind of value.
    pub fn order(&self) -> ListOrder {
        match self {
            Self::Created(_) => ListOrder::Created,
            Self::Name(_) => ListOrder::Name,
            Self::Expires(_) => ListOrder::Expires,
        }
    }
}

impl Cursor {
    /// Returns the position directly after the record in a list with this order.
    pub fn of(record: &TokenRecord, order: ListOrder) -> Self {
        Self { key: SortKey::of(record, order), id: record.id }
    }

    /// Compares two positions in the same list, in ascending order.
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

    /// Parses the text form of a cursor.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the text is longer than 8 KiB or is not the text form of a cursor.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text).ok_or(Invalid::new(InvalidField::Cursor, InvalidKind::Shape))
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
            ("n", name) => SortKey::Name(FoldedName::read(name)?),
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
            SortKey::Name(FoldedName::new("ein Änd\"erung & 名").unwrap()),
            // An older record may contain this name, but the current rule for names refuses it.
            SortKey::Name(FoldedName::read("\u{1f469}\u{200d}\u{1f4bb}").unwrap()),
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
    fn invalid_cursors_are_refused() {
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
            encode("1abcdefghijklmnon"),
            encode("1abcdefghijklmnon\0"),
            encode("1abcdefghijklmnona\0b"),
            encode("1abcdefghijklmnona\nb"),
            encode("1abcdefghijklmnonCI"),
            encode("1abcdefghijklmnon ci"),
            "A".repeat(8 * 1024 + 1),
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }

    #[test]
    fn never_sorts_after_every_time() {
        assert!(SortKey::Expires(Expiry::Never) > SortKey::Expires(Expiry::At(Timestamp::MAX)));
    }
}
