#!/usr/bin/env bash
# Makes dist/, what a release consists of: the collection for Galaxy with the binaries of all architectures, checksums, and
# a bill of materials. The same sources and tools give the same bytes; scripts/build.sh says how.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"
cd "$project"

# bytes
binary_limit=$((5 * 1024 * 1024))
tarball_limit=$((6 * 1024 * 1024))

main() {
    local version stage
    version=$(python scripts/versions.py)
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
    export SOURCE_DATE_EPOCH
    scripts/build.sh x86_64 aarch64

    rm -rf dist
    mkdir dist
    stage=$(mktemp -d)
    # shellcheck disable=SC2064 # that folder
    trap "rm -rf '$stage'" EXIT
    copy_collection "$stage"
    check_size "$binary_limit" "$stage"/plugins/binaries/*
    check_size "$tarball_limit" "$(python scripts/pack.py "$stage" dist)"
    python scripts/sbom.py --output "dist/tbot-tpm-$version.cdx.json" --binaries "$stage/plugins/binaries"
    (cd dist && sha256sum -- * >SHA256SUMS)
    ls -l dist
}

# The files of the collection that git knows, and no others that lie there, with the binaries and what is owed to their authors.
copy_collection() {
    git -C ansible ls-files -z |
        tar --directory ansible --create --null --files-from - | tar --directory "$1" --extract
    mkdir -p "$1/plugins/binaries"
    install -m 0755 ansible/plugins/binaries/tbot_tpm_{x86_64,aarch64} "$1/plugins/binaries/"
    python scripts/third_party.py >"$1/LICENSES/THIRD-PARTY.txt"
}

check_size() {
    local limit=$1 path size
    shift
    for path; do
        size=$(stat --format=%s "$path")
        [ "$size" -le "$limit" ] || die "${path##*/} has $size bytes, and may have $limit."
    done
}

main
