//! Finds tokens that are encoded in base64 within a text, such as in `Authorization: Basic …`.

use base64::Engine;
use zeroize::Zeroizing;

use super::finder::Finder;
use crate::words::credential::BASIC;
use crate::words::format::MIN_LEN;
use crate::words::leaked::LeakedToken;

/// The minimum number of base64 characters that can encode a token.
const SHORTEST: usize = MIN_LEN.div_ceil(3) * 4;

/// Decodes each run of base64 characters in a text, and returns the tokens in the decoded bytes.
///
/// Memory and time grow in proportion to the length of the text.
pub(super) fn tokens_in(text: &[u8], finder: &Finder) -> Vec<LeakedToken> {
    let (mut search, mut tokens) = (finder.search(), Vec::new());
    let is_of_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    for run in text.split(|byte| !is_of_base64(byte)).filter(|run| run.len() >= SHORTEST) {
        let mut decoded = Zeroizing::new(vec![0; base64::decoded_len_estimate(run.len())]);
        // A run may begin with characters that are not part of the base64, as in `Basic%20…`. Four
        // characters encode three bytes, so one of the first four starting points is right.
        for mut part in (0..4).map(|begin| &run[begin..]) {
            // A single character at the end encodes no whole byte.
            if part.len() % 4 == 1 {
                part = &part[..part.len() - 1];
            }
            let bytes = BASIC.decode_slice(part, &mut decoded).expect("the run has the alphabet's characters alone");
            search.feed(&decoded[..bytes], |found| tokens.push(found.token));
            // A space ends a token, so that no token continues in the next decoded text.
            search.feed(b" ", |found| tokens.push(found.token));
        }
    }
    tokens
}
