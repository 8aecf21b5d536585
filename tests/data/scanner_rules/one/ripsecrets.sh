#!/bin/sh
# Access tokens with the prefix acme_pat.
# For ripsecrets 0.1. It matches the shape of a token and does not check the CRC-32.
#
#   sh FILE PATH...
#
# If several patterns match in a line, ripsecrets takes the match that begins first. Its own pattern for `token = ...` drops
# a third of the tokens as not random enough. Each pattern here therefore matches from the start of the line (.*?). If the
# line begins with the word key, token, secret or password, both begin there, and ripsecrets prefers its own.
# ripsecrets skips hidden files in folders. Pass their paths to include them.
exec ripsecrets \
  --additional-pattern '.*?acme_pat_[0-9a-z]{1,32}_[0-9A-Za-z]{16}_[0-9A-Za-z]{50}' \
  "$@"
