#!/usr/bin/env bash
# Pins what Python packages are installed, transitive ones included, each by version and SHA-256: requirements.txt from requirements.in,
# and what the tests of the installed collection want. Without arguments it keeps the versions that are pinned where they still fit;
# `--upgrade` takes the newest.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"
cd "$project"

# lock.sh's own tool, by its hash as well: in requirements.in.
compile() {
    local python=$1 from=$2 to=$3
    shift 3
    # For every system and every Python from that one on.
    uv pip compile --quiet --universal --python-version "$python" --generate-hashes --no-header --no-annotate --no-emit-index-url \
        --output-file "$to" "$@" "$from"
}

compile 3.10 requirements.in requirements.txt "$@"
for from in tests/collection/requirements/*.in; do
    # The first line names the versions of Python, oldest first.
    read -r _ _ python _ <"$from"
    compile "$python" "$from" "${from%.in}.txt" "$@"
done
compile 3.12 .github/publish.in .github/publish.txt "$@"
