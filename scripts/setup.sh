#!/usr/bin/env bash
# Makes a Debian 12/13 or Ubuntu 22.04/24.04 machine able to build, demo and test the project. Installs only what is
# missing: system packages with apt, Rust with rustup, Python packages into .venv. A second run does nothing.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"
cd "$project"
mkdir -p "$cache"
exec 9>"$cache/setup.lock" && flock 9 # make demo and make test may start at the same time

main() {
    local missing
    missing=$(missing_packages)
    # The tests start an SSH server of their own: its package is not to open this machine to anyone, not for a moment.
    if [[ $missing == *openssh-server* && -d /run/systemd/system ]]; then
        needs_root "$missing"
        trap 'as_root systemctl unmask ssh.service ssh.socket' EXIT
        as_root systemctl mask ssh.service ssh.socket
    fi
    # shellcheck disable=SC2086 # a list of words
    [ -z "$missing" ] || apt_install $missing
    if [[ $missing == *openssh-server* && -d /run/systemd/system ]]; then
        trap - EXIT
        as_root systemctl unmask ssh.service ssh.socket
        as_root systemctl disable ssh.service ssh.socket
    fi
    # The tests start a tpm2-abrmd of their own; a service that takes this machine's TPM is not what anyone asked for.
    if [[ $missing == *tpm2-abrmd* && -d /run/systemd/system ]]; then
        as_root systemctl disable --now tpm2-abrmd.service
    fi
    setup_rust
    setup_python
    setup_machine
}

# --- system packages ---

