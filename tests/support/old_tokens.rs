//! The tokens of a service that did not use keyfob yet. A token is `old-` and 40 hexadecimal
//! digits. The service stored the SHA-256 digest of the whole text.

use keyfob::import::{ImportAlphabet, ImportHash, ImportShape};
use sha2::{Digest, Sha256};

pub fn shape() -> ImportShape {
    ImportShape::new("old-", 40..=40, ImportAlphabet::LowerHex, ImportHash::Sha256).unwrap()
}

/// Returns the text of the token with this number. Real tokens have random digits instead of the
/// number.
pub fn old_text(number: u64) -> String {
    format!("old-{number:040x}")
}

pub fn stored_hash(number: u64) -> [u8; 32] {
    Sha256::digest(old_text(number)).into()
}

pub fn digest_in_hex(number: u64) -> String {
    stored_hash(number).iter().map(|byte| format!("{byte:02x}")).collect()
}
