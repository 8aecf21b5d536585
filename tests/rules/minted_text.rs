//! The text and the MAC of a token without a record: what is minted is accepted, and nothing else.

use std::collections::HashSet;

use keyfob::{
    Keyring, Policy, Prefix, PresentedToken, ProjectId, Rejection,
    keys::{KeyNumber, KeyringError},
    record::{Digest, mint_with},
    text::{MintedText, mint_text, mint_text_with},
};
use rand_core::{TryCryptoRng, TryRng};

use crate::support::{Script, actor, keyring, new_token, now, prefix, project, with_checksum};

const DRAWN: &str = "0qQ1zZ8xX3jJ7kKWv5yYqZ0Xw9HhJ2zKqVx4UuQjZ6kXyW7v";

fn minted(keyring: &Keyring) -> MintedText {
    mint_text(keyring, &project("145")).unwrap()
}

#[test]
fn a_minted_text_fits_its_digest_and_no_other() {
    for keyring in [keyring(), Keyring::unkeyed(prefix())] {
        let (minted, other) = (minted(&keyring), minted(&keyring));
        let token = PresentedToken::parse(minted.token.expose_secret(), &keyring).unwrap();
        assert_eq!((token.key().project, token.key().id), (project("145"), minted.id));
        assert_eq!(minted.id.key_number(), keyring.minting_key());
        assert!(token.fits(Some(&minted.digest)));
        assert!(!token.fits(Some(&other.digest)));
        assert!(!token.fits(None));
        for bit in 0..256 {
            let mut bytes = *minted.digest.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!token.fits(Some(&Digest::from_bytes(bytes))), "bit {bit}");
        }
    }
}

/// A missing digest is compared as 32 zeros, and must not fit even then.
#[test]
fn no_digest_fits_nothing() {
    let keyring = keyring();
    let minted = minted(&keyring);
    let token = PresentedToken::parse(minted.token.expose_secret(), &keyring).unwrap();
    assert!(!token.fits(Some(&Digest::from_bytes([0; 32]))));
    assert!(!token.fits(None));
}

#[test]
fn a_presented_token_has_the_digest_that_was_stored() {
    let keyring = keyring();
    let minted = minted(&keyring);
    let token = PresentedToken::parse(minted.token.expose_secret(), &keyring).unwrap();
    assert_eq!(token.digest().as_bytes(), minted.digest.as_bytes());
}

/// Returns the id in a text of the project 145.
fn minted_id(text: &str) -> &str {
    text.split('_').nth_back(1).unwrap()
}

/// The digest is found by a hash, so the project in the text must be the one that was minted.
#[test]
fn a_text_with_another_project_id_or_prefix_is_rejected() {
    let keyring = Keyring::builder(prefix())
        .mint_with(KeyNumber::FIRST, crate::support::pepper())
        .accept_prefix(Prefix::new("acme_ci").unwrap())
        .build()
        .unwrap();
    let text = minted(&keyring).token.expose_secret().to_owned();
    let id = minted_id(&text);
    let last = if id.ends_with('0') { "1" } else { "0" };
    let another = format!("{}{last}", &id[..id.len() - 1]);
    for (from, to) in [("_145_1", "_146_1"), ("acme_pat_", "acme_ci_"), ("_145_1", "_1450_1"), (id, another.as_str())] {
        let forged = with_checksum(&text.replacen(from, to, 1));
        assert_ne!(forged, text);
        assert_eq!(PresentedToken::parse(&forged, &keyring).unwrap_err(), Rejection::Tag, "{to}");
    }
}

#[test]
fn a_record_is_minted_with_the_same_text() {
    let keyring = keyring();
    let text = mint_text_with(&mut Script::of(DRAWN), &keyring, &project("145")).unwrap();
    let new = new_token();
    let issued = mint_with(&mut Script::of(DRAWN), &keyring, &Policy::default(), new, &actor(), now()).unwrap();
    assert_eq!(text.token.expose_secret(), issued.token.expose_secret());
    assert_eq!((text.id, text.digest.as_bytes()), (issued.record.id, issued.record.digest.as_bytes()));
}

#[test]
fn two_texts_differ() {
    let keyring = keyring();
    let ids: HashSet<_> = (0..100).map(|_| minted(&keyring).id).collect();
    assert_eq!(ids.len(), 100);
}

#[test]
fn the_longest_project_fits_into_a_text() {
    let (keyring, project) = (keyring(), ProjectId::from_uuid(u128::MAX));
    let minted = mint_text(&keyring, &project).unwrap();
    let token = PresentedToken::parse(minted.token.expose_secret(), &keyring).unwrap();
    assert_eq!(token.key().project, project);
}

/// A generator that always fails.
struct Failing;

impl TryRng for Failing {
    type Error = std::fmt::Error;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Err(std::fmt::Error)
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Err(std::fmt::Error)
    }
    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
        Err(std::fmt::Error)
    }
}

impl TryCryptoRng for Failing {}

#[test]
fn a_failing_generator_is_an_error() {
    let failed = mint_text_with(&mut Failing, &keyring(), &project("145"));
    assert_eq!(failed.err(), Some(KeyringError::Rng));
}

#[test]
fn debug_of_a_minted_text_shows_its_id_only() {
    let minted = mint_text_with(&mut Script::of(DRAWN), &keyring(), &project("145")).unwrap();
    let shown = format!("{minted:?}");
    assert_eq!(
        shown,
        format!("MintedText {{ token: PlaintextToken(..), id: TokenId(\"{}\"), digest: Digest(..) }}", minted.id)
    );
}
