//! Encodes and decodes base62. The digits are `0-9 A-Z a-z`, in that order. The most significant
//! digit comes first.
//!
//! Only the function `value` branches on a digit, and no function uses a digit as a table index. So
//! the time of every function except `value` is independent of the digits, which can be secret.

use core::hint::black_box;

/// Returns whether every byte is a base62 digit.
///
/// The function reads all bytes, even after an invalid byte. So the compiled code can check several
/// bytes with one instruction.
#[inline]
pub(crate) fn all_base62(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |bad, byte| bad | u8::from(!byte.is_ascii_alphanumeric())) == 0
}

/// Returns whether every byte is `0-9` or `a-z`.
#[inline]
pub(crate) fn all_lower(bytes: &[u8]) -> bool {
    let lower = |byte: &u8| byte.is_ascii_digit() | byte.is_ascii_lowercase();
    bytes.iter().fold(0, |bad, byte| bad | u8::from(!lower(byte))) == 0
}

/// Returns whether each of the first `len` bytes is `0-9` or `a-z`.
///
/// The function reads all bytes. So the compiled code needs no loop over a variable number of them.
#[inline]
pub(crate) fn begins_lower<const N: usize>(bytes: &[u8; N], len: usize) -> bool {
    let mask = first_bytes::<N>(len);
    let mut bad = 0;
    for at in 0..N {
        let lower = bytes[at].is_ascii_digit() | bytes[at].is_ascii_lowercase();
        bad |= u8::from(!lower) & mask[at];
    }
    bad == 0
}

/// Returns `N` bytes, at most 32. The first `len` bytes are 255, and the others are 0.
#[inline]
pub(crate) fn first_bytes<const N: usize>(len: usize) -> &'static [u8; N] {
    const ONES: usize = 32;
    static MASKS: [u8; 2 * ONES] = {
        let mut masks = [0; 2 * ONES];
        masks.split_at_mut(ONES).0.copy_from_slice(&[255; ONES]);
        masks
    };
    MASKS.get(ONES - len..).and_then(<[u8]>::first_chunk).expect("both are at most 32")
}

/// Returns the 11 base62 digits of `value`, left-padded with `0`. Every `u64` fits: 62^11 > 2^64.
#[inline]
pub(crate) fn encode_u64(value: u64) -> [u8; 11] {
    // Splits the value into one digit and two numbers of 32 bits. Their division is cheaper than a
    // division of 64 bits, and the processor can divide both at the same time.
    const FIVE: u64 = 62u64.pow(5);
    let (high, low) = (value / FIVE, (value % FIVE) as u32);
    let (first, high) = ((high / FIVE) as u8, (high % FIVE) as u32);
    let [a, b, c, d, e] = five_digits(high);
    let [f, g, h, i, j] = five_digits(low);
    [digit(first), a, b, c, d, e, f, g, h, i, j]
}

/// Returns the 6 base62 digits of `value`, left-padded with `0`. Every `u32` fits: 62^6 > 2^32.
#[inline]
pub(crate) fn encode_u32(value: u32) -> [u8; 6] {
    const FIVE: u32 = 62u32.pow(5);
    let [b, c, d, e, f] = five_digits(value % FIVE);
    [digit((value / FIVE) as u8), b, c, d, e, f]
}

/// Returns the 5 base62 digits of a value below 62^5.
#[inline]
fn five_digits(value: u32) -> [u8; 5] {
    // Division by a constant compiles to a multiplication, which takes the same time for every
    // value.
    let (high, low) = (value / (62 * 62), value % (62 * 62));
    let (first, high) = (high / (62 * 62), high % (62 * 62));
    let digit = |value| digit(value as u8);
    [digit(first), digit(high / 62), digit(high % 62), digit(low / 62), digit(low % 62)]
}

/// Returns the number that the first 11 of these base62 digits encode. The number can exceed 64
/// bits, because 62^11 > 2^64.
///
/// The function runs in constant time. Different digits give different numbers. The caller must
/// have checked that the 11 bytes are base62 digits. The other bytes do not matter.
#[inline]
pub(crate) fn decode_first_11(digits: &[u8; 16]) -> u128 {
    let values = undigits(digits);
    u128::from(number(&values[..6])) * u128::from(62u64.pow(5)) + u128::from(number(&values[6..11]))
}

/// Returns the number that the last 6 of these base62 digits encode. The number can exceed 32 bits,
/// because 62^6 > 2^32.
///
/// The function runs in constant time. The caller must have checked that the 6 bytes are base62
/// digits. The other bytes do not matter.
#[inline]
pub(crate) fn decode_last_6(digits: &[u8; 16]) -> u64 {
    number(&undigits(digits)[10..])
}

/// Returns the number whose base62 digits have these values.
#[inline(always)]
fn number(values: &[u8]) -> u64 {
    values.iter().fold(0, |number, value| number * 62 + u64::from(*value))
}

/// Returns the base62 digit with this value, which must be from 0 to 61.
#[inline(always)]
pub(crate) const fn digit(value: u8) -> u8 {
    // The differences `9 - value` and `35 - value` are negative if the digit comes after '9' or
    // 'Z'. Their sign bits add the gaps between the three ranges in ASCII, without a branch.
    let above_nine = (9u8.wrapping_sub(value) >> 7) * (b'A' - b'9' - 1);
    let above_upper = (35u8.wrapping_sub(value) >> 7) * (b'a' - b'Z' - 1);
    b'0' + value + above_nine + above_upper
}

