//! Writes rules by which secret scanners find the tokens of a service.

mod by_shape;
mod detect_secrets;
mod github;
mod kingfisher;
mod pattern;

use crate::words::ids::Prefix;

/// A secret scanner for which keyfob writes rules. With these rules, the scanner finds the tokens
/// of a service in code, in logs and before a commit.
///
/// ```
/// use keyfob::{Prefix, leak::ScannerFormat};
///
/// let format: ScannerFormat = "gitleaks".parse()?;
/// let rules = format.rules(&[Prefix::new("acme_pat")?, Prefix::new("acme_test_pat")?]);
/// let expression = "acme_pat_[0-9a-z]{1,32}_[0-9A-Za-z]{16}_[0-9A-Za-z]{50}";
/// assert!(rules.contains(expression));
/// # Ok::<(), keyfob::Invalid>(())
/// ```
///
/// To write the rules on the command line, run
/// `cargo run --example scanner_rules --features scan -- acme_pat --format gitleaks`.
///
/// | name | text that keyfob writes | checks the CRC |
/// |---|---|---|
/// | `kingfisher` | a file for `--rules-path` | yes, so only one in 4 billion look-alikes is reported |
/// | `gitleaks` | a configuration, also for Betterleaks | no |
/// | `detect-secrets` | a plug-in in Python | yes |
/// | `secretlint` | a `.secretlintrc.json` for `secretlint --secretlintrc FILE "**/*"` | no |
/// | `ripsecrets` | a shell script that runs ripsecrets with the expressions | no |
/// | `git-secrets` | a file for Git's `include.path` | no |
/// | `github-custom-pattern` | the entries for the form of a custom pattern in secret scanning | no |
/// | `github-partner` | the text to send to GitHub, so that it reports leaks to you | explains the CRC |
///
/// Each text begins with instructions, except for `secretlint`, because its format has no comments.
/// All formats use the same expression, which follows the grammar of
/// [`TokenText`](crate::text::TokenText). The expression accepts any characters around a token, so
/// it also finds leaks in `%3Dacme_pat_...` and in the `\nacme_pat_...` of a JSON string. If a
/// scanner accepts only whole words, the instructions say so.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ScannerFormat {
    /// Rules for Kingfisher.
    Kingfisher,
    /// Rules for gitleaks and for Betterleaks, which reads the same format.
    Gitleaks,
    /// A plug-in for detect-secrets.
    DetectSecrets,
    /// Rules for secretlint.
    Secretlint,
    /// Rules for ripsecrets.
    Ripsecrets,
    /// Rules for git-secrets.
    GitSecrets,
    /// Custom patterns for GitHub's secret scanning in a repository or an organization.
    GithubCustomPattern,
    /// The registration text for GitHub's partner program, which covers all public repositories.
    GithubPartner,
}

word_type!(ScannerFormat {
    Kingfisher = "kingfisher",
    Gitleaks = "gitleaks",
    DetectSecrets = "detect-secrets",
    Secretlint = "secretlint",
    Ripsecrets = "ripsecrets",
    GitSecrets = "git-secrets",
    GithubCustomPattern = "github-custom-pattern",
    GithubPartner = "github-partner",
});

impl ScannerFormat {
    /// Returns the rules for tokens of these prefixes, such as
    /// [`Keyring::prefixes`](crate::Keyring::prefixes). A prefix that is given twice gets only one
    /// rule. If no prefix is given, the rules find nothing.
    pub fn rules(self, prefixes: &[Prefix]) -> String {
        let mut each = Vec::with_capacity(prefixes.len());
        for prefix in prefixes {
            if !each.contains(prefix) {
                each.push(*prefix);
            }
        }
        match self {
            Self::Kingfisher => kingfisher::rules(&each),
            Self::Gitleaks => by_shape::gitleaks(&each),
            Self::DetectSecrets => detect_secrets::plugin(&each),
            Self::Secretlint => by_shape::secretlint(&each),
            Self::Ripsecrets => by_shape::ripsecrets(&each),
            Self::GitSecrets => by_shape::git_secrets(&each),
            Self::GithubCustomPattern => github::custom_patterns(&each),
            Self::GithubPartner => github::partner(&each),
        }
    }

    /// Returns a file name for the rules, with the extension that the scanner expects.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Kingfisher => "kingfisher.yml",
            Self::Gitleaks => "gitleaks.toml",
            Self::DetectSecrets => "detect_secrets_plugin.py",
            Self::Secretlint => ".secretlintrc.json",
            Self::Ripsecrets => "ripsecrets.sh",
            Self::GitSecrets => "git-secrets.gitconfig",
            Self::GithubCustomPattern => "github-custom-pattern.txt",
            Self::GithubPartner => "github-partner.txt",
        }
    }
}

/// Returns the title under which a scanner reports a token with this prefix.
fn title(prefix: &Prefix) -> String {
    format!("Access token ({prefix})")
}

/// Returns the prefixes, joined by " or ".
fn list(prefixes: &[Prefix]) -> String {
    prefixes.iter().map(Prefix::as_str).collect::<Vec<_>>().join(" or ")
}

/// Returns the comment at the start of the rules. Formats without comments do not use it.
fn comment(prefixes: &[Prefix]) -> String {
    format!("# Access tokens with the prefix {}.\n", list(prefixes))
}

/// Returns the result of `part` for each prefix, concatenated.
fn each(prefixes: &[Prefix], part: impl Fn(&Prefix) -> String) -> String {
    prefixes.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_parsed_and_displayed_by_name() {
        for format in ScannerFormat::ALL {
            assert_eq!(format.to_string().parse::<ScannerFormat>(), Ok(*format));
        }
        assert_eq!("detect-secrets".parse(), Ok(ScannerFormat::DetectSecrets));
        assert!("trufflehog".parse::<ScannerFormat>().is_err());
    }

    #[test]
    fn a_prefix_that_is_given_twice_has_one_rule() {
        let prefix = Prefix::new("acme_pat").unwrap();
        for format in ScannerFormat::ALL {
            let rules = format.rules(&[prefix, prefix]);
            assert_eq!(rules, format.rules(&[prefix]), "{format}");
            assert_eq!(rules.matches("acme_pat_[0-9a-z]").count(), 1, "{format}");
        }
    }

    #[test]
    fn without_a_prefix_there_is_no_expression() {
        for format in ScannerFormat::ALL {
            assert!(!format.rules(&[]).contains("[0-9a-z]"), "{format}");
        }
    }
}
