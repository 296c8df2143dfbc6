//! How a CPU of the simulated machine gets at memory: through its TLB if that has the
//! page, else by a walk that begins at CR3 or at anything in the paging-structure caches,
//! sets the accessed bits on its way, and remembers all that it finds.
//!
//! No step in here hands over to another CPU, so an access and what a test notes about it
//! are one.

use super::caches::{Structure, Translation};
use super::{Cpu, frame_ptr, with};
use crate::arch::Access;
use crate::arch::level::{Level, USER_END};
use crate::arch::paging::{Bits, ENTRIES, Entry};
use crate::arch::{FRAME_SIZE, Frame};
use core::sync::atomic::{AtomicU64, Ordering};

/// An access by a user program that the tables or the caches do not allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageFault {
    /// Where.
    pub address: usize,
    /// How.
    pub access: Access,
}

/// Reads a byte as a user program on this CPU.
pub fn load(address: usize) -> Result<u8, PageFault> {
    let frame = translate(address, Access::Read)?;
    // SAFETY: within a frame of the machine's memory; this machine has one thread.
    Ok(unsafe { *frame_ptr(frame).as_ptr().add(address % FRAME_SIZE) })
}

/// Writes a byte as a user program on this CPU.
pub fn store(address: usize, value: u8) -> Result<(), PageFault> {
    let frame = translate(address, Access::Write)?;
    // SAFETY: as in `load`.
    unsafe { *frame_ptr(frame).as_ptr().add(address % FRAME_SIZE) = value };
    Ok(())
}

/// Reads the word at `address`, a multiple of 8, as a user program on this CPU.
pub fn load_word(address: usize) -> Result<u64, PageFault> {
    let frame = translate(address, Access::Read)?;
    Ok(word(frame, address % FRAME_SIZE / 8).load(Ordering::Relaxed))
}

/// Writes the word at `address`, a multiple of 8, as a user program on this CPU.
pub fn store_word(address: usize, value: u64) -> Result<(), PageFault> {
    let frame = translate(address, Access::Write)?;
    word(frame, address % FRAME_SIZE / 8).store(value, Ordering::Relaxed);
    Ok(())
}

/// The frame that this CPU uses for an address: what its TLB says if it says anything,
/// else what a walk finds.
pub fn translate(address: usize, access: Access) -> Result<Frame, PageFault> {
    with(|state| {
        let mut cpus = state.cpus.borrow_mut();
        let cpu = &mut cpus[state.here.get()];
        let cached = cpu.caches.page(address);
        let translation = match cached {
            // A write through an entry without the dirty bit has to set it in memory first, so
            // the tables are looked at again (SDM vol. 3, 4.8).
            Some(page) if access == Access::Write && page.writable && !page.dirty => {
                cpu.caches.forget_page(address);
                walk(&mut |n| state.choose(n), cpu, address, access)
            }
            Some(page) => Some(page),
            None => walk(&mut |n| state.choose(n), cpu, address, access),
        };
        let allowed = translation.filter(|page| allows(page, access));
        match allowed.filter(|_| address < USER_END) {
            Some(page) => Ok(page.frame),
            None => {
                cpu.caches.after_fault(address);
                Err(PageFault { address, access })
            }
        }
    })
}

fn allows(page: &Translation, access: Access) -> bool {
    page.user && (access != Access::Write || page.writable)
}

/// Walks the tables and remembers what it finds. None where nothing is present.
///
/// `choose` picks one of so many places where the walk may begin.
pub(super) fn walk(
    choose: &mut dyn FnMut(usize) -> usize,
    cpu: &mut Cpu,
    address: usize,
    access: Access,
) -> Option<Translation> {
    let (mut level, mut at) = start(choose, cpu, address)?;
    loop {
        let slot = word(at.table, level.index(address));
        let entry = Entry::from_raw(slot.load(Ordering::Relaxed));
        let frame = entry.frame()?;
        let writable = at.writable && entry.is_writable();
        let user = at.user && entry.bits().contains(Bits::USER);
        let leaf = level == Level::LEAF_TABLE;
        let mut used = Bits::ACCESSED;
        used.set(
            Bits::DIRTY,
            leaf && writable && user && access == Access::Write,
        );
        let entry = Entry::from_raw(slot.fetch_or(used.bits(), Ordering::Relaxed)).with(used);
        if leaf {
            let translation = Translation {
                frame,
                writable,
                user,
                dirty: entry.bits().contains(Bits::DIRTY),
            };
            cpu.caches.remember_page(address, translation);
            return Some(translation);
        }
        at = Structure {
            table: frame,
            writable,
            user,
        };
        cpu.caches.remember_structure(level, address, at);
        level = level.below();
    }
}

/// Where a walk begins: at the root, or behind any entry that the caches have.
fn start(
    choose: &mut dyn FnMut(usize) -> usize,
    cpu: &Cpu,
    address: usize,
) -> Option<(Level, Structure)> {
    let root = Structure {
        table: cpu.root?,
        writable: true,
        user: true,
    };
    let mut starts = vec![(Level::ROOT, root)];
    let mut level = Level::ROOT;
    while level != Level::LEAF_TABLE {
        starts.extend(
            cpu.caches
                .structure(level, address)
                .map(|structure| (level.below(), structure)),
        );
        level = level.below();
    }
    // Those before the last are what is left when the last is forgotten.
    let chosen = choose(starts.len());
    starts.get(chosen).copied()
}

/// One word of a frame, as the processor sees it.
fn word<'a>(frame: Frame, index: usize) -> &'a AtomicU64 {
    assert!(index < ENTRIES);
    // SAFETY: within a frame of the machine's memory, which lives longer than any access;
    // aligned; all that may change it at the same time is on this thread.
    unsafe { &*frame_ptr(frame).cast::<AtomicU64>().as_ptr().add(index) }
}
