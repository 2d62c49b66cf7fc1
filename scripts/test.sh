#!/usr/bin/env bash
# Everything that `make test` checks, cheapest first; stops at the first step that fails.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"
cd "$project"
# Without Go, which requirements.txt installs, the comparison with tbot's own parser would be skipped.
export TBOT_TPM_GO=required

step() {
    printf '\n== %s\n' "$1"
    shift
    "$@" || die "make test: this step failed: $*"
}

# Setup installs strace, so the tests of crashes are not to be skipped.
export TBOT_TPM_STRACE=required

# Where setup can fetch a machine to boot, its tests are not to be skipped.
if [ "$(. /etc/os-release && echo "${ID:-}") $(uname -m)" = "debian x86_64" ]; then
    export TBOT_TPM_MACHINE=required
fi

step "Rust: formatting" cargo fmt --check
step "Shell scripts" shellcheck --external-sources scripts/*.sh tests/machine/init tests/machine/*.sh .ci/run \
    molecule/shared/stand_ins/build.sh
step "Stand-ins for tbot and tctl" molecule/shared/stand_ins/build.sh --test
step "Ansible: lint" ansible-lint --profile production
step "Rust: lints" cargo clippy --locked --all-targets -- -D warnings
step "Rust: lints, without libtss2" cargo clippy --locked --all-targets --no-default-features -- -D warnings
step "Rust: tests" cargo test --locked
step "Rust: tests, without libtss2" cargo test --locked --no-default-features
step "Release binary" scripts/build.sh
step "Playbooks on software TPMs" python -m pytest tests/playbooks
