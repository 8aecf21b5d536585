//! The rule for characters that may be shown to people: a character must be visible, and must not
//! reorder the text around it.

/// The ranges of characters that show nothing or reorder the text around them, sorted. The ranges
/// cover the general categories Cf (format), Zl and Zp and the property
/// `Default_Ignorable_Code_Point` of Unicode 16.0. They also cover five characters whose Unicode
/// names say that they are blank: U+2800, U+13441, U+13442, U+16FE4 and U+1D159.
#[rustfmt::skip]
const HIDDEN: [(char, char); 29] = [
    ('\u{ad}', '\u{ad}'), ('\u{34f}', '\u{34f}'), ('\u{600}', '\u{605}'), ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'), ('\u{70f}', '\u{70f}'), ('\u{890}', '\u{891}'), ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'), ('\u{17b4}', '\u{17b5}'), ('\u{180b}', '\u{180f}'), ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'), ('\u{2060}', '\u{206f}'), ('\u{2800}', '\u{2800}'), ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'), ('\u{feff}', '\u{feff}'), ('\u{ffa0}', '\u{ffa0}'), ('\u{fff0}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'), ('\u{110cd}', '\u{110cd}'), ('\u{13430}', '\u{1343f}'), ('\u{13441}', '\u{13442}'),
    ('\u{16fe4}', '\u{16fe4}'), ('\u{1bca0}', '\u{1bca3}'), ('\u{1d159}', '\u{1d159}'), ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// The ranges of pictographs that a variation selector may follow, sorted. Up to U+FFFF, the ranges
/// cover the property `Extended_Pictographic` of Unicode 16.0. Above U+FFFF, they cover the blocks
/// of pictographs.
#[rustfmt::skip]
const PICTOGRAPHS: [(char, char); 51] = [
    ('\u{a9}', '\u{a9}'), ('\u{ae}', '\u{ae}'), ('\u{203c}', '\u{203c}'), ('\u{2049}', '\u{2049}'),
    ('\u{2122}', '\u{2122}'), ('\u{2139}', '\u{2139}'), ('\u{2194}', '\u{2199}'), ('\u{21a9}', '\u{21aa}'),
    ('\u{231a}', '\u{231b}'), ('\u{2328}', '\u{2328}'), ('\u{2388}', '\u{2388}'), ('\u{23cf}', '\u{23cf}'),
    ('\u{23e9}', '\u{23f3}'), ('\u{23f8}', '\u{23fa}'), ('\u{24c2}', '\u{24c2}'), ('\u{25aa}', '\u{25ab}'),
    ('\u{25b6}', '\u{25b6}'), ('\u{25c0}', '\u{25c0}'), ('\u{25fb}', '\u{25fe}'), ('\u{2600}', '\u{2605}'),
    ('\u{2607}', '\u{2612}'), ('\u{2614}', '\u{2685}'), ('\u{2690}', '\u{2705}'), ('\u{2708}', '\u{2712}'),
    ('\u{2714}', '\u{2714}'), ('\u{2716}', '\u{2716}'), ('\u{271d}', '\u{271d}'), ('\u{2721}', '\u{2721}'),
    ('\u{2728}', '\u{2728}'), ('\u{2733}', '\u{2734}'), ('\u{2744}', '\u{2744}'), ('\u{2747}', '\u{2747}'),
    ('\u{274c}', '\u{274c}'), ('\u{274e}', '\u{274e}'), ('\u{2753}', '\u{2755}'), ('\u{2757}', '\u{2757}'),
    ('\u{2763}', '\u{2767}'), ('\u{2795}', '\u{2797}'), ('\u{27a1}', '\u{27a1}'), ('\u{27b0}', '\u{27b0}'),
    ('\u{27bf}', '\u{27bf}'), ('\u{2934}', '\u{2935}'), ('\u{2b05}', '\u{2b07}'), ('\u{2b1b}', '\u{2b1c}'),
    ('\u{2b50}', '\u{2b50}'), ('\u{2b55}', '\u{2b55}'), ('\u{3030}', '\u{3030}'), ('\u{303d}', '\u{303d}'),
    ('\u{3297}', '\u{3297}'), ('\u{3299}', '\u{3299}'), ('\u{1f000}', '\u{1faff}'),
];

