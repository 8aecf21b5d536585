//! Project ids from numbers and from UUIDs.

use core::convert::identity;
use core::num::{NonZeroU32, NonZeroU64};

use super::ids::ProjectId;
use super::invalid::{Invalid, InvalidField, InvalidKind};

/// Returns the decimal digits of a number, at the end of the array, and how many there are.
fn decimal(mut number: u64) -> ([u8; 20], usize) {
    let (mut digits, mut len) = ([b'0'; 20], 0);
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
        len += 1;
        if number == 0 {
            break;
        }
    }
    (digits, len)
}

impl From<u64> for ProjectId {
    /// Converts a number to the project id with its decimal digits, such as `145`.
    fn from(number: u64) -> Self {
        let (digits, len) = decimal(number);
        Self::from_checked(&digits[20 - len..])
    }
}

/// Implements the conversions from other types of numbers. `$get` returns the number as a type that
/// converts to `u64`.
macro_rules! from_numbers {
    ($($number:ty: $get:expr),+) => {
        $(impl From<$number> for ProjectId {
            /// Converts a number to the project id with its decimal digits, such as `145`.
            fn from(number: $number) -> Self {
                Self::from(u64::from($get(number)))
            }
        })+
    };
}

from_numbers!(u8: identity, u16: identity, u32: identity, NonZeroU32: NonZeroU32::get, NonZeroU64: NonZeroU64::get);

/// Implements the conversions from signed numbers.
macro_rules! try_from_numbers {
    ($($number:ty)+) => {
        $(impl TryFrom<$number> for ProjectId {
            type Error = Invalid;

            /// Converts a number to the project id with its decimal digits, such as `145`.
            ///
            /// # Errors
            /// Returns [`Invalid`] if the number is negative, because a project id has no sign.
            fn try_from(number: $number) -> Result<Self, Invalid> {
                let number = u64::try_from(number);
                number.map(Self::from).map_err(|_| Invalid::new(InvalidField::ProjectId, InvalidKind::OutOfRange))
            }
        })+
    };
}

try_from_numbers!(i32 i64);

impl ProjectId {
    /// Creates the project id of a UUID from the 128 bits of the UUID: its 32 hexadecimal digits in
    /// lower case, without dashes.
    ///
    /// ```
    /// use keyfob::ProjectId;
    ///
    /// // let bits = uuid.as_u128();
    /// let bits = 0x5f0c6a1e_9b7d_4c3a_8e2f_1b0d6c5a4e3f;
    /// let project = ProjectId::from_uuid(bits);
    /// assert_eq!(project.as_str(), "5f0c6a1e9b7d4c3a8e2f1b0d6c5a4e3f");
    /// ```
    pub const fn from_uuid(bits: u128) -> Self {
        let (mut digits, mut at) = ([0; 32], 0);
        while at < digits.len() {
            digits[at] = b"0123456789abcdef"[(bits >> (124 - 4 * at)) as usize & 15];
            at += 1;
        }
        Self::from_checked(&digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_in_decimal() {
        for number in [0, 1, 9, 10, 99, 100, 145, 1_000_000_007, u64::MAX - 1, u64::MAX] {
            let project = ProjectId::from(number);
            assert_eq!(project.as_str(), number.to_string());
            assert_eq!(ProjectId::new(&number.to_string()).unwrap(), project, "the same as from text");
        }
        assert_eq!(ProjectId::from(u8::MAX).as_str(), "255");
        assert_eq!(ProjectId::from(u16::MAX).as_str(), "65535");
        assert_eq!(ProjectId::from(u32::MAX).as_str(), "4294967295");
        assert_eq!(ProjectId::from(NonZeroU32::MAX).as_str(), "4294967295");
        assert_eq!(ProjectId::from(NonZeroU64::MIN).as_str(), "1");
    }

    #[test]
    fn a_negative_number_is_no_project() {
        assert_eq!(ProjectId::try_from(0i64).unwrap().as_str(), "0");
        assert_eq!(ProjectId::try_from(i64::MAX).unwrap().as_str(), "9223372036854775807");
        assert_eq!(ProjectId::try_from(i32::MAX).unwrap().as_str(), "2147483647");
        let refused = Err(Invalid::new(InvalidField::ProjectId, InvalidKind::OutOfRange));
        for number in [-1, i64::MIN] {
            assert_eq!(ProjectId::try_from(number), refused);
        }
        for number in [-1, i32::MIN] {
            assert_eq!(ProjectId::try_from(number), refused);
        }
    }

    #[test]
    fn a_uuid_has_32_digits() {
        for bits in [0, 1, 0x5f0c_6a1e_9b7d_4c3a_8e2f_1b0d_6c5a_4e3f, u128::MAX] {
            let project = ProjectId::from_uuid(bits);
            assert_eq!(project.as_str(), format!("{bits:032x}"));
            assert_eq!(ProjectId::new(project.as_str()).unwrap(), project, "the same as from text");
        }
    }
}
