//! The import of one token, without a store.

use rand_core::TryCryptoRng;

use super::error::Error;
use super::error_kind::ErrorKind;
use super::import_row::ImportRow;
use super::import_token::ImportToken;
use super::imports::Imports;
use super::policy::Policy;
use crate::words::ids::KeyNumber;
use crate::words::import_key::ImportKey;
use crate::words::import_mac::ImportMac;
use crate::words::keyring::Keyring;
use crate::words::random;
use crate::words::text::Actor;
use crate::words::timestamp::Timestamp;

/// Creates the record of a token that your service issued before it used keyfob, and its look-up
/// keys. **This function stores nothing**: insert the record, and store its
/// [`import_key`](ImportRow::import_key) in a unique column beside it. If a record exists under one
/// of the [keys](ImportRow::keys) of the row, the token was imported before. Of the policy, only
/// the lead times of the notices count.
///
/// [`check_imported`](crate::import::check_imported) verifies the old text of the token.
/// [`Tokens::import`](crate::Tokens::import) does all of this with a store.
///
/// # Errors
/// - Returns [`ErrorKind::Unkeyed`] if the keyring has no pepper.
/// - Returns [`ErrorKind::Invalid`] if the token is salted, and `imports` do not declare the
///   function of its scheme or allow its cost.
/// - Returns [`ErrorKind::Rng`] if the random number generator fails.
///
/// ```
/// use keyfob::import::{ImportDigest, ImportHash, ImportToken, Imports, adopt};
/// use keyfob::{Actor, Clock, Keyring, Name, OwnerId, Pepper, Policy};
/// use keyfob::{Prefix, ProjectId, SystemClock};
///
/// let keyring = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?);
/// let hex = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
/// let digest = ImportDigest::from_text(ImportHash::Sha256, hex)?;
/// let project = ProjectId::new("145")?;
/// let (owner, name) = (OwnerId::new("ada")?, Name::new("CI")?);
/// let since = "2020-02-29T00:00:00Z".parse()?;
/// let token = ImportToken::new(digest, project, owner, name, since);
/// let (actor, now) = (Actor::new("migration")?, SystemClock.now());
/// let (policy, imports) = (Policy::default(), Imports::new([]));
/// let row = adopt(&keyring, &policy, &imports, token, &actor, now)?;
/// assert_eq!(row.record.created_at, since);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(feature = "os-rng")]
pub fn adopt(
    keyring: &Keyring,
    policy: &Policy,
    imports: &Imports,
    token: ImportToken,
    actor: &Actor,
    now: Timestamp,
) -> Result<ImportRow, Error> {
    adopt_with(&mut getrandom::SysRng, keyring, policy, imports, token, actor, now)
}

/// Creates the record and the look-up keys as `adopt` does, but with random numbers from `rng`. The
/// generator must be cryptographically secure.
///
/// # Errors
/// Returns [`ErrorKind::Unkeyed`] if the keyring has no pepper. Returns [`ErrorKind::Invalid`] if
/// the token is salted, and `imports` do not declare the function of its scheme or allow its cost.
/// Returns [`ErrorKind::Rng`] if the generator fails.
pub fn adopt_with<R: TryCryptoRng + ?Sized>(
    rng: &mut R,
    keyring: &Keyring,
    policy: &Policy,
    imports: &Imports,
    token: ImportToken,
    actor: &Actor,
    now: Timestamp,
) -> Result<ImportRow, Error> {
    if keyring.minting_key() == KeyNumber::UNKEYED {
        return Err(ErrorKind::Unkeyed.into());
    }
    row(rng, keyring, policy, imports, token, actor, now)
}

/// Creates the record and the look-up keys as [`adopt`] does, with a keyring that has no pepper.
/// [`Tokens::import_without_pepper`](crate::Tokens::import_without_pepper) says what this gives up.
///
/// # Errors
/// Returns [`ErrorKind::Keyed`] if the keyring has a pepper for new tokens. Otherwise returns the
/// errors of [`adopt`], except `Unkeyed`.
#[cfg(feature = "os-rng")]
pub fn adopt_without_pepper(
    keyring: &Keyring,
    policy: &Policy,
    imports: &Imports,
    token: ImportToken,
    actor: &Actor,
    now: Timestamp,
) -> Result<ImportRow, Error> {
    if keyring.minting_key() != KeyNumber::UNKEYED {
        return Err(ErrorKind::Keyed.into());
    }
    row(&mut getrandom::SysRng, keyring, policy, imports, token, actor, now)
}

