#!/usr/bin/env bash
# Makes the root that molecule's containers of one distribution start from, by mmdebstrap's own mirror for the suite:
# root.sh SUITE [KEY of its archive]. Prints the folder's path, .cache/molecule/roots/SUITE-HASH, where HASH covers this
# script, so that a second run does nothing. Needs root. Exit status 3: the archive could not be reached.
set -euo pipefail
# shellcheck source=scripts/env.sh
source "$(dirname "$0")/../../scripts/env.sh"

suite=$1
archive_key=${2:-}
roots=$cache/molecule/roots
key=$cache/molecule/ssh_key
packages=systemd-sysv,dbus,openssh-server,python3,python3-apt,ca-certificates,curl,iproute2

main() {
    [ "$EUID" -eq 0 ] || die "Building the roots of molecule's containers needs root."
    mkdir -p "$roots"
    exec 9>"$roots/lock" && flock 9
    [ -e "$key" ] || ssh-keygen -q -t ed25519 -N '' -C 'molecule' -f "$key"
    local root
    root=$roots/$suite-$(cat "$0" "$key.pub" | sha256sum | cut -c1-16)
    [ -d "$root" ] || build "$root" >&2
    say "$root"
}

build() {
    say "Building the root of molecule's containers with $suite"
    rm -rf "$roots/$suite"-*
    local partial=$roots/partial options=()
    rm -rf "$partial"
    [ -z "$archive_key" ] || options=("--keyring=$archive_key" --components=main)
    if ! mmdebstrap --quiet --variant=apt --include="$packages" "${options[@]}" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        "$suite" "$partial" >"$roots/$suite.log" 2>&1; then
        tail -n 15 "$roots/$suite.log" >&2
        rm -rf "$partial"
        # apt's words for an archive that does not answer.
        ! grep -qE 'Could not (resolve|connect)|Failed to fetch|Temporary failure|timed out' "$roots/$suite.log" || exit 3
        die "Failed: mmdebstrap $suite"
    fi
    configure "$partial"
    mv "$partial" "$1"
}

# The port of sshd comes with each container. The network is this host's, and nobody's to configure.
configure() {
    local root=$1
    rm -f "$root/etc/hostname"
    : >"$root/etc/machine-id"
    install -D -m 0600 "$key.pub" "$root/root/.ssh/authorized_keys"
    printf '%s\n' 'ListenAddress 127.0.0.1' 'UsePAM no' >"$root/etc/ssh/sshd_config.d/container.conf"
    # Ubuntu starts sshd by a socket, which this host's network would get at another port.
    chroot "$root" systemctl --quiet disable ssh.socket
    chroot "$root" systemctl --quiet enable ssh.service
    chroot "$root" systemctl --quiet mask ssh.socket systemd-networkd.service systemd-networkd.socket \
        systemd-networkd-wait-online.service systemd-resolved.service systemd-logind.service apt-daily.timer \
        apt-daily-upgrade.timer getty.target console-getty.service
}

main
