//! What GitHub's secret scanning is told, in its forms and by mail.

use super::{comment, each, pattern, title};
use crate::words::format::CRC;
use crate::words::ids::Prefix;

pub(super) fn custom_patterns(prefixes: &[Prefix]) -> String {
    let head = format!(
        "\
{comment}# As custom patterns of GitHub's secret scanning, by shape: it checks no CRC-32.
#
# In the settings of the organization or repository, under the security of code: Secret scanning, Custom patterns, New pattern.
# Before secret and After secret stay as they are, \\A|[^0-9A-Za-z] and \\z|[^0-9A-Za-z]: a token right behind or right before
# a letter or a digit is not found. As the test string, take a token that you have revoked.
",
        comment = comment(prefixes),
    );
    let one =
        |prefix: &Prefix| format!("\nPattern name:  {}\nSecret format: {}\n", title(prefix), pattern::token(prefix));
    head + &each(prefixes, one)
}

pub(super) fn partner(prefixes: &[Prefix]) -> String {
    let head = format!(
        "\
{comment}# For the partner programme of GitHub's secret scanning: GitHub then reports each one that it finds in public to an endpoint
# of yours.
#
# Send it to secret-scanning@github.com, with the URL of the endpoint and a test account of your service.
",
        comment = comment(prefixes),
    );
    let one = |prefix: &Prefix| {
        format!(
            "
Secret type:        {prefix}
Regular expression: {}
Checksum:           the last {CRC} characters are the CRC-32 (ISO-HDLC, as in zlib) of all characters before them, as a number
                    in base 62 with the digits 0-9A-Za-z, most significant digit first, padded with 0
",
            pattern::token(prefix),
        )
    };
    head + &each(prefixes, one)
}
