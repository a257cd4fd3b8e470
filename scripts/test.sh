#!/usr/bin/env bash
# Installs what the tests need and runs all that CI runs. See --help.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Cheap ones first; the tests last, so that their summary stands at the end.
SECTIONS=(deps fmt alerts systemd deny clippy doc doctest instructions test)
CARGO_DENY_VERSION=0.20.2
# Keep in step with EXPOSURE_TENTHS in tests/daemon/packaging.rs.
EXPOSURE_TENTHS=20

usage() {
    cat <<'USAGE'
usage: scripts/test.sh [SECTION…]

Installs what the tests need, then runs every check. Needs Rust; on Debian and Ubuntu the rest comes by itself
(root or sudo). Stops at the first failure and says how to run that section again. Without SECTION runs all, in order:

  deps     RabbitMQ, promtool, systemd-analyze, valgrind, a C compiler; clippy and rustfmt. The packaged services are not
           started: tests start private nodes on free ports
  fmt      cargo fmt --check
  alerts   promtool on alert rules and their tests
  systemd  systemd-analyze on the unit
  deny     cargo-deny: licences, banned crates, sources; built once into target/tools when it isn't installed
  clippy   cargo clippy, warnings are errors
  doc      cargo doc, warnings are errors
  doctest  examples in the documentation
  instructions
           instructions of the daemon for a delivered message, counted by callgrind, against the committed figure
           (benches/instructions.json): more than 3 % above it fails. Needs an optimised build
  test     all tests: cargo nextest when it is installed, else cargo test

Environment:
  PRIEM_TEST_INSTALL=0   install no packages; say what is missing and stop
  PRIEM_CHANNEL_SCHEMAS  absolute path of a folder with vk/, telegram/, max/, ok/: the platforms' own schemas, which
                         are not kept here. With it the payloads of the simulators are compared with them
USAGE
}

if [[ -t 1 ]]; then bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'; else bold='' red='' green='' plain=''; fi

die() {
    printf '%serror:%s %s\n' "$red" "$plain" "$*" >&2
    exit 3
}

