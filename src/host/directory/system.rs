//! Directories of the system, which are no one program's (hier(7), file-hierarchy(7)).

use std::path::Path;

/// Directories that hold others' files, but may have a bot's directory below them.
const DIRECTORIES: &[&str] = &[
    "/",
    "/home",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/run",
    "/run/lock",
    "/run/teleport",
    "/run/user",
    "/srv",
    "/tmp",
    "/usr",
    "/usr/local",
    "/usr/local/var",
    "/usr/local/var/lib",
    "/var",
    "/var/cache",
    "/var/home",
    "/var/lib",
    "/var/lib/private",
    "/var/lib/teleport",
    "/var/local",
    "/var/lock",
    "/var/log",
    "/var/mail",
    "/var/mnt",
    "/var/opt",
    "/var/roothome",
    "/var/run",
    "/var/spool",
    "/var/srv",
    "/var/tmp",
];

/// Directories whose own directories are each some person's.
const HOMES: &[&str] = &["/home", "/run/user", "/var/home"];

/// Directories with everything below them.
const TREES: &[&str] = &[
    "/bin",
    "/boot",
    "/dev",
    "/efi",
    "/etc",
    "/gnu",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/lost+found",
    "/nix",
    "/ostree",
    "/proc",
    "/run/NetworkManager",
    "/run/credentials",
    "/run/dbus",
    "/run/initramfs",
    "/run/log",
    "/run/mount",
    "/run/sshd",
    "/run/sudo",
    "/run/systemd",
    "/run/udev",
    "/sbin",
    "/snap",
    "/sys",
    "/sysroot",
    "/usr/bin",
    "/usr/games",
    "/usr/include",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/libx32",
    "/usr/local/bin",
    "/usr/local/etc",
    "/usr/local/games",
    "/usr/local/include",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/local/libexec",
    "/usr/local/man",
    "/usr/local/sbin",
    "/usr/local/share",
    "/usr/local/src",
    "/usr/sbin",
    "/usr/share",
    "/usr/src",
    "/var/backups",
    "/var/cache/apt",
    "/var/cache/dnf",
    "/var/cache/ldconfig",
    "/var/cache/man",
    "/var/cache/pacman",
    "/var/lib/AccountsService",
    "/var/lib/NetworkManager",
    "/var/lib/alternatives",
    "/var/lib/apparmor",
    "/var/lib/apt",
    "/var/lib/dbus",
    "/var/lib/dnf",
    "/var/lib/dpkg",
    "/var/lib/initramfs-tools",
    "/var/lib/pacman",
    "/var/lib/pam",
    "/var/lib/polkit-1",
    "/var/lib/rpm",
    "/var/lib/selinux",
    "/var/lib/sudo",
    "/var/lib/systemd",
    "/var/lib/ucf",
    "/var/lib/zypp",
    "/var/log/audit",
    "/var/log/journal",
    "/var/spool/anacron",
    "/var/spool/at",
    "/var/spool/cron",
];

/// Whether a path is a directory of the system, or lies where nothing but the system's own files belong.
#[must_use]
pub fn is_of_the_system(path: &Path) -> bool {
    DIRECTORIES.iter().any(|directory| path == Path::new(directory))
        || TREES.iter().any(|tree| path.starts_with(tree))
        || HOMES.iter().any(|homes| path.parent() == Some(Path::new(homes)))
}

/// Whether a path is itself a directory that many programs share, so that whoever may write to it can do harm
/// to others.
#[must_use]
pub fn is_shared_directory(path: &Path) -> bool {
    DIRECTORIES.iter().chain(TREES).any(|directory| path == Path::new(directory))
}
