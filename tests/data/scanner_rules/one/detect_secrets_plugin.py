# Access tokens with the prefix acme_pat.
# For detect-secrets 1.5. It reports only tokens with a correct CRC-32.
#
#   detect-secrets scan --plugin FILE --disable-filter detect_secrets.filters.heuristic.is_indirect_reference
#
# The command disables a filter of detect-secrets. This filter skips every line such as `client = connect('...')`, no matter
# what the argument is. In a YAML file with a finding, detect-secrets skips the lines that are comments.

import re
import zlib

from detect_secrets.plugins.base import RegexBasedDetector

BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'


class RightChecksum:
    def analyze_string(self, string):
        return (token for token in super().analyze_string(string) if has_right_checksum(token))


def has_right_checksum(token):
    body, digits = token[:-6], token[-6:]
    checksum = 0
    for digit in digits:
        checksum = checksum * 62 + BASE62.index(digit)
    return checksum == zlib.crc32(body.encode())


class AcmePatAccessTokenDetector(RightChecksum, RegexBasedDetector):
    secret_type = 'Access token (acme_pat)'
    denylist = [re.compile(r'acme_pat_[0-9a-z]{1,32}_[0-9A-Za-z]{16}_[0-9A-Za-z]{50}')]
