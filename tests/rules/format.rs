//! Tests the text of a token against two data files: valid tokens with their digests, and texts
//! that keyfob refuses.

use std::collections::BTreeSet;

use keyfob::{
    Keyring, Name, NewToken, OwnerId, Pepper, PlaintextToken, Policy, Prefix, PresentedToken, ProjectId, Rejection,
    keys::KeyNumber, record::mint_with, text::TokenText,
};

use crate::support::{Script, actor, keyring, now, pepper, prefix};

/// Returns the rows of a data file, without its comments.
fn rows<const N: usize>(data: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    let rows = data.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| line.split('\t').collect::<Vec<_>>().try_into().expect("the row has as many columns as the header"))
}

fn ring(prefix: Prefix, key: &str) -> Keyring {
    let pepper = match key {
        "0" => return Keyring::unkeyed(prefix),
        "1" => pepper(),
        "61" => Pepper::new(b"correct horse battery staple, 33B".to_vec()).unwrap(),
        other => panic!("no key {other}"),
    };
    Keyring::builder(prefix).mint_with(KeyNumber::new(key.parse().unwrap()).unwrap(), pepper).build().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn vectors_are_read() {
    let mut count = 0;
    for [name, key, prefix, token, digest] in rows(include_str!("../data/tokens.tsv")) {
        let ring = ring(Prefix::new(prefix).unwrap(), key);
        let presented = PresentedToken::parse(token, &ring).expect(name);
        let read = ring.digest(&presented.text()).expect(name);
        assert_eq!(hex(read.as_bytes()), digest, "{name}");
        assert_eq!(presented.text().id().key_number().to_string(), key, "{name}");
        assert_eq!(token.parse::<PlaintextToken>().expect(name).expose_secret(), token, "{name}");
        count += 1;
    }
    assert_eq!(count, 6);
}

#[test]
fn vectors_are_made() {
    let mut count = 0;
    for [name, key, prefix, token, digest] in rows(include_str!("../data/tokens.tsv")) {
        let parts = TokenText::parse(token).expect(name);
        // The minting function draws the characters of the id after its key number first, and then
        // the characters of the secret.
        let tail = token.rsplit('_').next().unwrap();
        let mut drawn = Script::of(&format!("{}{}", &parts.id().as_str()[1..], &tail[..33]));
        let ring = ring(Prefix::new(prefix).unwrap(), key);
        let new = NewToken::new(parts.project(), OwnerId::new("ada").unwrap(), Name::new("CI").unwrap());
        let issued = mint_with(&mut drawn, &ring, &Policy::default(), new, &actor(), now()).expect(name);
        assert_eq!(issued.token.expose_secret(), token, "{name}");
        assert_eq!(hex(issued.record.digest.as_bytes()), digest, "{name}");
        count += 1;
    }
    assert_eq!(count, 6);
}

/// Replaces each `\xNN` in the text by the byte with this hexadecimal value.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut parts = text.split("\\x");
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let (byte, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(byte, 16).unwrap());
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

#[test]
fn a_text_that_is_no_token_is_refused_for_its_defect() {
    let mut names = BTreeSet::new();
    for [name, verifier, rejection, text] in rows(include_str!("../data/refused.tsv")) {
        let verifier = match verifier {
            "k0" => Keyring::unkeyed(prefix()),
            "k1" => keyring(),
            "k9" => ring(Prefix::new("k9").unwrap(), "1"),
            "k1k61" => {
                let other = Pepper::new(b"correct horse battery staple, 33B".to_vec()).unwrap();
                let builder = Keyring::builder(prefix()).mint_with(KeyNumber::FIRST, pepper());
                builder.verify_with(KeyNumber::MAX, other).build().unwrap()
            }
            other => panic!("no keyring {other}"),
        };
        let refused = PresentedToken::parse(&unescape(text), &verifier).expect_err(name);
        assert_eq!(refused.as_str(), rejection, "{name}");
        assert!(refused.is_before_store(), "{name}");
        assert!(names.insert(name), "{name} occurs twice");
    }
    assert!(names.len() >= 60, "{}", names.len());
}

#[test]
fn a_byte_outside_ascii_is_found_at_each_place() {
    let refused = |text: &[u8]| PresentedToken::parse(text, &keyring()).unwrap_err();
    for len in 72..=121 {
        let text = vec![0x7f; len];
        assert_eq!(refused(&text), Rejection::Prefix);
        for at in 0..len {
            let mut text = text.clone();
            text[at] = 0x80;
            assert_eq!(refused(&text), Rejection::NotAscii, "byte {at} of {len}");
        }
    }
}

#[test]
fn a_verifier_accepts_every_key_and_prefix_of_its_keyring() {
    let old = ring(prefix(), "1");
    let other = Prefix::new("acme").unwrap();
    let next = || Pepper::new(b"correct horse battery staple, 33B".to_vec()).unwrap();
    let both = Keyring::builder(other)
        .mint_with(KeyNumber::MAX, next())
        .verify_with(KeyNumber::FIRST, pepper())
        .accept_prefix(prefix())
        .build()
        .unwrap();
    let mint = |ring: &Keyring| {
        let new = NewToken::new(ProjectId::new("145").unwrap(), OwnerId::new("ada").unwrap(), Name::new("CI").unwrap());
        keyfob::mint(ring, &Policy::default(), new, &actor(), now()).unwrap()
    };
    let (before, after) = (mint(&old), mint(&both));
    assert!(PresentedToken::parse(before.token.expose_secret(), &both).is_ok());
    assert!(PresentedToken::parse(after.token.expose_secret(), &both).is_ok());
    assert_eq!(after.record.prefix, other);
    assert!(PresentedToken::parse(after.token.expose_secret(), &old).is_err());
}
