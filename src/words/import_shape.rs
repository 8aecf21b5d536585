//! The form of the tokens that a service issued before it used keyfob.

use core::fmt;
use core::ops::RangeInclusive;
use std::sync::Arc;

use super::import_alphabet::{ImportAlphabet, UUID};
use super::import_digest::{ImportDigest, ImportHash};
use super::invalid::{Invalid, InvalidField, InvalidKind};
use super::leaked::LeakedToken;

/// The form of the tokens that a service issued before it used keyfob, and the way to find them.
///
/// - [`new`](Self::new) is for SHA-2 hashes of the text, and [`hashed_by`](Self::hashed_by) for
///   other hashes that depend on the text alone, such as BLAKE3 or a hash with one key. keyfob
///   hashes the presented text, and looks up the token by this hash.
/// - [`salted`](Self::salted) is for hashes that also depend on the row of the token, such as
///   bcrypt or a hash with a salt in a column. keyfob looks up the token by the public part of its
///   text, and then computes the hash.
///
/// Every text that matches a shape costs a store call, so declare the shape as narrowly as the
/// tokens allow.
///
/// ```
/// use keyfob::import::{ImportAlphabet, ImportHash, ImportShape};
///
/// // acme-0123…cdef: 40 hex digits. All 45 characters were hashed.
/// let alphabet = ImportAlphabet::LowerHex;
/// let shape = ImportShape::new("acme-", 40..=40, alphabet, ImportHash::Sha256)?;
/// assert!(shape.digest_of(b"acme-0123456789abcdef0123456789abcdef01234567").is_some());
/// assert!(shape.digest_of(b"acme-0123456789ABCDEF0123456789abcdef01234567").is_none());
///
/// // old_17_SECRET: 17 is the id, and only SECRET was hashed.
/// let alphabet = ImportAlphabet::Base64Url;
/// ImportShape::salted("old_", 34..=60, alphabet, |text| text.rsplit_once('_'))?;
/// # Ok::<(), keyfob::Invalid>(())
/// ```
#[derive(Clone)]
pub struct ImportShape {
    prefix: Box<str>,
    rest: RangeInclusive<usize>,
    alphabet: ImportAlphabet,
    prefix_is_hashed: bool,
    way: Way,
}

/// A hash function of the service.
type OwnHash = dyn Fn(&[u8]) -> ImportDigest + Send + Sync;

/// The way to find the token with a text.
#[derive(Clone)]
enum Way {
    Sha2(ImportHash),
    Own(Arc<OwnHash>),
    PublicPart(Arc<Split>),
}

/// A function that splits a text into its public part and the part that was hashed.
type Split = dyn for<'t> Fn(&'t str) -> Option<(&'t str, &'t str)> + Send + Sync;

/// A text that has the form of a shape.
pub(crate) enum Matched<'t> {
    /// The token is found by this hash.
    Hash(ImportDigest),
    /// The token is found by the public part of its text. `hashed` is the part of the text that was
    /// hashed.
    PublicPart { public_part: &'t str, hashed: &'t str },
}

impl ImportShape {
    /// The maximum number of characters in an imported token, including its prefix.
    pub const MAX_LEN: usize = LeakedToken::MAX_LEN;

    /// Creates a shape for SHA-2 hashes: a literal prefix, which may be empty, and then characters
    /// of `alphabet`. The number of these characters must be in the range `rest`.
    ///
    /// The stored hash is expected to be the hash of the whole text. If the service hashed only the
    /// part after the prefix, call [`with_only_the_rest_hashed`](Self::with_only_the_rest_hashed).
    ///
    /// # Errors
    /// Returns [`Invalid`] if the prefix has a character other than visible ASCII, if `rest` starts
    /// at 0 or is empty, if the longest token exceeds [`MAX_LEN`](Self::MAX_LEN), or if the
    /// alphabet is that of UUIDs and `rest` is not `36..=36`.
    pub fn new(
        prefix: &str,
        rest: RangeInclusive<usize>,
        alphabet: ImportAlphabet,
        hash: ImportHash,
    ) -> Result<Self, Invalid> {
        Self::of(prefix, rest, alphabet, Way::Sha2(hash))
    }

    /// Creates a shape for hashes that your own function computes from the text alone. The hash may
    /// have a key that the function holds. The function runs on every text that matches the shape,
    /// so it must be fast.
    ///
    /// ```
    /// use keyfob::import::{ImportAlphabet, ImportShape};
    ///
    /// let hash = |text: &[u8]| <[u8; 32]>::from(blake3::hash(text));
    /// ImportShape::hashed_by("acme-", 40..=40, ImportAlphabet::Base62, hash)?;
    /// # Ok::<(), keyfob::Invalid>(())
    /// ```
    ///
    /// # Errors
    /// Returns [`Invalid`] under the same conditions as [`new`](Self::new).
    pub fn hashed_by<D: Into<ImportDigest>>(
        prefix: &str,
        rest: RangeInclusive<usize>,
        alphabet: ImportAlphabet,
        hash: impl Fn(&[u8]) -> D + Send + Sync + 'static,
    ) -> Result<Self, Invalid> {
        Self::of(prefix, rest, alphabet, Way::Own(Arc::new(move |text| hash(text).into())))
    }

