//! The layers import one way only, and what a dependant takes in stays small.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The rooms of `src`, and what the files of each may import beside their own.
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

fn breach(room: &str, code: &str) -> Option<String> {
    let (_, allowed) = ROOMS.iter().find(|(name, _)| *name == room).expect("the room is in the table");
    let found = reached(code).into_iter().find(|name| *name != room && !allowed.contains(name)).map(str::to_owned);
    // A path by `super` that leaves the room would not be seen.
    found.or(code.contains("super::super::super").then(|| "super::super::super".to_owned()))
}

#[test]
fn a_room_imports_from_itself_and_the_rooms_before_it() {
    for (room, _) in ROOMS {
        let mut files = Vec::new();
        sources(&root().join("src").join(room), &mut files);
        assert!(!files.is_empty(), "{room}");
        for file in files {
            // Macros name the crate's exported items, since they expand in any room.
            let text = fs::read_to_string(&file).unwrap().replace("$crate::", "");
            assert_eq!(breach(room, &code(&text)), None, "{}", file.display());
        }
    }
}

#[test]
fn a_breach_would_be_seen() {
    assert_eq!(breach("words", "use crate::rules::policy::Policy;").as_deref(), Some("rules"));
    assert_eq!(breach("rules", "let x = crate::store::contract::f();").as_deref(), Some("store"));
    assert_eq!(breach("leak", "use crate::rules::scope::Scope;").as_deref(), Some("rules"));
    assert_eq!(breach("rules", "use crate::Tokens;").as_deref(), Some("Tokens"), "not by the root's exports either");
    assert_eq!(breach("tokens", "use crate::rules::policy::Policy;"), None);
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
fn every_source_file_is_in_a_room() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    for file in files {
        let inner = file.strip_prefix(root().join("src")).unwrap();
        let layer = inner.components().next().unwrap().as_os_str().to_str().unwrap();
        assert!(layer == "lib.rs" || ROOMS.iter().any(|(room, _)| *room == layer), "{}", inner.display());
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

/// What makes an error, or a case that was thought impossible, pass in silence.
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

/// The places where one is right: the file, which, how often, why. What cannot happen is an
/// `expect` with its reason instead.
const SILENCED: [(&str, &str, usize, &str); 16] = [
    ("words/folded.rs", ".ok()", 1, "a text that is no name is in no cursor, which is refused"),
    ("words/leaked.rs", ".ok()", 1, "a text that is no token has no public part"),
    ("words/timestamp.rs", ".ok()", 2, "a sum past the year 9999 is None, as the name says"),
    ("cache/deadline.rs", ".ok()", 1, "past the deadline there is no answer, which the caller makes an error"),
    ("cache/feed.rs", ".ok()", 3, "what is not understood counts as a loss of the feed"),
    ("store/cursor.rs", ".ok()", 5, "whatever is wrong with a cursor is one error, which echoes nothing"),
    ("tokens/verify.rs", ".ok()", 1, "who has not the secret holds no record"),
    ("adapters/axum/admit.rs", ".ok()", 3, "an unknown address is allowed nowhere; a bad header is answered 400"),
    ("adapters/github/public_keys.rs", ".ok()", 1, "keys of other kinds are left out, as is documented"),
    ("leak/report.rs", "unwrap_or_default", 1, "an optional text that is not given is empty"),
    ("adapters/postgres/failure.rs", "unwrap_or_default", 1, "an error without a code is of no known class"),
    ("adapters/redis/list.rs", ".ok()", 1, "a row of another length is corrupt, which is answered below"),
    ("adapters/redis/row.rs", "unwrap_or_default", 2, "an absent field is an empty text, and the other way round"),
    ("leak/log.rs", "let _ =", 1, "in Drop nobody is there to be told"),
    ("adapters/sqlite/failure.rs", ".ok()", 1, "an error without a numeric code is of no known kind"),
    ("adapters/sqlite/handle.rs", "unwrap_or_else(|_", 1, "an empty path is no file, and is refused when it is opened"),
];

/// A new one fails here until somebody has decided it; so does a line of the table whose place is
/// gone.
#[test]
fn no_error_passes_in_silence() {
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
                undecided.push(format!("src/{file}: `{silencer}` is there {found} times, and {allowed} are decided"));
            }
        }
    }
    assert!(undecided.is_empty(), "{undecided:#?}");
    for (file, silencer, ..) in SILENCED {
        assert!(root().join("src").join(file).exists() && SILENCERS.contains(&silencer), "{file} {silencer}");
    }
}

/// The places of variants are no rule: one that is put between others would move what is told to
/// whom.
#[test]
fn nothing_is_decided_by_the_place_of_a_variant() {
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
