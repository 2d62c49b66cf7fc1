//! Go's YAML readers, by the small program in `tests/go/yaml`.

use std::io::Write;
use std::path::PathBuf;

use super::go;

/// The program, or a word on standard error that it is left out.
pub fn readers() -> Option<PathBuf> {
    let program = go::program("yaml");
    if program.is_none() {
        // Not by a macro: the output of tests that pass is not shown.
        let skipped =
            b"SKIPPED: there is no Go for its YAML readers; scripts/setup.sh installs it into .venv\n";
        std::io::stderr().write_all(skipped).unwrap();
    }
    program
}
