//! Writes the rules for Kingfisher in YAML. With these rules, Kingfisher checks the checksum of
//! each token.

use super::{comment, each, pattern, title};
use crate::words::format::CRC;
use crate::words::ids::Prefix;

pub(super) fn rules(prefixes: &[Prefix]) -> String {
    let head = format!(
        "\
{comment}# For Kingfisher 2. It reports only tokens with a correct CRC-32.
#
#   kingfisher scan PATH --rules-path FILE
#
# These rules send no token to a server. Kingfisher's own rules send the tokens that they find to a server, to check whether
# they still work. To prevent this, pass --no-validate.

rules:{none}
",
        comment = comment(prefixes),
        none = if prefixes.is_empty() { " []" } else { "" },
    );
    head + &each(prefixes, rule)
}

/// Returns the rule for one prefix.
///
/// Kingfisher reports the text of the group TOKEN. Without this group, Kingfisher would report the
/// first group, which is the token without its checksum.
fn rule(prefix: &Prefix) -> String {
    format!(
        "  - name: {title}
    id: custom.{prefix}
    pattern: '(?P<TOKEN>(?P<BODY>{body})(?P<CHECKSUM>{checksum}))'
    confidence: high
    pattern_requirements:
      checksum:
        actual:
          template: '{{{{ CHECKSUM }}}}'
          requires_capture: CHECKSUM
        expected: '{{{{ BODY | crc32 | base62: {CRC} }}}}'
        skip_if_missing: false
",
        title = title(prefix),
        body = pattern::body(prefix),
        checksum = pattern::checksum(),
    )
}
