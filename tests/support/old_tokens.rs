//! The tokens of a service from before keyfob: 40 hex digits behind `old-`, and SHA-256 of the whole in the table.

use keyfob::import::{ImportAlphabet, ImportHash, ImportShape};
use sha2::{Digest, Sha256};

pub fn shape() -> ImportShape {
    ImportShape::new("old-", 40..=40, ImportAlphabet::LowerHex, ImportHash::Sha256).unwrap()
}

/// The token with this number, in the place of randomness.
pub fn old_text(number: u64) -> String {
    format!("old-{number:040x}")
}

pub fn stored_hash(number: u64) -> [u8; 32] {
    Sha256::digest(old_text(number)).into()
}

pub fn digest_in_hex(number: u64) -> String {
    stored_hash(number).iter().map(|byte| format!("{byte:02x}")).collect()
}
