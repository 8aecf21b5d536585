//! Checks the style of doc comments, comments and documents, as far as a program can.
//! CONTRIBUTING.md has the rules of style and their reasons.

use std::fs;
use std::path::{Path, PathBuf};

/// The maximum number of columns of a comment line, including its indentation.
const COMMENT: usize = 100;

/// The maximum number of columns of an example line that rustdoc shows without scrolling.
const EXAMPLE: usize = 85;

/// Words and phrases that no comment or document may use, because readers had to read them twice.
const BANNED: [&str; 13] = [
    "whoever", "whatever", "somebody", "nobody", "is told", "are told", "was told", "tells", "at once", "for ever",
    "thereof", "but for", "of now",
];

/// Words that end in "s" but are not verbs. The docs of a function must not begin with one of them.
const NOT_VERBS: [&str; 12] =
    ["This", "Its", "As", "Rows", "Tokens", "Keys", "Ids", "Was", "Others", "Always", "Less", "Various"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Skips folders that tools write, and data that tests compare byte for byte.
            if !["target", "corpus", "artifacts", "seeds", "data"].iter().any(|name| path.ends_with(name)) {
                files(&path, ending, found);
            }
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
}

/// Returns all Rust files of the repository, each as its path from the root and its text.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["src", "examples", "benches", "fuzz", "tests"] {
        files(&root().join(folder), "rs", &mut found);
    }
    let name = |path: &PathBuf| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    found.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// A line of a comment or of a document.
struct Line<'t> {
    number: usize,
    /// The whole line, including its indentation.
    whole: &'t str,
    /// The text of the line, without the comment marker.
    text: &'t str,
    is_code: bool,
}

/// Returns the lines of all comments that begin a line: `///`, `//!` and `//`.
fn comments(source: &str) -> Vec<Line<'_>> {
    let (mut lines, mut is_code) = (Vec::new(), false);
    for (at, whole) in source.lines().enumerate() {
        let trimmed = whole.trim_start();
        let marks = ["///", "//!", "//"].iter().find(|marks| trimmed.starts_with(**marks));
        let Some(marks) = marks else {
            is_code = false;
            continue;
        };
        let text = trimmed[marks.len()..].strip_prefix(' ').unwrap_or(&trimmed[marks.len()..]);
        let is_fence = text.trim_start().starts_with("```");
        lines.push(Line { number: at + 1, whole, text, is_code: is_code || is_fence });
        is_code ^= is_fence;
    }
    lines
}

/// Returns the lines of a Markdown document.
fn document(text: &str) -> Vec<Line<'_>> {
    let mut is_code = false;
    let mut line = |(at, whole): (usize, &'_ str)| {
        let is_fence = whole.trim_start().starts_with("```");
        let was_code = is_code;
        is_code ^= is_fence;
        (at + 1, was_code || is_fence)
    };
    let marked: Vec<(usize, bool)> = text.lines().enumerate().map(&mut line).collect();
    let lines = text.lines().zip(marked);
    lines.map(|(whole, (number, is_code))| Line { number, whole, text: whole, is_code }).collect()
}

/// Returns the first banned word or phrase in a line, or `None` if the line has no banned text.
/// Text between quotes or backticks is not checked.
fn banned(text: &str) -> Option<&'static str> {
    let prose: String = text.split(['`', '"']).step_by(2).collect::<Vec<_>>().join("…").to_lowercase();
    let is_word = |at: usize, length: usize| {
        let edge = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric());
        edge(prose[..at].chars().next_back()) && edge(prose[at + length..].chars().next())
    };
    BANNED
        .into_iter()
        .find(|fragment| prose.match_indices(fragment).any(|(at, _)| is_word(at, fragment.trim_end().len())))
}

/// Returns the faults in these lines: the lines of a document, or all comment lines of a source
/// file.
fn faults_of_lines(name: &str, lines: &[Line<'_>]) -> Vec<String> {
    let mut faults = Vec::new();
    for line in lines {
        let mut fault = |what: String| faults.push(format!("{name}:{}: {what}", line.number));
        if line.is_code {
            if line.text.chars().count() > EXAMPLE {
                fault(format!("an example of more than {EXAMPLE} columns"));
            }
            continue;
        }
        // A table row, or a line without a place to break it, may be wider.
        let is_table = line.text.trim_start().starts_with(['|', '[']);
        let can_break = line.text.trim().contains(' ') && !line.text.contains("://");
        if line.whole.chars().count() > COMMENT && !is_table && can_break {
            fault(format!("more than {COMMENT} columns"));
        }
        if line.text.starts_with("The same, ") {
            fault("\"The same, \" (CONTRIBUTING.md has the reason)".to_owned());
        }
        if let Some(fragment) = banned(line.text) {
            fault(format!("\"{fragment}\" (CONTRIBUTING.md has the reason)"));
        }
    }
    faults
}

/// Returns whether a line of code is the first line of a function.
fn is_function(line: &str) -> bool {
    let mut words = line.split_whitespace().peekable();
    if !line.contains("fn ") {
        return false;
    }
    while words.peek().is_some_and(|word| {
        word.starts_with("pub") || word.ends_with(')') || ["const", "async", "unsafe", "extern", "\"C\""].contains(word)
    }) {
        words.next();
    }
    words.next() == Some("fn")
}

/// Returns the documented functions that are not tests. For each function, returns the line number
/// and the text of the first line of its docs.
fn documented(source: &str) -> Vec<(usize, &str)> {
    let lines: Vec<&str> = source.lines().collect();
    let mut found = Vec::new();
    for at in 0..lines.len() {
        if !is_function(lines[at]) {
            continue;
        }
        let above = lines[..at].iter().rev();
        let attributes = above.clone().take_while(|line| line.trim().starts_with("#[") || line.trim() == ")]").count();
        let docs = above.clone().skip(attributes).take_while(|line| line.trim().starts_with("///")).count();
        let is_test = lines[at - attributes..at].iter().any(|line| line.contains("test"));
        if docs > 0 && !is_test {
            let first = at - attributes - docs;
            found.push((first + 1, lines[first].trim().trim_start_matches('/').trim()));
        }
    }
    found
}

fn begins_with_a_verb(docs: &str) -> bool {
    let word = docs.split([' ', '.', ',']).next().expect("a first word");
    let (first, rest) = word.split_at(word.len().min(1));
    let is_plain =
        first.chars().all(char::is_uppercase) && rest.chars().all(|letter| letter.is_lowercase() || letter == '-');
    !first.is_empty() && is_plain && rest.ends_with('s') && !NOT_VERBS.contains(&word)
}

/// Returns the line numbers of the `# Errors` sections that contain only links to error types, and
/// do not say when the errors occur.
fn bare_errors(source: &str) -> Vec<usize> {
    let lines = comments(source);
    let mut bare = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.text.trim() == "# Errors") {
        let section = lines[at + 1..].iter().zip(line.number + 1..);
        let text: String = section
            .take_while(|(next, number)| next.number == *number && !next.text.starts_with("# "))
            .map(|(next, _)| next.text)
            .collect::<Vec<_>>()
            .join(" ");
        if text.split_whitespace().filter(|word| !word.contains('`')).count() < 3 {
            bare.push(line.number);
        }
    }
    bare
}

