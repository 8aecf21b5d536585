//! Tests of names, owners, actors, request ids and cursors: which characters keyfob accepts in
//! them, on every store.

use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyfob::{
    Actor, Invalid, Name, OwnerId,
    error::{InvalidField, InvalidKind},
    record::RequestId,
    store::{Cursor, FoldedName},
};
use proptest::prelude::*;

/// Reads from a data file the ranges of characters that no display text may contain.
fn not_shown() -> Vec<RangeInclusive<u32>> {
    let lines = include_str!("../data/not_shown.tsv").lines().filter(|line| !line.starts_with('#'));
    let number = |text: Option<&str>| u32::from_str_radix(text.unwrap(), 16).unwrap();
    let range = |line: &str| {
        let mut parts = line.split('\t');
        number(parts.next())..=number(parts.next())
    };
    lines.map(range).collect()
}

/// Returns, for each type of display text, the error with which the type refuses `text`, or `None`
/// if it accepts `text`.
fn flaws(text: &str) -> [Option<(InvalidField, InvalidKind)>; 5] {
    fn flaw<T>(made: Result<T, Invalid>) -> Option<(InvalidField, InvalidKind)> {
        made.err().map(|invalid| (invalid.field(), invalid.kind()))
    }
    [
        flaw(Name::new(text)),
        flaw(Actor::new(text)),
        flaw(OwnerId::new(text)),
        flaw(RequestId::new(text)),
        flaw(FoldedName::new(text)),
    ]
}

fn refused(flaw: InvalidKind) -> [Option<(InvalidField, InvalidKind)>; 5] {
    [InvalidField::Name, InvalidField::Actor, InvalidField::OwnerId, InvalidField::RequestId, InvalidField::FoldedName]
        .map(|field| Some((field, flaw)))
}

#[test]
fn a_character_that_is_not_shown_is_refused_and_every_other_is_not() {
    let not_shown = not_shown();
    for letter in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
        let expected = if not_shown.iter().any(|range| range.contains(&u32::from(letter))) {
            refused(InvalidKind::Character)
        } else {
            [None; 5]
        };
        assert_eq!(flaws(&format!("a{letter}b")), expected, "{letter:?}");
    }
}

#[test]
fn a_name_is_seen() {
    for hidden in ["\u{200b}", "\u{202e}", "\u{3164}", "\u{2800}\u{2800}", "\u{fe0f}", "\u{e0041}", "\u{ad}"] {
        assert_eq!(flaws(hidden), refused(InvalidKind::Character), "{hidden:?}");
    }
    for blank in ["", " ", "\u{a0}\u{2003}\u{3000}", "\r\n\t"] {
        assert_eq!(flaws(blank), refused(InvalidKind::Empty), "{blank:?}");
    }
    // A screen shows this text as "CI by root", although its characters are in another order.
    assert_eq!(flaws("CI \u{202e}toor yb"), refused(InvalidKind::Character));
    for seen in ["☁️ backup", "Ünïcode 名 🔑", "مفتاح", "दिल्ली", "e\u{301}", "1️⃣"] {
        assert_eq!(flaws(seen), [None; 5], "{seen:?}");
    }
    // Joiners are invisible format characters, so they are refused too.
    for joined in ["👩\u{200d}💻", "می\u{200c}خواهم"] {
        assert_eq!(flaws(joined), refused(InvalidKind::Character), "{joined:?}");
    }
}

#[test]
fn a_refusal_does_not_repeat_what_was_refused() {
    let error = Name::new("secret\u{202e}").unwrap_err();
    assert_eq!(error.to_string(), "name: a character that is not allowed there");
    assert!(!format!("{error:?}").contains("secret"));
}

#[test]
fn a_cursor_with_a_nul_is_refused_wherever_it_stands() {
    let cursor = |name: &str| URL_SAFE_NO_PAD.encode(format!("1abcdefghijklmnon{name}"));
    assert!(cursor("ci").parse::<Cursor>().is_ok());
    for name in ["\0", "a\0", "\0a", "a\0b", "a\nb"] {
        let error = cursor(name).parse::<Cursor>().unwrap_err();
        assert_eq!((error.field(), error.kind()), (InvalidField::Cursor, InvalidKind::Shape), "{name:?}");
    }
    // This cursor contains a name that an earlier rule accepted. It must still work.
    assert!(cursor("a\u{202e}b").parse::<Cursor>().is_ok());
}

proptest! {
    /// An accepted name is trimmed and has a limited length. It contains no character that the data
    /// file lists, except that U+FE0F may follow the first character.
    #[test]
    fn an_accepted_name_may_be_shown(text in prop_oneof![any::<String>(), "[a\u{2601}\u{fe0f}\u{200b}\u{20e3}1 ]{0,6}"]) {
        let not_shown = not_shown();
        let is_hidden = |letter: char| not_shown.iter().any(|range| range.contains(&u32::from(letter)));
        if let Ok(name) = Name::new(&text) {
            prop_assert_eq!(name.as_str(), text.trim());
            prop_assert!(!name.as_str().is_empty() && name.as_str().chars().count() <= Name::MAX_CHARS);
            let shown = name.as_str().chars().all(|letter| letter == '\u{fe0f}' || !is_hidden(letter));
            prop_assert!(shown && !name.as_str().starts_with('\u{fe0f}'), "{:?}", text);
        } else {
            let trimmed = text.trim();
            let too_long = trimmed.chars().count() > Name::MAX_CHARS;
            prop_assert!(trimmed.is_empty() || too_long || trimmed.chars().any(is_hidden));
        }
    }
}