# Runs a command as root.
as_root() {
    if [[ $(id -u) == 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "'$*' needs root, and there is no sudo here; run it as root, then run this again"
    fi
}

# A package's scripts ask policy-rc.d before they start a service; ours says no until the installation is over.
forbid_services() {
    local policy=/usr/sbin/policy-rc.d
    if [[ -e $policy ]]; then
        as_root mv "$policy" "$policy.before-priem"
    fi
    trap allow_services EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
}

allow_services() {
    local policy=/usr/sbin/policy-rc.d
    trap - EXIT
    if [[ -e $policy.before-priem ]]; then
        as_root mv "$policy.before-priem" "$policy"
    else
        as_root rm -f "$policy"
    fi
}

install_packages() {
    echo "missing packages: $*"
    [[ ${PRIEM_TEST_INSTALL:-1} != 0 ]] || die "PRIEM_TEST_INSTALL=0: install them yourself: $*"
    command -v apt-get >/dev/null ||
        die "this is not Debian or Ubuntu; install RabbitMQ, Prometheus (promtool), systemd and a C compiler, then run again"
    forbid_services
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l \
        apt-get install -q -y --no-install-recommends "$@"
    allow_services
}

section_deps() {
    command -v cargo >/dev/null || die "cargo is missing: install Rust from https://rustup.rs"
    local missing=()
    command -v cc >/dev/null || missing+=(gcc libc6-dev)
    command -v rabbitmq-server >/dev/null || missing+=(rabbitmq-server)
    command -v promtool >/dev/null || missing+=(prometheus)
    command -v systemd-analyze >/dev/null || missing+=(systemd)
    command -v valgrind >/dev/null || missing+=(valgrind)
    [[ -d /etc/ssl/certs && -n $(ls -A /etc/ssl/certs) ]] || missing+=(ca-certificates)
    if ((${#missing[@]})); then
        install_packages "${missing[@]}"
    fi
    local component
    for component in clippy rustfmt; do
        if ! cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1; then
            command -v rustup >/dev/null || die "cargo ${component/rustfmt/fmt} is missing and there is no rustup to add it"
            rustup component add "$component"
        fi
    done
    cargo --version
    promtool --version 2>&1 | head -n 1
    systemd-analyze --version | head -n 1
    echo "rabbitmq-server: $(command -v rabbitmq-server)"
}

section_fmt() {
    cargo fmt --all --check
    cargo fmt --manifest-path benches/routing/Cargo.toml --check
    cargo fmt --manifest-path fuzz/Cargo.toml --check
}

section_clippy() {
    cargo clippy --workspace --all-targets --locked -- -D warnings
    # A workspace of its own, see its Cargo.toml.
    cargo clippy --manifest-path benches/routing/Cargo.toml --target-dir target --locked -- -D warnings
}

section_test() {
    [[ -n ${PRIEM_CHANNEL_SCHEMAS:-} ]] || echo "PRIEM_CHANNEL_SCHEMAS is not set: simulators are not compared with schemas"
    if cargo nextest --version >/dev/null 2>&1; then
        # Tests wait for brokers, daemons and pauses more than they compute: half as many again as there are processors.
        cargo nextest run --workspace --locked --no-fail-fast --test-threads "$((($(nproc) * 3 + 1) / 2))"
    else
        cargo test --workspace --locked --no-fail-fast --lib --bins --tests
    fi
}

# The count depends on the compiler's version and on nothing else of the machine.
section_instructions() {
    cargo run --release --package benches --locked --quiet -- instructions --against benches/instructions.json
}

section_doctest() { cargo test --workspace --locked --doc; }

section_doc() { RUSTDOCFLAGS="${RUSTDOCFLAGS:-} -D warnings" cargo doc --workspace --locked --no-deps; }

section_deny() {
    local deny=target/tools/bin/cargo-deny
    if command -v cargo-deny >/dev/null; then
        deny=$(command -v cargo-deny)
    elif [[ ! -x $deny ]]; then
        echo "building cargo-deny $CARGO_DENY_VERSION into target/tools, once"
        cargo install cargo-deny --version "$CARGO_DENY_VERSION" --locked --debug --quiet --root target/tools
    fi
    "$deny" check --hide-inclusion-graph bans licenses sources
}

# Every line of the unit is verified by tests/daemon/packaging.rs, which needs the built daemon.
section_systemd() {
    systemd-analyze security --offline=true --no-pager --threshold="$EXPOSURE_TENTHS" systemd/priem.service
}

section_alerts() {
    promtool check rules dashboards/alerts.yaml
    promtool test rules dashboards/*.test.yaml
}

wanted=()
for argument in "$@"; do
    case $argument in
    -h | --help)
        usage
        exit 0
        ;;
    *)
        if [[ " ${SECTIONS[*]} " != *" $argument "* ]]; then
            echo "unknown section '$argument'" >&2
            usage >&2
            exit 2
        fi
        wanted+=("$argument")
        ;;
    esac
done
((${#wanted[@]})) || wanted=("${SECTIONS[@]}")

# An ordinary user's PATH lacks the folders of rabbitmq-server; a fresh rustup isn't in the PATH of this shell.
export PATH="$PATH:/usr/sbin:/sbin:${CARGO_HOME:-$HOME/.cargo}/bin"
# A tool that is missing fails the test that needs it instead of skipping it.
export PRIEM_TEST_REQUIRE_TOOLS=1

durations=''
for section in "${wanted[@]}"; do
    printf '\n%s=== %s ===%s\n' "$bold" "$section" "$plain"
    started=$SECONDS
    # A subshell with its own `set -e`: in the condition of an `if` the shell would go on after an error.
    set +e
    (
        set -e
        "section_$section"
    )
    status=$?
    set -e
    if ((status)); then
        printf '\n%s=== %s FAILED after %s s ===%s\nrun only this again: scripts/test.sh %s\n' \
            "$red" "$section" "$((SECONDS - started))" "$plain" "$section" >&2
        exit "$status"
    fi
    durations+="$section $((SECONDS - started)), "
done

printf '\n%sall passed in %s s%s (seconds: %s)\n' "$green" "$SECONDS" "$plain" "${durations%, }"
