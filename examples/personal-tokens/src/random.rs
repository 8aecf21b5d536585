//! Random text from the operating system.

use std::fmt::Write;

/// 128 random bits as 32 hexadecimal digits.
pub fn hex128() -> Result<String, getrandom::Error> {
    let mut text = String::with_capacity(32);
    for byte in bytes()? {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

pub fn bytes() -> Result<[u8; 16], getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
