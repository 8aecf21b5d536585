//! Base62: `0-9 A-Z a-z` in that order, most significant digit first. Nothing here indexes a table or
//! branches by a digit, so that secret digits leave no trace in time.

use rand_core::TryCryptoRng;
use zeroize::Zeroizing;

use super::error::RngError;

/// Whether every byte is a base62 digit. Reads all of them, whatever it finds.
pub(crate) fn all_base62(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |ok, byte| ok & byte.is_ascii_alphanumeric())
}

/// Whether every byte is `0-9` or `a-z`.
pub(crate) fn all_lower(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |ok, byte| ok & (byte.is_ascii_digit() | byte.is_ascii_lowercase()))
}

/// The last 11 digits of `value`: all of them, for 62^11 > 2^64.
pub(crate) fn encode_u64(value: u64) -> [u8; 11] {
    const SPLIT: u64 = 62u64.pow(5);
    // Two shorter chains of divisions run side by side in the processor.
    let (mut high, mut low) = (value / SPLIT, (value % SPLIT) as u32);
    let mut digits = [0; 11];
    for at in (0..6).rev() {
        digits[at] = digit((high % 62) as u8);
        high /= 62;
    }
    for at in (6..11).rev() {
        digits[at] = digit((low % 62) as u8);
        low /= 62;
    }
    digits
}

/// The 6 digits of `value`: 62^6 > 2^32.
pub(crate) fn encode_u32(value: u32) -> [u8; 6] {
    let [.., a, b, c, d, e, f] = encode_u64(u64::from(value));
    [a, b, c, d, e, f]
}

/// Fills `digits` with uniformly random base62 digits: six bits of each random byte, drawn again where they are 62 or 63.
pub(crate) fn random<R>(rng: &mut R, digits: &mut [u8]) -> Result<(), RngError>
where
    R: TryCryptoRng + ?Sized,
{
    let mut filled = 0;
    while filled < digits.len() {
        // 64 bytes give 62 digits on average, enough for one token (48) but once in 10^10 times.
        let mut bytes = Zeroizing::new([0; 64]);
        rng.try_fill_bytes(bytes.as_mut_slice()).map_err(|_| RngError)?;
        for byte in bytes.iter() {
            let value = byte & 63;
            if value < 62 && filled < digits.len() {
                digits[filled] = digit(value);
                filled += 1;
            }
        }
    }
    Ok(())
}

/// The digit of a value from 0 to 61.
pub(crate) const fn digit(value: u8) -> u8 {
    // The steps over the gaps after '9' and 'Z', as masks from the sign bit.
    let above_nine = (9u8.wrapping_sub(value) >> 7) * (b'A' - b'9' - 1);
    let above_upper = (35u8.wrapping_sub(value) >> 7) * (b'a' - b'Z' - 1);
    b'0' + value + above_nine + above_upper
}

/// The value of a digit, for public digits only: it branches.
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
    fn digits_stand_in_order_and_back() {
        for (at, expected) in ORDER.iter().enumerate() {
            assert_eq!(digit(at as u8), *expected);
            assert_eq!(value(*expected), Some(at as u8));
        }
        let others = (0..=255u8).filter(|byte| !ORDER.contains(byte));
        for byte in others {
            assert_eq!(value(byte), None);
            assert!(!all_base62(&[b'0', byte]));
        }
        assert!(all_base62(ORDER));
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

    /// Hands out the bytes 0 to 255 over and over.
    struct Counter(u8);

    impl rand_core::TryRng for Counter {
        type Error = core::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Ok(0)
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Ok(0)
        }
        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
            for byte in bytes {
                *byte = self.0;
                self.0 = self.0.wrapping_add(1);
            }
            Ok(())
        }
    }

    impl TryCryptoRng for Counter {}

    #[test]
    fn each_digit_is_drawn_alike_and_62_and_63_are_drawn_again() {
        let mut digits = [0; 62 * 4];
        random(&mut Counter(0), &mut digits).unwrap();
        for expected in ORDER {
            assert_eq!(digits.iter().filter(|d| *d == expected).count(), 4);
        }
    }
}
