//! A walk along an index. It defines which range of the index a list reads, and in which direction.

use crate::store::cursor::{Cursor, Expiry, SortKey};
use crate::store::order::ListOrder;
use crate::words::ids::ProjectId;
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// The sort key for the expiry of a token that never expires, in milliseconds since 1970: one
/// millisecond after the latest possible time.
const NEVER: i64 = Timestamp::MAX.as_unix_millis() + 1;

/// A range of an index with a direction. The bounds have the format of `ZRANGEBYLEX`.
pub(super) struct Walk {
    pub(super) project: ProjectId,
    pub(super) index: String,
    pub(super) from: Vec<u8>,
    pub(super) to: Vec<u8>,
    pub(super) descending: bool,
}

impl Walk {
    /// Creates a walk along the whole index of this order. The index has the tokens of the project,
    /// or only the tokens of an owner in the project if an owner is given.
    pub(super) fn along(project: ProjectId, owner: Option<&OwnerId>, order: ListOrder) -> Self {
        let index = match owner {
            Some(owner) => format!("{order}:{owner}"),
            None => order.to_string(),
        };
        Self { project, index, from: b"-".to_vec(), to: b"+".to_vec(), descending: false }
    }

    /// Moves the beginning of the walk to just after this position.
    pub(super) fn behind(&mut self, place: &[u8]) {
        *(if self.descending { &mut self.to } else { &mut self.from }) = [b"(", place].concat();
    }
}

/// Returns a row's position in the index for its sort key. change.lua computes the same position.
pub(super) fn place(cursor: &Cursor) -> Vec<u8> {
    let key = match &cursor.key {
        SortKey::Created(time) | SortKey::Expires(Expiry::At(time)) => sortable(time.as_unix_millis()),
        SortKey::Expires(Expiry::Never) => sortable(NEVER),
        SortKey::Name(name) => format!("{name}\0"),
    };
    [key.as_bytes(), cursor.id.as_str().as_bytes()].concat()
}

/// Returns a time as text of 15 digits: the milliseconds since the year 1. Such texts sort in the
/// order of their times.
pub(super) fn sortable(millis: i64) -> String {
    format!("{:015}", millis - Timestamp::MIN.as_unix_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sort_as_text() {
        assert_eq!(sortable(Timestamp::MIN.as_unix_millis()), "000000000000000");
        assert_eq!(sortable(0), "062135596800000");
        assert_eq!(sortable(NEVER), "315537897600000");
        assert!(include_str!("lua/change.lua").contains(&format!("NEVER = '{NEVER}'")));
    }
}