missing_packages() {
    local command package
    while read -r command package; do
        command -v "$command" >/dev/null || echo "$package"
    done <<-'LIST'
	gcc gcc
	make make
	pkg-config pkg-config
	swtpm swtpm
	swtpm_setup swtpm-tools
	certtool gnutls-bin
	tpm2_createek tpm2-tools
	openssl openssl
	dbus-daemon dbus
	git git
	shellcheck shellcheck
	setfacl acl
	sudo sudo
	ssh openssh-client
	strace strace
	qemu-aarch64 qemu-user
	gpg gpg
	gpg-agent gpg-agent
	LIST
    [ -x /bin/kill ] || echo procps # the unit reloads tbot with it, and systemd-analyze looks
    [ -x /usr/sbin/tpm2-abrmd ] || echo tpm2-abrmd # outside the PATH of most users
    [ -x /usr/sbin/sshd ] || echo openssh-server
    compgen -G '/usr/lib/*/libtss2-tcti-tabrmd.so.0' >/dev/null || echo libtss2-tcti-tabrmd0
    # Users that no file has: a name service without a server.
    [ -n "$(compgen -G '/usr/lib/libnss_extrausers.so.2'; compgen -G '/usr/lib/*/libnss_extrausers.so.2')" ] ||
        echo libnss-extrausers
    [ -e /usr/include/stdio.h ] || echo libc6-dev
    [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
    pkg-config --exists tss2-esys tss2-tctildr 2>/dev/null || echo libtss2-dev
    # Ansible's module for apt, which the test of an installation runs, needs the distribution's own Python to have it.
    /usr/bin/python3 -c 'import apt' 2>/dev/null || echo python3-apt
    find_python >/dev/null || echo python3 python3-venv
    missing_machine_tools
    # The test of a whole booted system, which needs root, uses systemd-nspawn.
    if [ "$EUID" -eq 0 ] && ! command -v systemd-nspawn >/dev/null; then echo systemd-container; fi
}

# What the images of molecule's machines and containers are made with, where these can run.
missing_machine_tools() {
    local command package
    [ "$(. /etc/os-release && echo "${ID:-}") $(uname -m)" = "debian x86_64" ] || return 0
    while read -r command package; do
        command -v "$command" >/dev/null || [ -x "/usr/sbin/$command" ] || echo "$package"
    done <<-'LIST'
	mmdebstrap mmdebstrap
	mke2fs e2fsprogs
	gpgv gpgv
	LIST
}

apt_install() {
    command -v apt-get >/dev/null ||
        die "Please install these first (names as in Debian), then run this again: $*"
    needs_root "$*"
    say "Installing system packages: $*"
    as_root apt-get update
    local package
    for package in "$@"; do
        apt_has "$package" || die "apt does not know the package '$package'. On Ubuntu it may be" \
            "in 'universe', which 'add-apt-repository universe' turns on."
    done
    as_root apt-get install --yes --no-install-recommends --no-remove -o DPkg::Lock::Timeout=300 "$@"
}

needs_root() {
    [ "$EUID" -eq 0 ] || command -v sudo >/dev/null ||
        die "Installing system packages needs root, and there is no sudo here. As root, run: apt-get install ${1//$'\n'/ }"
}

apt_has() {
    # No pipe: under pipefail a reader that stops early would make the answer a failure.
    [[ $(apt-cache policy "$1" 2>/dev/null) == *'Candidate: '[0-9]* ]]
}

# Runs a command as root, quietly unless it fails. The settings by which this machine reaches the network go with it.
as_root() {
    local name settings=(DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1) sudo=()
    for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY SSL_CERT_FILE SSL_CERT_DIR \
        CURL_CA_BUNDLE APT_CONFIG; do
        [ -z "${!name:-}" ] || settings+=("$name=${!name}")
    done
    [ "$EUID" -eq 0 ] || sudo=(sudo)
    "${sudo[@]}" env "${settings[@]}" "$@" >"$cache/apt.log" 2>&1 ||
        die "Failed: $*"$'\n'"$(tail -n 15 "$cache/apt.log")"
}

# --- Rust ---

setup_rust() {
    rust_is_ready || install_rust
    local arch
    for arch in x86_64 aarch64; do
        [ -e "$(rustc --print target-libdir --target "$arch-unknown-linux-musl")" ] || add_target "$arch-unknown-linux-musl"
    done
}

# What the shipped binaries are built for.
add_target() {
    command -v rustup >/dev/null ||
        die "This machine's Rust cannot build for $1, and there is no rustup that could add that: install rustup."
    say "Adding Rust's libraries for $1"
    quietly rustup target add "$1"
}

install_rust() {
    local version
    version=$(rust_version)
    if ! command -v rustup >/dev/null; then
        install_rustup
    fi
    say "Installing Rust $version with rustup"
    quietly rustup toolchain install "$version" --profile minimal --component clippy --component rustfmt
    echo "$version" >"$cache/rust-toolchain"
    source scripts/env.sh
    rust_is_ready || die "Rust $version was installed, but cargo, clippy or rustfmt still do not run: see 'rustup show'."
}

# The version that Cargo.toml asks for.
rust_version() {
    sed -n 's/^rust-version *= *"\(.*\)"/\1/p' Cargo.toml
}

rust_is_ready() {
    local have
    have=$(rustc --version 2>/dev/null | cut -d' ' -f2)
    [ -n "$have" ] && printf '%s\n' "$(rust_version)" "$have" | sort --version-sort --check=quiet &&
        cargo --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 && cargo fmt --version >/dev/null 2>&1
}

# From the distribution where it has rustup and that would not push out its own Rust; else by the official installer.
install_rustup() {
    local installed
    installed=$(dpkg-query --show --showformat='${Status}\n' cargo rustc 2>/dev/null || true)
    if apt_has rustup && [[ $installed != *'ok installed'* ]]; then
        apt_install rustup
        return
    fi
    command -v curl >/dev/null || apt_install curl
    say "Installing rustup into $cargo_home"
    quietly curl --proto '=https' --tlsv1.2 --fail --silent --show-error --location \
        --output "$cache/rustup-init.sh" https://sh.rustup.rs
    RUSTUP_INIT_SKIP_PATH_CHECK=yes quietly sh "$cache/rustup-init.sh" -y --no-modify-path --profile minimal \
        --default-toolchain none
    PATH=$cargo_home/bin:$PATH
}

quietly() {
    "$@" >"$cache/setup.log" 2>&1 || die "Failed: $*"$'\n'"$(tail -n 15 "$cache/setup.log")"
}

# --- Python ---

# A Python that is new enough and can really make a virtual environment (Debian splits that off).
find_python() {
    local python
    for python in python3 /usr/bin/python3; do
        if "$python" -c 'import sys, venv, ensurepip; ensurepip.version(); sys.exit(sys.version_info < (3, 10))' \
            2>/dev/null; then
            echo "$python"
            return
        fi
    done
    return 1
}

setup_python() {
    local stamp python
    stamp="$project $(sha256sum <requirements.txt)"
    if [ "$(cat .venv/setup-stamp 2>/dev/null)" = "$stamp" ] && .venv/bin/python -c '' 2>/dev/null; then
        return
    fi
    rm -rf .venv
    python=$(find_python) || die "No Python 3.10 or newer with the venv module was found."
    say "Installing Ansible and the test tools into .venv"
    quietly "$python" -m venv .venv
    quietly .venv/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes \
        -r requirements.txt
    echo "$stamp" >.venv/setup-stamp
}

# --- a machine to boot ---

# Only a test needs it, which is then skipped, or fails where it must run: no reason to do without the rest.
setup_machine() {
    [ "$(. /etc/os-release && echo "${ID:-}") $(uname -m)" = "debian x86_64" ] || return 0
    scripts/machine.sh || say "Without these the tests of TPM devices cannot boot a machine."
}

main
