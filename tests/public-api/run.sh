#!/usr/bin/env bash
# Compares the public API with the list in keyfob.txt and with the list of the last release. `run.sh write` writes keyfob.txt.
# The first comment of src/main.rs says what the check covers and what it does not cover.
set -eu
cd "$(dirname "$0")/../.."

target=${CARGO_TARGET_DIR:-target}
# The same selection as for the documentation in .ci/run, so that no dependency is checked again.
RUSTDOC=$PWD/.ci/rustdoc RUSTDOCFLAGS='-Z unstable-options --output-format json' \
    cargo doc --quiet --locked --no-deps --workspace --all-features --lib --example quickstart
version=$(cargo pkgid --package keyfob | sed 's/.*[#@]//')

released=()
if tag=$(git describe --tags --abbrev=0 --match 'v*' 2> /dev/null); then
    git show "$tag:tests/public-api/keyfob.txt" > "$target/released-api.txt"
    released=("$target/released-api.txt")
fi
cargo run --quiet --locked --package public-api-listing -- \
    "${1:-check}" "$target/doc/keyfob.json" "$version" tests/public-api/keyfob.txt "${released[@]}"
