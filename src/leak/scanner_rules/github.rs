//! Writes the texts for GitHub's secret scanning: the values to enter on the page for a new custom
//! pattern, and the text to send to the partner program.

use super::{comment, each, pattern, title};
use crate::words::format::CRC;
use crate::words::ids::Prefix;

pub(super) fn custom_patterns(prefixes: &[Prefix]) -> String {
    let head = format!(
        "\
{comment}# Custom patterns for GitHub's secret scanning. They match the shape of a token and do not check the CRC-32.
#
# In the settings of the organization or repository, go to the section for code security and choose Secret scanning,
# Custom patterns, New pattern. Keep the defaults of Before secret (\\A|[^0-9A-Za-z]) and After secret (\\z|[^0-9A-Za-z]). With
# them, GitHub does not find a token that directly follows or precedes a letter or a digit. As the test string, use a token
# that you have revoked.
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
{comment}# For the partner program of GitHub's secret scanning. GitHub then reports each token that it finds in a public place to an
# endpoint of your service.
#
# Send this text to secret-scanning@github.com, with the URL of the endpoint and a test account of your service.
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
