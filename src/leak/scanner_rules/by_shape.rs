//! The rules of scanners that know no checksum: an expression for each prefix.

use super::{comment, each, pattern, title};
use crate::words::ids::Prefix;

pub(super) fn gitleaks(prefixes: &[Prefix]) -> String {
    let head = format!(
        "\
{comment}# For gitleaks 8 and Betterleaks, by shape: they check no CRC-32.
#
#   gitleaks dir --config FILE PATH
#   betterleaks --config FILE PATH
#
# A configuration of your own replaces the scanner's rules, unless it says so:
#
#   [extend]
#   useDefault = true

title = \"Access tokens\"
",
        comment = comment(prefixes),
    );
    // Without a group, an entropy or a secretGroup: Betterleaks takes neither, and what matches is the secret.
    let rule = |prefix: &Prefix| {
        format!(
            "
[[rules]]
id = \"{prefix}\"
description = \"{title}\"
regex = '''{token}'''
keywords = [\"{prefix}_\"]
",
            title = title(prefix),
            token = pattern::token(prefix),
        )
    };
    head + &each(prefixes, rule)
}

pub(super) fn secretlint(prefixes: &[Prefix]) -> String {
    let pattern = |prefix: &Prefix| {
        format!(r#"          {{ "name": "{}", "patterns": ["/{}/"] }}"#, title(prefix), pattern::token(prefix))
    };
    let patterns = prefixes.iter().map(pattern).collect::<Vec<_>>().join(",\n");
    format!(
        r#"{{
  "rules": [
    {{
      "id": "@secretlint/secretlint-rule-pattern",
      "options": {{
        "patterns": [
{patterns}
        ]
      }}
    }}
  ]
}}
"#
    )
}

pub(super) fn ripsecrets(prefixes: &[Prefix]) -> String {
    let pattern = |prefix: &Prefix| format!("  --additional-pattern '.*?{}' \\\n", pattern::token(prefix));
    format!(
        "\
#!/bin/sh
{comment}# For ripsecrets 0.1, by shape: it checks no CRC-32.
#
#   sh FILE PATH...
#
# Of the patterns that match in a line, ripsecrets takes the one that begins first, and its own one for `token = ...` drops
# a third of the tokens as not random enough. So a pattern here begins with the line (.*?). Where the line itself begins
# with the word key, token, secret or password, both begin there and ripsecrets prefers its own.
# It passes over hidden files in folders: name them.
exec ripsecrets \\
{patterns}  \"$@\"
",
        comment = comment(prefixes),
        patterns = each(prefixes, pattern),
    )
}

pub(super) fn git_secrets(prefixes: &[Prefix]) -> String {
    let pattern = |prefix: &Prefix| format!("\tpatterns = {}\n", pattern::token(prefix));
    format!(
        "\
{comment}# For git-secrets, by shape: it checks no CRC-32.
#
#   git config --add include.path \"$PWD/FILE\"
#   git secrets --install
#   git secrets --scan
#
# git-secrets looks for whole words: a token right behind or right before a letter, a digit or a _ is not found.

[secrets]
{patterns}",
        comment = comment(prefixes),
        patterns = each(prefixes, pattern),
    )
}
