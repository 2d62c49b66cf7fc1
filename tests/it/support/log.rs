//! Which commands a software TPM was sent, from its own log.

use std::collections::BTreeMap;
use std::fs;

use super::SoftwareTpm;

impl SoftwareTpm {
    /// The commands that the TPM is sent while `run` runs, by name, with their numbers.
    pub fn commands_of(&self, run: impl FnOnce()) -> BTreeMap<String, usize> {
        let log = || fs::read_to_string(self.file("log")).unwrap();
        let before = log().len();
        run();
        let mut counts = BTreeMap::new();
        // Each command is logged so, and bytes 6 to 9 are its code:
        //  SWTPM_IO_Read: length 22
        //  80 01 00 00 00 16 00 00 01 7A 00 00 00 06 00 00
        for command in log()[before..].split("SWTPM_IO_Read:").skip(1) {
            let bytes: Vec<&str> = command.lines().nth(1).unwrap().split_whitespace().collect();
            *counts.entry(name(&bytes[6..10].concat())).or_default() += 1;
        }
        counts
    }
}

/// A command's name (TPM 2.0 Library, part 2, section 6.5.2).
fn name(code: &str) -> String {
    match code {
        "0000017A" => "GetCapability",
        "00000173" => "ReadPublic",
        "00000169" => "NV_ReadPublic",
        "0000014E" => "NV_Read",
        "00000131" => "CreatePrimary",
        "00000165" => "FlushContext",
        "00000176" => "StartAuthSession",
        other => other,
    }
    .to_owned()
}
