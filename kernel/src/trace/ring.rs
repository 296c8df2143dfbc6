//! The memory of the trace: a page of text that says what is where, then a ring for each
//! CPU.
//!
//! ```text
//! 0        text: lines "cowfork trace 1", "cpus N", "records M", "event NUMBER NAME WORD..",
//!                "counter NUMBER NAME"
//! 4096     ring of CPU 0:  u64 records written so far, rest of the page unused
//!                          M records of four u64: kind << 48 | nanoseconds, three words
//!          ring of CPU 1:  likewise
//! ```
//!
//! Record `n` is in place `n % M`: when a ring is full, the oldest are overwritten. Only
//! its own CPU writes a ring, and nothing interrupts it, so there is no read-modify-write.
//! The words are atomics because a panic may read another CPU's ring, and sees at worst a
//! record that is half the old one.

use crate::arch::{self, FRAME_SIZE, Frame, PhysRange};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU64, Ordering};

/// Words that come with an event.
pub const WORDS: usize = 3;
/// Nanoseconds have this many bits, which is 78 hours.
const TIME_BITS: u32 = 48;

/// What the text lists, and what each entry of the list is called.
pub type List<'a> = (&'a str, &'a [&'a str]);

type Record = [AtomicU64; 1 + WORDS];

/// The rings of all CPUs.
pub struct Area {
    rings: alloc::vec::Vec<Ring>,
}

/// The events of one CPU.
pub struct Ring {
    written: &'static AtomicU64,
    records: &'static [Record],
}

impl Area {
    /// How large the area for so many records a CPU is.
    pub fn bytes(cpus: usize, records: usize) -> usize {
        FRAME_SIZE + cpus * ring_bytes(records)
    }

