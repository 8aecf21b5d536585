//! Kingfisher's YAML, which has Kingfisher compute the checksum.

use super::{comment, each, pattern, title};
use crate::words::format::CRC;
use crate::words::ids::Prefix;

pub(super) fn rules(prefixes: &[Prefix]) -> String {
    let head = format!(
        "\
{comment}# For Kingfisher 2, which finds those with the right CRC-32 alone.
#
#   kingfisher scan PATH --rules-path FILE
#
# These rules ask no server whether a token still works; Kingfisher's own do, unless told --no-validate.

rules:{none}
",
        comment = comment(prefixes),
        none = if prefixes.is_empty() { " []" } else { "" },
    );
    head + &each(prefixes, rule)
}

/// The group TOKEN is what Kingfisher reports, which would be the first group otherwise: the token without its checksum.
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
