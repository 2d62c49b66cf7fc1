//! POSIX access control lists (acl(5)), as Linux keeps them in extended attributes.

use std::ffi::CStr;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{fgetxattr, fremovexattr};
use rustix::io::Errno;

use crate::host::{group_name, user_name};

const ACCESS: &CStr = c"system.posix_acl_access";
const DEFAULT: &CStr = c"system.posix_acl_default";
/// Bytes of the header, a version number, and of each entry: tag, permissions, and a number, little-endian
/// (`linux/posix_acl_xattr.h`).
const HEADER: usize = 4;
const ENTRY: usize = 8;
/// Bytes of the largest extended attribute (xattr(7)).
const LARGEST: usize = 64 * 1024;

const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// Which of the two lists that a directory may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    /// Who may open the file itself.
    Access,
    /// What is made in the directory begins with this.
    Default,
}

/// One of the lists of a file.
#[derive(Debug)]
pub struct Acl {
    list: List,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    tag: u16,
    permissions: u16,
    id: u32,
}

impl Acl {
    /// The list of who may open a file; none where it has only permission bits.
    pub fn access(file: impl AsFd) -> io::Result<Option<Self>> {
        Self::read(file, List::Access)
    }

    /// Those lists of a file that give others than its owner, group and mode do more.
    pub fn widening(file: impl AsFd) -> io::Result<Vec<Self>> {
        let lists = [Self::read(&file, List::Access)?, Self::read(&file, List::Default)?];
        Ok(lists.into_iter().flatten().filter(Self::widens).collect())
    }

    fn read(file: impl AsFd, list: List) -> io::Result<Option<Self>> {
        let mut small = [0_u8; 256];
        let bytes = match fgetxattr(&file, list.attribute(), &mut small) {
            Ok(length) => small[..length].to_vec(),
            Err(Errno::RANGE) => {
                let mut large = vec![0; LARGEST];
                let length = fgetxattr(&file, list.attribute(), &mut large)?;
                large.truncate(length);
                large
            }
            // None is set, or the file system knows none, or the file is opened as a place only (`O_PATH`).
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::BADF) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(Some(Self {
            list,
            entries: bytes.get(HEADER..).unwrap_or_default().chunks_exact(ENTRY).map(entry).collect(),
        }))
    }

    /// Whether it gives anything to further users or groups; a default list also where it gives group and
    /// others anything, whatever umask the process has that makes the file.
    #[must_use]
    pub fn widens(&self) -> bool {
        let is_default = self.list == List::Default;
        self.entries.iter().any(|entry| match entry.tag {
            USER | GROUP => entry.permissions != 0,
            GROUP_OBJ | OTHER => is_default && entry.permissions != 0,
            _ => false,
        })
    }

    /// The permission bits of the file's group, which the mode shows only once the list is gone: while it is
    /// there, the mode shows its mask in their place (acl(5), "Correspondence between ACL entries and file
    /// permission bits").
    #[must_use]
    pub fn group_bits(&self) -> Option<u32> {
        let find = |tag| {
            self.entries.iter().find(|entry| entry.tag == tag).map(|entry| u32::from(entry.permissions))
        };
        let bits = find(GROUP_OBJ)? & find(MASK).unwrap_or(0o7);
        (self.list == List::Access).then_some(bits << 3)
    }

    /// Removes it from the file.
    pub fn remove(&self, file: impl AsFd) -> io::Result<()> {
        match fremovexattr(file, self.list.attribute()) {
            Ok(()) | Err(Errno::NODATA) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The entries that widen access, as setfacl(1) writes them: `user:web:r-x`, `default:group:ops:rwx`.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let is_default = self.list == List::Default;
        let given = self.entries.iter().filter(|entry| entry.permissions != 0);
        let text = |entry: &Entry| {
            let who = match entry.tag {
                USER => format!("user:{}", user_name(entry.id)),
                GROUP => format!("group:{}", group_name(entry.id)),
                GROUP_OBJ if is_default => "group:".to_owned(),
                OTHER if is_default => "other:".to_owned(),
                _ => return None,
            };
            let bit = |bit: u16, letter| if entry.permissions & bit == 0 { '-' } else { letter };
            let prefix = if is_default { "default:" } else { "" };
            Some(format!("{prefix}{who}:{}{}{}", bit(4, 'r'), bit(2, 'w'), bit(1, 'x')))
        };
        given.filter_map(text).collect()
    }
}

impl List {
    fn attribute(self) -> &'static CStr {
        match self {
            Self::Access => ACCESS,
            Self::Default => DEFAULT,
        }
    }
}

fn entry(bytes: &[u8]) -> Entry {
    let [t0, t1, p0, p1, i0, i1, i2, i3] = *bytes else { return Entry { tag: 0, permissions: 0, id: 0 } };
    Entry {
        tag: u16::from_le_bytes([t0, t1]),
        permissions: u16::from_le_bytes([p0, p1]),
        id: u32::from_le_bytes([i0, i1, i2, i3]),
    }
}
