//! Short texts without an allocation.

use crate::words::alphabet;

/// A short ASCII text that is stored inline, so that looking up a token needs no heap allocation.
///
/// Unused bytes are zero, so the derived order is the order of the texts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Inline<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> Inline<N> {
    /// Creates the inline text. The caller must have checked that `text` is ASCII and has at most
    /// `N` bytes.
    pub(super) const fn new(text: &[u8]) -> Self {
        let mut bytes = [0; N];
        bytes.split_at_mut(text.len()).0.copy_from_slice(text);
        Self { bytes, len: text.len() as u8 }
    }

    /// Creates the inline text from the first `len` bytes of `window`. The caller must have checked
    /// that they are ASCII, and that `len` is at most `N`.
    #[inline(always)]
    pub(super) fn of_window(window: &[u8; N], len: usize) -> Self {
        let (mut bytes, mask) = (*window, alphabet::first_bytes::<N>(len));
        // A copy of a variable number of bytes is a call. This loop is a few vector instructions.
        for at in 0..N {
            bytes[at] &= mask[at];
        }
        Self { bytes, len: len as u8 }
    }

    /// Returns whether `window` begins with this text.
    #[inline(always)]
    pub(super) fn begins(&self, window: &[u8; N]) -> bool {
        let mask = alphabet::first_bytes::<N>(usize::from(self.len));
        // Compares words of 8 bytes. The last word overlaps the word before it.
        let word = |bytes: &[u8; N], at: usize| {
            u64::from_ne_bytes(*bytes[at..].first_chunk().expect("an inline text has at least 8 bytes"))
        };
        let differs = |at| (word(window, at) ^ word(&self.bytes, at)) & word(mask, at);
        (0..N / 8).fold(differs(N - 8), |different, at| different | differs(8 * at)) == 0
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    pub(super) fn as_str(&self) -> &str {
        alphabet::as_str(self.as_bytes())
    }

    /// Returns the text, padded with zeros, and its length without the padding.
    #[inline]
    pub(super) fn padded(&self) -> (&[u8; N], usize) {
        (&self.bytes, usize::from(self.len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_the_begin_of_its_window_at_every_length() {
        let window: [u8; 20] = *b"abcdefghijklmnopqrst";
        for len in 0..=20 {
            let text = Inline::of_window(&window, len);
            assert!(text == Inline::new(&window[..len]) && text.begins(&window), "{len}");
            for at in 0..20 {
                let mut other = window;
                other[at] = b'-';
                assert_eq!(text.begins(&other), at >= len, "{len} {at}");
            }
        }
    }
}
