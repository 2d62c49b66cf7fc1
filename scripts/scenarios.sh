#!/usr/bin/env bash
# Runs these scenarios of molecule, on whole machines and containers: their images are built by root, for Debian's own QEMU and
# systemd-nspawn. All but the last keep their hosts for the next.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"
cd "$project"

if [ "$EUID" -ne 0 ] || [ "$(. /etc/os-release && echo "${ID:-}") $(uname -m)" != "debian x86_64" ]; then
    [ -z "${TBOT_TPM_ROOT:-}" ] || die "Booting machines and containers needs root, and Debian on x86-64."
    say "SKIPPED: machines and containers are booted by root, on Debian on x86-64"
    exit
fi

# There is one place for the hosts, and for the stand-in for their cluster.
mkdir -p "$cache/molecule"
exec 9>"$cache/molecule/scenarios.lock" && flock 9

clean_up() {
    python molecule/shared/cluster.py down
    molecule/shared/machines.py destroy
    molecule/shared/containers.py destroy
}
trap clean_up EXIT
while [ $# -gt 0 ]; do
    keep=()
    [ $# -eq 1 ] || keep=(--destroy never)
    # What it starts may outlive it, and is not to keep the lock.
    molecule --base-config .config/molecule/config.yml test --scenario-name "$1" "${keep[@]}" 9>&-
    shift
done
