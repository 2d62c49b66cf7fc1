#!/usr/bin/env bash
# Makes the root file system that molecule's machines boot: Debian 12 with systemd, udev, sshd and Python, trimmed to what
# starts quickly under emulation, and no TPM software: that is the tests' business. Prints the image's path. It is
# .cache/molecule/machine-HASH.img, where HASH covers this script and the kernel, so that a second run does nothing. The
# key by which its root lets one in is .cache/molecule/ssh_key. Needs root.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/../../scripts/env.sh"

molecule=$cache/molecule
machine=$cache/machine
key=$molecule/ssh_key
packages=(
    systemd-sysv udev dbus kmod openssh-server python3 iproute2 iputils-ping ca-certificates curl
    adduser # what the package tpm-udev needs
)

main() {
    [ -e "$machine/modules" ] || "$project/scripts/machine.sh" >&2
    mkdir -p "$molecule"
    exec 9>"$molecule/image.lock" && flock 9
    [ -e "$key" ] || ssh-keygen -q -t ed25519 -N '' -C 'molecule' -f "$key"
    local image
    image=$molecule/machine-$(cat "$0" "$machine/stamp" "$key.pub" | sha256sum | cut -c1-16).img
    [ -e "$image" ] || build "$image" >&2
    say "$image"
}

build() {
    [ "$EUID" -eq 0 ] || die "Building the image of molecule's machines needs root."
    say "Building the image of molecule's machines"
    rm -f "$molecule"/machine-*.img
    work=$(mktemp -d "$molecule/image.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    # shellcheck disable=SC2016 # mmdebstrap's own $1, the root
    local download='chroot "$1" sh -c "cd /root && apt-get -o APT::Sandbox::User=root download tpm-udev"'
    mmdebstrap --quiet --variant=apt --include="$(IFS=, && echo "${packages[*]}")" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook="$download" \
        bookworm "$work/root" >"$molecule/image.log" 2>&1 ||
        die "Failed: mmdebstrap"$'\n'"$(tail -n 15 "$molecule/image.log")"
    configure "$work/root"
    mke2fs -q -F -t ext4 -d "$work/root" -E lazy_itable_init=1 -m 0 "$work/image" 1500M
    mv "$work/image" "$1"
}

configure() {
    local root=$1 unit
    add_modules "$root"
    # The machine's name and id come with the kernel's command line.
    rm -f "$root/etc/hostname" "$root/etc/machine-id"
    : >"$root/etc/machine-id"
    printf 'nameserver 10.0.2.3\n' >"$root/etc/resolv.conf"
    printf '[Match]\nType=ether\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n' \
        >"$root/etc/systemd/network/80-machine.network"
    # host-port@PORT.socket lets a port of the machine's own loopback lead to the same one of its host's, so that a server there
    # has one address for both.
    printf '[Socket]\nListenStream=127.0.0.1:%%i\n[Install]\nWantedBy=sockets.target\n' \
        >"$root/etc/systemd/system/host-port@.socket"
    printf '[Service]\nExecStart=/lib/systemd/systemd-socket-proxyd 10.0.2.2:%%i\n' \
        >"$root/etc/systemd/system/host-port@.service"
    install -D -m 0600 "$key.pub" "$root/root/.ssh/authorized_keys"
    # One host key, no name look-ups and no PAM: each costs an emulated machine a part of a second at every connection.
    printf '%s\n' 'HostKey /etc/ssh/ssh_host_ed25519_key' 'UseDNS no' 'UsePAM no' 'PrintMotd no' \
        >"$root/etc/ssh/sshd_config.d/machine.conf"
    # The quicker shell: each task starts one or two.
    chroot "$root" usermod --shell /bin/sh root
    # A journal in memory, which has no disk to wait for.
    rm -rf "$root/var/log/journal"
    for unit in systemd-networkd.service systemd-networkd.socket ssh.service; do
        chroot "$root" systemctl --quiet enable "$unit"
    done
    # Nobody logs in but by ssh, and nothing is due while a machine runs for some minutes.
    chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
        e2scrub_reap.service fstrim.timer systemd-tmpfiles-clean.timer getty.target console-getty.service \
        serial-getty@.service systemd-networkd-wait-online.service systemd-update-utmp.service \
        systemd-update-utmp-runlevel.service systemd-logind.service
}

# The network card's modules, unpacked: depmod and udev do the rest.
add_modules() {
    local root=$1 version
    version=$(ls "$machine/modules")
    mkdir -p "$root/lib/modules"
    cp -r "$machine/modules/$version" "$root/lib/modules/"
    chroot "$root" depmod "$version"
}

main
