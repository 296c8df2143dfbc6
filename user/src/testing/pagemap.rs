//! Which frame a page is in, by `/proc/self/pagemap` (Linux:
//! Documentation/admin-guide/mm/pagemap.rst).

use crate::sys::file::{self, O_CLOEXEC, O_RDONLY};
use crate::sys::memory::PAGE;
use crate::testing::{Explain, Failure, Verdict};
use crate::{ensure, fail};

/// Bytes an entry.
const ENTRY: usize = 8;
const PRESENT: u64 = 1 << 63;
const NUMBER: u64 = (1 << 55) - 1;

/// What the kernel says of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame {
    /// There is one, and its number is not for us (Linux without `CAP_SYS_ADMIN`).
    Hidden,
    Absent,
    Number(u64),
}

/// The frame behind an address of this process.
pub fn frame(address: usize) -> Result<Frame, Failure> {
    // Opened each time: an open pagemap stays with the process that opened it.
    let flags = O_RDONLY | O_CLOEXEC;
    let map = file::open(c"/proc/self/pagemap", flags, 0).or_fail("open pagemap")?;
    let mut entry = [0u8; ENTRY];
    let result = file::pread(map, &mut entry, (address / PAGE * ENTRY) as u64);
    file::close(map).or_fail("close pagemap")?;
    let count = result.or_fail("read pagemap")?;
    if count != ENTRY {
        return Err(Failure::new(format_args!(
            "pagemap gave {count} bytes for {address:#x}"
        )));
    }
    let entry = u64::from_ne_bytes(entry);
    Ok(match (entry & PRESENT != 0, entry & NUMBER) {
        (false, _) => Frame::Absent,
        (true, 0) => Frame::Hidden,
        (true, number) => Frame::Number(number),
    })
}

/// The two must be the same frame, as far as can be seen.
pub fn expect_same(what: &str, one: Frame, other: Frame) -> Verdict {
    match (one, other) {
        (Frame::Absent, _) | (_, Frame::Absent) => fail!("{what}: {one:?} and {other:?}"),
        (Frame::Hidden, _) | (_, Frame::Hidden) => Ok(()),
        (Frame::Number(one), Frame::Number(other)) => {
            ensure!(
                one == other,
                "{what}: frames {one:#x} and {other:#x} should be one"
            );
            Ok(())
        }
    }
}

/// The two must be different frames, as far as can be seen.
pub fn expect_different(what: &str, one: Frame, other: Frame) -> Verdict {
    match (one, other) {
        (Frame::Absent, _) | (_, Frame::Absent) => fail!("{what}: {one:?} and {other:?}"),
        (Frame::Hidden, _) | (_, Frame::Hidden) => Ok(()),
        (Frame::Number(one), Frame::Number(other)) => {
            ensure!(one != other, "{what}: both in frame {one:#x}");
            Ok(())
        }
    }
}
