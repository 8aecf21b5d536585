#!/usr/bin/env bash
# Runs the check and the control under valgrind. In the check, valgrind must report nothing. In the control, valgrind must
# report every leak. The first comment of src/main.rs says what this covers and what it does not cover.
set -eu
cd "$(dirname "$0")/../.."

if ! command -v valgrind > /dev/null; then
    echo "constant-time: valgrind is not installed; nothing was checked"
    if [ "${CI:-}" = true ]; then exit 1; fi
    exit 0
fi

# A release build, because a debug build has branches that a release build does not have.
cargo build --quiet --locked --release --package constant-time
program="${CARGO_TARGET_DIR:-target}/release/constant-time"

# Runs the program under valgrind, and compares the exit code and the program's last line with the expected ones. If valgrind
# reports anything, it ends with code 9 instead of the program's exit code. So this function compares the program's last line
# too. If the code or the line differs, the function prints the output of the program and of valgrind.
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
