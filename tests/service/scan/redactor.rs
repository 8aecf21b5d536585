//! Checks that the redactor removes every tail of a token and passes on everything else, for all
//! sizes of writes and all behaviours of its writer. The tail of a token is the part after the last
//! `_`. The head is the part before the tail, including this `_`.

use std::collections::BTreeSet;
use std::io::{self, Write};

use keyfob::leak::Redactor;
use proptest::prelude::*;

use crate::scan::streams::{PREFIXES, chunks, finder, fresh, look_alike, sizes, texts};

/// Returns for each byte whether it belongs to a tail, and returns the number of tails. A tail is a
/// run of at most fifty base62 characters directly after a head.
fn tails(text: &[u8]) -> (Vec<bool>, u64) {
    let (mut masked, mut tails) = (vec![false; text.len()], BTreeSet::new());
    for start in 0..text.len() {
        for prefix in PREFIXES {
            let Some(tail) = head(&text[start..], prefix).map(|head| start + head) else { continue };
            let tail = text[tail..]
                .iter()
                .take(50)
                .take_while(|byte| byte.is_ascii_alphanumeric())
                .count()
                .checked_sub(1)
                .map(|last| tail..=tail + last);
            if let Some(tail) = tail {
                tails.insert(*tail.start());
                masked[tail].fill(true);
            }
        }
    }
    (masked, tails.len() as u64)
}

/// Returns the length of the head of a token at the beginning of `text`. A head consists of the
/// prefix, a project and an id, each followed by `_`. Returns `None` if `text` does not begin with
/// a head.
fn head(text: &[u8], prefix: &str) -> Option<usize> {
    let rest = text.strip_prefix(prefix.as_bytes())?.strip_prefix(b"_")?;
    let mut parts = rest.split(|byte| *byte == b'_');
    let (project, id, _) = (parts.next()?, parts.next()?, parts.next()?);
    let fits = (1..=32).contains(&project.len())
        && project.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
        && id.len() == 16
        && id.iter().all(u8::is_ascii_alphanumeric);
    fits.then_some(prefix.len() + 1 + project.len() + 1 + id.len() + 1)
}

fn redacted(text: &[u8]) -> (Vec<u8>, u64) {
    let (masked, count) = tails(text);
    let mut out = Vec::new();
    for (at, byte) in text.iter().enumerate() {
        match masked[at] {
            false => out.push(*byte),
            true if at == 0 || !masked[at - 1] => out.extend("…".as_bytes()),
            true => {}
        }
    }
    (out, count)
}

/// A writer that takes only a few bytes in each call. Each call divides the next of the given sizes
/// by 5. If the remainder is 0 or 1, the call fails. Otherwise the call takes at most as many bytes
/// as the remainder.
struct Meagre<'s> {
    out: Vec<u8>,
    sizes: std::iter::Cycle<std::slice::Iter<'s, usize>>,
}

impl Write for Meagre<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match *self.sizes.next().unwrap() % 5 {
            0 => Err(io::ErrorKind::Interrupted.into()),
            1 => Err(io::ErrorKind::WouldBlock.into()),
            most => self.out.write(&bytes[..bytes.len().min(most)]),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn again<T>(mut attempt: impl FnMut() -> io::Result<T>) -> T {
    loop {
        match attempt() {
            Ok(done) => return done,
            Err(error) => assert!(matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)),
        }
    }
}

proptest! {
    #[test]
    fn tails_are_replaced_and_nothing_else(text in texts(), sizes in sizes()) {
        let mut redactor = Redactor::new(&finder(), Vec::new());
        for chunk in chunks(text.as_bytes(), &sizes) {
            redactor.write_all(chunk).unwrap();
        }
        let caught = redactor.caught();
        prop_assert_eq!((redactor.into_inner(), caught), redacted(text.as_bytes()));
    }

    #[test]
    fn a_slow_and_failing_writer_makes_no_difference(text in texts(), sizes in sizes(), taken in sizes()) {
        let taken: Vec<usize> = taken.into_iter().chain([2, 3]).collect();
        let mut redactor = Redactor::new(&finder(), Meagre { out: Vec::new(), sizes: taken.iter().cycle() });
        for chunk in chunks(text.as_bytes(), &sizes) {
            let mut rest = chunk;
            while !rest.is_empty() {
                let written = again(|| redactor.write(rest));
                rest = &rest[written..];
            }
        }
        again(|| redactor.flush());
        prop_assert_eq!(redactor.into_inner().out, redacted(text.as_bytes()).0);
    }
}

