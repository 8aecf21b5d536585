//! Checks that each claim in SECURITY.md has a test. Each row of the tables must name tests that
//! exist. Outside the tables, the document may contain only lists of limits and the paragraphs that
//! this file repeats. So a new claim must be a row of a table.

use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Returns the cells of a table row, or `None` if the line is not a table row.
fn cells(line: &str) -> Option<Vec<&str>> {
    let line = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(line.split('|').map(str::trim).collect())
}

/// Returns what is wrong with a row of a table, or `None` if the row is right. The description
/// begins with the threat, or with the whole line if a cell is missing or empty.
fn fault(line: &str) -> Option<String> {
    let cells = cells(line)?;
    let [threat, protection, tests] = cells[..] else { return Some(format!("{line}: not three cells")) };
    if threat.is_empty() || protection.is_empty() {
        return Some(format!("{line}: no claim"));
    }
    let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
    if named.is_empty() {
        return Some(format!("{threat}: no test"));
    }
    named.iter().find(|test| !exists(test)).map(|test| format!("{threat}: {test} does not exist"))
}

/// Returns whether SECURITY.md may name this test. The name is a path, or a path and a function
/// with `::` between them. The function must be a test in that file, and must not be ignored. If
/// the name is only a path, the file must exist and have more than 100 bytes.
fn exists(named: &str) -> bool {
    let (path, name) = named.split_once("::").map_or((named, None), |(path, name)| (path, Some(name)));
    let Ok(text) = fs::read_to_string(root().join(path)) else { return false };
    let Some(name) = name else { return text.len() > 100 };
    let Some((before, _)) = text.split_once(&format!("fn {name}(")) else { return false };
    // The text between the preceding function and this function contains its attributes.
    let attributes = before.rsplit("\n}").next().unwrap_or_default().rsplit("\n    }").next().unwrap_or_default();
    let has = |attribute: &&str| attributes.contains(*attribute);
    ["#[test]", "#[tokio::test"].iter().any(has) && !has(&"#[ignore")
}

fn claims(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| cells(line).is_some_and(|cells| !["threat", "---"].contains(&cells[0])))
}

const LIMITS: &str = "**Limits**";

/// Returns the fault of a documented limit, or `None` if it has no fault. A limit must say what
/// keyfob does not do or what may happen, and must then name a mitigation.
fn limit_fault(item: &str) -> Option<String> {
    let Some((limit, mitigation)) = item.split_once(" Mitigation: ") else {
        return Some(format!("{item}: no mitigation"));
    };
    let denies = |word: &str| ["not", "no", "cannot", "may"].contains(&word);
    if !limit.split(|letter: char| !letter.is_alphanumeric()).any(denies) {
        return Some(format!("{item}: no limit"));
    }
    mitigation.trim().is_empty().then(|| format!("{item}: no mitigation"))
}

/// Returns two lists. The first has the paragraphs outside the tables and outside the lists of
/// limits, each joined to one line. The second has the faults found in the lists of limits.
fn prose(text: &str) -> (Vec<String>, Vec<String>) {
    let outside = text.lines().filter(|line| !line.starts_with(['#', '|'])).collect::<Vec<_>>().join("\n");
    let (mut others, mut faults, mut expects_list) = (Vec::new(), Vec::new(), false);
    for paragraph in outside.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()) {
        let in_one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let list = paragraph.strip_prefix("- ");
        if expects_list != list.is_some() {
            faults.push(format!("{paragraph}: a list and {LIMITS} belong together"));
        }
        expects_list = paragraph == LIMITS;
        match list {
            Some(list) => faults.extend(list.split("\n- ").filter_map(|item| limit_fault(&in_one_line(item)))),
            None if expects_list => {}
            None => others.push(in_one_line(paragraph)),
        }
    }
    if expects_list {
        faults.push(format!("{LIMITS} at the end: no list"));
    }
    (others, faults)
}

#[test]
fn every_claim_names_tests_that_exist() {
    let text = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    assert!(claims(&text).count() > 30);
    let faults: Vec<String> = claims(&text).filter_map(fault).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn no_claim_hides_outside_the_tables() {
    let text = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let known = [
        "Please report a vulnerability in private to the maintainers, through the repository's security advisories, \
         and not in an issue. Say which version you use, what you did and what happened. The maintainers answer within \
         a week.",
        "Each table belongs to one boundary. Each row names a threat, the protection against it and the tests that \
         show the protection. `tests/repository/claims.rs` checks that these tests exist. The limits below a table \
         name threats without a protection, and a mitigation for each of them.",
        "These subjects are outside keyfob, so a report about them is not about a vulnerability of keyfob: users, \
         passwords and sign-in sessions; rate limits; TLS; the meaning of a scope in your service.",
        "`examples/personal-tokens` is a service that shows keyfob at work.",
    ];
    let (others, faults) = prose(&text);
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(others, known);
    // Each table is followed by a list of limits.
    let count = |line: &str| text.lines().filter(|other| *other == line).count();
    assert_eq!(count(LIMITS), count("|---|---|---|"));
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
    for (text, found) in [
        ("**Limits**\n\n- It does not do this. Mitigation:\n  that.\n- It may do this. Mitigation: that.", false),
        ("**Limits**\n\n- It does not do this. Mitigation: that.\n- It does this. Mitigation: that.", true),
        ("**Limits**\n\n- It does this, whatever comes. Mitigation: do not worry.", true),
        ("**Limits**\n\n- It does not do this.", true),
        ("**Limits**\n\nIt does this.", true),
        ("- It does not do this. Mitigation: that.", true),
        ("**Limits**", true),
    ] {
        assert_eq!(!prose(text).1.is_empty(), found, "{text}");
    }
}
