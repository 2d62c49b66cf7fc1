#!/usr/bin/env bash
# What `make test` and `make check` do: test.sh all | check. With FILTER in the environment, `all` means what has that word in its
# name: of the tests in Rust, in Go, and of the playbooks.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"
cd "$project"
# Setup installs Go and strace, so what needs them is not to be skipped.
export TBOT_TPM_GO=required TBOT_TPM_STRACE=required
# What differs from a snapshot fails, and no file is left beside it.
export INSTA_UPDATE=no
# Where setup can fetch a machine to boot, its tests are not to be skipped.
if [ "$(. /etc/os-release && echo "${ID:-}") $(uname -m)" = "debian x86_64" ]; then
    export TBOT_TPM_MACHINE=required
fi

# Two at a time, each step's text in one piece. Descriptor 3 is where a step says that it begins.
steps() {
    # As if called by nobody: a make that called this one has settings of its own.
    unset MAKEFLAGS MAKELEVEL MFLAGS
    make --file scripts/test.mk --jobs 2 --output-sync=target --no-print-directory "$@" 3>&1
}

# The files of the collection that differ from what was committed.
changed_ansible_files() {
    { git diff --name-only --diff-filter=d HEAD -- ansible; git ls-files --others --exclude-standard -- ansible; } |
        grep -E '\.ya?ml$' || true
}

check() {
    local began=$SECONDS files
    files=$(changed_ansible_files)
    if [ -n "$files" ]; then
        steps check ANSIBLE_FILES="${files//$'\n'/ }"
    else
        steps check LEFT_OUT=ansible
    fi
    cat <<EOF

make check: all steps passed after $((SECONDS - began)) s. It leaves out what only \`make test\` runs:
  - slow integration tests (\`cargo test --test it slow_\`): crashes, fuzzing, booted machines, hundreds of software TPMs
  - lints and tests without libtss2, and cargo deny
  - the release, the playbooks on software TPMs, the installed collection, containers and machines
  - ansible-lint on files without changes
EOF
}

all() {
    local began=$SECONDS
    if [ -n "${FILTER:-}" ]; then
        scripts/subject.sh "$FILTER"
    else
        steps test
        # A step that fails ends the run before this.
        printf '\nsteps: %s passed, 0 failed\n' "$(make --file scripts/test.mk --dry-run test | grep --count scripts/step.sh)"
    fi
    printf 'make test: all steps passed after %s s.\n' $((SECONDS - began))
}

case ${1:-} in
    all | check) "$1" ;;
    *) die "Usage: test.sh all | check" ;;
esac
