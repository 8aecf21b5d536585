//! Writes the plug-in for detect-secrets, which checks the checksum of each token.

use super::{comment, each, pattern, title};
use crate::words::alphabet;
use crate::words::format::CRC;
use crate::words::ids::Prefix;

pub(super) fn plugin(prefixes: &[Prefix]) -> String {
    let digits: String = (0..62).map(|value| char::from(alphabet::digit(value))).collect();
    format!(
        "\
{comment}# For detect-secrets 1.5. It reports only tokens with a correct CRC-32.
#
#   detect-secrets scan --plugin FILE --disable-filter detect_secrets.filters.heuristic.is_indirect_reference
#
# The command disables a filter of detect-secrets. This filter skips every line such as `client = connect('...')`, no matter
# what the argument is. In a YAML file with a finding, detect-secrets skips the lines that are comments.

import re
import zlib

from detect_secrets.plugins.base import RegexBasedDetector

BASE62 = '{digits}'


class RightChecksum:
    def analyze_string(self, string):
        return (token for token in super().analyze_string(string) if has_right_checksum(token))


def has_right_checksum(token):
    body, digits = token[:-{CRC}], token[-{CRC}:]
    checksum = 0
    for digit in digits:
        checksum = checksum * {base} + BASE62.index(digit)
    return checksum == zlib.crc32(body.encode())
{detectors}",
        comment = comment(prefixes),
        base = digits.len(),
        detectors = each(prefixes, detector),
    )
}

/// Returns the Python class that detects tokens with one prefix.
///
/// A baseline of detect-secrets names each finding by the class and the type of the detector. Each
/// prefix has its own class and type, so that a baseline stays valid if another prefix is added.
fn detector(prefix: &Prefix) -> String {
    format!(
        "

class {class}(RightChecksum, RegexBasedDetector):
    secret_type = '{title}'
    denylist = [re.compile(r'{token}')]
",
        class = class(prefix),
        title = title(prefix),
        token = pattern::token(prefix),
    )
}

/// Returns the name of the Python class for a prefix. The name must be unique, because
/// detect-secrets identifies all plug-ins, including its own, by their class names.
fn class(prefix: &Prefix) -> String {
    let capitalised = prefix.as_str().split('_').map(|word| match word.split_at_checked(1) {
        Some((first, rest)) if first.starts_with(|first: char| first.is_ascii_lowercase()) => {
            first.to_ascii_uppercase() + rest
        }
        // A word that does not begin with a letter keeps its `_`. Otherwise the prefixes `k90` and
        // `k9_0` would have the same class name.
        _ => format!("_{word}"),
    });
    capitalised.collect::<String>() + "AccessTokenDetector"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_prefix_has_its_own_class_name() {
        let named = |prefix| class(&Prefix::new(prefix).unwrap());
        assert_eq!(named("acme_test_pat"), "AcmeTestPatAccessTokenDetector");
        assert_eq!(named("k90"), "K90AccessTokenDetector");
        assert_eq!(named("k9_0"), "K9_0AccessTokenDetector");
    }
}
