//! Draws the measured figures as SVG pictures. Text and axes have the text colour of the page that
//! contains the picture.

use super::cost::Ratios;
use super::growth::{ACTS, Curves, SIZES, log};
use super::picture::Picture;

/// The colours and the dash patterns of the engines. The colours are visible on light and on dark
/// pages. The patterns are for readers who cannot distinguish the colours.
const LOOKS: [(&str, &str); 4] = [("#3b82c4", "none"), ("#9a6fc4", "9 2 2 2"), ("#d9722e", "7 3"), ("#2f9e6e", "2 3")];

/// Draws a bar chart of the cost: a bar for each ratio, and a stroke at each upper limit.
pub fn cost(engines: &[Ratios]) -> String {
    let (left, wide, high) = (300.0, 330.0, 16.0);
    let rows: Vec<_> = engines
        .iter()
        .enumerate()
        .flat_map(|(at, ratios)| {
            let Ratios { engine, bare, hit } = ratios;
            let bare = (format!("{engine}: verify / bare read"), bare.0, bare.1);
            let hit = (format!("{engine}: through the cache / MemoryStore"), hit.0, hit.1);
            [(at, bare), (at, hit)]
        })
        .collect();
    let most = rows.iter().map(|(_, (_, ratio, _))| *ratio).fold(2.0, f64::max);
    let x = |ratio: f64| left + wide * ratio / most;
    let said: Vec<String> = rows.iter().map(|(_, (what, ratio, _))| format!("{what} {ratio:.2}")).collect();
    let bottom = 34.0 + 24.0 * rows.len() as f64;
    let mut picture = Picture::new(
        "keyfob-cost",
        700,
        bottom as u32 + 24,
        "The time of a verification, divided by the time that it is compared with",
        &format!("The picture shows ratios of medians from one run. {}.", said.join("; ")),
    );
    picture.words((left, 16.0), "start", "ratio (a stroke marks the upper limit)");
    for (row, (at, (what, ratio, at_most))) in rows.iter().enumerate() {
        let y = 28.0 + 24.0 * row as f64;
        picture.words((left - 8.0, y + 12.0), "end", what);
        picture.bar((left, y), x(*ratio) - left, high, LOOKS[at % LOOKS.len()].0);
        picture.words((x(ratio.max(at_most.unwrap_or_default())) + 6.0, y + 12.0), "start", &format!("{ratio:.2}"));
        if let Some(at_most) = at_most {
            picture.line((x(*at_most), y - 3.0), (x(*at_most), y + high + 3.0), "stroke-width=\"2\"");
        }
    }
    picture.line((left, 24.0), (left, bottom), "");
    picture.line((x(1.0), 24.0), (x(1.0), bottom), "stroke-dasharray=\"2 3\" opacity=\"0.6\"");
    picture.words((x(1.0), bottom + 14.0), "middle", "1: the same time");
    picture.done()
}

/// Draws a chart for each operation, with a curve for each engine and one for log n.
pub fn growth(engines: &[Curves]) -> String {
    let (wide, high, top, apart) = (200.0, 180.0, 40.0, 245.0);
    let all = engines.iter().flat_map(|curves| (0..ACTS.len()).flat_map(|act| curves.growth(act)));
    let most = all.fold(log(SIZES[SIZES.len() - 1]), f64::max).ceil();
    let said: Vec<String> = engines
        .iter()
        .flat_map(|curves| {
            let ends = ACTS.iter().enumerate().filter_map(|(act, name)| Some((name, curves.growth(act).last()?)));
            ends.map(|(name, growth)| format!("{}: {name} ×{growth:.2}", curves.engine)).collect::<Vec<_>>()
        })
        .collect();
    let mut picture = Picture::new(
        "keyfob-growth",
        740,
        290,
        "The cost of three operations as the number of tokens grows",
        &format!(
            "The picture shows the cost as a multiple of the cost with 1,000 tokens. A curve ends at the largest number of tokens with which the engine was measured. The curve of log n ends at ×{:.2}. The curves of the engines end at: {}.",
            log(SIZES[SIZES.len() - 1]),
            said.join("; ")
        ),
    );
    let y = |growth: f64| top + high * (1.0 - growth / most);
    for (act, name) in ACTS.into_iter().enumerate() {
        let left = 36.0 + apart * act as f64;
        let x = |at: usize| left + wide * at as f64 / (SIZES.len() - 1) as f64;
        picture.words((left, 18.0), "start", name);
        picture.line((left, top), (left, top + high), "");
        picture.line((left, top + high), (left + wide, top + high), "");
        for tick in 0..=most as u32 {
            picture.line((left - 4.0, y(tick.into())), (left, y(tick.into())), "");
            picture.words((left - 7.0, y(tick.into()) + 4.0), "end", &format!("{tick}"));
        }
        for at in 0..SIZES.len() {
            let words = format!("10<tspan dy=\"-5\" font-size=\"9\">{}</tspan>", at + 3);
            picture.line((x(at), top + high), (x(at), top + high + 4.0), "");
            picture.words((x(at), top + high + 19.0), "middle", &words);
        }
        let points = |growth: &mut dyn Iterator<Item = f64>| -> Vec<(f64, f64)> {
            growth.enumerate().map(|(at, growth)| (x(at), y(growth))).collect()
        };
        picture.curve(&points(&mut SIZES.iter().map(|size| log(*size))), "currentColor", "1 4");
        for (curves, (colour, dash)) in engines.iter().zip(LOOKS) {
            picture.curve(&points(&mut curves.growth(act)), colour, dash);
        }
    }
    let names = engines.iter().map(|curves| curves.engine).zip(LOOKS).chain([("log n", ("currentColor", "1 4"))]);
    for (at, (name, (colour, dash))) in names.enumerate() {
        let (left, y) = (36.0 + 140.0 * at as f64, 272.0);
        picture.curve(&[(left, y - 4.0), (left + 30.0, y - 4.0)], colour, dash);
        picture.words((left + 36.0, y), "start", name);
    }
    picture.done()
}
