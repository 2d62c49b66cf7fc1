#!/usr/bin/env bash
# Reads the project's prose with vale, and compares what it finds with what is known: see scripts/prose.py, which gets the arguments.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"
"$project/tests/prose/build.sh"
exec python "$project/scripts/prose.py" "$@"
