//! The way along an index, on which each row has a place.

use crate::store::cursor::{Cursor, Expiry, SortKey};
use crate::store::order::ListOrder;
use crate::words::ids::ProjectId;
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// Never, as an expiry sorts: one millisecond behind the last time there is.
const NEVER: i64 = Timestamp::MAX.as_unix_millis() + 1;

/// A part of an index, in one direction. Bounds are those of `ZRANGEBYLEX`.
pub(super) struct Walk {
    pub(super) project: ProjectId,
    pub(super) index: String,
    pub(super) from: Vec<u8>,
    pub(super) to: Vec<u8>,
    pub(super) descending: bool,
}

impl Walk {
    /// All of a project's index of this order, or of an owner's.
    pub(super) fn along(project: ProjectId, owner: Option<&OwnerId>, order: ListOrder) -> Self {
        let index = match owner {
            Some(owner) => format!("{order}:{owner}"),
            None => order.to_string(),
        };
        Self { project, index, from: b"-".to_vec(), to: b"+".to_vec(), descending: false }
    }

    /// Goes on behind this place.
    pub(super) fn behind(&mut self, place: &[u8]) {
        *(if self.descending { &mut self.to } else { &mut self.from }) = [b"(", place].concat();
    }
}

/// A row's place in the index of an order, as change.lua makes it.
pub(super) fn place(cursor: &Cursor) -> Vec<u8> {
    let key = match &cursor.key {
        SortKey::Created(time) | SortKey::Expires(Expiry::At(time)) => sortable(time.as_unix_millis()),
        SortKey::Expires(Expiry::Never) => sortable(NEVER),
        SortKey::Name(name) => format!("{name}\0"),
    };
    [key.as_bytes(), cursor.id.as_str().as_bytes()].concat()
}

/// A time as text that sorts as times do: milliseconds from year 1 on, 15 digits.
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
