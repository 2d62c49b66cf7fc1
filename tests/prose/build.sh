#!/usr/bin/env bash
# Builds vale, which reads prose, into .cache/go/. A second run does nothing.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/env.sh"
built=$cache/go
cd "$project/tests/prose"

command -v go >/dev/null || die "There is no Go to build vale: run scripts/setup.sh."
mkdir -p "$built"
exec 9>"$built/vale.lock" && flock 9 # several tests may begin at the same time
stamp="$(go env GOVERSION) $(cat go.mod go.sum | sha256sum)"
if [ -x "$built/vale" ] && [ "$(cat "$built/vale.stamp" 2>/dev/null)" = "$stamp" ]; then
    exit
fi
say "Building vale, which reads prose: a few minutes"
# As for the stand-ins (tests/go/build.sh), but with C: vale has its parsers of programming languages from there. They read little here,
# so that to optimize them takes longer than it saves.
export CGO_ENABLED=1 CGO_CFLAGS='-O0' GOTOOLCHAIN=local GOFLAGS='-mod=readonly -trimpath -modcacherw' GO111MODULE=on GOWORK=off
export GOCACHE=$built/cache GOMODCACHE=$built/modules GOPATH=$built/path XDG_CONFIG_HOME=$built/config
go build -ldflags '-s -w' -o "$built/vale" github.com/errata-ai/vale/v3/cmd/vale
echo "$stamp" >"$built/vale.stamp"
