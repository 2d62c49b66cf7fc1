#!/usr/bin/env bash
# Builds the stand-ins for tbot and tctl into .cache/stand_ins/, or into the folder that is its first argument. A second run
# builds nothing.
#
# STAND_IN_VERSION is the version that they say they are, by default the one in version/version.go. With --test in place of a
# folder, it runs their own checks: formatting, go vet, tests.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../../scripts/env.sh"
sources=$project/molecule/shared/stand_ins
built=$cache/stand_ins
folder=$(realpath -m -- "${1:-$built}")
go_sources=/usr/share/gocode/src
readers=(gopkg.in/yaml.v2 gopkg.in/yaml.v3 github.com/ghodss/yaml)

command -v go >/dev/null || die "There is no Go to build the stand-ins: run scripts/setup.sh."
for reader in "${readers[@]}"; do
    [ -d "$go_sources/$reader" ] || die "The sources of $reader are not there: run scripts/setup.sh."
done
mkdir -p "$built"
exec 9>"$built/lock" && flock 9 # several tests may begin at the same time

# No network, nothing outside of the project, no C library.
export CGO_ENABLED=0 GOTOOLCHAIN=local GOPROXY=off GOFLAGS='-mod=vendor -trimpath' GO111MODULE=on GOWORK=off
export GOCACHE=$built/cache GOPATH=$built/path XDG_CONFIG_HOME=$built/config

# A module made anew, for the release's own settings: without a go.mod, Go keeps to those of an old one, and reads
# certificates as that one did.
module=$built/module
rm -rf "$module"
mkdir "$module"
cp -r "$sources"/*/ "$module/"
release=$(go env GOVERSION | sed -E 's/^go([0-9]+\.[0-9]+).*/\1/')
printf 'module stand_ins\n\ngo %s\n\nrequire (\n' "$release" >"$module/go.mod"
mkdir "$module/vendor"
for reader in "${readers[@]}"; do
    version=v1.0.0
    [ "${reader#gopkg.in/yaml.v}" = "$reader" ] || version=v${reader#gopkg.in/yaml.v}.0.0
    printf '\t%s %s\n' "$reader" "$version" >>"$module/go.mod"
    printf '# %s %s\n## explicit\n%s\n' "$reader" "$version" "$reader" >>"$module/vendor/modules.txt"
    mkdir -p "$module/vendor/$reader"
    cp "$go_sources/$reader"/*.go "$module/vendor/$reader/"
    rm -f "$module/vendor/$reader"/*_test.go
done
echo ')' >>"$module/go.mod"
cd "$module"

if [ "${1:-}" = --test ]; then
    unformatted=$("$(go env GOROOT)/bin/gofmt" -l "$sources")
    [ -z "$unformatted" ] || die "gofmt would change: $unformatted"
    go vet ./...
    exec go test ./...
fi
mkdir -p "$folder"
flags='-s -w'
[ -z "${STAND_IN_VERSION:-}" ] || flags+=" -X stand_ins/version.Version=$STAND_IN_VERSION"
for program in tbot tctl; do
    go build -ldflags "$flags" -o "$folder/.$program.new" "./$program"
    if cmp --quiet "$folder/.$program.new" "$folder/$program"; then
        rm "$folder/.$program.new"
    else
        # By rename: one that runs meanwhile is not disturbed.
        mv "$folder/.$program.new" "$folder/$program"
        say "Built the stand-in $folder/$program"
    fi
done
