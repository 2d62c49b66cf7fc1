//! A machine's initial RAM file system: a cpio archive in the kernel's "newc" format
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const REGULAR_FILE: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;

/// Libraries that libtss2 or the binary opens by name, so that `ldd` does not list them.
const OPENED_BY_NAME: [&str; 3] = ["libtss2-tcti-device.so.0", "libtss2-esys.so.0", "libtss2-tctildr.so.0"];
const LIBRARY_DIRECTORIES: [&str; 2] = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64"];

/// An archive that grows.
pub struct Initramfs {
    archive: Vec<u8>,
    directories: BTreeSet<PathBuf>,
}

impl Initramfs {
    /// Holds a program of this machine at `path`, and the libraries that it needs.
    pub fn with_program(program: &Path, path: &str) -> Self {
        let mut all = Self { archive: Vec::new(), directories: BTreeSet::new() };
        all.add(path, 0o755, &fs::read(program).unwrap());
        let mut libraries = libraries(program);
        if !libraries.is_empty() {
            for name in OPENED_BY_NAME {
                let found = LIBRARY_DIRECTORIES.map(|directory| Path::new(directory).join(name));
                if let Some(library) = found.into_iter().find(|library| library.exists()) {
                    libraries.extend(self::libraries(&library));
                    libraries.insert(library);
                }
            }
        }
        for library in libraries {
            all.add(library.to_str().unwrap(), 0o755, &fs::read(&library).unwrap());
        }
        all
    }

    /// Adds another program, and the libraries that it needs, which may be in these directories too.
    pub fn add_program(&mut self, program: &Path, path: &str, directories: &str) {
        self.add(path, 0o755, &fs::read(program).unwrap());
        let own = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
        for library in libraries_with(program, &format!("{directories}:{own}")) {
            let name = library.file_name().unwrap().to_str().unwrap();
            let is_loader = name.starts_with("ld-linux");
            let place = if is_loader { library.to_str().unwrap().to_owned() } else { format!("/lib/{name}") };
            self.add(&place, 0o755, &fs::read(&library).unwrap());
        }
    }

    /// Adds a file that root owns, and the directories above it.
    pub fn add(&mut self, path: &str, mode: u32, content: &[u8]) {
        let path = path.strip_prefix('/').expect("an absolute path");
        let mut above: Vec<_> = Path::new(path).ancestors().skip(1).collect();
        above.reverse();
        for directory in above {
            if !directory.as_os_str().is_empty() && self.directories.insert(directory.to_owned()) {
                self.entry(directory.to_str().unwrap(), DIRECTORY | 0o755, &[]);
            }
        }
        self.entry(path, REGULAR_FILE | mode, content);
    }

    /// The whole archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.archive
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        let size = u32::try_from(content.len()).unwrap();
        let name_size = u32::try_from(name.len() + 1).unwrap();
        // ino, mode, uid, gid, nlink, mtime, filesize, four device numbers, namesize, check
        self.archive.extend(b"070701");
        for field in [0, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
            write!(self.archive, "{field:08x}").unwrap();
        }
        self.archive.extend(name.as_bytes());
        self.archive.push(0);
        self.pad();
        self.archive.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.archive.resize(self.archive.len().next_multiple_of(4), 0);
    }
}

/// The shared libraries of a program or library; none of a static one.
fn libraries(of: &Path) -> BTreeSet<PathBuf> {
    libraries_with(of, &std::env::var("LD_LIBRARY_PATH").unwrap_or_default())
}

fn libraries_with(of: &Path, directories: &str) -> BTreeSet<PathBuf> {
    let output = Command::new("ldd").arg(of).env("LD_LIBRARY_PATH", directories).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("not found"), "{text}");
    text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}