    /// The area in this memory, which is zeroed first. It has as many records as fit.
    ///
    /// # Safety
    /// Nothing else uses the memory, from now on for ever.
    pub unsafe fn new(memory: PhysRange, cpus: usize, lists: &[List<'_>]) -> Area {
        let base = arch::frame_ptr(Frame::containing(memory.start));
        let bytes = (memory.end - memory.start) as usize;
        let records = ((bytes - FRAME_SIZE) / cpus - FRAME_SIZE) / size_of::<Record>();
        let records = 1 << records.ilog2();
        assert!(Area::bytes(cpus, records) <= bytes);
        // SAFETY: ours alone, as the caller promises, and contiguous in the direct map.
        unsafe { base.write_bytes(0, bytes) };
        // SAFETY: the first page of the area; the rings begin behind it.
        let page = unsafe { core::slice::from_raw_parts_mut(base.as_ptr(), FRAME_SIZE) };
        describe(page, cpus, records, lists);
        let rings = (0..cpus).map(|cpu| {
            let offset = FRAME_SIZE + cpu * ring_bytes(records);
            // SAFETY: within the area as asserted, zeroed, aligned, and for atomics only.
            unsafe {
                let head = base.add(offset);
                Ring {
                    written: head.cast().as_ref(),
                    records: core::slice::from_raw_parts(
                        head.add(FRAME_SIZE).cast().as_ptr(),
                        records,
                    ),
                }
            }
        });
        Area {
            rings: rings.collect(),
        }
    }

    /// The ring of a CPU.
    pub fn ring(&self, cpu: usize) -> &Ring {
        &self.rings[cpu]
    }

    /// All rings.
    pub fn rings(&self) -> &[Ring] {
        &self.rings
    }
}

fn ring_bytes(records: usize) -> usize {
    FRAME_SIZE + (records * size_of::<Record>()).next_multiple_of(FRAME_SIZE)
}

/// Writes the text at the head of the area.
fn describe(page: &mut [u8], cpus: usize, records: usize, lists: &[List<'_>]) {
    let mut text = Text { page, length: 0 };
    let mut line = |line: fmt::Arguments<'_>| {
        let written = writeln!(text, "{line}");
        assert!(
            written.is_ok(),
            "the text of the trace fills more than a page"
        );
    };
    line(format_args!(
        "cowfork trace 1\ncpus {cpus}\nrecords {records}"
    ));
    for (what, names) in lists {
        for (number, name) in names.iter().enumerate() {
            line(format_args!("{what} {number} {name}"));
        }
    }
}

struct Text<'a> {
    page: &'a mut [u8],
    length: usize,
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let place = self.page.get_mut(self.length..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

impl Ring {
    /// Writes a record. Only for the ring's own CPU.
    pub fn push(&self, time: u64, kind: u16, words: [u64; WORDS]) {
        let n = self.written.load(Ordering::Relaxed);
        let record = &self.records[n as usize % self.records.len()];
        let time = time & ((1 << TIME_BITS) - 1);
        record[0].store(u64::from(kind) << TIME_BITS | time, Ordering::Relaxed);
        for (place, word) in record[1..].iter().zip(words) {
            place.store(word, Ordering::Relaxed);
        }
        // Release: pairs with `last`.
        self.written.store(n + 1, Ordering::Release);
    }

    /// How many records have been written.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Time, kind and words of the last `count` records that are there, oldest first.
    pub fn last(&self, count: usize) -> impl Iterator<Item = (u64, u16, [u64; WORDS])> {
        // Acquire: pairs with `push`.
        let end = self.written.load(Ordering::Acquire);
        let count = (count.min(self.records.len()) as u64).min(end);
        (end - count..end).map(|n| {
            let record = &self.records[n as usize % self.records.len()];
            let [head, words @ ..] = [0, 1, 2, 3].map(|i| record[i].load(Ordering::Relaxed));
            let time = head & ((1 << TIME_BITS) - 1);
            (time, (head >> TIME_BITS) as u16, words)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sim;

    /// An area that nothing else uses, and how its text begins.
    fn area(cpus: usize, records: usize) -> (Area, String) {
        let start = 16 * FRAME_SIZE as u64;
        let end = start + Area::bytes(cpus, records) as u64;
        let lists: &[List<'_>] = &[("event", &["first", "second a b"]), ("counter", &["x"])];
        // SAFETY: the machine is the test's own, and nothing allocates its frames.
        let area = unsafe { Area::new(PhysRange { start, end }, cpus, lists) };
        let base = arch::frame_ptr(Frame::containing(start));
        // SAFETY: the first page of the area, which nothing writes any more.
        let page = unsafe { core::slice::from_raw_parts(base.as_ptr(), FRAME_SIZE) };
        let text = page.split(|&byte| byte == 0).next().unwrap();
        (area, String::from_utf8(text.to_vec()).unwrap())
    }

    #[test]
    fn the_area_says_what_is_in_it() {
        let _machine = sim::Machine::start(1, 64);
        let (area, text) = area(3, 256);
        assert_eq!(area.rings().len(), 3);
        assert_eq!(
            text,
            "cowfork trace 1\ncpus 3\nrecords 256\nevent 0 first\nevent 1 second a b\ncounter 0 x\n"
        );
    }

    #[test]
    fn a_full_ring_keeps_the_newest() {
        let _machine = sim::Machine::start(1, 64);
        let (area, _) = area(2, 128);
        let ring = area.ring(1);
        assert_eq!(ring.last(4).count(), 0);
        for n in 0..131 {
            ring.push(100 + n, 1, [n, 0, u64::MAX]);
        }
        let all: Vec<_> = ring.last(1000).collect();
        assert_eq!(all.len(), 128);
        assert_eq!(all[0], (103, 1, [3, 0, u64::MAX]));
        assert_eq!(all[127], (230, 1, [130, 0, u64::MAX]));
        let times = ring.last(2).map(|(time, ..)| time);
        assert_eq!(times.collect::<Vec<_>>(), [229, 230]);
        assert_eq!(area.ring(0).last(1).count(), 0);
    }
}