/// Returns whether a character may be shown to people. Such a character is visible, and does not
/// reorder the text around it.
///
/// Returns false for control characters, fillers, tags, variation selectors, and format characters
/// such as a bidirectional override or a zero-width space. [`Name`](crate::Name) follows the same
/// rule, but also allows the variation selectors of emoji.
///
/// Text that strangers wrote can hold hidden characters. Remove the hidden characters before you
/// redact or show the text. Otherwise a token with a hidden character inside looks whole to a
/// reader, but a redactor does not recognize it.
///
/// ```
/// let written = "https://paste.example/?t=acme_pat\u{200b}_145";
/// let is_shown = |letter: &char| keyfob::record::is_shown(*letter);
/// let shown: String = written.chars().filter(is_shown).collect();
/// assert_eq!(shown, "https://paste.example/?t=acme_pat_145");
/// ```
pub fn is_shown(letter: char) -> bool {
    !letter.is_control() && !is_in(&HIDDEN, letter)
}

/// Returns whether a text is safe to show to people. [`is_shown`] must return true for each
/// character, except for a variation selector directly after a pictograph, or within a keycap such
/// as `1\u{fe0f}\u{20e3}`.
pub(super) fn is_visible(text: &str) -> bool {
    let mut before = None;
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        if !is_shown(letter) && !selects(before, letter, rest.clone().next()) {
            return false;
        }
        before = Some(letter);
    }
    true
}

/// Returns whether `letter` is the variation selector U+FE0E or U+FE0F, and changes how another
/// character looks. This is the case if `before` is a pictograph, or if `before`, `letter` and
/// `after` together are a keycap.
fn selects(before: Option<char>, letter: char, after: Option<char>) -> bool {
    let is_keycap = |before| matches!(before, '0'..='9' | '#' | '*') && after == Some('\u{20e3}');
    matches!(letter, '\u{fe0e}' | '\u{fe0f}')
        && before.is_some_and(|before| is_in(&PICTOGRAPHS, before) || is_keycap(before))
}

fn is_in(table: &[(char, char)], letter: char) -> bool {
    let next = table.partition_point(|(_, last)| *last < letter);
    table.get(next).is_some_and(|(first, _)| *first <= letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        for table in [&HIDDEN[..], &PICTOGRAPHS[..]] {
            assert!(table.iter().all(|(first, last)| first <= last));
            assert!(table.windows(2).all(|two| two[0].1 < two[1].0));
        }
    }

    #[test]
    fn a_character_is_shown_unless_it_is_hidden_or_a_control_character() {
        for shown in ['a', ' ', '模', '\u{301}', '\u{a0}', '\u{1f980}'] {
            assert!(is_shown(shown), "{shown:?}");
        }
        for hidden in ['\0', '\n', '\u{85}', '\u{ad}', '\u{200b}', '\u{202e}', '\u{3164}', '\u{fe0f}', '\u{e0041}'] {
            assert!(!is_shown(hidden), "{hidden:?}");
        }
    }

    #[test]
    fn a_selector_is_visible_only_after_what_it_selects() {
        for emoji in ["\u{2601}\u{fe0f} backup", "\u{1f5a5}\u{fe0f}", "\u{2764}\u{fe0e}", "1\u{fe0f}\u{20e3} prod"] {
            assert!(is_visible(emoji), "{emoji:?}");
        }
        for hidden in
            ["\u{fe0f}", "CI\u{fe0f}", "1\u{fe0f}", "\u{2764}\u{fe0f}\u{fe0f}", "\u{2764}\u{fe0d}", "か\u{fe0f}"]
        {
            assert!(!is_visible(hidden), "{hidden:?}");
        }
    }
}