fn row<R: TryCryptoRng + ?Sized>(
    rng: &mut R,
    keyring: &Keyring,
    policy: &Policy,
    imports: &Imports,
    token: ImportToken,
    actor: &Actor,
    now: Timestamp,
) -> Result<ImportRow, Error> {
    if let Some(salted) = &token.salted {
        imports.function(salted.scheme())?;
    }
    let key_under = |mac: &ImportMac| match &token.salted {
        Some(salted) => mac.look_up(salted.public_part()),
        None => ImportKey::of(&mac.digest(&token.digest)),
    };
    let minting = keyring.import_macs().next().expect("each keyring has a key for new tokens, which is first");
    let import_key = key_under(minting);
    let other_keys = keyring.import_macs().skip(1).map(key_under).collect();
    let digest = minting.digest(&token.digest);
    let id = random::id(rng, minting.number())?;
    let record = token.into_record(keyring.prefix(), id, digest, policy.notices(), actor, now);
    Ok(ImportRow { record, import_key, other_keys })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::import_scheme::ImportScheme;
    use crate::rules::salted_import::SaltedImport;
    use crate::rules::sample::{ada, at, project};
    use crate::words::ids::Prefix;
    use crate::words::import_digest::{ImportDigest, ImportHash};
    use crate::words::invalid::{Invalid, InvalidField, InvalidKind};
    use crate::words::pepper::Pepper;

    fn old() -> ImportToken {
        let digest = ImportDigest::of(ImportHash::Sha256, b"old");
        ImportToken::new(digest, project(), "bob".parse().unwrap(), "CI".parse().unwrap(), at(-5))
    }

    fn salted(cost: &str) -> ImportToken {
        let scheme = ImportScheme::new("bcrypt", cost, b"salt").unwrap();
        ImportToken { salted: Some(SaltedImport::new("old_17", scheme).unwrap()), ..old() }
    }

    fn two_keys() -> Keyring {
        let pepper = |seed: u8| Pepper::new((seed..seed + 32).collect()).unwrap();
        let (one, two) = (KeyNumber::FIRST, KeyNumber::new(2).unwrap());
        let builder = Keyring::builder(Prefix::new("acme_pat").unwrap());
        builder.mint_with(one, pepper(0)).verify_with(two, pepper(9)).build().unwrap()
    }

    fn adopted(keyring: &Keyring, token: ImportToken) -> Result<ImportRow, ErrorKind> {
        let cost = |scheme: &ImportScheme| scheme.parameters().parse().ok();
        let imports = Imports::new([]).with_slow_function("bcrypt", 12, cost, |_, _| None);
        adopt(keyring, &Policy::default(), &imports, token, &ada(), at(0)).map_err(|error| error.kind())
    }

    #[test]
    fn a_plain_token_is_found_by_its_digest() {
        let row = adopted(&two_keys(), old()).unwrap();
        assert_eq!(row.import_key, ImportKey::of(&row.record.digest));
        assert_eq!((row.keys().count(), row.record.import_scheme), (2, None));
    }

    #[test]
    fn two_records_of_one_token_have_different_ids() {
        let [one, other] = [(); 2].map(|()| adopted(&two_keys(), old()).unwrap().record.id);
        assert_ne!(one, other);
    }

    #[test]
    fn a_salted_token_is_found_by_its_public_part_and_keeps_its_scheme() {
        let (plain, salted) = (adopted(&two_keys(), old()).unwrap(), adopted(&two_keys(), salted("12")).unwrap());
        assert!(plain.record.digest.ct_eq(&salted.record.digest));
        assert_eq!(salted.record.import_scheme, Some(ImportScheme::new("bcrypt", "12", b"salt").unwrap()));
        let ring = two_keys();
        let keys: Vec<_> = ring.import_macs().map(|mac| mac.look_up("old_17")).collect();
        assert!(salted.keys().eq(&keys));
        assert!(!keys.contains(&plain.import_key));
    }

    #[test]
    fn a_scheme_that_cannot_be_verified_is_refused() {
        let refused = |kind| Err(ErrorKind::Invalid(Invalid::new(InvalidField::ImportScheme, kind)));
        assert_eq!(adopted(&two_keys(), salted("13")).map(drop), refused(InvalidKind::TooCostly { max: 12 }));
        assert_eq!(adopted(&two_keys(), salted("?")).map(drop), refused(InvalidKind::Shape));
        let undeclared = adopt(&two_keys(), &Policy::default(), &Imports::new([]), salted("12"), &ada(), at(0));
        assert_eq!(undeclared.map(drop).map_err(|error| error.kind()), refused(InvalidKind::Undeclared));
    }

    #[test]
    fn an_import_without_a_pepper_has_a_name_of_its_own() {
        let unkeyed = Keyring::unkeyed(Prefix::new("acme_pat").unwrap());
        let without = |ring: &Keyring| {
            let row = adopt_without_pepper(ring, &Policy::default(), &Imports::new([]), old(), &ada(), at(0));
            row.map(|row| row.record.id.key_number()).map_err(|error| error.kind())
        };
        assert_eq!(adopted(&unkeyed, old()).map(drop), Err(ErrorKind::Unkeyed));
        assert_eq!(without(&unkeyed), Ok(KeyNumber::UNKEYED));
        assert_eq!(without(&two_keys()), Err(ErrorKind::Keyed));
    }
}
