#!/usr/bin/env bash
# Random bytes against everything that reads what strangers send, for a while. See --help.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

TARGETS=(workbook parts csv xml jq html telegram vk ok max)
# An input that takes more memory (MB) or time (seconds; it is at most LARGEST bytes) is a fault.
MOST_MEMORY=256
MOST_TIME=1
LARGEST=65536
FOLDER=target/fuzz

usage() {
    cat <<TEXT
usage: scripts/fuzz.sh [SECONDS] [TARGET…]

Runs each TARGET (all of them without one) for SECONDS (60 without it), one after the other, and stops at the first fault:
a panic (an overflow and a failed assertion too), more than $MOST_MEMORY MB, or more than $MOST_TIME s for an input of
$LARGEST bytes at most.

  workbook  a file as a workbook: XLSX, XLSB, ODS, XLS
  parts     the same, but the container is made around the parts: names and bytes are random, checksums are right
  csv       a file as rows of text, in any encoding
  xml       bodies of interfaces that a manifest describes: XML, forms, CSV, JSON
  jq        a filter of a manifest (the first line) and what it is applied to
  html      texts with markup
  telegram, vk, ok, max
            a proven delivery, and the messages made of it

Needs cargo-fuzz (cargo install cargo-fuzz --locked) and a C++ compiler; the installed Rust will do.

Where things are, none of it in git:
  $FOLDER/corpus/TARGET     inputs that reach something new; a later run goes on with them. The first are samples out of
                           the project's own code (connectors/tests/fuzz/seeds.rs)
  $FOLDER/faults/TARGET     inputs at fault; this says what happens with one:
                           $FOLDER/build/x86_64-unknown-linux-gnu/release/TARGET FILE

A fault is mended for its kind, with an ordinary test beside the code that had it.
Reading the output: cov: places of the code reached; corp: inputs kept; exec/s; rss: memory of the whole process. At the
end of a target stand its numbers, and its slowest input when the ones kept are run once more.
TEXT
}

seconds=60
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
    seconds=$1
    shift
fi
wanted=()
for argument in "$@"; do
    if [[ $argument == -h || $argument == --help ]]; then
        usage
        exit 0
    fi
    if [[ " ${TARGETS[*]} " != *" $argument "* ]]; then
        echo "fuzz.sh: no target '$argument'; there are: ${TARGETS[*]}" >&2
        exit 2
    fi
    wanted+=("$argument")
done
((${#wanted[@]})) || wanted=("${TARGETS[@]}")

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "fuzz.sh: cargo-fuzz is missing: cargo install cargo-fuzz --locked" >&2
    exit 1
fi

PRIEM_FUZZ_SEEDS=$PWD/$FOLDER/corpus
export PRIEM_FUZZ_SEEDS
# The tables first: the connectors take their workbooks apart.
for package in priem-tables priem-connectors; do
    cargo test --quiet --locked --package "$package" seeds_of_the_fuzzer >/dev/null
done

# What counts the places reached is a flag that a stable compiler takes only so.
export RUSTC_BOOTSTRAP=1
common=(--fuzz-dir fuzz --target-dir "$FOLDER/build" --sanitizer none)
for target in "${wanted[@]}"; do
    printf '\n=== %s, %s s ===\n' "$target" "$seconds"
    corpus=$FOLDER/corpus/$target
    mkdir -p "$corpus" "$FOLDER/faults/$target"
    limits=(-rss_limit_mb="$MOST_MEMORY" -timeout="$MOST_TIME" -max_len="$LARGEST")
    cargo fuzz run "${common[@]}" "$target" "$corpus" -- "${limits[@]}" -max_total_time="$seconds" \
        -print_final_stats=1 -artifact_prefix="$FOLDER/faults/$target/"
    find "$corpus" -type f -print0 | xargs -0 "$FOLDER"/build/*/release/"$target" -rss_limit_mb="$MOST_MEMORY" 2>&1 |
        awk '/^Executed .* ms$/ { if ($(NF - 1) >= slowest) { slowest = $(NF - 1); input = $2 } }
             END { printf "slowest of the corpus: %d ms, %s\n", slowest, input }'
done
