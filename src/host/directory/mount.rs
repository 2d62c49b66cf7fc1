//! Mounts, of other file systems and of other directories of the same one.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};

/// Whether something is mounted where this was opened (statx(2), `STATX_ATTR_MOUNT_ROOT`). Before Linux 5.8 nobody
/// can tell: none.
#[must_use]
pub fn is_mount_point(file: &OwnedFd) -> Option<bool> {
    let found = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::empty()).ok()?;
    let is_known = found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT);
    is_known.then(|| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}
