//! Fuzzes the parsing of tokens.
//!
//! The library must accept a text if and only if the text matches the grammar of tokens. It must
//! render an accepted text to the same bytes.
#![no_main]

use arbitrary::{Result, Unstructured};
use keyfob::{Keyring, PlaintextToken, PresentedToken, text::TokenText};
use keyfob_fuzz::{KEYED, UNKEYED, expected_tag, is_token, shaped, with_crc, with_tag};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    read(data);
    read(&with_crc(data.to_vec()));
    let _ = near_misses(&mut Unstructured::new(data));
});

/// Checks texts that are tokens or almost tokens.
///
/// The first text has the form of a token, or differs from this form by one edit. The second text
/// is the first text with a correct checksum. The other texts also have the tag that a keyring
/// expects. Each text is also checked after another edit.
fn near_misses(u: &mut Unstructured<'_>) -> Result<()> {
    let (before, after) = (Slip::any(u)?, Slip::any(u)?);
    let text = before.made_in(shaped(u)?);
    let mended = with_crc(text.clone());
    let tagged = [&*KEYED, &UNKEYED].map(|keyring| with_tag(mended.clone(), keyring));
    for text in [text, mended].into_iter().chain(tagged.into_iter().flatten()) {
        read(&text);
        read(&after.made_in(text.clone()));
        // The library checks the checksum before the tag. So it compares an edited tag only if the
        // checksum is right.
        read(&with_crc(after.made_in(text)));
    }
    Ok(())
}

/// Asserts that the library accepts a text if and only if [`is_token`] does, and that it renders an
/// accepted text unchanged.
fn read(text: &[u8]) {
    match TokenText::parse(text) {
        Ok(token) => {
            assert!(is_token(text), "accepted although it does not match the grammar");
            let again: PlaintextToken = str::from_utf8(text).unwrap().parse().unwrap();
            assert_eq!(again.expose_secret().as_bytes(), text);
            assert_eq!(again.public_part(), token.public_part());
            let joined = format!("{}_{}_{}", token.prefix(), token.project(), token.id());
            assert_eq!(joined, token.public_part());
        }
        Err(rejection) => {
            assert!(!is_token(text), "rejected although it matches the grammar: {rejection}");
            assert!(rejection.is_before_store());
        }
    }
    present(text, &KEYED);
    present(text, &UNKEYED);
}

/// Asserts that a keyring accepts a text if and only if the text is a token, the keyring has the
/// prefix and the key of the token, and the tag of the token is right.
fn present(text: &[u8], keyring: &Keyring) {
    let token = TokenText::parse(text).ok().filter(|token| keyring.prefixes().contains(&token.prefix()));
    let tag = token.and_then(|token| expected_tag(&token, keyring));
    let fits = tag.is_some_and(|tag| text[..text.len() - 6].ends_with(&tag));
    match PresentedToken::parse(text, keyring) {
        Ok(presented) => {
            assert!(fits, "accepted with a wrong tag");
            let token = token.unwrap();
            assert_eq!((presented.key().project, presented.key().id), (token.project(), token.id()));
        }
        Err(rejection) => assert!(!fits && rejection.is_before_store(), "rejected with the right tag: {rejection}"),
    }
}

/// An edit that changes a text by one byte, or no edit.
enum Slip {
    None,
    Replace(usize, u8),
    Insert(usize, u8),
    Remove(usize),
}

impl Slip {
    /// Returns an arbitrary edit.
    fn any(u: &mut Unstructured<'_>) -> Result<Self> {
        let (at, byte) = (u.int_in_range(0..=120)?, *u.choose(b"_0Aaz- \0\xc3")?);
        Ok(match u.int_in_range(0..=7)? {
            0 => Self::None,
            1 => Self::Insert(at, byte),
            2 => Self::Remove(at),
            _ => Self::Replace(at, byte),
        })
    }

    /// Makes this edit in the text, and returns the text. Returns the text unchanged if the place
    /// of the edit is beyond the end of the text.
    fn made_in(&self, mut text: Vec<u8>) -> Vec<u8> {
        match *self {
            Self::Replace(at, byte) if at < text.len() => text[at] = byte,
            Self::Insert(at, byte) if at < text.len() => text.insert(at, byte),
            Self::Remove(at) if at < text.len() => drop(text.remove(at)),
            _ => {}
        }
        text
    }
}
