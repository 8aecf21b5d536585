#!/bin/sh
# Access tokens with the prefix acme_pat.
# For ripsecrets 0.1. It matches the shape of a token and does not check the CRC-32.
#
#   sh FILE PATH...
#
# ripsecrets has its own pattern for lines such as `token = ...`, which drops a third of the tokens as not random enough. If
# several patterns match in a line, ripsecrets takes the match that begins first. Each pattern here therefore matches from the
# start of the line (.*?). If the line begins with the word key, token, secret or password, both patterns match from there, and
# ripsecrets uses its own. It can then miss the token.
# ripsecrets skips hidden files in folders. To search them, pass their paths.
exec ripsecrets \
  --additional-pattern '.*?acme_pat_[0-9a-z]{1,32}_[0-9A-Za-z]{16}_[0-9A-Za-z]{50}' \
  "$@"
