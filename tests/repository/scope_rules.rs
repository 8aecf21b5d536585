//! Checks that the rules compare scopes only with the matcher of the policy.

use std::fs;
use std::path::Path;

/// Calls that compare scopes with the default wildcards, although the policy may have a matcher.
const CALLS: [&str; 5] = ["scopes.allows(", "scopes.covers(", "scopes().allows(", "scopes().covers(", ".grants("];

/// The files that implement the comparison.
const EXEMPT: [&str; 2] = ["scope.rs", "scope_rules.rs"];

fn forgotten(folder: &Path, found: &mut Vec<String>) -> usize {
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files += forgotten(&path, found);
        } else if !EXEMPT.iter().any(|exempt| path.ends_with(exempt)) {
            files += 1;
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("\nmod tests").next().unwrap_or_default();
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            // Calls can be spread over several lines.
            let code: String = code.flat_map(str::chars).filter(|c| !c.is_whitespace()).collect();
            found.extend(
                CALLS.iter().filter(|call| code.contains(**call)).map(|call| format!("{}: {call}", path.display())),
            );
        }
    }
    files
}

#[test]
fn no_rule_forgets_the_scope_matcher_of_the_policy() {
    let mut found = Vec::new();
    let files = forgotten(&Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("src"), &mut found);
    assert!(files > 200, "only {files} files were read");
    assert!(found.is_empty(), "use `ScopeRules` of the policy instead: {found:#?}");
}
