#!/usr/bin/env bash
# Builds the release binaries of the named architectures (as `uname -m` says them; by default this machine's) and puts them
# into the collection, where Ansible finds them. They are static, need nothing on a host but Linux, and reach TPMs natively.
#
# Two builds of the same sources by the same Rust are the same to the byte, wherever they are made: the C parts are compiled
# by the Zig that requirements.txt pins, Rust's own linker links, and no path of the machine gets in.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"
cd "$project"
# Any of these would stand in the place of what is said here and in .cargo/config.toml.
unset CARGO_ENCODED_RUSTFLAGS RUSTFLAGS CFLAGS TARGET_CFLAGS AWS_LC_SYS_CFLAGS
export CARGO_ZIGBUILD_CACHE_DIR=$cache/cargo-zigbuild ZIG_GLOBAL_CACHE_DIR=$cache/zig

# Where the crates' sources are: their paths in messages begin with /crates wherever they are built.
crates() {
    cargo fetch --locked --quiet
    compgen -G "$cargo_home/registry/src/*"
}

# What the linker is told. Rust's objects for the start of a program that is static and whose addresses are random (rcrt1.o)
# are there for both architectures, but chosen by itself for x86-64 only, so they are named here.
# relr: relocations packed. icf: functions and tables that are the same are kept once.
link_arguments() {
    local objects=$1
    printf -- '-C %s ' linker=rust-lld linker-flavor=ld.lld link-self-contained=no relocation-model=pic \
        link-arg={-pie,--no-dynamic-linker,-ztext,"$objects/rcrt1.o"} \
        link-arg={-O2,--pack-dyn-relocs=relr,--icf=all,--ignore-data-address-equality}
    printf -- '-L %s ' "$objects"
}

# What the C compiler is told besides: nothing unwinds through C.
smaller='-fno-asynchronous-unwind-tables -fno-unwind-tables -fomit-frame-pointer'

build() {
    local arch=$1 target=$1-unknown-linux-musl objects crates maps library compiler=cargo-zigbuild
    objects=$(rustc --print target-libdir --target "$target")/self-contained
    [ -e "$objects/rcrt1.o" ] || die "Rust cannot build for $target here. With rustup: rustup target add $target"
    mapfile -t crates < <(crates)
    maps=("${crates[@]/%/=/crates}")
    # Where the standard library's sources are installed, their paths would stand where a toolchain without them has these.
    library=$(rustc --print sysroot)/lib/rustlib/src/rust=/rustc/$(rustc --version --verbose | sed -n 's/^commit-hash: //p')
    export "CC_${target//-/_}=$compiler zig cc -- -target $arch-linux-musl -fno-sanitize=all $smaller ${maps[*]/#/-ffile-prefix-map=}"
    export "AR_${target//-/_}=$compiler zig ar"
    # Zig takes -Oz for -Os, and aws-lc's own build says the flags of its C itself.
    export "CFLAGS_${target//-/_}=-DMI_DEFAULT_DISALLOW_ARENA_ALLOC=1 -Xclang -Oz" AWS_LC_SYS_CFLAGS='-Xclang -Oz'
    # shellcheck disable=SC2046 # a list of words
    cargo rustc --release --locked --no-default-features --bin tbot_tpm --target "$target" \
        --config "build.rustflags=[$(printf "'--remap-path-prefix=%s', " "${maps[@]}" "$library")]" -- $(link_arguments "$objects")
    put_into_collection "${CARGO_TARGET_DIR:-target}/$target/release/tbot_tpm" "tbot_tpm_$arch"
}

put_into_collection() {
    local built=$1 shipped=ansible/plugins/binaries/$2
    cmp --quiet "$built" "$shipped" && return
    mkdir -p "$(dirname "$shipped")"
    # By rename: a play that runs the old binary meanwhile is not disturbed.
    install -m 0755 "$built" "$shipped.new"
    mv "$shipped.new" "$shipped"
    say "Built $shipped"
}

[ $# -gt 0 ] || set -- "$(uname -m)"
for arch; do
    build "$arch"
done
