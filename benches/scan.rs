//! Benchmark of the module `leak`: how fast it finds and redacts tokens.
//!
//! The benchmark compares finding tokens with a `memmem` search for their prefix. It compares
//! redacting tokens with writing the same bytes without redaction. For each comparison, it prints
//! the ratio of the two speeds, which are measured in the same run.
//!
//! ```sh
//! cargo bench --bench scan --features scan
//! ```

use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use keyfob::{
    Actor, Keyring, Name, NewToken, OwnerId, Pepper, Policy, Prefix, ProjectId, Timestamp,
    leak::{Finder, Redactor},
    mint,
};
use memchr::memmem;

/// The number of times that the benchmark measures an operation. It is odd, so that one of the
/// measured times is the median.
const ROUNDS: usize = 7;
/// The number of bytes in 1 GiB.
const GIB: usize = 1 << 30;
/// The number of lines that the benchmark redacts.
const LINES: usize = 10_000_000;

/// Returns the text of a service's log with `lines` lines. If `tokens` is true, every hundredth
/// line contains a token.
fn log(lines: usize, tokens: bool) -> String {
    let keyring = Keyring::new(Prefix::new("acme_pat").unwrap(), Pepper::generate().unwrap());
    let (project, actor) = (ProjectId::new("145").unwrap(), Actor::new("ada").unwrap());
    let mut text = String::with_capacity(lines * 110);
    for number in 0..lines {
        let (millis, path) = (number % 1000, number % 37);
        text += &format!("2026-11-23T12:00:00.{millis:03}Z INFO http: GET /projects/{path}/repo by ");
        if tokens && number % 100 == 99 {
            let new = NewToken::new(project, OwnerId::new("ada").unwrap(), Name::new("CI").unwrap());
            let issued = mint(&keyring, &Policy::default(), new, &actor, Timestamp::UNIX_EPOCH).unwrap();
            text += issued.token.expose_secret();
        } else {
            text += &format!("user-{number:08}");
        }
        text += &format!(" answered 200 in {millis} µs\n");
    }
    text
}

/// Measures an operation and its floor, the work that the operation is compared with. Measures them
/// in turns, [`ROUNDS`] times each, and returns the median time of each.
fn by_turns(mut act: impl FnMut(), mut floor: impl FnMut()) -> (Duration, Duration) {
    let time = |act: &mut dyn FnMut()| {
        let began = Instant::now();
        act();
        began.elapsed()
    };
    let (mut acts, mut floors) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        if round % 2 == 0 {
            acts.push(time(&mut act));
            floors.push(time(&mut floor));
        } else {
            floors.push(time(&mut floor));
            acts.push(time(&mut act));
        }
    }
    acts.sort();
    floors.sort();
    (acts[ROUNDS / 2], floors[ROUNDS / 2])
}

fn tell(what: &str, beside: &str, bytes: usize, (act, floor): (Duration, Duration), at_least: f64) {
    let rate = |time: Duration| bytes as f64 / time.as_secs_f64() / 1e9;
    let speed = floor.as_secs_f64() / act.as_secs_f64();
    println!(
        "{what}: {:.2} GB/s; {beside}: {:.2} GB/s; ratio {speed:.2} (at least {at_least})",
        rate(act),
        rate(floor)
    );
}

fn find(finder: &Finder) {
    let block = log(100_000, false);
    let text = block.repeat(GIB.div_ceil(block.len()));
    let text = &text.as_bytes()[..GIB];
    let prefix = memmem::Finder::new("acme_pat_");
    let found = || assert_eq!(black_box(finder.find_in(text)).len(), 0);
    let searched = || assert_eq!(black_box(prefix.find_iter(text).count()), 0);
    tell("finding tokens in 1 GiB of log without tokens", "memmem for the prefix", GIB, by_turns(found, searched), 0.5);
}

/// Measures the speed of redaction for two kinds of writes: single lines, as a logger writes them,
/// and blocks of 64 KiB, as a pipe delivers them.
fn redact(finder: &Finder) {
    let block = log(100_000, true);
    let lines: Vec<&[u8]> = block.split_inclusive('\n').map(str::as_bytes).collect();
    let blocks: Vec<&[u8]> = block.as_bytes().chunks(64 * 1024).collect();
    // The redactor writes to a real file, because writing to /dev/null would cost nothing.
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scan.log");
    let file = || BufWriter::new(File::create(&path).unwrap());
    for (how, pieces) in [("lines", &lines), ("blocks of 64 KiB", &blocks)] {
        let write = |mut writer: Box<dyn Write>| {
            for _ in 0..LINES / lines.len() {
                for piece in pieces {
                    writer.write_all(piece).unwrap();
                }
            }
            writer.flush().unwrap();
        };
        let bytes = block.len() * (LINES / lines.len());
        let times = by_turns(|| write(Box::new(Redactor::new(finder, file()))), || write(Box::new(file())));
        tell(
            &format!("redacting 10,000,000 lines, written as {how}"),
            "the same writer without redaction",
            bytes,
            times,
            0.3,
        );
    }
    std::fs::remove_file(path).unwrap();
}

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("skipped: this benchmark takes a minute (run it with cargo bench --bench scan --features scan)");
        return;
    }
    let finder = Finder::new([Prefix::new("acme_pat").unwrap()]);
    find(&finder);
    redact(&finder);
}
