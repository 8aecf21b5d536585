#!/bin/sh
# Access tokens with the prefix acme_pat or acme_test_pat.
# For ripsecrets 0.1, by shape: it checks no CRC-32.
#
#   sh FILE PATH...
#
# Of the patterns that match in a line, ripsecrets takes the one that begins first, and its own one for `token = ...` drops
# a third of the tokens as not random enough. So a pattern here begins with the line (.*?). Where the line itself begins
# with the word key, token, secret or password, both begin there and ripsecrets prefers its own.
# It passes over hidden files in folders: name them.
exec ripsecrets \
  --additional-pattern '.*?acme_pat_[0-9a-z]{1,32}_[0-9A-Za-z]{16}_[0-9A-Za-z]{50}' \
  --additional-pattern '.*?acme_test_pat_[0-9a-z]{1,32}_[0-9A-Za-z]{16}_[0-9A-Za-z]{50}' \
  "$@"
