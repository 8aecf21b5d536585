//! Checks the links, the pictures and the code in the documents of the repository.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The documents whose links and pictures are checked. rustdoc checks the links of the guides.
const DOCUMENTS: [&str; 9] = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "RELEASING.md",
    "SECURITY.md",
    "examples/README.md",
    "examples/personal-tokens/README.md",
    "examples/personal-tokens/deploy/README.md",
    "tests/README.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(document: &Path) -> String {
    fs::read_to_string(document).unwrap_or_else(|error| panic!("{}: {error}", document.display()))
}

/// Returns the text without its code blocks, and the code blocks. Each code block is returned as
/// its info string, such as `rust`, and its code.
fn parts(text: &str) -> (String, Vec<(&str, &str)>) {
    let (mut prose, mut blocks) = (String::new(), Vec::new());
    for (at, part) in text.split("```").enumerate() {
        if at % 2 == 0 {
            prose.push_str(part);
        } else {
            blocks.push(part.split_once('\n').expect("a block has lines"));
        }
    }
    (prose, blocks)
}

/// Returns the targets of all links and pictures in the text.
fn targets(text: &str) -> Vec<String> {
    let (prose, _) = parts(text);
    let ends = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    ends.map(|(target, _)| target.to_owned()).collect()
}

/// Returns the anchors of all headings in the text, as GitHub and GitLab generate them.
fn anchors(text: &str) -> BTreeSet<String> {
    let (prose, _) = parts(text);
    let headings = prose
        .lines()
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
    let kept = |letter: &char| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter);
    headings.map(|heading| heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")).collect()
}

#[test]
fn every_link_resolves() {
    let mut seen = 0;
    for document in DOCUMENTS {
        let path = root().join(document);
        let text = read(&path);
        for target in targets(&text) {
            assert!(
                !target.contains("://"),
                "{document}: {target} is an address of another site, which no test can follow"
            );
            let (file, anchor) =
                target.split_once('#').map_or((target.as_str(), None), |(file, anchor)| (file, Some(anchor)));
            let file = if file.is_empty() { path.clone() } else { path.parent().expect("a folder").join(file) };
            assert!(file.exists(), "{document} links to {target}");
            if let Some(anchor) = anchor {
                assert!(anchors(&read(&file)).contains(anchor), "{document} links to {target}");
            }
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen} links were found");
}

#[test]
fn every_picture_is_taken_by_a_browser_test() {
    let pictures: Vec<String> = DOCUMENTS
        .iter()
        .flat_map(|document| targets(&read(&root().join(document))))
        .filter(|target| target.ends_with(".png"))
        .collect();
    assert!(pictures.len() >= 5);
    let test = read(&root().join("examples/personal-tokens/tests/browser/pictures.rs"));
    for picture in pictures {
        let name = PathBuf::from(&picture).file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(test.contains(&format!("picture(\"{name}\"")), "{picture}");
    }
}

/// rustdoc compiles each block of Rust, because the crate includes the README in its doc tests. A
/// reader can paste each block unchanged, because no line of a block is hidden.
#[test]
fn code_of_the_readme_is_compiled_and_whole() {
    let readme = read(&root().join("README.md"));
    assert!(read(&root().join("src/lib.rs")).contains("#[cfg(doctest)]\n#[doc = include_str!(\"../README.md\")]"));
    let (_, blocks) = parts(&readme);
    let rust: Vec<_> = blocks.iter().filter(|(info, _)| info.starts_with("rust")).collect();
    assert!(!rust.is_empty());
    for (info, code) in rust {
        assert!(!info.contains("ignore"), "{code}");
        for line in code.lines() {
            assert!(line != "#" && !line.starts_with("# "), "a hidden line: {line}");
            assert!(line.chars().count() <= 85, "a reader of rustdoc would have to scroll: {line}");
        }
    }
    assert!(readme.lines().count() <= 200);
}

/// The examples of the guide include the set-up from `world.rs`, and the page shows it once.
#[test]
fn the_lifecycle_shows_the_set_up_of_its_examples() {
    let guide = root().join("src/guide");
    let (page, world) = (read(&guide.join("lifecycle.md")), read(&guide.join("world.rs")));
    // The page leaves out the function that runs an example.
    let code = world.split_once("\n\n").expect("a comment before the code").1;
    let code = code.split_once("\nfn run").expect("the function at the end").0;
    assert!(code.contains("struct World"), "the code was found");
    let (_, blocks) = parts(&page);
    assert_eq!(blocks.iter().filter(|(_, block)| block.contains(code.trim_end())).count(), 1);
    assert!(blocks.iter().filter(|(_, block)| block.contains("/src/guide/world.rs")).count() > 10);
}
