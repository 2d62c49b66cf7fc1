#!/usr/bin/env bash
# Builds the Go programs of the tests, statically, into .cache/go/, or into the folder that is its first argument. A second run
# builds nothing.
#
# STAND_IN_VERSION is the version that the stand-ins say they are, by default the one in version/version.go. With --test in
# place of a folder, it runs their own checks: formatting, go vet, and the tests, or those that further arguments choose.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/env.sh"
built=$cache/go
folder=$(realpath -m -- "${1:-$built}")

command -v go >/dev/null || die "There is no Go to build the tests' programs: run scripts/setup.sh."
mkdir -p "$built"
exec 9>"$built/lock" && flock 9 # several tests may begin at the same time

# What is downloaded has the hashes of go.sum, and stays in the project. No C library.
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS='-mod=readonly -trimpath -buildvcs=false -modcacherw' GO111MODULE=on GOWORK=off
export GOCACHE=$built/cache GOMODCACHE=$built/modules GOPATH=$built/path XDG_CONFIG_HOME=$built/config
cd "$project/tests/go"

if [ "${1:-}" = --test ]; then
    unformatted=$("$(go env GOROOT)/bin/gofmt" -l .)
    [ -z "$unformatted" ] || die "gofmt would change: $unformatted"
    go vet ./...
    shift
    exec go test "${@:-./...}"
fi
mkdir -p "$folder"
flags='-s -w'
[ -z "${STAND_IN_VERSION:-}" ] || flags+=" -X tbot_tpm.test/version.Version=$STAND_IN_VERSION"
for program in tbot tctl attest certificates yaml bot; do
    go build -ldflags "$flags" -o "$folder/.$program.new" "./$program"
    if cmp --quiet "$folder/.$program.new" "$folder/$program"; then
        rm "$folder/.$program.new"
    else
        # By rename: one that runs meanwhile is not disturbed.
        mv "$folder/.$program.new" "$folder/$program"
        say "Built $folder/$program"
    fi
done
