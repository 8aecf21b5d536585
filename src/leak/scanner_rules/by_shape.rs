//! Writes the rules for scanners that cannot compute the checksum of a token. These rules have one
//! expression for each prefix.

use super::{comment, each, pattern, title};
use crate::words::ids::Prefix;

pub(super) fn gitleaks(prefixes: &[Prefix]) -> String {
    let head = format!(
        "\
{comment}# For gitleaks 8 and Betterleaks. They match the shape of a token and do not check the CRC-32.
#
#   gitleaks dir --config FILE PATH
#   betterleaks --config FILE PATH
#
# This configuration replaces the scanner's own rules. To keep them, add:
#
#   [extend]
#   useDefault = true

title = \"Access tokens\"
",
        comment = comment(prefixes),
    );
    // The rule has no group, entropy or secretGroup, because Betterleaks does not support these
    // settings. The whole match is the secret.
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
{comment}# For ripsecrets 0.1. It matches the shape of a token and does not check the CRC-32.
#
#   sh FILE PATH...
#
# ripsecrets has its own pattern for lines such as `token = ...`, which drops a third of the tokens as not random enough. If
# several patterns match in a line, ripsecrets takes the match that begins first. Each pattern here therefore matches from the
# start of the line (.*?). If the line begins with the word key, token, secret or password, both patterns match from there, and
# ripsecrets uses its own. It can then miss the token.
# ripsecrets skips hidden files in folders. To search them, pass their paths.
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
{comment}# For git-secrets. It matches the shape of a token and does not check the CRC-32.
#
#   git config --add include.path \"$PWD/FILE\"
#   git secrets --install
#   git secrets --scan
#
# git-secrets matches only whole words. It does not find a token that directly follows or precedes a letter, a digit or a _.

[secrets]
{patterns}",
        comment = comment(prefixes),
        patterns = each(prefixes, pattern),
    )
}
