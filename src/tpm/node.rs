//! The node of a TPM device: who may open it.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::device::{not_a_device, not_opened};
use crate::error::Result;

/// Owner, group and mode of a TPM's device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// The owner's number.
    pub user: u32,
    /// The group's number.
    pub group: u32,
    /// The permission bits.
    pub mode: u32,
}

impl Node {
    /// Looks at a device. Anything else than a character device is an error.
    pub fn look(path: &Path) -> Result<Self> {
        let found = fs::metadata(path).map_err(|error| not_opened(path, &error))?;
        if !found.file_type().is_char_device() {
            return Err(not_a_device(path));
        }
        Ok(Self { user: found.uid(), group: found.gid(), mode: found.mode() & 0o7777 })
    }

    /// Whether a user who is in these groups may read and write it. The first that fits of owner, group and
    /// others decides, as in the kernel.
    #[must_use]
    pub fn is_open_to(&self, user: Option<u32>, groups: &[u32]) -> bool {
        const READ_AND_WRITE: u32 = 0o6;
        let shift = if user == Some(self.user) {
            6
        } else if groups.contains(&self.group) {
            3
        } else {
            0
        };
        user == Some(0) || self.mode >> shift & READ_AND_WRITE == READ_AND_WRITE
    }
}

#[cfg(test)]
mod tests {
    use super::Node;

    #[test]
    fn the_first_that_fits_of_owner_group_and_others_decides() {
        let node = |mode| Node { user: 1, group: 2, mode };
        assert!(node(0o600).is_open_to(Some(1), &[]));
        assert!(!node(0o066).is_open_to(Some(1), &[2]));
        assert!(node(0o660).is_open_to(Some(9), &[7, 2]));
        assert!(!node(0o646).is_open_to(Some(9), &[2]));
        assert!(node(0o606).is_open_to(None, &[9]));
        assert!(!node(0o640).is_open_to(None, &[2]));
        assert!(node(0o000).is_open_to(Some(0), &[]));
    }
}