    /// Creates a shape for hashes that depend on the row of the token: on a salt, on a cost, or on
    /// an algorithm that changed over time. The scheme in the token's record says how to compute
    /// the hash, and [`Imports`](crate::import::Imports) has the function that computes it.
    ///
    /// A hash with a salt cannot find its row, so the text must have a part that does: the id of
    /// the row, or the beginning of the token if the earlier system stored it beside the hash.
    /// `split` returns this public part and the part that was hashed, or `None` if the text is
    /// not such a token. The public part should include the prefix, so that the parts of two shapes
    /// differ. It must not contain the secret. If the secret may contain the separator, split at
    /// the first separator after the prefix.
    ///
    /// | text | hashed | `split` |
    /// |---|---|---|
    /// | `old_17_SECRET` | `SECRET` | <code>&#124;text&#124; text.rsplit_once('_')</code> |
    /// | `old_17_SECRET` | all of it | <code>&#124;text&#124; Some((text.rsplit_once('_')?.0, text))</code> |
    /// | 64 characters, the first 15 stored in a column | all of them | <code>&#124;text&#124; Some((text.get(..15)?, text))</code> |
    ///
    /// # Errors
    /// Returns [`Invalid`] under the same conditions as [`new`](Self::new).
    pub fn salted(
        prefix: &str,
        rest: RangeInclusive<usize>,
        alphabet: ImportAlphabet,
        split: impl for<'t> Fn(&'t str) -> Option<(&'t str, &'t str)> + Send + Sync + 'static,
    ) -> Result<Self, Invalid> {
        Self::of(prefix, rest, alphabet, Way::PublicPart(Arc::new(split)))
    }

    fn of(prefix: &str, rest: RangeInclusive<usize>, alphabet: ImportAlphabet, way: Way) -> Result<Self, Invalid> {
        let flaw = if !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            InvalidKind::Character
        } else if *rest.start() == 0 {
            InvalidKind::TooShort { min: 1 }
        } else if rest.is_empty() || alphabet == ImportAlphabet::Uuid && rest != (UUID..=UUID) {
            InvalidKind::OutOfRange
        } else if prefix.len().saturating_add(*rest.end()) > Self::MAX_LEN {
            InvalidKind::TooLong { max: Self::MAX_LEN }
        } else {
            return Ok(Self { prefix: prefix.into(), rest, alphabet, prefix_is_hashed: true, way });
        };
        Err(Invalid::new(InvalidField::ImportShape, flaw))
    }

    /// Returns the shape, changed so that keyfob hashes only the part of a token after the prefix.
    /// Call this method if your service hashed only this part. It has no effect on a
    /// [`salted`](Self::salted) shape, whose function returns the part that was hashed.
    #[must_use]
    pub fn with_only_the_rest_hashed(self) -> Self {
        Self { prefix_is_hashed: false, ..self }
    }

    /// Returns the hash that the service stored for the token with this text. Returns `None`,
    /// without computing a hash, if the text does not match the shape or if the shape is for
    /// [`salted`](Self::salted) hashes.
    ///
    /// Timing may leak whether the text matches the shape, and the length of the text.
    pub fn digest_of(&self, text: &[u8]) -> Option<ImportDigest> {
        match self.matched(text)? {
            Matched::Hash(digest) => Some(digest),
            Matched::PublicPart { .. } => None,
        }
    }

    /// Returns whether the text has the form of this shape. Computes no hash.
    pub(crate) fn fits(&self, text: &[u8]) -> bool {
        self.rest_of(text).is_some()
    }

    /// Returns the way to find the token with this text, or `None` if the text does not match the
    /// shape.
    pub(crate) fn matched<'t>(&self, text: &'t [u8]) -> Option<Matched<'t>> {
        let rest = self.rest_of(text)?;
        let hashed = if self.prefix_is_hashed { text } else { rest };
        match &self.way {
            Way::Sha2(hash) => Some(Matched::Hash(ImportDigest::of(*hash, hashed))),
            Way::Own(hash) => Some(Matched::Hash(hash(hashed))),
            Way::PublicPart(split) => {
                let text = str::from_utf8(text).expect("the characters of a shape are ASCII");
                let (public_part, hashed) = split(text)?;
                Some(Matched::PublicPart { public_part, hashed })
            }
        }
    }

    /// Returns whether a token is found by the public part of its text.
    pub(crate) fn is_salted(&self) -> bool {
        matches!(self.way, Way::PublicPart(_))
    }

    fn rest_of<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        let rest = text.strip_prefix(self.prefix.as_bytes())?;
        (self.rest.contains(&rest.len()) && self.alphabet.has_all(rest)).then_some(rest)
    }
}

