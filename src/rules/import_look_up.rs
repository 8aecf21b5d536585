//! The look-ups for the text of an imported token, and the check of its record.

use core::time::Duration;
use std::sync::Arc;

use super::access::{Access, ProjectRequirement};
use super::check::Verified;
use super::error::Error;
use super::error_kind::ErrorKind;
use super::import_function::unreadable;
use super::imports::Imports;
use super::outside::LaterUses;
use super::owner::OwnerState;
use super::policy::Policy;
use super::proof::prove;
use super::record::TokenRecord;
use crate::words::digest::Digest;
use crate::words::import_digest::ImportDigest;
use crate::words::import_key::ImportKey;
use crate::words::import_mac::ImportMac;
use crate::words::import_shape::Matched;
use crate::words::invalid::Invalid;
use crate::words::keyring::Keyring;
use crate::words::timestamp::Timestamp;

/// One way in which a presented text may be an imported token: a look-up key, and what is needed to
/// check the record under this key. [`Imports::look_ups`] returns it.
///
/// `Debug` shows no part of the text.
pub struct ImportLookUp<'i> {
    pub(crate) key: ImportKey,
    pub(crate) by: By<'i>,
}

/// The way to compute the digest of a presented text.
pub(crate) enum By<'i> {
    /// The token is found by its digest, so the digest is known already.
    Hash(Digest),
    /// The token is found by the public part of its text. The scheme in its record says how to
    /// compute the hash of `hashed`.
    PublicPart { imports: &'i Imports, mac: &'i ImportMac, hashed: &'i str },
}

impl Imports {
    /// Returns the look-ups for a presented text, in the order in which to try them: for each shape
    /// that the text has, one for each key of the keyring. The shapes whose tokens are found by a
    /// hash come before the [salted](crate::import::ImportShape::salted) ones. Returns none if the
    /// text has no declared shape.
    ///
    /// Pass a text here only after [`PresentedToken::parse`](crate::PresentedToken::parse) has
    /// rejected it.
    pub fn look_ups<'i>(
        &'i self,
        keyring: &'i Keyring,
        text: &'i [u8],
    ) -> impl Iterator<Item = ImportLookUp<'i>> + Send {
        // Shapes may overlap. For instance, a service that once changed its hash declares two
        // hashes for the same texts.
        let matched = self.shapes.iter().filter_map(move |shape| shape.matched(text));
        matched.flat_map(move |matched| keyring.import_macs().map(move |mac| ImportLookUp::of(self, mac, &matched)))
    }
}

impl<'i> ImportLookUp<'i> {
    fn of(imports: &'i Imports, mac: &'i ImportMac, matched: &Matched<'i>) -> Self {
        match *matched {
            Matched::Hash(ref hash) => Self::by_hash(mac, hash),
            Matched::PublicPart { public_part, hashed } => {
                Self { key: mac.look_up(public_part), by: By::PublicPart { imports, mac, hashed } }
            }
        }
    }

    fn by_hash(mac: &ImportMac, hash: &ImportDigest) -> Self {
        let digest = mac.digest(hash);
        Self { key: ImportKey::of(&digest), by: By::Hash(digest) }
    }

    /// Returns the key under which your database may have a record.
    pub fn key(&self) -> &ImportKey {
        &self.key
    }

    /// Returns the digest of the text. Computes the hash if the record says how.
    fn digest(&self, record: Option<&TokenRecord>) -> Result<Digest, Invalid> {
        match (&self.by, record) {
            (By::Hash(digest), _) => Ok(*digest),
            (By::PublicPart { imports, mac, hashed }, Some(record)) => {
                let scheme = record.import_scheme.as_ref().ok_or_else(unreadable)?;
                Ok(mac.digest(&imports.function(scheme)?.hash(scheme, hashed.as_bytes())?))
            }
            (By::PublicPart { .. }, None) => Ok(Digest::from_bytes([0; 32])),
        }
    }
}

