//! What nobody leaked is not found: the sources of this machine's crates and of its Python library hold nothing of a token's
//! shape, of whatever prefix.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use keyfob::{Redactor, TokenText};

use crate::streams::{finder, fresh};

/// Counts what is written to it.
struct Counting(u64);

impl io::Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn files(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files(&entry.path(), all);
        } else if kind.is_file() {
            all.push(entry.path());
        }
    }
}

#[derive(Default)]
struct Seen {
    files: usize,
    bytes: u64,
    /// By the finder, by the redactor, and by parsing each word, whatever its prefix.
    hits: [u64; 3],
}

fn look_through(folder: &Path) -> Seen {
    let (mut all, mut seen) = (Vec::new(), Seen::default());
    files(folder, &mut all);
    let mut text = Vec::new();
    for file in all {
        text.clear();
        File::open(file).unwrap().read_to_end(&mut text).unwrap();
        look_at(&text, &mut seen);
    }
    seen
}

fn look_at(text: &[u8], seen: &mut Seen) {
    seen.files += 1;
    seen.bytes += finder().find_in_reader(text, |_| seen.hits[0] += 1).unwrap();
    let mut redactor = Redactor::new(&finder(), Counting(0));
    io::copy(&mut &*text, &mut redactor).unwrap();
    seen.hits[1] += redactor.caught();
    let words = text.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
    seen.hits[2] += words.filter(|word| TokenText::parse(word).is_ok()).count() as u64;
}

#[track_caller]
fn is_quiet(folder: Option<PathBuf>, what: &str, at_least: u64) {
    let Some(folder) = folder.filter(|folder| folder.is_dir()) else {
        assert!(std::env::var_os("CI").is_none(), "there is no {what}");
        println!("skipped: there is no {what}");
        return;
    };
    let seen = look_through(&folder);
    println!("{what}: {} files, {} bytes, hits {:?}", seen.files, seen.bytes, seen.hits);
    assert_eq!(seen.hits, [0, 0, 0]);
    assert!(seen.bytes > at_least, "{} bytes are not all of it", seen.bytes);
}

/// What cargo has unpacked for this build and others.
#[test]
fn the_sources_of_crates() {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    is_quiet(home.map(|home| home.join("registry/src")), "sources of crates", 50_000_000);
}

#[test]
fn the_library_of_python() {
    let asked = Command::new("python3").args(["-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"]).output();
    let folder = asked.ok().and_then(|said| String::from_utf8(said.stdout).ok());
    is_quiet(folder.map(|folder| PathBuf::from(folder.trim())), "library of Python", 10_000_000);
}

#[test]
fn a_token_would_be_seen() {
    let mut seen = Seen::default();
    look_at(format!("key = \"{}\"", fresh()).as_bytes(), &mut seen);
    assert_eq!(seen.hits, [1, 1, 1]);
}
