//! Checks that the finder and the redactor report nothing in texts without tokens. The texts are
//! the sources of crates on this machine, and Python's standard library.

use std::fs::{self, File};
use std::io::{self, Read, Sink, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use keyfob::{
    leak::{Redactor, StreamFinder},
    text::TokenText,
};

use crate::scan::streams::{finder, fresh, token};

fn files(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        // The sources of keyfob contain example tokens, so the search skips a copy of keyfob from
        // the registry.
        let is_own = entry.file_name().as_encoded_bytes().starts_with(b"keyfob-");
        if kind.is_dir() && !is_own {
            files(&entry.path(), all);
        } else if kind.is_file() {
            all.push(entry.path());
        }
    }
}

/// The searches, the number of files and bytes that they have read, and the number of hits.
struct Look {
    files: usize,
    bytes: u64,
    search: StreamFinder,
    redactor: Redactor<Sink>,
    found: u64,
    /// The number of tokens with any prefix, including prefixes that the finder does not search
    /// for.
    any: u64,
}

impl Look {
    fn new() -> Self {
        let redactor = Redactor::new(&finder(), io::sink());
        Self { files: 0, bytes: 0, search: finder().search(), redactor, found: 0, any: 0 }
    }

    fn through(folder: &Path) -> Self {
        let (mut all, mut look, mut text) = (Vec::new(), Self::new(), Vec::new());
        files(folder, &mut all);
        for file in all {
            text.clear();
            File::open(file).unwrap().read_to_end(&mut text).unwrap();
            text.push(b'\n');
            look.at(&text);
        }
        look
    }

    fn at(&mut self, text: &[u8]) {
        self.files += 1;
        self.bytes += text.len() as u64;
        self.search.feed(text, |_| self.found += 1);
        self.redactor.write_all(text).unwrap();
        self.any += memchr::memchr_iter(b'_', text).filter(|at| is_before_a_tail(text, *at)).count() as u64;
    }

    /// Returns the number of hits of the finder, of the redactor, and of a search for tokens with
    /// any prefix.
    fn hits(&self) -> [u64; 3] {
        [self.found, self.redactor.caught(), self.any]
    }
}

/// Returns whether the `_` at this position is the last `_` of a token.
fn is_before_a_tail(text: &[u8], at: usize) -> bool {
    let may_be = at >= 17 && text[at - 17] == b'_' && text.len() > at + 50;
    may_be && (at.saturating_sub(70)..at - 17).any(|start| TokenText::parse(&text[start..at + 51]).is_ok())
}

#[track_caller]
fn is_quiet(folder: Option<PathBuf>, what: &str, at_least: u64) {
    let Some(folder) = folder.filter(|folder| folder.is_dir()) else {
        test_summary::missing(&format!("there is no {what}"));
        return;
    };
    let look = Look::through(&folder);
    println!("{what}: {} files, {} bytes, hits {:?}", look.files, look.bytes, look.hits());
    assert_eq!(look.hits(), [0, 0, 0]);
    assert!(look.bytes > at_least, "only {} bytes were searched", look.bytes);
}

/// Searches all crate sources that cargo has unpacked on this machine.
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
fn the_search_of_these_files_can_find_a_token() {
    let mut look = Look::new();
    look.at(format!("key = \"{}\"\n", fresh()).as_bytes());
    look.at(format!("key = \"{}\"\n", token("another", "145", 1)).as_bytes());
    assert_eq!(look.hits(), [1, 1, 2]);
}
