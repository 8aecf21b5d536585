//! Draws random base62 digits. The time does not depend on the digits, which can be secret.

use rand_core::TryCryptoRng;
use zeroize::Zeroize as _;

use super::ids::{KeyNumber, TokenId};
use super::rng_error::RngError;
use crate::words::alphabet;

/// Fills `digits` with uniformly random base62 digits.
///
/// Each digit comes from six bits of a random byte. The values 62 and 63 are discarded, so all
/// digits are equally likely.
///
/// # Errors
/// Returns [`RngError`] if the generator fails.
pub(crate) fn digits<R>(rng: &mut R, digits: &mut [u8]) -> Result<(), RngError>
where
    R: TryCryptoRng + ?Sized,
{
    let mut filled = 0;
    while filled < digits.len() {
        // 64 bytes give 62 digits on average. A token needs 48 digits, so a second draw is needed
        // once in 10^11 times.
        let (mut bytes, mut drawn) = (Wiped([0; 64]), Wiped([0; 64]));
        rng.try_fill_bytes(&mut bytes.0).map_err(|_| RngError)?;
        let count = keep_digits(&bytes.0, &mut drawn.0, digits.len() - filled);
        digits[filled..filled + count].copy_from_slice(&drawn.0[..count]);
        filled += count;
    }
    Ok(())
}

/// Writes the digits that come from random bytes to the begin of `drawn`, at most as many as
/// wanted, and returns their number. The bytes after them are meaningless.
#[inline]
fn keep_digits(bytes: &[u8; 64], drawn: &mut [u8; 64], wanted: usize) -> usize {
    // A loop of its own, because the processor can compute many digits with one instruction.
    let mut digits = Wiped([0; 64]);
    for (digit, byte) in digits.0.iter_mut().zip(bytes) {
        *digit = alphabet::digit(byte & 63);
    }
    let mut kept = 0;
    for (digit, byte) in digits.0.iter().zip(bytes) {
        // A value of 62 or 63 is written too, and the next digit overwrites it. A branch would
        // often be mispredicted by the processor.
        drawn[kept & 63] = *digit;
        kept += usize::from(byte & 63 < 62);
        if kept == wanted {
            break;
        }
    }
    kept
}

/// Secret bytes, which are wiped when they are dropped. The wrapper `Zeroizing` would wipe one byte
/// after the other.
pub(super) struct Wiped<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> Drop for Wiped<N> {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

/// Draws a token id that begins with the key number `number`.
///
/// # Errors
/// Returns [`RngError`] if the generator fails.
pub(crate) fn id<R: TryCryptoRng + ?Sized>(rng: &mut R, number: KeyNumber) -> Result<TokenId, RngError> {
    let mut handle = [alphabet::digit(number.get()); TokenId::LEN];
    digits(rng, &mut handle[1..])?;
    Ok(TokenId::from_checked(handle))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A random number generator for tests. It returns the bytes 0 to 255 again and again.
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
    fn an_id_begins_with_its_key_number() {
        let number = KeyNumber::new(36).unwrap();
        let (one, other) = (id(&mut Counter(0), number).unwrap(), id(&mut Counter(9), number).unwrap());
        assert_eq!((one.key_number(), other.key_number()), (number, number));
        assert_eq!((&one.as_str()[1..], &other.as_str()[1..]), ("0123456789ABCDE", "9ABCDEFGHIJKLMN"));
    }

    #[test]
    fn each_digit_is_equally_likely_and_62_and_63_are_discarded() {
        let mut digits = [0; 62 * 4];
        super::digits(&mut Counter(0), &mut digits).unwrap();
        for value in 0..62 {
            let expected = alphabet::digit(value);
            assert_eq!(digits.iter().filter(|digit| **digit == expected).count(), 4);
        }
    }
}
