//! Draws the ratios of keyfob and its peers.

use crate::peers::{CASES, Ratios};
use crate::picture::Picture;

/// The colours of keyfob and of its peers. They are visible on light and on dark pages.
const COLOURS: [&str; 2] = ["#d9722e", "#3b82c4"];
/// The greatest ratio whose bar is drawn in full.
const MOST: f64 = 9.0;
const HIGH: f64 = 13.0;
const APART: f64 = 17.0;

/// Draws a bar chart: a group for each kind of text, and in each group a bar for each peer.
pub fn peers(ratios: &Ratios) -> String {
    let (left, wide) = (160.0, 380.0);
    let x = |ratio: f64| left + wide * ratio.min(MOST) / MOST;
    let group = APART * (ratios.len() as f64 + 1.8);
    let bottom = 30.0 + group * CASES.len() as f64;
    let said = |at: usize| {
        let each: Vec<String> = ratios.iter().map(|(peer, ratios)| format!("{peer} {}", figure(ratios[at]))).collect();
        format!("{}: {}.", TITLES[at], each.join(", "))
    };
    let mut picture = Picture::new(
        "keyfob-peers",
        700,
        bottom as u32 + 8,
        "The time of a verification, divided by the time of one HMAC",
        &(0..CASES.len()).map(said).collect::<Vec<_>>().join(" "),
    );
    picture.words((left, 16.0), "start", "time, as a multiple of one HMAC-SHA-256 (dashed)");
    for (at, title) in TITLES.into_iter().enumerate() {
        let top = 30.0 + group * at as f64;
        picture.words((left, top + 11.0), "start", title);
        for (row, (peer, ratios)) in ratios.iter().enumerate() {
            let (y, ratio) = (top + APART * (row as f64 + 1.0), ratios[at]);
            let colour = COLOURS[usize::from(!peer.starts_with("keyfob"))];
            picture.words((left - 8.0, y + 11.0), "end", peer);
            picture.bar((left, y), x(ratio) - left, HIGH, colour);
            picture.words((x(ratio) + 6.0, y + 11.0), "start", &figure(ratio));
        }
        let end = top + APART * (ratios.len() as f64 + 1.0);
        picture.line((left, top + APART - 2.0), (left, end), "");
        picture.line((x(1.0), top + APART - 2.0), (x(1.0), end), "stroke-dasharray=\"2 3\" opacity=\"0.6\"");
    }
    picture.done()
}

/// The titles of the groups, in the order of [`CASES`].
const TITLES: [&str; 4] = ["a valid token", "a token with a typo", "garbage", "a forged token"];

fn figure(ratio: f64) -> String {
    if ratio > MOST { format!("{ratio:.0} (bar cut off)") } else { format!("{ratio:.2}") }
}
