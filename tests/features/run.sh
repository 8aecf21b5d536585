#!/usr/bin/env bash
# Measures each feature of keyfob: how many crates cargo compiles for it, and how much processor time a clean build takes,
# compared with a build without features. Writes src/guide/design/features.md. It takes some minutes.
#
# Each feature is built alone in a scratch package that depends on keyfob, because a service builds it so: with cargo's own
# profile and not with the one of this workspace. The versions are those of Cargo.lock. The measure is processor time,
# because other work on the machine changes it less than the elapsed time.
set -euo pipefail
cd "$(dirname "$0")/../.."

root=$PWD
table=src/guide/design/features.md
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/src"
echo '#![allow(unused_crate_dependencies)]' >"$scratch/src/lib.rs"
export CARGO_TARGET_DIR=$scratch/target CARGO_TERM_COLOR=never

# Writes the manifest of the scratch package, with one feature of keyfob or with none.
manifest() {
    local features=
    [ "$1" = none ] || features="\"$1\""
    printf '[package]\nname = "scratch"\nedition = "2024"\n\n[dependencies]\n' >"$scratch/Cargo.toml"
    printf 'keyfob = { path = "%s", default-features = false, features = [%s] }\n' "$root" "$features" >>"$scratch/Cargo.toml"
    cp Cargo.lock "$scratch/Cargo.lock"
}

# Prints how many crates cargo compiles for the feature, keyfob included.
crates() {
    local feature=$1
    [ "$feature" = none ] && feature=
    cargo tree --locked --offline --package keyfob --no-default-features --features "$feature" \
        --edges normal,build --prefix none --format '{p}' | sed 's/ (.*//' | sort -u | grep -c .
}

# Prints the processor time of a clean build in seconds. Takes the least of several builds, as many as the second argument
# says.
build_time() {
    manifest "$1"
    local least= user system TIMEFORMAT='%U %S'
    for _ in $(seq "$2"); do
        rm -rf "$CARGO_TARGET_DIR"
        if ! { time cargo build --offline --quiet --manifest-path "$scratch/Cargo.toml" 2>"$scratch/log"; } 2>"$scratch/time"; then
            cat "$scratch/log" >&2
            return 1
        fi
        read -r user system <"$scratch/time"
        least=$(awk -v a="$user" -v b="$system" -v least="$least" \
            'BEGIN { now = a + b; print (least == "" || now < least) ? now : least }')
    done
    echo "$least"
}

# The programs that rustc and cargo need are read from the disk once before the first measurement.
build_time none 1 >/dev/null
base=$(build_time none 5)
{
    echo "Measured on $(date -u +%F) with \`bash tests/features/run.sh\`, with $(rustc --version | cut -d ' ' -f 1-2) on $(nproc) cores. Each feature is alone"
    echo 'in the build. The crates are those that cargo compiles, keyfob included. The cost is the processor time'
    echo 'of a clean debug build, divided by the time without features.'
    echo
    echo '| feature | crates | cost |'
    echo '| --- | --- | --- |'
    for feature in none $(sed -n '/^\[features\]/,/^\[dependencies\]/s/^\([a-z][a-z0-9_-]*\) = .*/\1/p' Cargo.toml); do
        [ "$feature" = default ] && continue
        took=$base
        [ "$feature" = none ] || took=$(build_time "$feature" 1)
        awk -v feature="$feature" -v crates="$(crates "$feature")" -v took="$took" -v base="$base" 'BEGIN {
            ratio = took / base
            name = feature == "none" ? feature : "`" feature "`"
            printf "| %s | %d | %s |\n", name, crates, ratio < 9.95 ? sprintf("%.1f", ratio) : sprintf("%.0f", ratio)
        }'
        echo "$feature: $took s" >&2
    done
} >"$scratch/features.md"
mkdir -p "$(dirname "$table")"
mv "$scratch/features.md" "$table"
