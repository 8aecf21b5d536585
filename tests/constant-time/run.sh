#!/usr/bin/env bash
# Asks valgrind both ways: the check without a report, the control with one for each leak.
# What this shows, and what it does not, stands at the head of src/main.rs.
set -eu
cd "$(dirname "$0")/../.."

if ! command -v valgrind > /dev/null; then
    echo "constant-time: valgrind is not installed; nothing was checked"
    if [ "${CI:-}" = true ]; then exit 1; fi
    exit 0
fi

# Debug builds report what release builds do not do.
cargo build --quiet --locked --release --package constant-time
program="${CARGO_TARGET_DIR:-target}/release/constant-time"

# Runs the program under valgrind, whose exit code for reports is 9 whatever the program's own is: so the last line
# counts too. Valgrind's own words are shown where either is not as expected.
expect() {
    local asked=$1 status=$2 line=$3 log found=0 said
    log=$(mktemp)
    said=$(valgrind --quiet --error-exitcode=9 --log-file="$log" "$program" "$asked") || found=$?
    if [ "$found" -ne "$status" ] || [[ "${said##*$'\n'}" != $line ]]; then
        echo "$said"
        cat "$log"
        rm -f "$log"
        echo "constant-time: $asked ended with $found, expected $status and the line \"$line\""
        exit 1
    fi
    rm -f "$log"
    echo "${said##*$'\n'}"
}

expect check 0 'check: *, 0 reports'
expect control 9 'control: every leak was reported'
