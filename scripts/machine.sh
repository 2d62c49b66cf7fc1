#!/usr/bin/env bash
# Fetches what the tests boot a whole machine with: this Debian's own kernel, QEMU and busybox, unpacked in
# .cache/machine as `vmlinuz`, `modules` (what a virtio network card needs), `qemu` and `busybox`; and the tools of SELinux,
# below `root`. Nothing is installed, so that no package of this machine is in the way: it may have parts of another QEMU,
# and busybox-static conflicts with the busybox that many have. Needs no root.
# A second run does nothing.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/env.sh"

machine=$cache/machine
# Once made it stays: a machine is as good with last month's kernel, and a new one needs no network.
stamp=$(sha256sum <"$0")

main() {
    ! is_ready || return 0
    [ "$(. /etc/os-release && echo "${ID:-}") $(uname -m)" = "debian x86_64" ] ||
        die "Whole machines are tested on Debian on x86-64 only."
    say "Fetching a kernel and QEMU into .cache/machine"
    rm -rf "$machine"
    mkdir -p "$machine/root" "$machine/apt/lists/partial" "$machine/apt/packages"
    # Package lists of our own: the machine's may be too old to download by, and need root to renew.
    quietly apt_get update
    local kernel qemu selinux
    kernel=$(apt-cache "${apt_options[@]}" depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: //p')
    qemu=$(not_installed qemu-system-x86)
    selinux=$(not_installed policycoreutils secilc)
    # shellcheck disable=SC2086 # a list of words
    download busybox-static "$kernel" $qemu policycoreutils secilc $selinux
    unpack
    rm -rf "$machine/apt"
    echo "$stamp" >"$machine/stamp"
    is_ready || die "The QEMU in $machine does not run: $("$machine/qemu" --version 2>&1)"
}

is_ready() {
    [ "$(cat "$machine/stamp" 2>/dev/null)" = "$stamp" ] && "$machine/qemu" --version >/dev/null 2>&1
}

# apt with lists and downloads in our folder, but this machine's own sources and knowledge of what is installed.
apt_get() { apt-get "${apt_options[@]}" "$@"; }
apt_options=(
    -o "Dir::State::lists=$machine/apt/lists"
    -o "Dir::Cache=$machine/apt"
    -o "APT::Sandbox::User=$(id -un)" # the user _apt may not write here
    -o "Debug::NoLocking=1"
)

# The names of packages and of what else they need, as far as this machine lacks them.
not_installed() {
    apt_get --simulate install --no-install-recommends "$@" | awk '$1 == "Inst" && $3 !~ /^\[/ { print $2 }'
}

download() {
    (cd "$machine/apt/packages" && quietly apt_get download "$@")
}

# Of the kernel its image, and of its modules the network card's: what a TPM, a serial port, an NVMe disk and ext4 need is
# built into it.
unpack() {
    local package
    for package in "$machine"/apt/packages/*.deb; do
        case $package in
            */linux-image-*)
                dpkg-deb --fsys-tarfile "$package" | tar -x -C "$machine/root" --wildcards './boot/*' \
                    '*/modules.builtin*' '*/modules.order' '*/virtio/virtio*.ko*' '*/virtio_net.ko*' '*/*failover.ko*'
                ;;
            *) dpkg-deb -x "$package" "$machine/root" ;;
        esac
    done
    mv "$machine"/root/boot/vmlinuz-* "$machine/vmlinuz"
    mv "$(find "$machine/root" -path '*/lib/modules')" "$machine/modules"
    mv "$(find "$machine/root" -path '*/bin/busybox')" "$machine/busybox"
    # Finds the machine's own QEMU where that was installed already.
    cat >"$machine/qemu" <<-'WRAPPER'
	#!/bin/sh
	root=$(dirname "$0")/root
	export LD_LIBRARY_PATH="$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu"
	PATH="$root/usr/bin:$PATH"
	# Its firmware lies beside it, where not every QEMU looks.
	exec qemu-system-x86_64 -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "$@"
	WRAPPER
    chmod +x "$machine/qemu"
}

quietly() {
    "$@" >"$cache/machine.log" 2>&1 || die "Failed: $*"$'\n'"$(tail -n 15 "$cache/machine.log")"
}

main