impl core::fmt::Debug for ImportLookUp<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("ImportLookUp(..)")
    }
}

/// Verifies the text of an imported token against its record. `record` must be the record under the
/// [key](ImportLookUp::key) of the look-up, even if the token has ended, or `None` if there is no
/// such record.
///
/// The checks run in the same order as those of [`check`](crate::check()). The comparison of the
/// digests takes constant time. **A slow hash runs on the thread of the caller**: limit how many
/// calls run at the same time, as [`Tokens`](crate::Tokens) does.
///
/// # Errors
/// - Returns [`ErrorKind::Rejected`] with the rejection of the first check that fails. After
///   [`Rejection::Digest`](crate::Rejection::Digest), try the next look-up.
/// - Returns [`ErrorKind::Invalid`] if the record has a scheme that is not declared, that costs too
///   much, or that its function does not understand. The token was neither accepted nor rejected.
///
/// ```
/// use std::sync::Arc;
/// use keyfob::import::{ImportKey, Imports, check_imported};
/// use keyfob::{Access, Error, ErrorKind, Keyring, Policy, Rejection, Timestamp};
/// use keyfob::{TokenRecord, Verified};
///
/// # fn find(_: &ImportKey) -> Option<Arc<TokenRecord>> { None }
/// /// `find` reads the record from the database of the service.
/// fn verify(
///     imports: &Imports,
///     keyring: &Keyring,
///     text: &str,
///     access: &Access<'_>,
///     now: Timestamp,
/// ) -> Result<Verified, Error> {
///     let policy = Policy::default();
///     let mut kind = ErrorKind::Rejected(Rejection::Unknown);
///     for look_up in imports.look_ups(keyring, text.as_bytes()) {
///         let Some(record) = find(look_up.key()) else { continue };
///         match check_imported(&look_up, Some(record), access, &policy, now) {
///             // The text may have another shape too, by which its token is found.
///             Err(error) if error.kind() == ErrorKind::Rejected(Rejection::Digest) => {
///                 kind = error.kind();
///             }
///             outcome => return outcome,
///         }
///     }
///     Err(kind.into())
/// }
/// ```
pub fn check_imported<P: ProjectRequirement>(
    look_up: &ImportLookUp<'_>,
    record: Option<Arc<TokenRecord>>,
    access: &Access<'_, P>,
    policy: &Policy,
    now: Timestamp,
) -> Result<Verified<P>, Error> {
    let digest = look_up.digest(record.as_deref())?;
    // An imported token is found by its secret or by the public part of its old text. This text
    // names no prefix, project or id of a record.
    let proven = prove(&digest, record.into(), |_| true);
    let live =
        proven.and_then(|proven| proven.live(policy, now, |_| LaterUses::default()).map_err(|ended| ended.rejection));
    let verified = live.and_then(|live| live.permit(OwnerState::Active, access, policy, Duration::ZERO));
    verified.map_err(|rejection| ErrorKind::Rejected(rejection).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::adopt::adopt;
    use crate::rules::import_row::ImportRow;
    use crate::rules::import_scheme::ImportScheme;
    use crate::rules::import_token::ImportToken;
    use crate::rules::salted_import::SaltedImport;
    use crate::rules::sample::{ada, at, project};
    use crate::words::import_alphabet::ImportAlphabet;
    use crate::words::import_digest::ImportHash;
    use crate::words::import_shape::ImportShape;
    use crate::words::invalid::{InvalidField, InvalidKind};
    use crate::words::pepper::Pepper;
    use crate::words::rejection::Rejection;

    fn keyring() -> Keyring {
        Keyring::new("acme_pat".parse().unwrap(), Pepper::new((0..32).collect()).unwrap())
    }

    /// Declares a "hash" that shows the salt and the text.
    fn imports() -> Imports {
        let plain = ImportShape::new("old-", 4..=4, ImportAlphabet::Base62, ImportHash::Sha256).unwrap();
        let salted = ImportShape::salted("old_", 4..=9, ImportAlphabet::Base64Url, |text| text.rsplit_once('_'));
        Imports::new([plain, salted.unwrap()]).with_function("own", |scheme, text| {
            let bytes: Vec<u8> = scheme.salt().iter().chain(text).chain(&[0; 32]).copied().take(32).collect();
            ImportDigest::new(&bytes).ok()
        })
    }

    fn token(digest: ImportDigest) -> ImportToken {
        let mut token = ImportToken::new(digest, project(), "ada".parse().unwrap(), "CI".parse().unwrap(), at(-5));
        token.expires_at = Some(at(1000));
        token
    }

    fn salted(algorithm: &str) -> ImportToken {
        let scheme = ImportScheme::new(algorithm, "", b"salt").unwrap();
        let digest = *b"saltabcd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        ImportToken { salted: Some(SaltedImport::new("old_17", scheme).unwrap()), ..token(digest.into()) }
    }

    fn row(token: ImportToken) -> ImportRow {
        adopt(&keyring(), &Policy::default(), &imports().with_function("gone", |_, _| None), token, &ada(), at(0))
            .unwrap()
    }

    fn checked(row: &ImportRow, text: &str) -> Result<(), ErrorKind> {
        let (imports, keyring) = (imports(), keyring());
        let mut look_ups = imports.look_ups(&keyring, text.as_bytes());
        let look_up = look_ups.next().expect("the text has a shape");
        assert!(look_ups.next().is_none());
        let record = (*look_up.key() == row.import_key).then(|| Arc::new(row.record.clone()));
        let verified = check_imported(&look_up, record, &Access::to(&project(), &[]), &Policy::default(), at(1));
        verified.map(drop).map_err(|error| error.kind())
    }

    #[test]
    fn a_text_is_checked_against_its_row() {
        let plain = row(token(ImportDigest::of(ImportHash::Sha256, b"old-1234")));
        assert_eq!(checked(&plain, "old-1234"), Ok(()));
        assert_eq!(checked(&plain, "old-1235"), Err(ErrorKind::Rejected(Rejection::Unknown)));
        let salted = row(salted("own"));
        assert_eq!(checked(&salted, "old_17_abcd"), Ok(()));
        assert_eq!(checked(&salted, "old_17_abce"), Err(ErrorKind::Rejected(Rejection::Digest)));
        assert_eq!(checked(&salted, "old_18_abcd"), Err(ErrorKind::Rejected(Rejection::Unknown)));
        let mut dead = salted;
        dead.record.expires_at = Some(at(1));
        assert_eq!(checked(&dead, "old_17_abcd"), Err(ErrorKind::Rejected(Rejection::Expired)));
        assert_eq!(checked(&dead, "old_17_abce"), Err(ErrorKind::Rejected(Rejection::Digest)), "not proven");
    }

    #[test]
    fn a_row_that_cannot_be_hashed_is_neither_accepted_nor_rejected() {
        let gone = row(salted("gone"));
        let invalid = |kind| Err(ErrorKind::Invalid(Invalid::new(InvalidField::ImportScheme, kind)));
        assert_eq!(checked(&gone, "old_17_abcd"), invalid(InvalidKind::Undeclared));
        let mut without = gone;
        without.record.import_scheme = None;
        assert_eq!(checked(&without, "old_17_abcd"), invalid(InvalidKind::Shape));
    }

    #[test]
    fn a_text_of_no_shape_has_no_look_up() {
        let (imports, keyring) = (imports(), keyring());
        assert_eq!(imports.look_ups(&keyring, b"old-12345").count(), 0);
        let look_up = imports.look_ups(&keyring, b"old_17_abcd").next().unwrap();
        assert_eq!(format!("{look_up:?}"), "ImportLookUp(..)");
    }
}
