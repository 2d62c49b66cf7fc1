//! Mounts, of other file systems and of other directories of the same one.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};

/// Whether something is mounted where this was opened (statx(2), `STATX_ATTR_MOUNT_ROOT`, since Linux 5.8;
/// before that nobody can tell, and the device's number has to do).
#[must_use]
pub fn is_mount_point(file: &OwnedFd) -> bool {
    let found = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::empty());
    found.is_ok_and(|found| {
        let known = found.stx_attributes_mask & found.stx_attributes;
        known.contains(StatxAttributes::MOUNT_ROOT)
    })
}
