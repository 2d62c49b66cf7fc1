#!/usr/bin/env bash
# Everything that `make test` checks, cheapest first; stops at the first step that fails.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"
cd "$project"
# Without Go, which requirements.txt installs, the comparison with tbot's own parser would be skipped.
export TBOT_TPM_GO=required
# Setup installs strace, so the tests of crashes are not to be skipped.
export TBOT_TPM_STRACE=required
# Where setup can fetch a machine to boot, its tests are not to be skipped.
if [ "$(. /etc/os-release && echo "${ID:-}") $(uname -m)" = "debian x86_64" ]; then
    export TBOT_TPM_MACHINE=required
fi

step() {
    local began=$SECONDS
    printf '\n== %s\n' "$1"
    shift
    "$@" || die "make test: this step failed: $*"
    printf '== (%d s)\n' $((SECONDS - began))
}

# The tests in which the way to the TPM plays a part. All others are the same without libtss2.
tests_of_the_tpm() {
    local file names=()
    for file in tests/{identify*,access,device,differential,hostile*,native_build,protocol}.rs; do
        names+=(--test "$(basename "$file" .rs)")
    done
    cargo test --locked --no-default-features --lib --bins "${names[@]}"
}

# Whole machines and containers: their images are built by root, for Debian's own QEMU and systemd-nspawn. The second scenario
# goes on with the first one's machines.
scenarios() {
    if [ "$EUID" -ne 0 ] || [ -z "${TBOT_TPM_MACHINE:-}" ]; then
        [ -z "${TBOT_TPM_ROOT:-}" ] || die "Booting machines and containers needs root, and Debian on x86-64."
        say "SKIPPED: machines and containers are booted by root, on Debian on x86-64"
        return
    fi
    trap 'python molecule/shared/cluster.py down; molecule/shared/machines.py destroy; molecule/shared/containers.py destroy' EXIT
    step "Containers of several distributions" molecule --base-config .config/molecule/config.yml test --scenario-name distros
    step "Machines with a TPM" molecule --base-config .config/molecule/config.yml test --scenario-name vm --destroy never
    step "A fleet's life on them" molecule --base-config .config/molecule/config.yml test --scenario-name lifecycle
}

step "Rust: formatting" cargo fmt --check
step "Shell scripts" shellcheck --external-sources scripts/*.sh tests/machine/init tests/machine/*.sh \
    tests/collection/*.sh molecule/shared/*.sh tests/go/build.sh .ci/run
step "Go: stand-ins for tbot and tctl, and what the tests ask" tests/go/build.sh --test
step "Ansible: lint" ansible-lint --profile production
step "Rust: lints" cargo clippy --locked --all-targets -- -D warnings
step "Rust: lints, without libtss2" cargo clippy --locked --all-targets --no-default-features -- -D warnings
# The advisories' database is elsewhere: the scheduled workflow asks it.
step "Rust: licences, duplicates and sources of crates" cargo deny --locked check licenses bans sources
step "Rust: tests" cargo test --locked
step "Rust: tests of the TPM, without libtss2" tests_of_the_tpm
step "The release: binaries and collection" scripts/dist.sh
step "Playbooks on software TPMs" python -m pytest tests/playbooks
step "The collection, installed" python -m pytest -rs tests/collection
scenarios
