//! Randomness from the operating system.

use std::fmt::Write;

/// Returns 128 random bits as 32 hexadecimal digits.
pub fn hex128() -> Result<String, getrandom::Error> {
    let mut text = String::with_capacity(32);
    for byte in bytes()? {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// Returns 16 random bytes.
pub fn bytes() -> Result<[u8; 16], getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
