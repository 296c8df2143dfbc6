//! The text of a file of `/proc`, made without an allocation that cannot fail (rule M10).

use crate::errno::Errno;
use crate::memory::fallible;
use alloc::vec::Vec;
use core::fmt::{self, Write};

/// A text that grows as long as there is memory for it.
pub(super) struct Text(Vec<u8>);

/// Up to this size a text may use the frames that are kept back: a short file can be read when memory
/// has run out.
const SHORT: usize = 4096;

impl Text {
    /// How many bytes it has.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds bytes, which need not be text.
    pub(super) fn put(&mut self, bytes: &[u8]) -> fmt::Result {
        let more = bytes.len();
        let room = match self.0.len() + more <= SHORT {
            true => self.0.try_reserve(more).is_ok(),
            false => fallible::reserve(&mut self.0, more).is_ok(),
        };
        if !room {
            return Err(fmt::Error);
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

impl Text {
    /// Adds a name, so that it stays on its line: as Linux's `proc_task_name` does.
    pub(super) fn put_escaped(&mut self, name: &[u8]) -> fmt::Result {
        for &byte in name {
            match byte {
                b'\n' => self.put(b"\\n")?,
                b'\\' => self.put(b"\\\\")?,
                byte => self.put(&[byte])?,
            }
        }
        Ok(())
    }
}

/// Adds the numbers of the bits that are set, as `0-2,5` (cpuset(7), "List format").
pub(super) fn put_list(text: &mut Text, bits: u64) -> fmt::Result {
    let is_set = |bit: u32| bits.checked_shr(bit).is_some_and(|bits| bits & 1 != 0);
    let mut between = "";
    let mut bit = 0;
    while bit < u64::BITS {
        if !is_set(bit) {
            bit += 1;
            continue;
        }
        let first = bit;
        while is_set(bit) {
            bit += 1;
        }
        match bit - first {
            1 => write!(text, "{between}{first}")?,
            _ => write!(text, "{between}{first}-{}", bit - 1)?,
        }
        between = ",";
    }
    Ok(())
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes())
    }
}

/// The text that `fill` writes, or `ENOMEM`.
pub(super) fn text(fill: impl FnOnce(&mut Text) -> fmt::Result) -> Result<Vec<u8>, Errno> {
    let mut text = Text(Vec::new());
    match fill(&mut text) {
        Ok(()) => Ok(text.0),
        // Nothing else can go wrong.
        Err(fmt::Error) => Err(Errno::ENOMEM),
    }
}
