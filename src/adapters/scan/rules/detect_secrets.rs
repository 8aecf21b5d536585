//! A plug-in of detect-secrets, which computes the checksum.

use super::{comment, each, list, pattern};
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


class {class}(RegexBasedDetector):
    secret_type = 'Access token ({prefixes})'
    denylist = [
{expressions}    ]

    def analyze_string(self, string):
        return (token for token in super().analyze_string(string) if has_right_checksum(token))


def has_right_checksum(token):
    body, digits = token[:-{CRC}], token[-{CRC}:]
    checksum = 0
    for digit in digits:
        checksum = checksum * {base} + BASE62.index(digit)
    return checksum == zlib.crc32(body.encode())
",
        comment = comment(prefixes),
        prefixes = list(prefixes),
        class = class(prefixes.first()),
        expressions = each(prefixes, |prefix| format!("        re.compile(r'{}'),\n", pattern::token(prefix))),
        base = digits.len(),
    )
}

/// detect-secrets tells plug-ins apart by the names of their classes, its own ones too.
fn class(prefix: Option<&Prefix>) -> String {
    let words = prefix.map(Prefix::as_str).unwrap_or_default().split('_');
    let capitalised = words.map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    capitalised.collect::<String>() + "AccessTokenDetector"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_named_by_the_first_prefix() {
        let named = |prefix| class(Some(&Prefix::new(prefix).unwrap()));
        assert_eq!(named("acme_test_pat"), "AcmeTestPatAccessTokenDetector");
        assert_eq!(named("k9_0"), "K90AccessTokenDetector");
        assert_eq!(class(None), "AccessTokenDetector");
    }
}
