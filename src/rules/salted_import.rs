//! The parts of an imported token whose hash depends on its row.

use super::import_scheme::ImportScheme;
use crate::words::import_shape::ImportShape;
use crate::words::invalid::{Invalid, InvalidField, InvalidKind};

/// The way to find an imported token whose hash cannot be computed from its text alone, and the way
/// to compute this hash: the public part of the token's text, and the scheme of the hash.
///
/// ```
/// use keyfob::{import::SaltedImport, record::ImportScheme};
///
/// // Row 17 of the old table. Its tokens are old_17_SECRET, and it has a salt.
/// let scheme = ImportScheme::new("salted-sha256", "", b"some salt")?;
/// let salted = SaltedImport::new("old_17", scheme)?;
/// assert_eq!(salted.public_part(), "old_17");
/// # Ok::<(), keyfob::Invalid>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SaltedImport {
    public_part: Box<str>,
    scheme: ImportScheme,
}

impl SaltedImport {
    /// Creates the parts of a salted token. `public_part` must be exactly the text that the
    /// function of the [shape](crate::import::ImportShape::salted) splits off the token: 1 to 512
    /// visible ASCII characters.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the public part is empty, is longer than 512 characters or contains a
    /// character that is not visible ASCII.
    pub fn new(public_part: &str, scheme: ImportScheme) -> Result<Self, Invalid> {
        let flaw = if public_part.is_empty() {
            InvalidKind::Empty
        } else if public_part.len() > ImportShape::MAX_LEN {
            InvalidKind::TooLong { max: ImportShape::MAX_LEN }
        } else if !public_part.bytes().all(|byte| byte.is_ascii_graphic()) {
            InvalidKind::Character
        } else {
            return Ok(Self { public_part: public_part.into(), scheme });
        };
        Err(Invalid::new(InvalidField::ImportPublicPart, flaw))
    }

    /// Returns the public part of the token's text.
    pub fn public_part(&self) -> &str {
        &self.public_part
    }

    /// Returns the scheme of the token's hash.
    pub fn scheme(&self) -> &ImportScheme {
        &self.scheme
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_part_has_1_to_512_visible_characters() {
        let scheme = || ImportScheme::new("bcrypt", "12", b"").unwrap();
        let kind = |part: &str| SaltedImport::new(part, scheme()).map(drop).map_err(|error| error.kind());
        assert_eq!(kind(""), Err(InvalidKind::Empty));
        assert_eq!((kind("a"), kind(&"~".repeat(512))), (Ok(()), Ok(())));
        assert_eq!(kind(&"a".repeat(513)), Err(InvalidKind::TooLong { max: 512 }));
        for part in ["old 17", "old_17\n", "öld"] {
            assert_eq!(kind(part), Err(InvalidKind::Character));
        }
        assert_eq!(SaltedImport::new("old_17", scheme()).unwrap().scheme(), &scheme());
    }
}