#[test]
fn the_tail_of_an_altered_token_is_redacted_too() {
    let token = fresh();
    let public = &token[..token.rfind('_').unwrap()];
    let wrong = look_alike("acme_pat", "145", 1);
    let wrong_public = &wrong[..wrong.rfind('_').unwrap()];
    let cases = [
        (token.clone(), format!("{public}_…"), 1),
        (wrong.clone(), format!("{wrong_public}_…"), 1),
        (token[..token.len() - 49].to_owned(), format!("{public}_…"), 1),
        (token[..token.len() - 50].to_owned(), format!("{public}_"), 0),
        (format!("{}\" cut", &token[..token.len() - 20]), format!("{public}_…\" cut"), 1),
        (format!("{token}tail"), format!("{public}_…tail"), 1),
        // A token follows directly after a head, so the redactor also takes the beginning of the
        // token as a tail.
        (format!("{public}_{token}"), format!("{public}_…{}_…", &public["acme".len()..]), 2),
    ];
    for (text, expected, caught) in cases {
        let mut redactor = Redactor::new(&finder(), Vec::new());
        redactor.write_all(text.as_bytes()).unwrap();
        assert_eq!(redactor.caught(), caught, "{expected}");
        assert_eq!(String::from_utf8(redactor.into_inner()).unwrap(), expected);
    }
}

/// The redactor searches a long write in steps of a limited length. A token can extend across the
/// end of a step.
#[test]
fn a_token_is_caught_wherever_it_lies_in_one_long_write() {
    let token = fresh();
    for before in (32 * 1024 - token.len()..=32 * 1024).step_by(3) {
        let text = [&vec![b'.'; before][..], token.as_bytes(), b" behind"].concat();
        let mut redactor = Redactor::new(&finder(), Vec::new());
        redactor.write_all(&text).unwrap();
        assert_eq!(redactor.into_inner(), redacted(&text).0, "{before}");
        assert_eq!(finder().find_in(&text)[0].position, before as u64);
    }
}

/// A writer that refuses every write that begins with a space.
struct Choosy(Vec<u8>);

impl Write for Choosy {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.starts_with(b" ") { Err(io::ErrorKind::WouldBlock.into()) } else { self.0.write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// If the writer refuses some bytes, they are not part of the stream. So the next bytes can still
/// belong to the tail.
#[test]
fn a_tail_is_redacted_after_a_refused_write() {
    let token = fresh();
    let (head, tail) = token.split_at(token.rfind('_').unwrap() + 1);
    let mut redactor = Redactor::new(&finder(), Choosy(Vec::new()));
    redactor.write_all(head.as_bytes()).unwrap();
    assert!(redactor.write(b" ").is_err());
    redactor.write_all(tail.as_bytes()).unwrap();
    assert_eq!(redactor.into_inner().0, format!("{head}…").as_bytes());
}

/// A writer that expects the same text again and again, and panics at the first difference.
struct Expecting<'e> {
    expected: &'e [u8],
    at: usize,
    written: u64,
}

impl Write for Expecting<'_> {
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<usize> {
        let all = bytes.len();
        while !bytes.is_empty() {
            let now = bytes.len().min(self.expected.len() - self.at);
            assert!(bytes[..now] == self.expected[self.at..self.at + now], "after {} bytes", self.written);
            self.at = (self.at + now) % self.expected.len();
            self.written += now as u64;
            bytes = &bytes[now..];
        }
        Ok(all)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns a log with this number of lines. Every hundredth line contains a token.
pub fn log(lines: usize) -> String {
    let line = |number: usize| {
        let (millis, project) = (number % 1000, number % 37);
        let who = if number % 100 == 99 { fresh() } else { format!("user-{number:08}") };
        format!(
            "2026-11-23T12:00:00.{millis:03}Z INFO http: GET /projects/{project}/repo by {who} answered 200 in {millis} µs\n"
        )
    };
    (0..lines).map(line).collect()
}

#[test]
fn ten_million_lines_with_a_token_in_each_hundredth() {
    const BLOCK: usize = 10_000;
    const BLOCKS: usize = 1000;
    let block = log(BLOCK);
    let (expected, caught) = redacted(block.as_bytes());
    assert_eq!(caught, BLOCK as u64 / 100);
    let mut redactor = Redactor::new(&finder(), Expecting { expected: &expected, at: 0, written: 0 });
    // A linear congruential generator gives the same sizes in each run.
    let mut random = 1u64;
    for _ in 0..BLOCKS {
        let mut rest = block.as_bytes();
        while !rest.is_empty() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let size = 1 + (random >> 33) as usize % 4096;
            let (now, later) = rest.split_at(rest.len().min(size));
            redactor.write_all(now).unwrap();
            rest = later;
        }
    }
    redactor.flush().unwrap();
    assert_eq!(redactor.caught(), (BLOCK * BLOCKS / 100) as u64);
    let Expecting { at, written, .. } = redactor.into_inner();
    assert_eq!((at, written), (0, (expected.len() * BLOCKS) as u64));
}
