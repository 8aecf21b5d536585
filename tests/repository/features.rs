//! Checks the levels of the crate: what each level compiles, and that the documents say so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Returns the names of the crates that cargo compiles for keyfob with only this feature, keyfob
/// included. `none` means no feature. Two versions of a crate count as two crates.
fn crates(feature: &str) -> BTreeSet<String> {
    let feature = if feature == "none" { "" } else { feature };
    let shape = ["--edges", "normal,build", "--prefix", "none", "--format", "{p}", "--locked", "--offline"];
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--package", "keyfob", "--no-default-features", "--features", feature]).args(shape);
    let output = cargo.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let packages = tree.lines().filter(|line| !line.is_empty());
    packages.map(|line| line.split(" (").next().expect("a first part").to_owned()).collect()
}

fn has(crates: &BTreeSet<String>, name: &str) -> bool {
    crates.iter().any(|package| package.split(' ').next() == Some(name))
}

/// Returns the features of the crate, and `none`.
fn features() -> BTreeSet<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let section = manifest.split_once("[features]\n").expect("the features").1;
    let section = section.split("\n[").next().expect("a first part");
    let names = section.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned());
    names.filter(|name| name != "default").chain(["none".to_owned()]).collect()
}

/// Returns the number of crates that a table states for each feature. `feature` and `crates` are
/// the columns of the feature and of the number.
fn stated(text: &str, feature: usize, crates: usize) -> BTreeMap<String, usize> {
    let mut stated = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let Some(Ok(number)) = cells.get(crates).map(|cell| cell.parse()) else { continue };
        assert!(stated.insert(cells[feature].trim_matches('`').to_owned(), number).is_none(), "{line}: a second row");
    }
    stated
}

fn counted(features: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    features.into_iter().map(|feature| (feature.clone(), crates(&feature).len())).collect()
}

#[test]
fn a_client_that_parses_tokens_compiles_at_most_four_crates() {
    let text = crates("none");
    assert!(has(&text, "keyfob") && has(&text, "crc32fast"), "{text:?}");
    assert!(text.len() <= 4, "{text:?}");
}

#[test]
fn a_level_needs_nothing_of_a_higher_level() {
    let (mac, rules) = (crates("mac"), crates("rules"));
    assert!(has(&mac, "sha2") && has(&rules, "time"), "{mac:?} {rules:?}");
    for none in ["time", "getrandom", "serde_core", "tokio"] {
        assert!(!has(&mac, none), "the level of the MAC needs {none}");
    }
    for none in ["getrandom", "serde_core", "tokio"] {
        assert!(!has(&rules, none), "the level of the rules needs {none}");
    }
}

#[test]
fn the_documents_state_how_many_crates_a_level_needs() {
    let levels = ["none", "mac", "rules", "service"].map(str::to_owned);
    let needed = counted(levels);
    for document in ["README.md", "src/guide/front.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        let table = text.split_once("# Which level\n").expect("the heading").1;
        let table = table.split("\n#").next().expect("a first part");
        assert_eq!(stated(table, 2, 3), needed, "{document}, and what the levels need");
    }
    assert_eq!(crates("os-rng").len(), needed["mac"] + 2, "README.md says that os-rng adds two crates");
}

/// The table of levels comes before every other table.
#[test]
fn the_first_table_of_the_docs_is_that_of_the_levels() {
    for document in ["README.md", "src/guide/front.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        let first = text.lines().find(|line| line.starts_with('|')).expect("a table");
        assert!(first.starts_with("| level |"), "{document}: {first}");
    }
}

/// `bash tests/features/run.sh` writes this table.
#[test]
fn each_feature_states_how_many_crates_it_needs() {
    let table = fs::read_to_string(root().join("src/guide/design/features.md")).unwrap();
    assert_eq!(stated(&table, 0, 1), counted(features()), "src/guide/design/features.md, and what the features need");
}

#[test]
fn a_store_that_finds_tokens_by_a_hash_has_at_most_15_lines() {
    let example = fs::read_to_string(root().join("examples/hash_index.rs")).unwrap();
    let store = example.split_once("// The store begins here.").expect("the first marker").1;
    let store = store.split_once("// The store ends here.").expect("the second marker").0;
    let lines: Vec<&str> = store.lines().skip(1).filter(|line| !line.trim().starts_with("//")).collect();
    for name in ["fn insert(", "fn user(", "fn remove("] {
        assert!(store.contains(name), "the store has no {name}");
    }
    assert!(lines.len() <= 15, "{} lines:\n{}", lines.len(), lines.join("\n"));
}
