#!/usr/bin/env bash
# Runs the check and the control under valgrind. The check must end without a report, and the control with one for each leak.
# The first comment of src/main.rs says what this covers and what it does not.
set -eu
cd "$(dirname "$0")/../.."

if ! command -v valgrind > /dev/null; then
    echo "constant-time: valgrind is not installed; nothing was checked"
    if [ "${CI:-}" = true ]; then exit 1; fi
    exit 0
fi

# A debug build has branches that a release build does not have.
cargo build --quiet --locked --release --package constant-time
program="${CARGO_TARGET_DIR:-target}/release/constant-time"

# Runs the program under valgrind and compares its exit code and its last line with the expected ones. If valgrind reports
# anything, its exit code is 9 and hides that of the program, so the last line is compared too. If either differs, this
# prints valgrind's output.
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
