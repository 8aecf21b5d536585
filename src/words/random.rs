//! Draws random base62 digits. The time does not depend on the digits, which can be secret.

use rand_core::TryCryptoRng;
use zeroize::Zeroizing;

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
        let mut bytes = Zeroizing::new([0; 64]);
        rng.try_fill_bytes(bytes.as_mut_slice()).map_err(|_| RngError)?;
        for byte in bytes.iter() {
            // A value of 62 or 63 is written too, and the next digit overwrites it. A branch would
            // often be mispredicted by the processor.
            let Some(place) = digits.get_mut(filled) else { break };
            let value = byte & 63;
            *place = alphabet::digit(value);
            filled += usize::from(value < 62);
        }
    }
    Ok(())
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
    fn each_digit_is_equally_likely_and_62_and_63_are_discarded() {
        let mut digits = [0; 62 * 4];
        super::digits(&mut Counter(0), &mut digits).unwrap();
        for value in 0..62 {
            let expected = alphabet::digit(value);
            assert_eq!(digits.iter().filter(|digit| **digit == expected).count(), 4);
        }
    }
}
