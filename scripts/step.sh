#!/usr/bin/env bash
# Runs one step of the tests: step.sh TITLE COMMAND... What it takes is told behind it, in seconds and in processor seconds.
set -uo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"
cd "$project" || exit
title=$1
shift
# What a step prints is held back until it ends, so that two do not mix; that it begins is told at once where there is a place for it.
{ printf '   %s ...\n' "$title" >&3; } 2>/dev/null
printf '\n== %s\n' "$title"
TIMEFORMAT="== %R s, %U + %S s of processor time: $title"
time "$@"
status=$?
[ "$status" -eq 0 ] || printf 'This step failed with status %s: %s\n' "$status" "$*" >&2
exit "$status"
