//! Checks the size of the public API: how much a newcomer has to read.

use std::collections::BTreeSet;

/// The list of the public API, with one item on each line. `.ci/run` checks that the list matches
/// the code.
const LISTING: &str = include_str!("../public-api/keyfob.txt");

/// Returns the kind of the item that a line of the list declares, and the item's path without
/// parameters. Returns `None` if the line declares no item.
fn declared(line: &'static str) -> Option<(&'static str, &'static str)> {
    // Attributes may come before the item.
    let (before, item) = line.split_once("pub ")?;
    let item = item.strip_prefix("const ").unwrap_or(item);
    let (what, rest) = item.split_once(' ')?;
    let path = rest.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).next()?;
    let is_item = ["struct", "enum", "trait", "fn", "type", "static", "macro", "union"].contains(&what);
    (is_item && (before.is_empty() || before.starts_with("#["))).then_some((what, path.trim_end_matches(':')))
}

/// Returns the names that the root of the crate exports, except the names of modules.
fn root_names() -> BTreeSet<&'static str> {
    let names = LISTING.lines().filter_map(|line| declared(line)?.1.strip_prefix("keyfob::"));
    names.filter(|name| !name.contains("::")).collect()
}

fn errors() -> Vec<&'static str> {
    LISTING.lines().filter_map(|line| line.strip_prefix("impl core::error::Error for ")).collect()
}

#[test]
fn the_root_has_at_most_40_names() {
    let names = root_names();
    for known in ["Tokens", "TokenStore", "NewToken", "Error", "ErrorKind", "mint", "check"] {
        assert!(names.contains(known), "{known} was not found in the listing: {names:?}");
    }
    assert!(names.len() <= 40, "{} names: {names:?}", names.len());
}

#[test]
fn at_most_8_types_are_errors() {
    let errors = errors();
    assert!(errors.contains(&"keyfob::Error"), "{errors:?}");
    assert!(errors.len() <= 8, "{} errors: {errors:?}", errors.len());
}

#[test]
fn the_service_has_one_type_parameter() {
    assert!(
        LISTING.lines().any(|line| line == "pub struct keyfob::Tokens<S>"),
        "the listing has another declaration of Tokens"
    );
}

/// The items of the modules for web frameworks. Each framework has its own item with such a name,
/// and a service uses one framework.
const IN_EACH_FRAMEWORK: [&str; 1] = ["GuardedService"];

/// Each item has one public path, so no name may occur in two modules.
#[test]
fn each_type_has_one_path() {
    let types = LISTING.lines().filter_map(declared);
    let types = types.filter(|(what, _)| ["struct", "enum", "trait"].contains(what)).map(|(_, path)| path);
    let mut met = BTreeSet::new();
    for path in types {
        let name = path.rsplit("::").next().unwrap_or(path);
        assert!(met.insert(name) || IN_EACH_FRAMEWORK.contains(&name), "{path}: another item has this name");
    }
    assert!(met.len() > 100, "only {} types were found in the listing", met.len());
}
