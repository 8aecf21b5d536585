//! Generates texts with tokens and look-alikes, and divides texts into chunks. A look-alike is a
//! text in the form of a token, but with an invalid checksum.

use keyfob::{Policy, Prefix, ProjectId, leak::Finder, mint};
use proptest::prelude::*;

use crate::support::{actor, base62, keyring, new_token, now, with_checksum};

/// The prefixes of the tokens in the texts. One of them, `acme_pat`, begins with the prefix `acme`
/// and ends with the prefix `pat`.
pub const PREFIXES: [&str; 4] = ["pat", "acme_pat", "acme", "k9"];

pub fn finder() -> Finder {
    Finder::new(PREFIXES.map(|prefix| Prefix::new(prefix).unwrap()))
}

/// Mints a token with the prefix `acme_pat` and returns its text.
pub fn fresh() -> String {
    let issued = mint(&keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap();
    issued.token.expose_secret().to_owned()
}

/// Returns a text in the form of a token, with a valid checksum. Its id and secret are computed
/// from `number`.
pub fn token(prefix: &str, project: &str, number: u64) -> String {
    assert!(ProjectId::new(project).is_ok());
    let (id, secret) = (base62(number, 15), base62(number.wrapping_mul(0x9E37_79B9_7F4A_7C15), 44));
    with_checksum(&format!("{prefix}_{project}_1{id}_{secret}......"))
}

/// Returns the same text as [`token`], except that its checksum is invalid.
pub fn look_alike(prefix: &str, project: &str, number: u64) -> String {
    let mut text = token(prefix, project, number);
    let last = text.pop().unwrap();
    text.push(if last == '0' { '1' } else { '0' });
    text
}

/// Generates texts from tokens, parts of tokens, and other pieces, so that many parts of a text are
/// almost tokens.
pub fn texts() -> impl Strategy<Value = String> {
    let prefix = || prop::sample::select(&PREFIXES[..]);
    let project =
        || prop::sample::select(&["145", "0", "5f0c6a1e9b7d4c3a8e2f1b0d6c5a4e3f", "cd", "0123456789abcdef"][..]);
    let made = (prefix(), project(), any::<u64>());
    let whole = made.clone().prop_map(|(prefix, project, number)| token(prefix, project, number));
    let wrong = made.prop_map(|(prefix, project, number)| look_alike(prefix, project, number));
    let cut =
        (whole.clone(), any::<prop::sample::Index>()).prop_map(|(text, at)| text[..at.index(text.len())].to_owned());
    let rest =
        (whole.clone(), any::<prop::sample::Index>()).prop_map(|(text, at)| text[at.index(text.len())..].to_owned());
    let between =
        prop::sample::select(&["", "_", " ", "\n", "x", "acme_", "acme_pat_", "…", "=", "0123456789ABCDEF_"][..]);
    let piece = prop_oneof![3 => whole, 1 => wrong, 2 => cut, 1 => rest, 6 => between.prop_map(str::to_owned)];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Generates lists of chunk sizes for [`chunks`].
pub fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1..8usize, 1..200usize], 1..8)
}

/// Divides a text into chunks of the given sizes, in order. After the last size, continues with the
/// first one.
pub fn chunks<'t>(text: &'t [u8], sizes: &[usize]) -> impl Iterator<Item = &'t [u8]> {
    let (mut rest, mut sizes) = (text, sizes.iter().copied().cycle());
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (chunk, others) = rest.split_at(rest.len().min(sizes.next()?));
        rest = others;
        Some(chunk)
    })
}
