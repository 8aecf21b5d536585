//! A plug-in of detect-secrets, which computes the checksum.

use super::{comment, each, pattern, title};
use crate::words::alphabet;
use crate::words::format::CRC;
use crate::words::ids::Prefix;

pub(super) fn plugin(prefixes: &[Prefix]) -> String {
    let digits: String = (0..62).map(|value| char::from(alphabet::digit(value))).collect();
    format!(
        "\
{comment}# For detect-secrets 1.5, which finds those with the right CRC-32 alone.
#
#   detect-secrets scan --plugin FILE --disable-filter detect_secrets.filters.heuristic.is_indirect_reference
#
# The filter is one of its own. It leaves out every line like `client = connect('...')`, whatever is in the brackets.
# In YAML where it finds something, it passes over lines that are comments.

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

/// One for each prefix: a baseline names what it holds by class and type, which stay as they are when a prefix is added.
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

/// detect-secrets tells plug-ins apart by the names of their classes, its own ones too.
fn class(prefix: &Prefix) -> String {
    let capitalised = prefix.as_str().split('_').map(|word| match word.split_at_checked(1) {
        Some((first, rest)) if first.starts_with(|first: char| first.is_ascii_lowercase()) => {
            first.to_ascii_uppercase() + rest
        }
        // What has no capital keeps its `_`, or two prefixes had one name.
        _ => format!("_{word}"),
    });
    capitalised.collect::<String>() + "AccessTokenDetector"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_prefix_has_a_class_of_its_name() {
        let named = |prefix| class(&Prefix::new(prefix).unwrap());
        assert_eq!(named("acme_test_pat"), "AcmeTestPatAccessTokenDetector");
        assert_eq!(named("k90"), "K90AccessTokenDetector");
        assert_eq!(named("k9_0"), "K9_0AccessTokenDetector");
    }
}