#[test]
fn comments_are_of_the_style() {
    let sources = sources();
    assert!(sources.len() > 300, "{}", sources.len());
    let faults: Vec<String> =
        sources.iter().flat_map(|(name, source)| faults_of_lines(name, &comments(source))).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn documents_are_of_the_style() {
    let mut found = Vec::new();
    files(root(), "md", &mut found);
    found.retain(|path| {
        !path.components().any(|part| part.as_os_str().to_str().is_some_and(|name| name.starts_with('.')))
    });
    assert!(found.len() >= 10, "{found:?}");
    let mut faults = Vec::new();
    for path in found {
        let (text, name) =
            (fs::read_to_string(&path).unwrap(), path.strip_prefix(root()).unwrap().display().to_string());
        // The tables of CONTRIBUTING.md list the banned words, so they are not checked.
        let lines = document(&text).into_iter().filter(|line| !line.is_code);
        let lines = lines.filter(|line| name != "CONTRIBUTING.md" || !line.text.starts_with('|'));
        faults
            .extend(lines.filter_map(|line| banned(line.text).map(|found| format!("{name}:{}: {found}", line.number))));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn docs_of_functions_begin_with_a_verb() {
    let sources = sources();
    let (mut count, mut faults) = (0, Vec::new());
    for (name, source) in &sources {
        for (number, docs) in documented(source) {
            // The docs of the laws are in a macro, which repeats them for each law. A trap is a
            // test, and its docs say what could go wrong. So the docs of laws and traps need not
            // begin with a verb.
            if docs.is_empty() && name == "src/conformance/law.rs" || name.starts_with("tests/histories/traps/") {
                continue;
            }
            count += 1;
            if !begins_with_a_verb(docs) {
                faults.push(format!("{name}:{number}: {docs}"));
            }
        }
    }
    assert!(count > 1400, "{count}");
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn sections_of_errors_say_when() {
    let faults: Vec<String> = sources()
        .iter()
        .flat_map(|(name, source)| bare_errors(source).into_iter().map(move |number| format!("{name}:{number}")))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn each_fault_is_found() {
    let faults = |source: &str| faults_of_lines("x.rs", &comments(source)).len();
    assert_eq!(
        faults("/// Returns the owner.\nfn f() {}\n    // It is \"at once\" in quotes, and `tells` in code.\n"),
        0
    );
    assert_eq!(faults(&format!("// {}\n", "word ".repeat(20))), 1);
    assert_eq!(faults(&format!("/// ```\n/// {}\n/// ```\n", "x".repeat(86))), 1);
    for fragment in BANNED {
        assert_eq!(faults(&format!("/// It is {fragment} here.\n")), 1, "{fragment}");
    }
    assert_eq!(faults("/// The same, for an owner.\n"), 1);
    assert_eq!(faults("/// He foretells it.\n"), 0);

    let verbs = |source: &str| documented(source).iter().map(|(_, docs)| begins_with_a_verb(docs)).collect::<Vec<_>>();
    assert_eq!(verbs("/// Returns it.\n#[must_use]\npub async fn f() {}\n"), [true]);
    assert_eq!(verbs("/// The owner.\npub(crate) const fn f() {}\n"), [false]);
    assert_eq!(verbs("/// Tokens of it.\nfn f() {}\n"), [false]);
    assert_eq!(verbs("/// The owner.\n#[test]\nfn f() {}\n"), [true; 0]);
    assert_eq!(verbs("/// The owner.\npub struct F;\n"), [true; 0]);

    assert_eq!(bare_errors("/// Gets it.\n///\n/// # Errors\n/// [`StoreError`].\nfn f() {}\n"), [3]);
    assert_eq!(bare_errors("/// # Errors\n/// Returns [`X`] if the version does not match.\nfn f() {}\n"), [0; 0]);
}
