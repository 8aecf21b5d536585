//! Checks that the folders of `src` import from each other in one direction only, and that the
//! default features of keyfob need at most 30 other crates.
//!
//! The code of this file calls each folder of `src` a room.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders of `src`. Each row has a folder, and the other folders from which its files may
/// import.
const ROOMS: [(&str, &[&str]); 8] = [
    ("words", &[]),
    ("rules", &["words"]),
    ("store", &["words", "rules"]),
    ("cache", &["words", "rules", "store"]),
    ("tokens", &["words", "rules", "store"]),
    ("leak", &["words"]),
    ("conformance", &["words", "rules", "store"]),
    ("adapters", &["words", "rules", "store", "cache", "tokens", "leak"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
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

/// Returns the code of a file without its comments and its tests.
fn code(text: &str) -> String {
    let code = text.split("\nmod tests").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Returns the first name after `crate::` in each path. The name belongs to a folder of `src`, or
/// to an item that the root of the crate exports.
fn reached(code: &str) -> Vec<&str> {
    let paths = code.match_indices("crate::").map(|(at, found)| &code[at + found.len()..]);
    paths.map(|path| path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()).collect()
}

/// The files of tests that use a later room. They are compiled only for tests.
const TESTS: [&str; 1] = ["adapters/sqlite/mutants.rs"];

fn breach(room: &str, code: &str) -> Option<String> {
    let (_, allowed) = ROOMS.iter().find(|(name, _)| *name == room).expect("the room is in the table");
    let found = reached(code).into_iter().find(|name| *name != room && !allowed.contains(name)).map(str::to_owned);
    // The search above does not find a path that leaves the room with `super`.
    found.or(code.contains("super::super::super").then(|| "super::super::super".to_owned()))
}

#[test]
fn a_room_imports_from_itself_and_the_rooms_before_it() {
    for (room, _) in ROOMS {
        let mut files = Vec::new();
        sources(&root().join("src").join(room), &mut files);
        assert!(!files.is_empty(), "{room}");
        for file in files.iter().filter(|file| !TESTS.iter().any(|test| file.ends_with(test))) {
            // Macros must use items that the root of the crate exports, because a macro expands in
            // any room.
            let text = fs::read_to_string(file).unwrap().replace("$crate::", "");
            assert_eq!(breach(room, &code(&text)), None, "{}", file.display());
        }
    }
}

#[test]
fn a_forbidden_import_is_found() {
    assert_eq!(breach("words", "use crate::rules::policy::Policy;").as_deref(), Some("rules"));
    assert_eq!(breach("rules", "let x = crate::store::contract::f();").as_deref(), Some("store"));
    assert_eq!(breach("leak", "use crate::rules::scope::Scope;").as_deref(), Some("rules"));
    assert_eq!(
        breach("rules", "use crate::Tokens;").as_deref(),
        Some("Tokens"),
        "an item that the root exports counts too"
    );
    assert_eq!(breach("tokens", "use crate::rules::policy::Policy;"), None);
}

/// Returns a map from the path of each module of `src`, such as `rules::scope`, to the code of the
/// module. `lib.rs` is left out, because it names every module, and no module imports from it.
fn modules() -> BTreeMap<String, String> {
    let (src, mut files) = (root().join("src"), Vec::new());
    sources(&src, &mut files);
    let mut modules = BTreeMap::new();
    for file in files.iter().filter(|file| !file.ends_with("src/lib.rs")) {
        let path = file.strip_prefix(&src).unwrap().with_extension("");
        let path = path.to_str().unwrap().replace('/', "::");
        let module = path.strip_suffix("::mod").unwrap_or(&path).to_owned();
        // A path with `$crate` is in the code that a macro makes, not in its own module.
        modules.insert(module, code(&fs::read_to_string(file).unwrap().replace("$crate::", "")));
    }
    modules
}

/// Returns the other modules that the code of this module names in paths with `crate::`, `super::`
/// or `self::`.
fn imports(module: &str, modules: &BTreeMap<String, String>) -> BTreeSet<String> {
    let code = &modules[module];
    let own: Vec<&str> = module.split("::").collect();
    let mut paths = Vec::new();
    for (head, base) in [("crate::", &[][..]), ("super::", &own[..own.len() - 1]), ("self::", &own[..])] {
        for (at, _) in code.match_indices(head) {
            // A match within a longer name or path is not the start of a path.
            if !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                expand(base, &code[at + head.len()..], &mut paths);
            }
        }
    }
    let file_of = |path: &Vec<&str>| {
        let prefixes = (1..=path.len()).rev().map(|length| path[..length].join("::"));
        prefixes.into_iter().find(|prefix| modules.contains_key(prefix))
    };
    paths.iter().filter_map(file_of).filter(|found| found != module).collect()
}

/// Reads the path at the start of `text`, which is relative to `base`, and adds the whole path to
/// `paths`. If the path ends with a group, adds each path of the group: `b::{c, d::E}` adds `b::c`
/// and `b::d::E`.
fn expand<'c>(base: &[&'c str], text: &'c str, paths: &mut Vec<Vec<&'c str>>) {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        let (mut depth, mut start) = (0, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                ',' | '}' if depth == 0 => {
                    expand(base, &group[start..at], paths);
                    start = at + 1;
                    if c == '}' {
                        return;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
        return;
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let mut path = base.to_vec();
    match &text[..end] {
        "" | "self" => {}
        "super" => drop(path.pop()),
        name => path.push(name),
    }
    match text[end..].strip_prefix("::") {
        Some(rest) => expand(&path, rest, paths),
        None => paths.push(path),
    }
}

/// Returns the modules that are in an import cycle or that connect two cycles, as the keys of a
/// map. The value of each module is the set of its imports that are also in the map.
fn cycles(modules: &BTreeMap<String, String>) -> BTreeMap<String, BTreeSet<String>> {
    let mut left: BTreeMap<_, _> = modules.keys().map(|name| (name.clone(), imports(name, modules))).collect();
    loop {
        let imported: BTreeSet<String> = left.values().flatten().cloned().collect();
        let before = left.len();
        left.retain(|name, imports| !imports.is_empty() && imported.contains(name));
        let names: BTreeSet<String> = left.keys().cloned().collect();
        left.values_mut().for_each(|imports| imports.retain(|name| names.contains(name)));
        if left.len() == before {
            return left;
        }
    }
}

#[test]
fn no_import_is_in_a_cycle() {
    let modules = modules();
    assert!(imports("rules::precondition", &modules).contains("rules::record"), "imports are found");
    assert!(imports("store::memory", &modules).contains("words::ids"), "imports with crate:: are found too");
    assert_eq!(cycles(&modules), BTreeMap::new());
}

#[test]
fn an_import_cycle_is_found() {
    let cycles = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(name, code)| ((*name).to_owned(), (*code).to_owned())).collect();
        cycles(&files).into_keys().collect::<Vec<_>>()
    };
    let row = ("store::row", "use crate::words::{\n    id::Id,\n    text::{Name, Owner},\n};");
    assert!(cycles(&[row, ("words::text", "use super::id::Id;"), ("words::id", "")]).is_empty());
    for back in [
        "use crate::store::row;",
        "use crate::store::row::Row as Line;",
        "use crate::{store::{page, row::Row}, words::id};",
        "use super::super::store::row::Row;",
        "use super::{super::store::row::Row, id::Id};",
        "fn f() -> Option<crate::store::row::Row> { None }",
        "macro_rules! m { () => { $crate::store::row::Row } }",
    ] {
        let files = [row, ("words::text", back), ("words::id", ""), ("rules::rule", "use crate::store::row::Row;")];
        assert_eq!(cycles(&files), ["store::row", "words::text"], "{back}");
    }
    assert_eq!(cycles(&[("a", "use self::b::B;"), ("a::b", "use super::A;")]), ["a", "a::b"], "a room and its file");
    assert_eq!(cycles(&[("a", "crate::b::f()"), ("b", "crate::c::f()"), ("c", "crate::a::f()")]), ["a", "b", "c"]);
}

/// The maximum number of lines of a file. `lib.rs` may be longer, because it lists the public
/// names.
const MOST_LINES: usize = 350;

#[test]
fn no_source_file_is_too_long() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let length = |file: &PathBuf| fs::read_to_string(file).unwrap().lines().count();
    // A list of laws is a table, and grows with the contract.
    let is_table = |file: &PathBuf| file.to_str().is_some_and(|path| path.ends_with("_laws.rs"));
    files.retain(|file| !file.ends_with("src/lib.rs") && !is_table(file) && length(file) > MOST_LINES);
    assert!(files.is_empty(), "longer than {MOST_LINES} lines: {files:#?}");
}

#[test]
fn no_room_has_30_percent_of_the_code() {
    let lines = |folder: &Path| -> usize {
        let mut files = Vec::new();
        sources(folder, &mut files);
        files.iter().map(|file| fs::read_to_string(file).unwrap().lines().count()).sum()
    };
    let all = lines(&root().join("src"));
    for (room, _) in ROOMS {
        let own = lines(&root().join("src").join(room));
        assert!(own * 100 < all * 30, "{room} has {own} of {all} lines: 30 % or more");
    }
}

/// The code in the folders `rules` and `words` must get the time from its caller, and must do no
/// I/O.
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
fn every_source_file_is_in_a_room() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    for file in files {
        let inner = file.strip_prefix(root().join("src")).unwrap();
        let layer = inner.components().next().unwrap().as_os_str().to_str().unwrap();
        assert!(
            ["lib.rs", "guide"].contains(&layer) || ROOMS.iter().any(|(room, _)| *room == layer),
            "{}",
            inner.display()
        );
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
    assert!(crates.contains(&"sha2"), "the tree has no line for sha2: {tree}");
    assert!(crates.len() <= 30 + 1, "keyfob and {} others: {crates:?}", crates.len() - 1);
}

/// Expressions that can hide an error, or a case that the author thought impossible.
const SILENCERS: [&str; 9] = [
    "let _ =",
    "drop(write",
    ".ok()",
    "Result::ok",
    "unwrap_or_default",
    "unwrap_or(false)",
    "unwrap_or(true)",
    "unwrap_or_else(|_",
    "unwrap_or(&[",
];

/// The permitted uses of the expressions in [`SILENCERS`]: the file, the expression, the number of
/// uses and the reason. In a case that cannot happen, use `expect` with the reason instead.
const SILENCED: [(&str, &str, usize, &str); 22] = [
    ("words/folded.rs", ".ok()", 1, "a text that is no name makes the cursor invalid, which is refused"),
    ("words/leaked.rs", ".ok()", 1, "a text that is no token has no public part"),
    ("words/used_from.rs", ".ok()", 1, "a header that cannot be shown names no client"),
    ("words/timestamp.rs", ".ok()", 2, "a sum after the year 9999 is None, as documented"),
    ("cache/deadline.rs", ".ok()", 1, "after the deadline there is no result, and the caller returns an error"),
    ("cache/feed.rs", ".ok()", 3, "an unknown message counts as a loss of the feed"),
    ("store/cursor.rs", ".ok()", 5, "every fault of a cursor is the same error, which shows no input"),
    ("store/row.rs", "unwrap_or_default", 2, "an engine without empty values has none for a scheme's parts"),
    ("store/near.rs", ".ok()", 2, "a thread that ends has no table of copies, and reads the store"),
    ("tokens/found.rs", ".ok()", 1, "a caller without the secret gets no record"),
    ("conformance/alarm.rs", ".ok()", 1, "without a thread there is no alarm, and the caller reports it"),
    ("conformance/ledger.rs", ".ok()", 1, "a line that is not of the load is ignored, as documented"),
    ("adapters/http/admit.rs", ".ok()", 2, "a header without a valid project is a 400"),
    ("adapters/github/public_keys.rs", ".ok()", 1, "keys of other kinds are left out, as is documented"),
    ("leak/report.rs", "unwrap_or_default", 1, "an optional text that is missing is empty"),
    ("adapters/postgres/failure.rs", "unwrap_or_default", 1, "an error without a code is of no known class"),
    ("adapters/postgres/replica.rs", "unwrap_or_default", 1, "a standby that fails has no heartbeat"),
    ("adapters/redis/list.rs", ".ok()", 1, "a row of another length is reported as corrupt below"),
    ("adapters/redis/row.rs", "unwrap_or_default", 2, "a missing field and an empty text are the same"),
    ("leak/log.rs", "let _ =", 1, "Drop cannot return an error"),
    ("adapters/sqlite/failure.rs", ".ok()", 1, "an error without a numeric code is of no known kind"),
    ("adapters/sqlite/handle.rs", "unwrap_or_else(|_", 1, "an empty path is refused when the store is opened"),
];

/// Fails if a file uses an expression of [`SILENCERS`] more or less often than [`SILENCED`]
/// permits.
#[test]
fn no_unlisted_expression_can_hide_an_error() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let mut undecided = Vec::new();
    for file in files {
        let code = code(&fs::read_to_string(&file).unwrap());
        let file = file.strip_prefix(root().join("src")).unwrap().to_str().unwrap();
        for silencer in SILENCERS {
            let allowed = SILENCED.iter().find(|(path, which, ..)| (*path, *which) == (file, silencer));
            let (allowed, found) = (allowed.map_or(0, |(.., count, _)| *count), code.matches(silencer).count());
            if found != allowed {
                undecided.push(format!("src/{file}: `{silencer}` occurs {found} times, but {allowed} are listed"));
            }
        }
    }
    assert!(undecided.is_empty(), "{undecided:#?}");
    for (file, silencer, ..) in SILENCED {
        assert!(root().join("src").join(file).exists() && SILENCERS.contains(&silencer), "{file} {silencer}");
    }
}

/// A decision must not depend on the order of an enum's variants, because a new variant would
/// change the order.
#[test]
fn no_decision_uses_the_order_of_variants() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    for file in files {
        let code = code(&fs::read_to_string(&file).unwrap());
        for comparison in ["as u8 <", "as u8 >", "as u8) <", "as u8) >"] {
            let line = code
                .lines()
                .find(|line| line.contains(comparison) && line.contains("Self::") | line.contains("Rejection"));
            assert_eq!(line, None, "{}", file.display());
        }
    }
}
