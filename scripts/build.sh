#!/usr/bin/env bash
# Builds the release binary and puts it into the collection, where Ansible finds it. The collection's needs no library on
# the hosts but libc: TPMs are reached natively there.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"
cd "$project"

# rust-lld, which links by default there, keeps one of functions and tables that are the same.
case $(uname -m) in
    x86_64) fold=(-C 'link-arg=-Wl,--icf=all' -C 'link-arg=-Wl,--ignore-data-address-equality') ;;
    *) fold=() ;;
esac
cargo rustc --release --locked --no-default-features --bin tbot_tpm -- "${fold[@]}"
built=${CARGO_TARGET_DIR:-target}/release/tbot_tpm
shipped=ansible/plugins/binaries/tbot_tpm_$(uname -m)
if ! cmp --quiet "$built" "$shipped"; then
    mkdir -p "$(dirname "$shipped")"
    # By rename: a play that runs the old binary meanwhile is not disturbed.
    install -m 0755 "$built" "$shipped.new"
    mv "$shipped.new" "$shipped"
    say "Built $shipped"
fi
