//! Checks that the documented minimum Rust version of each feature is the version that the
//! feature's dependencies need.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

type Version = (u64, u64);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn cargo(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO")).args(arguments).args(["--locked", "--offline"]).current_dir(root()).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn version(text: &str) -> Version {
    let mut parts = text.split('.').map(|part| part.parse().expect("a version is numbers"));
    (parts.next().expect("a first number"), parts.next().unwrap_or(0))
}

/// Returns the documented Rust version of each feature, from the rows `| features | … | version |`
/// of a table. The row `none` is for the crate without features.
fn promised(table: &str) -> BTreeMap<String, Version> {
    let mut promised = BTreeMap::new();
    for line in table.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let last = cells.last().expect("a line has cells").split(',').next().expect("a first word");
        if !last.starts_with("1.") {
            continue;
        }
        for feature in cells[0].split(',').map(|name| name.trim().trim_matches(['`', '(', ')'])) {
            assert!(promised.insert(feature.to_owned(), version(last)).is_none(), "{feature} occurs twice");
        }
    }
    promised
}

/// Returns the text between this heading and the next heading.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let after = text.split_once(heading).expect("the heading").1;
    after.split("\n## ").next().expect("a first part")
}

/// Returns, for each feature, the newest Rust version that a dependency needs if only this feature
/// is on. The key `none` is for the crate without features.
fn needed() -> BTreeMap<String, Version> {
    // A new machine has only the crates for its own platform.
    let versions = cargo(&["-vV"]);
    let host = versions.lines().find_map(|line| line.strip_prefix("host: ")).expect("the platform");
    let metadata = cargo(&["metadata", "--format-version", "1", "--all-features", "--filter-platform", host]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let of = |package: &Value| package["rust_version"].as_str().map_or((1, 0), version);
    let versions: BTreeMap<(&str, &str), Version> = packages
        .iter()
        .map(|package| ((package["name"].as_str().unwrap(), package["version"].as_str().unwrap()), of(package)))
        .collect();
    let keyfob = packages.iter().find(|package| package["name"] == "keyfob").unwrap();
    let features = keyfob["features"].as_object().unwrap().keys().map(String::as_str).filter(|name| *name != "default");
    let tree = |feature: &str| {
        let features = if feature == "none" { "" } else { feature };
        let shape = ["-e", "normal,build", "--prefix", "none", "-f", "{p}"];
        let arguments =
            [&["tree", "-p", "keyfob", "--no-default-features", "--features", features], &shape[..]].concat();
        let tree = cargo(&arguments);
        let crates: BTreeSet<(&str, &str)> = tree
            .lines()
            .filter_map(|line| line.split_once(" v"))
            .map(|(name, rest)| (name, rest.split(' ').next().expect("a version")))
            .collect();
        assert!(crates.len() >= 4, "the dependencies were listed: {tree}");
        crates.into_iter().map(|package| versions[&package]).max().expect("there are dependencies")
    };
    features.chain(["none"]).map(|feature| (feature.to_owned(), tree(feature))).collect()
}

#[test]
fn each_feature_states_the_rust_that_its_dependencies_need() {
    let needed = needed();
    let documents = [
        ("RELEASING.md", include_str!("../../RELEASING.md"), "## Minimum supported Rust version"),
        ("README.md", include_str!("../../README.md"), "## Features"),
    ];
    for (name, text, heading) in documents {
        assert_eq!(promised(section(text, heading)), needed, "{name}, and what the dependencies need");
    }
    let package = include_str!("../../Cargo.toml").split_once("[package]").expect("the package").1;
    let of_the_crate = package.split_once("rust-version = \"").expect("its Rust version").1;
    let of_the_crate = version(of_the_crate.split('"').next().expect("a version"));
    assert_eq!(Some(of_the_crate), needed.into_values().min(), "rust-version in Cargo.toml");
}
