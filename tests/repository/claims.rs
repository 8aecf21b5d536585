//! SECURITY.md proves its claims by tests: each line of its tables names tests that exist.

use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the cells of a line of a table.
fn cells(line: &str) -> Option<Vec<&str>> {
    let line = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(line.split('|').map(str::trim).collect())
}

/// Returns what is wrong with a line of a table, after the text that identifies the line.
fn fault(line: &str) -> Option<String> {
    let cells = cells(line)?;
    let [threat, answer, tests] = cells[..] else { return Some(format!("{line}: the line does not have three cells")) };
    if threat.is_empty() || answer.is_empty() {
        return Some(format!("{line}: the claim is empty"));
    }
    let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
    if named.is_empty() {
        return Some(format!("{threat}: no test is named"));
    }
    named.iter().find(|test| !exists(test)).map(|test| format!("{threat}: {test} does not exist"))
}

/// Returns whether the file exists and has the test that is named after `::`.
fn exists(named: &str) -> bool {
    let (path, name) = named.split_once("::").map_or((named, None), |(path, name)| (path, Some(name)));
    let Ok(text) = fs::read_to_string(root().join(path)) else { return false };
    let Some(name) = name else { return text.len() > 100 };
    let Some((before, _)) = text.split_once(&format!("fn {name}(")) else { return false };
    // The text between the function and the one before it.
    let attributes = before.rsplit("\n}").next().unwrap_or_default().rsplit("\n    }").next().unwrap_or_default();
    let has = |attribute: &&str| attributes.contains(*attribute);
    ["#[test]", "#[tokio::test"].iter().any(has) && !has(&"#[ignore")
}

fn claims(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| cells(line).is_some_and(|cells| !["threat", "---"].contains(&cells[0])))
}

#[test]
fn every_claim_names_tests_that_exist() {
    let text = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    assert!(claims(&text).count() > 30);
    let faults: Vec<String> = claims(&text).filter_map(fault).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The text outside the tables makes no claims. It says what is not claimed, and what the reader
/// should do.
#[test]
fn no_claim_hides_outside_the_tables() {
    let text = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let prose = text.lines().filter(|line| !line.starts_with(['#', '|'])).collect::<Vec<_>>().join("\n");
    let paragraphs = prose.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    let known = [
        "Please report a vulnerability in private to the maintainers, through the repository's security advisories, and not in \
         an\nissue. Say which version, what you did and what happened. You will be answered within a week.",
        "Each line names what may come over the boundary, what keyfob answers, and the tests that hold it to that \
         (`tests/repository/claims.rs` checks that\nthey exist). Below each table stands what is not claimed.",
        "`examples/personal-tokens` shows the crate at work.",
    ];
    let others = paragraphs.filter(|text| !text.starts_with("Not claimed: ") && !text.starts_with("Not keyfob's, "));
    assert_eq!(others.collect::<Vec<_>>(), known);
}

#[test]
fn a_claim_without_its_test_is_found() {
    for (line, found) in [
        ("| a | b | `tests/repository/claims.rs::every_claim_names_tests_that_exist` |", false),
        ("| a | b | `tests/constant-time/run.sh` |", false),
        ("| a | b | none |", true),
        ("| a | b |", true),
        ("| a | b | `tests/repository/claims.rs::fault` |", true),
        ("| a | b | `tests/repository/claims.rs::every_claim` |", true),
        ("| a | b | `tests/repository/claims.rs::every_claim_names_tests_that_exist`, `tests/none.rs` |", true),
    ] {
        assert_eq!(fault(line).is_some(), found, "{line}");
    }
}
