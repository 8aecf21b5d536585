//! Draws random base62 digits. The time does not depend on the digits, which can be secret.

use rand_core::TryCryptoRng;
use zeroize::Zeroize as _;

use super::ids::{KeyNumber, TokenId};
use super::rng_error::RngError;
use crate::words::alphabet;

/// The number of texts of two digits.
const PAIRS: u16 = 62 * 62;
/// The largest multiple of [`PAIRS`] below 2^16.
const FAIR: u16 = u16::MAX / PAIRS * PAIRS;

/// Fills `digits` with uniformly random base62 digits.
///
/// Two digits come from two random bytes. If the bytes encode the number [`FAIR`] or a greater
/// number, they are discarded, so all pairs of digits are equally likely.
///
/// # Errors
/// Returns [`RngError`] if the generator fails, or returns only bytes that are discarded.
pub(crate) fn digits<R>(rng: &mut R, digits: &mut [u8]) -> Result<(), RngError>
where
    R: TryCryptoRng + ?Sized,
{
    let mut filled = 0;
    while filled < digits.len() {
        // A token needs 24 of 32 pairs. One pair in 349 is discarded, so a second draw is needed
        // once in 10^15 times.
        let (mut bytes, mut drawn) = (Wiped([0; 64]), Wiped([0; 64]));
        rng.try_fill_bytes(&mut bytes.0).map_err(|_| RngError)?;
        let count = keep_pairs(&bytes.0, &mut drawn.0).min(digits.len() - filled);
        // No generator that works returns 32 such pairs. A broken one may never return others.
        if count == 0 {
            return Err(RngError);
        }
        digits[filled..filled + count].copy_from_slice(&drawn.0[..count]);
        filled += count;
    }
    Ok(())
}

/// Writes the digits that come from random bytes to the begin of `drawn`, and returns their number.
/// The bytes after them are meaningless.
#[inline]
fn keep_pairs(bytes: &[u8; 64], drawn: &mut [u8; 64]) -> usize {
    // A loop of its own, because the processor can compute many digits with one instruction.
    let (mut pairs, mut keep) = (Wiped([0; 64]), [0_u16; 32]);
    let each = bytes.as_chunks::<2>().0.iter().zip(pairs.0.as_chunks_mut::<2>().0).zip(&mut keep);
    for ((bytes, pair), keep) in each {
        let number = u16::from_le_bytes(*bytes);
        *pair = [number % PAIRS / 62, number % 62].map(|value| alphabet::digit(value as u8));
        *keep = u16::from(number < FAIR);
    }
    let (drawn, mut kept) = (drawn.as_chunks_mut::<2>().0, 0);
    for (pair, keep) in pairs.0.as_chunks::<2>().0.iter().zip(keep) {
        // A pair that is discarded is written too, and the next pair overwrites it. A branch would
        // sometimes be mispredicted by the processor.
        drawn[kept & 31] = *pair;
        kept += usize::from(keep);
    }
    2 * kept
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

    /// A random number generator for tests. It returns the numbers of 16 bits, from the first field
    /// on, in steps of the second. With an odd step, it returns each number once in 2^16 times.
    struct Counter(u16, u16);

    impl rand_core::TryRng for Counter {
        type Error = core::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Ok(0)
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Ok(0)
        }
        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
            for pair in bytes.as_chunks_mut::<2>().0 {
                *pair = self.0.to_le_bytes();
                self.0 = self.0.wrapping_add(self.1);
            }
            Ok(())
        }
    }

    impl TryCryptoRng for Counter {}

    #[test]
    fn an_id_begins_with_its_key_number() {
        let number = KeyNumber::new(36).unwrap();
        let (one, other) = (id(&mut Counter(0, 1), number).unwrap(), id(&mut Counter(60, 1), number).unwrap());
        assert_eq!((one.key_number(), other.key_number()), (number, number));
        assert_eq!((&one.as_str()[1..], &other.as_str()[1..]), ("000102030405060", "0y0z10111213141"));
    }

    #[test]
    fn each_pair_of_digits_is_equally_likely() {
        // Each number of 16 bits occurs once. 188 of them, which are far from each other, are
        // discarded.
        let mut digits = vec![0; 2 * (0x1_0000 - 188)];
        super::digits(&mut Counter(0, 40_503), &mut digits).unwrap();
        let (pairs, _) = digits.as_chunks::<2>();
        let mut counts = std::collections::HashMap::new();
        pairs.iter().for_each(|pair| *counts.entry(pair).or_insert(0) += 1);
        assert_eq!(counts.len(), 62 * 62);
        assert!(counts.iter().all(|(pair, count)| pair.iter().all(u8::is_ascii_alphanumeric) && *count == 17));
    }

    #[test]
    fn a_draw_continues_after_discarded_numbers() {
        // The last 8 numbers before 0 are discarded.
        let mut digits = [0; 8];
        super::digits(&mut Counter(FAIR - 2, 1), &mut digits[..4]).unwrap();
        super::digits(&mut Counter(u16::MAX - 7, 1), &mut digits[4..]).unwrap();
        assert_eq!(&digits, b"zyzz0001");
    }

    #[test]
    fn a_generator_whose_numbers_are_all_discarded_has_failed() {
        assert!(super::digits(&mut Counter(FAIR, 1), &mut [0; 2]).is_err());
    }
}
