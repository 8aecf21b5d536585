//! Owners and actors from numbers, and the owner that is a project.

use core::num::{NonZeroU32, NonZeroU64};

use super::ids::ProjectId;
use super::text::{Actor, OwnerId};

/// Implements the conversions from numbers for a text type.
macro_rules! from_numbers {
    ($type:ident: $($number:ty)+) => {
        $(impl From<$number> for $type {
            /// Converts a number to its decimal text, such as `145`.
            fn from(number: $number) -> Self {
                Self::from_number(number)
            }
        })+
    };
}

from_numbers!(OwnerId: u8 u16 u32 u64 i32 i64 NonZeroU32 NonZeroU64);
from_numbers!(Actor: u8 u16 u32 u64 i32 i64 NonZeroU32 NonZeroU64);

impl From<&ProjectId> for OwnerId {
    /// Converts the id of a project to the owner with the same text. In a service without projects,
    /// each user is a project of its own.
    fn from(project: &ProjectId) -> Self {
        Self::from_checked(project.as_str())
    }
}

#[cfg(test)]
mod tests {
    use core::fmt::Display;

    use super::*;

    #[track_caller]
    fn is_text<N: Copy + Display>(number: N)
    where
        OwnerId: From<N>,
        Actor: From<N>,
    {
        let (owner, actor) = (OwnerId::from(number), Actor::from(number));
        assert_eq!((owner.as_str(), actor.as_str()), (number.to_string().as_str(), number.to_string().as_str()));
        assert_eq!(OwnerId::new(&number.to_string()).unwrap(), owner, "the same as from text");
        assert_eq!(Actor::new(&number.to_string()).unwrap(), actor, "the same as from text");
    }

    #[test]
    fn a_number_is_written_in_decimal() {
        is_text(u8::MAX);
        is_text(u16::MAX);
        is_text(u32::MAX);
        is_text(u64::MAX);
        is_text(0u64);
        is_text(NonZeroU32::MAX);
        is_text(NonZeroU64::MIN);
        for number in [i64::MIN, -1, 0, i64::MAX] {
            is_text(number);
        }
        is_text(i32::MIN);
    }

    #[test]
    fn an_owner_can_be_a_project() {
        assert_eq!(OwnerId::from(&ProjectId::from(145u64)).as_str(), "145");
        let longest = ProjectId::from_uuid(u128::MAX);
        assert_eq!(OwnerId::new(longest.as_str()).unwrap(), OwnerId::from(&longest));
    }
}
