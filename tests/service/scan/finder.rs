//! Checks that the finder finds every token completely, wherever the stream is cut into chunks.

use std::io::{self, Read};

use keyfob::{Prefix, leak::FoundToken, text::TokenText};
use proptest::prelude::*;

use crate::scan::streams::{PREFIXES, chunks, finder, fresh, look_alike, sizes, texts, token};

type Place = (u64, String);

fn place(found: &FoundToken) -> Place {
    let (public_part, key) = (found.token.public_part().unwrap(), found.token.key().unwrap());
    assert!(public_part.ends_with(&format!("_{}_{}", key.project, key.id)), "{public_part}");
    (found.position, public_part.to_owned())
}

fn in_chunks(text: &[u8], sizes: &[usize]) -> Vec<Place> {
    let (mut search, mut places) = (finder().search(), Vec::new());
    for chunk in chunks(text, sizes) {
        search.feed(chunk, |found| places.push(place(&found)));
    }
    places
}

/// Finds the tokens without the finder: tries to parse a token at every position, with every
/// length.
fn by_trying(text: &[u8]) -> Vec<Place> {
    let mut places = Vec::new();
    for start in 0..text.len() {
        for end in start + 72..=text.len().min(start + 121) {
            if let Ok(token) = TokenText::parse(&text[start..end])
                && PREFIXES.contains(&token.prefix().as_str())
            {
                places.push((start as u64, token.public_part().to_owned()));
            }
        }
    }
    places
}

proptest! {
    #[test]
    fn it_finds_what_trying_every_place_finds(text in texts(), sizes in sizes()) {
        let mut found = in_chunks(text.as_bytes(), &sizes);
        found.sort();
        prop_assert_eq!(found, by_trying(text.as_bytes()));
    }

    #[test]
    fn the_finder_accepts_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2000), sizes in sizes()) {
        prop_assert_eq!(in_chunks(&bytes, &sizes), []);
    }
}

#[test]
fn a_token_is_found_at_each_of_two_hundred_boundaries() {
    // Each boundary between two chunks is inside a token, or at the beginning or the end of a
    // token.
    let tokens: Vec<String> = (0..200).map(|_| fresh()).collect();
    let (mut text, mut cuts, mut expected) = (String::new(), Vec::new(), Vec::new());
    for (number, token) in tokens.iter().enumerate() {
        text += &format!("line {number}: ");
        expected.push((text.len() as u64, token[..token.rfind('_').unwrap()].to_owned()));
        cuts.push(text.len() + number % (token.len() + 1));
        text += &format!("{token}\n");
    }
    let (mut search, mut places, mut from) = (finder().search(), Vec::new(), 0);
    for cut in cuts.into_iter().chain([text.len()]) {
        search.feed(&text.as_bytes()[from..cut], |found| places.push(place(&found)));
        from = cut;
    }
    assert_eq!(places, expected);
}

#[test]
fn tokens_are_found_with_every_chunk_size() {
    let text = format!("a {} b {}\n{}", fresh(), look_alike("acme", "145", 7), token("k9", "0", 8));
    let expected = by_trying(text.as_bytes());
    assert_eq!(expected.len(), 2);
    for size in 1..=text.len() {
        assert_eq!(in_chunks(text.as_bytes(), &[size]), expected, "{size}");
    }
}

#[test]
fn a_token_is_found_with_any_text_around_it() {
    let token = fresh();
    for (before, behind) in
        [("x", ""), ("acme_pat_", ""), ("", "tail"), ("_", "_"), ("acme_pat_145_", "0"), ("\0", "\u{ff}")]
    {
        let text = format!("{before}{token}{behind}");
        let found = finder().find_in(text.as_bytes());
        assert_eq!(found.len(), 1, "{before} {behind}");
        assert_eq!(found[0].position, before.len() as u64);
    }
    assert_eq!(finder().find_in(format!("{token}{token}").as_bytes()).len(), 2);
}

#[test]
fn prefixes_with_the_same_ending_are_each_found() {
    let prefixes = ["at", "pat", "acme_pat"].map(|prefix| Prefix::new(prefix).unwrap());
    let finder = keyfob::leak::Finder::new(prefixes);
    for prefix in prefixes {
        let text = format!("x {}", token(prefix.as_str(), "145", 5));
        let found = finder.find_in(text.as_bytes());
        assert_eq!(found.len(), 1);
        let public = found[0].token.public_part().unwrap();
        assert_eq!((found[0].position, public), (2, &text[2..text.rfind('_').unwrap()]));
    }
}

#[test]
fn a_text_that_is_no_token_is_not_found() {
    let token = fresh();
    let other_prefix = keyfob::leak::Finder::new([Prefix::new("acme_test").unwrap()]);
    assert_eq!(other_prefix.find_in(token.as_bytes()).len(), 0);
    for text in [
        look_alike("acme_pat", "145", 3),
        token[..token.len() - 1].to_owned(),
        token.replacen('_', "-", 1),
        String::new(),
    ] {
        assert_eq!(finder().find_in(text.as_bytes()).len(), 0);
    }
}

/// A reader that returns a few bytes per call. Every third call fails with `Interrupted`. After the
/// end of the text, all other calls fail with `ConnectionReset`.
struct Halting<'t> {
    text: &'t [u8],
    calls: usize,
}

impl Read for Halting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.calls += 1;
        match self.calls % 3 {
            0 => Err(io::ErrorKind::Interrupted.into()),
            _ if self.text.is_empty() => Err(io::ErrorKind::ConnectionReset.into()),
            _ => {
                let most = buffer.len().min(7);
                self.text.read(&mut buffer[..most])
            }
        }
    }
}

#[test]
fn a_reader_is_read_to_its_end_or_its_error() {
    let text = format!("{} and {}", fresh(), fresh());
    let mut found = Vec::new();
    let read = finder().find_in_reader(text.as_bytes(), |token| found.push(place(&token))).unwrap();
    assert_eq!((read, found.len()), (text.len() as u64, 2));
    let mut found = 0;
    let error = finder().find_in_reader(Halting { text: text.as_bytes(), calls: 0 }, |_| found += 1).unwrap_err();
    assert_eq!((error.kind(), found), (io::ErrorKind::ConnectionReset, 2));
}

#[test]
fn no_part_of_a_secret_is_shown() {
    let text = format!("see {}", fresh());
    let secret = &text[text.rfind('_').unwrap() + 1..];
    let mut search = finder().search();
    search.feed(&text.as_bytes()[..text.len() - 1], |_| unreachable!());
    let found = finder().find_in(text.as_bytes());
    for shown in [format!("{found:?}"), format!("{found:#?}"), format!("{search:?}"), format!("{:?}", finder())] {
        assert!(
            !secret.as_bytes().windows(4).any(|run| shown.as_bytes().windows(4).any(|shown| shown == run)),
            "{shown}"
        );
    }
}
