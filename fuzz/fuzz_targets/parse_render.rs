//! A text is accepted exactly when it is of the grammar, and is then rendered to the same bytes.
#![no_main]

use arbitrary::Unstructured;
use keyfob::{Keyring, PlaintextToken, PresentedToken, TokenText};
use keyfob_fuzz::{KEYED, UNKEYED, expected_tag, is_token, shaped, with_crc, with_tag};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    read(data);
    // The same text past its checksum, a text of the right shape, and each of them past the tag.
    let shaped = shaped(&mut Unstructured::new(data)).unwrap_or_default();
    for text in [with_crc(data.to_vec()), with_crc(shaped)] {
        read(&text);
        for keyring in [&*KEYED, &UNKEYED] {
            if let Some(text) = with_tag(text.clone(), keyring) {
                read(&text);
                present(&text, keyring);
            }
        }
    }
});

fn read(text: &[u8]) {
    match TokenText::parse(text) {
        Ok(token) => {
            assert!(is_token(text), "accepted outside the grammar");
            let again: PlaintextToken = str::from_utf8(text).unwrap().parse().unwrap();
            assert_eq!(again.expose_secret().as_bytes(), text);
            assert_eq!(again.public_part(), token.public_part());
            let joined = format!("{}_{}_{}", token.prefix(), token.project(), token.id());
            assert_eq!(joined, token.public_part());
        }
        Err(rejection) => {
            assert!(!is_token(text), "refused within the grammar: {rejection}");
            assert!(rejection.is_before_store());
        }
    }
    present(text, &KEYED);
    present(text, &UNKEYED);
}

/// Accepted exactly when it is a token of a prefix and a key of the ring, with the right tag.
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
        Err(rejection) => assert!(!fits && rejection.is_before_store(), "refused with the right tag: {rejection}"),
    }
}
