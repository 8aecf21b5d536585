#!/usr/bin/env bash
# Counts the instructions of the steps of a verification. Fails if a count exceeds its baseline, in the file `baseline`, by more
# than 5 %, or by more than 30 instructions. The first comment of src/main.rs says what the counts mean.
#
# `run.sh --update "reason"` measures, and writes each changed count with this reason into the file `baseline`. A commit that
# changes a count but not its reason fails the gate too.
set -euo pipefail
cd "$(dirname "$0")/../.."
baseline=tests/hot-path/baseline

fail() { echo "hot-path: $*" >&2; exit 1; }

if ! command -v valgrind > /dev/null || [ "$(uname -m)" != x86_64 ]; then
    echo "hot-path: needs valgrind on x86_64; nothing was checked"
    if [ "${CI:-}" = true ]; then exit 1; fi
    exit 0
fi

# Succeeds if a count is above the limit for its baseline.
is_above() { local count=$1 base=$2; [ "$count" -gt $((base + 30)) ] || [ $((count * 100)) -gt $((base * 105)) ]; }

# Tests `is_above` on both sides of both limits. Above a baseline of 600, the limit is 30 instructions. Below 600, it is 5 %.
for bound in '1000 1030' '600 630' '400 420' '0 0'; do
    read -r base most <<< "$bound"
    if is_above "$most" "$base" || ! is_above $((most + 1)) "$base"; then fail "the comparison at $base is wrong"; fi
done

# Compares two versions of the baseline. Prints each line whose count has changed but whose reason has not.
unexplained() {
    awk '/^#/ || NF == 0 { next }
        { name = $1; figure = $2; reason = $0; sub(/^[^ ]+ +[^ ]+ +/, "", reason) }
        NF < 3 { print "  " $0 " (no reason)" }
        FNR == NR { figures[name] = figure; reasons[name] = reason; next }
        name in figures && figures[name] != figure && reasons[name] == reason { print "  " $0 }' "$1" "$2"
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# A release build, because its code is optimized as in the release build of a host.
cargo build --quiet --locked --release --package hot-path
program="${CARGO_TARGET_DIR:-target}/release/hot-path"

# Prints two counts for one call: the instructions outside the crate sha2, and the instructions within it. In callgrind's
# output, the first mention of a function has its number and its name, and later mentions have only the number. The line after
# `calls=` has the cost of the called function. callgrind lists that cost elsewhere too, so this line is not added.
instructions() {
    local step=$1 counts=$scratch/counts said
    # The C library's memcpy and memcmp need fewer instructions with AVX2 than with SSE2. So that the counts of all machines are
    # comparable, AVX2 is off.
    said=$(GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-AVX,-ERMS valgrind --tool=callgrind --callgrind-out-file="$counts" \
        --toggle-collect='hot_path::counted' "$program" "$step" 2>"$scratch/log") || { cat "$scratch/log" >&2; return 1; }
    awk -v calls="${said//[^0-9]/}" '
        /^c?fn=\(/ {
            id = $1; sub(/^[^(]*/, "", id)
            if (NF > 1) { name = $0; sub(/^[^)]*\) /, "", name); names[id] = name }
            if (/^fn/) current = id
            next
        }
        /^calls=/ { called = 1; next }
        called { called = 0; next }
        /^[0-9+*-]+ [0-9]+$/ { cost[current] += $2; total += $2 }
        END {
            for (id in cost) if (names[id] ~ /^sha2::/) hash += cost[id]
            if (total == 0 || hash % calls || total % calls) { print "not a whole number: " total " " hash; exit 1 }
            print (total - hash) / calls, hash / calls
        }' "$counts"
}

measured=()
for step in parse check refuse verify verify-observed verify-cached verify-bound; do
    counts=$(instructions "$step") || fail "$step was not counted: $counts"
    read -r count hash <<< "$counts"
    # The steps `check` and `refuse` hash nothing, and every other step hashes something. So these limits show whether the
    # functions of the crate sha2 were recognized.
    least=1000 most=1000000
    case $step in check | refuse) least=0 most=0 ;; esac
    if [ "$hash" -lt "$least" ] || [ "$hash" -gt "$most" ]; then fail "$step: $hash instructions in the crate sha2"; fi
    measured+=("$step $count")
done

if [ "${1:-}" = --update ]; then
    reason=${2:-}
    [ -n "$reason" ] || fail 'give the reason for the change: run.sh --update "reason"'
    {
        cat <<'HEAD'
# Instructions of one call without SHA-256, and the reason for the last change. Written by `run.sh --update "reason"`.
HEAD
        printf '# %s\n' "$(rustc --version)"
        for line in "${measured[@]}"; do
            step=${line% *} count=${line#* }
            old=$(awk -v step="$step" '$1 == step' "$baseline" 2>/dev/null || true)
            if [ "$(awk '{ print $2 }' <<< "$old")" = "$count" ]; then echo "$old"; else echo "$step $count $reason"; fi
        done
    } > "$scratch/new"
    if [ -f "$baseline" ] && same=$(unexplained "$baseline" "$scratch/new") && [ -n "$same" ]; then
        fail "give a new reason; the baseline has this one already:"$'\n'"$same"
    fi
    cp "$scratch/new" "$baseline"
    cat "$baseline"
    exit 0
fi

failed=0
for line in "${measured[@]}"; do
    step=${line% *} count=${line#* }
    base=$(awk -v step="$step" '$1 == step { print $2 }' "$baseline")
    [ -n "$base" ] || fail "$step has no line in $baseline"
    word=ok
    if is_above "$count" "$base"; then word='TOO MANY' failed=1; fi
    if is_above "$base" "$count"; then word='fewer: accept it with --update'; fi
    printf '%-16s %5d instructions, baseline %5d (%+d): %s\n' "$step" "$count" "$base" $((count - base)) "$word"
done

# Checks the uncommitted changes, and each commit that changed a count: a changed count needs a new reason.
if git rev-parse --git-dir > /dev/null 2>&1; then
    while read -r new old; do
        if [ "$new" = . ]; then cp "$baseline" "$scratch/new"; else git show "$new:$baseline" > "$scratch/new" 2>/dev/null || continue; fi
        git show "$old:$baseline" > "$scratch/old" 2>/dev/null || continue
        lines=$(unexplained "$scratch/old" "$scratch/new")
        if [ -n "$lines" ]; then echo "changed without a new reason in $new:"$'\n'"$lines"; failed=1; fi
    done < <(echo '. HEAD'; git log --format='%h %h^' -- "$baseline")
fi

if [ "$failed" -ne 0 ]; then
    fail "see above. Baseline: $(sed -n 's/^# rustc/rustc/p' "$baseline"); here: $(rustc --version). If the cost is worth it:" \
        'run.sh --update "reason"'
fi
