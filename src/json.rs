//! JSON that is measured, not kept.

use std::io::{self, Write};

use serde::Serialize;

/// Bytes of a value as compact JSON.
#[must_use]
pub fn size(value: &impl Serialize) -> usize {
    let mut counter = Counter(0);
    // The counter cannot fail, nor can a value that becomes JSON.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

struct Counter(usize);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
