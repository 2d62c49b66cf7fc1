# shellcheck shell=bash
# Sourced by the other scripts: what scripts/setup.sh prepared becomes usable, and tools keep their files in the project.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cache=$project/.cache
cargo_home=${CARGO_HOME:-$HOME/.cargo}

# A toolchain of our own is named here when the machine's Rust was missing or too old.
if [ -r "$cache/rust-toolchain" ]; then
    RUSTUP_TOOLCHAIN=$(cat "$cache/rust-toolchain")
    export RUSTUP_TOOLCHAIN
fi
if [ -x "$cargo_home/bin/cargo" ] && { [ -n "${RUSTUP_TOOLCHAIN:-}" ] || ! command -v cargo >/dev/null; }; then
    PATH=$cargo_home/bin:$PATH
fi
export PATH=$project/.venv/bin:$PATH

# Ansible insists on a UTF-8 locale, and this one is everywhere.
export LC_ALL=C.UTF-8
export ANSIBLE_HOME=$cache/ansible
export ANSIBLE_LOCAL_TEMP=$cache/ansible/tmp
export ANSIBLE_REMOTE_TMP=$cache/ansible/remote_tmp
export ANSIBLE_COLLECTIONS_PATH=$project/.collections

say() { printf '%s\n' "$*"; }

die() {
    printf '%s\n' "$*" >&2
    exit 1
}
