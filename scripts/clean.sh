#!/usr/bin/env bash
# Removes everything that the other scripts made inside the project.
set -euo pipefail
cd "$(dirname "$0")/.."
# What a scenario that failed left running.
for hosts in machines containers; do
    [ ! -d ".cache/molecule/$hosts" ] || (source scripts/env.sh && "molecule/shared/$hosts.py" destroy)
done
rm -rf target dist .venv .cache .demo .ansible .pytest_cache
rm -f ansible/plugins/binaries/tbot_tpm_*
find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
