//! Checks the exact text of the scanner rules. To write the text of a format, run `cargo run
//! --example scanner_rules --features scan -- acme_pat --format FORMAT`.

use std::fs;
use std::path::Path;

use keyfob::{Prefix, leak::ScannerFormat};

use crate::scanners::tree::PREFIXES;

#[track_caller]
fn assert_as_in(folder: &str, prefixes: &[&str]) {
    let prefixes: Vec<_> = prefixes.iter().map(|prefix| Prefix::new(prefix).unwrap()).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/scanner_rules").join(folder);
    for format in ScannerFormat::ALL {
        let path = folder.join(format.file_name());
        let expected = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(format.rules(&prefixes), expected, "{}", path.display());
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), ScannerFormat::ALL.len());
}

#[test]
fn of_one_prefix() {
    assert_as_in("one", &PREFIXES[..1]);
}

#[test]
fn of_two_prefixes() {
    assert_as_in("two", &PREFIXES);
}
