//! How a CPU of the simulated machine gets at memory: through its TLB if that has the
//! page, else by a walk that begins at CR3 or at anything in the paging-structure caches,
//! sets the accessed bits on its way, and remembers all that it finds. (Whether a walk that ends
//! in a fault sets them is left open, as the manual does.)
//!
//! A walk is not atomic: each look at an entry is a step, and so is each setting of
//! accessed and dirty bits, which is a compare-and-exchange with the entry that was seen
//! (Intel SDM vol. 3, 4.8). In between other CPUs change the tables. When the frame is known no
//! further step hands over to another CPU, so an access and what a test notes about it are
//! one.

use super::caches::{Structure, Translation};
use super::state::{Cpu, frame_ptr, is_held, step, with};
use crate::arch::atomic::{AtomicU64, Ordering};
use crate::arch::entry::{Bits, ENTRIES, Entry};
use crate::arch::frame::{FRAME_SIZE, Frame};
use crate::arch::interface::{Access, Pcid};
use crate::arch::level::{Level, USER_END};

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

/// Writes the word at `address`, a multiple of 8, as a user program on this CPU, and has
/// all CPUs see it at once.
pub fn store_word(address: usize, value: u64) -> Result<(), PageFault> {
    let frame = translate(address, Access::Write)?;
    word(frame, address % FRAME_SIZE / 8).store(value, Ordering::Relaxed);
    Ok(())
}

/// The frame that this CPU uses for an address: what its TLB says if it says anything,
/// else what a walk finds.
pub fn translate(address: usize, access: Access) -> Result<Frame, PageFault> {
    let cached = with(|state| {
        let cpu = &state.cpus.borrow()[state.here.get()];
        let pages = cpu.caches.page(cpu.pcid, address);
        (!pages.is_empty()).then(|| pages[state.choose(pages.len())])
    });
    let translation = match cached {
        // A write through an entry without the dirty bit has to set it in memory first, so
        // the tables are looked at again (SDM vol. 3, 4.8).
        Some(page) if access == Access::Write && page.writable && !page.dirty => {
            walk(address, access)
        }
        Some(page) => Some(page),
        None => walk(address, access),
    };
    let allowed = translation.filter(|page| allows(page, access));
    match allowed.filter(|_| address < USER_END) {
        Some(page) => Ok(page.frame),
        None => {
            with(|state| {
                let cpu = &mut state.cpus.borrow_mut()[state.here.get()];
                cpu.caches.invalidate_address(cpu.pcid, address);
            });
            Err(PageFault { address, access })
        }
    }
}

fn allows(page: &Translation, access: Access) -> bool {
    page.user && (access != Access::Write || page.writable)
}

/// A walk of this CPU's for an access that a program makes.
fn walk(address: usize, access: Access) -> Option<Translation> {
    let mut walk = with(|state| {
        let cpu = &state.cpus.borrow()[state.here.get()];
        Walk::begin(&mut |n| state.choose(n), cpu, address, access)
    })?;
    loop {
        step();
        let advanced = with(|state| {
            let cpu = &mut state.cpus.borrow_mut()[state.here.get()];
            walk.advance(&mut |n| state.choose(n), cpu)
        });
        match advanced {
            Advanced::On => {}
            Advanced::Missing => return None,
            Advanced::Found(translation) => return Some(translation),
            Advanced::Astray(table) => panic!("M2: a walk through {table:?}, which is free"),
        }
    }
}

/// A walk through the tables that is under way.
pub(super) struct Walk {
    pcid: Pcid,
    address: usize,
    access: Access,
    /// The next table to look into, and its level.
    level: Level,
    at: Structure,
    /// The entry that was seen there, if bits have to be set in it.
    seen: Option<Entry>,
}

/// What one step of a walk came to.
pub(super) enum Advanced {
    /// It goes on.
    On,
    /// Nothing is present there.
    Missing,
    /// It is over.
    Found(Translation),
    /// It is in a table without a holder (rule M2).
    Astray(Frame),
}

