#!/usr/bin/env bash
# Runs the tests that have a word in their names, wherever they are: subject.sh WORD. In Rust and Go, of playbooks and of the
# installed collection, and molecule's scenarios. That none has it is an error.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"
cd "$project"
[[ ${1:-} =~ ^[A-Za-z0-9_-]+$ ]] || die "FILTER is one word of letters, digits, _ and -, such as token or ssh, not '${1:-}'."
word=${1,,}
found=()

main() {
    rust
    go_packages
    playbooks tests/playbooks scripts/build.sh
    playbooks tests/collection scripts/dist.sh
    if [ -d "molecule/$word" ] && [ "$word" != shared ]; then
        scripts/build.sh
        step "Scenario $word" scripts/scenarios.sh "$word"
    fi
    [ ${#found[@]} -gt 0 ] || die "No test has '$word' in its name."
    printf '\nFILTER=%s: %s\n' "$word" "$(IFS=, && printf '%s' "${found[*]/#/ }")"
}

step() {
    scripts/step.sh "$@"
    found+=("$1")
}

rust() {
    local listed
    cargo test --locked --no-run --quiet
    # Standard error, where cargo says what it runs, is kept.
    listed=$(cargo test --locked --quiet --lib --bins --test it -- --list "$word")
    [[ $listed != *': test'* ]] || step "Rust" cargo test --locked --lib --bins --test it -- "$word"
}

# A package of the name with all of its tests; of others the tests of the name, which has no underscores in Go.
go_packages() {
    local folder pattern listed
    for folder in tests/go/*/; do
        folder=$(basename "$folder")
        pattern=.
        [[ $folder == *"$word"* ]] || pattern="(?i)${word//[_-]/}"
        listed=$(tests/go/build.sh --test "./$folder" -list "$pattern")
        [[ $listed != *Test* ]] || step "Go: $folder" tests/go/build.sh --test "./$folder" -run "$pattern"
    done
}

# Of one folder of pytest's, which needs what this command makes.
playbooks() {
    local folder=$1 needs=$2
    "$needs"
    if python -m pytest -q --collect-only -k "$word" "$folder" >/dev/null; then
        step "$folder" python -m pytest "$folder" -k "$word"
    fi
}

main
