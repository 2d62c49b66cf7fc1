//! Reading files, and replacing them atomically.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use nix::fcntl::OFlag;

use super::Mode;
use crate::error::{Error, Kind, Result};

/// Bytes of the largest file that is read: several times the tokens of 100,000 hosts.
const LARGEST_FILE: u64 = 64 * 1024 * 1024;

/// Reads a regular file, through symbolic links. Anything that could block or never end, such as a
/// FIFO or a device, is an error, and so is a file of more than 64 MiB.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    open_regular(path, OFlag::empty()).map(|(_, bytes)| bytes)
}

fn open_regular(path: &Path, flags: OFlag) -> Result<(fs::Metadata, Vec<u8>)> {
    let failed = |error: io::Error| Error::io(&format!("read {}", path.display()), &error);
    let flags = (flags | OFlag::O_NONBLOCK).bits();
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(not_a_file(path));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(Error::new(Kind::Io, format!("{} is larger than {LARGEST_FILE} bytes", path.display())));
    }
    Ok((metadata, bytes))
}

fn not_a_file(path: &Path) -> Error {
    Error::new(Kind::UnsafePath, format!("{} is not a regular file", path.display())).hint(
        "remove it, or give another path; where a file is to be written, not even a link to one will do",
    )
}

/// A text file to be written, and what is in its place. It is looked at once, for check mode and for
/// the run alike, so that both find the same obstacles.
#[derive(Debug)]
pub struct TextFile<'a> {
    path: &'a Path,
    existing: Option<Existing>,
}

#[derive(Debug)]
struct Existing {
    text: String,
    metadata: fs::Metadata,
}

impl<'a> TextFile<'a> {
    /// Looks at `path`. A symbolic link or anything else but a file there is `unsafe_path`, a file that
    /// is no text a `conflict`.
    pub fn inspect(path: &'a Path) -> Result<Self> {
        match fs::symlink_metadata(path) {
            Ok(found) if !found.is_file() => return Err(not_a_file(path)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path, existing: None });
            }
            Err(error) => return Err(Error::io(&format!("read {}", path.display()), &error)),
        }
        let (metadata, bytes) = open_regular(path, OFlag::O_NOFOLLOW)?;
        let text = String::from_utf8(bytes).map_err(|_| {
            Error::new(Kind::Conflict, format!("{} is not a text file", path.display()))
                .hint("move it away, or give another path")
        })?;
        Ok(Self { path, existing: Some(Existing { text, metadata }) })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.path
    }

    /// The text that is there now.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.existing.as_ref().map(|existing| existing.text.as_str())
    }

    /// The mode of the file that is there now.
    #[must_use]
    pub fn mode(&self) -> Option<Mode> {
        self.existing.as_ref().map(|existing| Mode::new(existing.metadata.mode()))
    }

    /// Whether the directory that the file is to be in exists.
    #[must_use]
    pub fn has_directory(&self) -> bool {
        self.directory().is_dir()
    }

    /// The directory that the file is to be in.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// Puts `content` there in one step, with this mode: whoever looks, or crashes, finds the old file
    /// or the new. The owner and group of the old file stay.
    pub fn replace(&self, content: &str, mode: Mode) -> Result<()> {
        let path = self.path.display();
        if !self.has_directory() {
            let directory = self.directory().display();
            return Err(Error::new(
                Kind::NotFound,
                format!("cannot write {path}: there is no directory {directory}"),
            ));
        }
        self.try_replace(content, mode).map_err(|error| Error::io(&format!("write {path}"), &error))
    }

    fn try_replace(&self, content: &str, mode: Mode) -> io::Result<()> {
        let directory = self.directory();
        let mut temporary = tempfile::Builder::new()
            .prefix(".tbot_tpm.")
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(directory)
            // Without the temporary name, which means nothing to anyone.
            .map_err(|error| io::Error::from(error.kind()))?;
        let file = temporary.as_file_mut();
        if let Some(existing) = &self.existing {
            let (ours, theirs) = (file.metadata()?, &existing.metadata);
            if (ours.uid(), ours.gid()) != (theirs.uid(), theirs.gid()) {
                fchown(&*file, Some(theirs.uid()), Some(theirs.gid()))?;
            }
        }
        file.set_permissions(Permissions::from_mode(mode.bits()))?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        temporary.persist(self.path).map_err(|failed| failed.error)?;
        File::open(directory)?.sync_all()
    }

    /// Removes the file, if there is one.
    pub fn remove(&self) -> Result<()> {
        if self.existing.is_none() {
            return Ok(());
        }
        let removed = fs::remove_file(self.path).and_then(|()| File::open(self.directory())?.sync_all());
        removed.map_err(|error| Error::io(&format!("remove {}", self.path.display()), &error))
    }
}