impl Walk {
    /// A walk that begins at the root, or behind any entry that the caches have: `choose`
    /// picks one of so many. None if the CPU has no tables.
    pub fn begin(
        choose: &mut dyn FnMut(usize) -> usize,
        cpu: &Cpu,
        address: usize,
        access: Access,
    ) -> Option<Walk> {
        let root = Structure {
            table: cpu.root?,
            writable: true,
            user: true,
        };
        let mut starts = vec![(Level::ROOT, root)];
        let mut level = Level::ROOT;
        while level != Level::LEAF_TABLE {
            let cached = cpu.caches.structure(cpu.pcid, level, address);
            level = level.below();
            starts.extend(cached.map(|structure| (level, structure)));
        }
        // Those before the last are what is left when the last is forgotten.
        let (level, at) = starts[choose(starts.len())];
        Some(Walk {
            pcid: cpu.pcid,
            address,
            access,
            level,
            at,
            seen: None,
        })
    }

    /// One look at an entry, or one attempt to set bits in it. The caches learn what was
    /// found, unless they knew something else and `choose` keeps it.
    pub fn advance(&mut self, choose: &mut dyn FnMut(usize) -> usize, cpu: &mut Cpu) -> Advanced {
        if !is_held(self.at.table) {
            return Advanced::Astray(self.at.table);
        }
        let slot = word(self.at.table, self.level.index(self.address));
        let Some(seen) = self.seen.take() else {
            let entry = Entry::from_raw(slot.load(Ordering::Relaxed));
            if !entry.is_present() {
                return Advanced::Missing;
            }
            if entry.bits().contains(self.used_in(entry)) {
                return self.use_entry(choose, cpu, entry);
            }
            // An access that is not allowed may end before the accessed bit is set, and then nothing
            // is remembered of it.
            if !self.is_allowed(entry) && choose(2) == 1 {
                return Advanced::Missing;
            }
            self.seen = Some(entry);
            return Advanced::On;
        };
        let used = seen.with(self.used_in(seen));
        let exchange =
            slot.compare_exchange(seen.raw(), used.raw(), Ordering::Relaxed, Ordering::Relaxed);
        match exchange {
            Ok(_) => self.use_entry(choose, cpu, used),
            // It has changed: another look.
            Err(_) => Advanced::On,
        }
    }

    /// Whether the access is allowed as far as this entry and those above it say.
    fn is_allowed(&self, entry: Entry) -> bool {
        let user = self.at.user && entry.bits().contains(Bits::USER);
        let writable = self.at.writable && entry.is_writable();
        user && (self.access != Access::Write || writable)
    }

    /// The bits that this walk sets in an entry. The dirty bit is only set for a write that
    /// goes through.
    fn used_in(&self, entry: Entry) -> Bits {
        let writes = self.level == Level::LEAF_TABLE
            && self.access == Access::Write
            && self.at.writable
            && self.at.user
            && entry.bits().contains(Bits::WRITE | Bits::USER);
        let mut used = Bits::ACCESSED;
        used.set(Bits::DIRTY, writes);
        used
    }

    fn use_entry(
        &mut self,
        choose: &mut dyn FnMut(usize) -> usize,
        cpu: &mut Cpu,
        entry: Entry,
    ) -> Advanced {
        let Some(frame) = entry.frame() else {
            return Advanced::Missing;
        };
        let writable = self.at.writable && entry.is_writable();
        let user = self.at.user && entry.bits().contains(Bits::USER);
        if self.level == Level::LEAF_TABLE {
            let translation = Translation {
                frame,
                writable,
                user,
                dirty: entry.bits().contains(Bits::DIRTY),
            };
            cpu.caches
                .remember_page(self.pcid, self.address, translation);
            return Advanced::Found(translation);
        }
        self.at = Structure {
            table: frame,
            writable,
            user,
        };
        let known = cpu.caches.structure(self.pcid, self.level, self.address);
        if known.is_none() || choose(2) == 1 {
            cpu.caches
                .remember_structure(self.pcid, self.level, self.address, self.at);
        }
        self.level = self.level.below();
        Advanced::On
    }

    /// The table that it is about to look into.
    #[cfg(test)]
    pub fn table(&self) -> Frame {
        self.at.table
    }
}

/// One word of a frame, as the processor sees it.
pub(super) fn word<'a>(frame: Frame, index: usize) -> &'a AtomicU64 {
    assert!(index < ENTRIES);
    // SAFETY: within a frame of the machine's memory, which lives longer than any access;
    // aligned; all that may change it at the same time is on this thread.
    unsafe { &*frame_ptr(frame).cast::<AtomicU64>().as_ptr().add(index) }
}