/// Returns the values of base62 digits. The value of any other byte is meaningless.
#[inline(always)]
fn undigits(digits: &[u8; 16]) -> [u8; 16] {
    // The black box keeps the compiler from computing each value on its own. Together, they take a
    // few vector instructions.
    let mut values = *digits;
    values.iter_mut().for_each(|value| *value = undigit(*value));
    black_box(values)
}

/// Returns the value of a base62 digit. The result is meaningless for any other byte.
#[inline(always)]
const fn undigit(digit: u8) -> u8 {
    let above_nine = (b'9'.wrapping_sub(digit) >> 7) * (b'A' - b'9' - 1);
    let above_upper = (b'Z'.wrapping_sub(digit) >> 7) * (b'a' - b'Z' - 1);
    digit.wrapping_sub(b'0').wrapping_sub(above_nine).wrapping_sub(above_upper)
}

/// Returns a part of a parsed token as text.
///
/// # Panics
/// Panics if the part is not UTF-8. This cannot happen after parsing, which accepts only ASCII. The
/// panic message shows no part of the token.
#[inline]
pub(crate) fn as_str(checked: &[u8]) -> &str {
    str::from_utf8(checked).expect("the parts of a token are ASCII")
}

/// Returns the value of a base62 digit, or `None` for any other byte.
///
/// The function branches on the digit, so use it only for digits that are public.
#[inline]
pub(crate) const fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'Z' => Some(digit - b'A' + 10),
        b'a'..=b'z' => Some(digit - b'a' + 36),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    #[test]
    fn digits_are_in_order_and_decode_to_their_values() {
        for (at, expected) in ORDER.iter().enumerate() {
            assert_eq!(digit(at as u8), *expected);
            assert_eq!(value(*expected), Some(at as u8));
        }
        let others = (0..=255u8).filter(|byte| !ORDER.contains(byte));
        for byte in others {
            assert_eq!(value(byte), None);
            for bytes in [[b'0', byte], [byte, byte]] {
                assert!(!all_base62(&bytes) && !all_lower(&bytes));
            }
        }
        assert!(all_base62(ORDER) && all_lower(b"0123456789abcdefghijklmnopqrstuvwxyz"));
        assert!(!all_lower(b"A") && !all_lower(b"AZ"));
    }

    #[test]
    fn numbers_are_left_padded_and_most_significant_first() {
        assert_eq!(&encode_u64(0), b"00000000000");
        assert_eq!(&encode_u64(61), b"0000000000z");
        assert_eq!(&encode_u64(62), b"00000000010");
        assert_eq!(&encode_u64(62u64.pow(5)), b"00000100000");
        assert_eq!(&encode_u64(u64::MAX), b"LygHa16AHYF");
        assert_eq!(&encode_u32(u32::MAX), b"4gfFC3");
    }

    /// Decodes 11 digits, with several texts after them.
    fn decode_11(digits: &[u8; 11]) -> u128 {
        let decode = |rest: [u8; 5]| decode_first_11(&[&digits[..], &rest].concat().try_into().unwrap());
        let number = decode(*b"00000");
        assert!([*b"zzzzz", [0; 5], [0xff; 5]].into_iter().all(|rest| decode(rest) == number));
        number
    }

    /// Decodes 6 digits, with several texts before them.
    fn decode_6(digits: &[u8; 6]) -> u64 {
        let decode = |rest: [u8; 10]| decode_last_6(&[&rest, &digits[..]].concat().try_into().unwrap());
        let number = decode(*b"0000000000");
        assert!([*b"zzzzzzzzzz", [0; 10], [0xff; 10]].into_iter().all(|rest| decode(rest) == number));
        number
    }

    #[test]
    fn decoding_undoes_encoding_and_distinct_texts_give_distinct_numbers() {
        for value in [0, 1, 61, 62, u64::MAX / 3, u64::MAX - 1, u64::MAX] {
            assert_eq!(decode_11(&encode_u64(value)), u128::from(value));
            assert_eq!(decode_6(&encode_u32(value as u32)), u64::from(value as u32));
        }
        assert_eq!(decode_11(b"LygHa16AHYF"), u128::from(u64::MAX));
        assert_eq!(decode_11(b"LygHa16AHYG"), u128::from(u64::MAX) + 1);
        assert_eq!(decode_11(b"zzzzzzzzzzz"), 62u128.pow(11) - 1);
        assert_eq!(decode_6(b"4gfFC4"), u64::from(u32::MAX) + 1);
        assert_eq!(decode_6(b"zzzzzz"), 62u64.pow(6) - 1);
        for digit in ORDER {
            let value = decode_11(&[b'0', b'0', b'0', b'0', b'0', b'0', b'0', b'0', b'0', b'0', *digit]);
            assert_eq!(Some(value as u8), super::value(*digit));
            assert_eq!(decode_6(&[b'0', b'0', b'0', b'0', b'0', *digit]), value as u64);
        }
    }
}