/// Shows the form of the texts, and whether the shape is for salted hashes.
impl fmt::Debug for ImportShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prefix, rest, alphabet, .. } = self;
        let is_salted = self.is_salted();
        let mut shape = f.debug_struct("ImportShape");
        shape.field("prefix", prefix).field("rest", rest).field("alphabet", alphabet).field("is_salted", &is_salted);
        shape.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha512};

    use super::*;

    fn shape(prefix: &str, rest: RangeInclusive<usize>) -> Result<ImportShape, InvalidKind> {
        ImportShape::new(prefix, rest, ImportAlphabet::Base62, ImportHash::Sha256).map_err(|error| error.kind())
    }

    #[track_caller]
    fn refused(prefix: &str, rest: RangeInclusive<usize>, flaw: InvalidKind) {
        assert_eq!(shape(prefix, rest).map(drop), Err(flaw));
    }

    #[test]
    fn invalid_shapes_are_refused_at_each_bound() {
        assert!(shape("", 1..=1).is_ok());
        refused("", 0..=1, InvalidKind::TooShort { min: 1 });
        refused("", RangeInclusive::new(2, 1), InvalidKind::OutOfRange);
        assert!(shape("old-", 1..=508).is_ok());
        refused("old-", 1..=509, InvalidKind::TooLong { max: 512 });
        refused("old-", 1..=usize::MAX, InvalidKind::TooLong { max: 512 });
        for prefix in ["old ", "old\n", "öld-", "\0"] {
            refused(prefix, 1..=1, InvalidKind::Character);
        }
        let uuid = |rest| ImportShape::new("", rest, ImportAlphabet::Uuid, ImportHash::Sha256).map(drop);
        assert_eq!(uuid(36..=36), Ok(()));
        assert_eq!(uuid(35..=36).map_err(|error| error.kind()), Err(InvalidKind::OutOfRange));
    }

    #[test]
    fn lengths_at_each_bound() {
        let shape = shape("old-", 4..=6).unwrap();
        for (text, fits) in [
            ("old-123", false),
            ("old-1234", true),
            ("old-123456", true),
            ("old-1234567", false),
            ("1234", false),
            ("Old-1234", false),
            ("old-", false),
            ("", false),
        ] {
            assert_eq!(shape.digest_of(text.as_bytes()).is_some(), fits, "{text:?}");
        }
    }

    #[test]
    fn the_whole_or_the_rest_is_hashed() {
        let whole = shape("old-", 4..=4).unwrap();
        let of = |text: &[u8]| Some(ImportDigest::of(ImportHash::Sha256, text));
        assert_eq!(whole.digest_of(b"old-1234"), of(b"old-1234"));
        assert_eq!(whole.with_only_the_rest_hashed().digest_of(b"old-1234"), of(b"1234"));
    }
    #[test]
    fn an_own_function_hashes_what_a_sha_2_shape_would_hash() {
        let own = |text: &[u8]| <[u8; 32]>::try_from(&Sha512::digest(text)[..32]).unwrap();
        let shape = ImportShape::hashed_by("old-", 4..=4, ImportAlphabet::Base62, own).unwrap();
        assert_eq!(shape.digest_of(b"old-1234"), Some(own(b"old-1234").into()));
        assert_eq!(shape.digest_of(b"old-123"), None);
        assert_eq!(shape.with_only_the_rest_hashed().digest_of(b"old-1234"), Some(own(b"1234").into()));
    }

    #[test]
    fn a_salted_shape_splits_the_texts_that_match() {
        let shape = ImportShape::salted("old_", 4..=9, ImportAlphabet::Base64Url, |text| text.rsplit_once('_'));
        let shape = shape.unwrap();
        let parts = |text: &'static str| match shape.matched(text.as_bytes()) {
            Some(Matched::PublicPart { public_part, hashed }) => Some((public_part, hashed)),
            Some(Matched::Hash(_)) => panic!("a salted shape has no hash"),
            None => None,
        };
        assert_eq!(parts("old_17_abcd"), Some(("old_17", "abcd")));
        assert_eq!(parts("old_1_7_abcd"), Some(("old_1_7", "abcd")));
        for text in ["old_17.abcd", "old_7_a", "old_17_abcdefg", "new_17_abcd"] {
            assert_eq!(parts(text), None, "{text}");
        }
        assert!(shape.fits(b"old_17_abcd") && !shape.fits(b"old_17.abcd"));
        assert_eq!(shape.digest_of(b"old_17_abcd"), None);
        let shown = format!("{shape:?}");
        assert_eq!(shown, "ImportShape { prefix: \"old_\", rest: 4..=9, alphabet: Base64Url, is_salted: true, .. }");
    }
}
