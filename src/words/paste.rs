//! The characters that are pasted together with a token.

/// The characters that are often pasted together with a token, before or after it. No token that
/// keyfob issues contains any of them.
const AROUND: [&str; 19] = [
    " ", "\t", "\r", "\n", "\"", "'", "`", "<", ">", ",", ";", "\u{a0}", "\u{200b}", "\u{2060}", "\u{feff}",
    "\u{2018}", "\u{2019}", "\u{201c}", "\u{201d}",
];

pub(super) fn trim_paste(text: &[u8]) -> &[u8] {
    trim_end(trim_start(text))
}

pub(super) fn trim_start(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = AROUND.iter().find_map(|around| text.strip_prefix(around.as_bytes())) {
        text = rest;
    }
    text
}

pub(super) fn trim_end(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = AROUND.iter().find_map(|around| text.strip_suffix(around.as_bytes())) {
        text = rest;
    }
    text
}
