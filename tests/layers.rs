//! The layers import one way only, and what a dependant takes in stays small.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// From left to right: a file imports from its own layer and those before it.
const LAYERS: [&str; 4] = ["words", "rules", "service", "adapters"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file: without comments, and without its tests.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The layers that a file reaches: `crate::words::…`, and by items that the crate's root exports, all of them.
fn reached(code: &str) -> Vec<&str> {
    let paths = code.match_indices("crate::").map(|(at, found)| &code[at + found.len()..]);
    paths.map(|path| path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()).collect()
}

fn breach(layer: usize, code: &str) -> Option<String> {
    let allowed = |name: &&str| LAYERS[..=layer].contains(name);
    // A path by `super::super` would leave the layer unseen.
    let unseen = code.contains("super::super::super") || (layer < 2 && code.contains("super::super"));
    let reached = reached(code).into_iter().find(|name| !allowed(name)).map(str::to_owned);
    reached.or(unseen.then(|| "super::super".to_owned()))
}

#[test]
fn a_layer_imports_from_itself_and_the_ones_before_it() {
    for (layer, name) in LAYERS.iter().enumerate() {
        let mut files = Vec::new();
        sources(&root().join("src").join(name), &mut files);
        assert!(!files.is_empty(), "{name}");
        for file in files {
            // Macros name the crate's exported items, since they expand in any layer.
            let text = fs::read_to_string(&file).unwrap().replace("$crate::", "");
            assert_eq!(breach(layer, &code(&text)), None, "{}", file.display());
        }
    }
}

#[test]
fn a_breach_would_be_seen() {
    assert_eq!(breach(0, "use crate::rules::policy::Policy;").as_deref(), Some("rules"));
    assert_eq!(breach(1, "let x = crate::service::store::f();").as_deref(), Some("service"));
    assert_eq!(breach(1, "use crate::Tokens;").as_deref(), Some("Tokens"), "not by the root's exports either");
    assert_eq!(breach(2, "use crate::rules::policy::Policy;"), None);
}

/// Rules and words are told the time and do no I/O.
#[test]
fn rules_read_no_clock_and_do_no_io() {
    for layer in ["words", "rules"] {
        let mut files = Vec::new();
        sources(&root().join("src").join(layer), &mut files);
        for file in files.iter().filter(|file| !file.ends_with("words/clock.rs")) {
            let code = code(&fs::read_to_string(file).unwrap());
            for word in
                ["SystemTime::now", "Instant::now", "SystemClock", "std::fs", "std::net::Tcp", "async ", "println!"]
            {
                assert!(!code.contains(word), "{word} in {}", file.display());
            }
        }
    }
}

#[test]
fn every_source_file_is_in_a_layer() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    for file in files {
        let inner = file.strip_prefix(root().join("src")).unwrap();
        let layer = inner.components().next().unwrap().as_os_str().to_str().unwrap();
        assert!(layer == "lib.rs" || LAYERS.contains(&layer), "{}", inner.display());
    }
}

#[test]
fn the_default_features_bring_at_most_30_crates() {
    let cargo = Command::new(env!("CARGO"))
        .args(["tree", "--edges", "normal", "--prefix", "none", "--package", "keyfob", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let tree = String::from_utf8(cargo.stdout).unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let mut crates: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    crates.sort_unstable();
    crates.dedup();
    assert!(crates.contains(&"sha2"), "the tree was read: {tree}");
    assert!(crates.len() <= 30 + 1, "keyfob and {} others: {crates:?}", crates.len() - 1);
}
