//! The kernel's own tables and the few operations on the CPU's paging that the
//! memory system needs.
//!
//! The kernel's half is built once, at boot, from 1 GiB, 2 MiB and 4 KiB pages as
//! fit. Afterwards only [`map_kernel`] adds to it.

use super::boot::memory::{MEMORY, Memory};
use super::features::Features;
use super::layout::{self, DEVICES, DIRECT_MAP, HEAP, KERNEL_BASE, STACKS, Stack};
use crate::arch::entry::{Bits, ENTRIES, Entry};
use crate::arch::frame::{FRAME_SIZE, Frame};
use crate::arch::interface::{Pcid, PhysRange};
use crate::arch::level::USER_END;
use crate::arch::paging::Table;
use core::arch::asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The root that maps the kernel's half and nothing else. Written once at boot.
static KERNEL_ROOT: AtomicU32 = AtomicU32::new(0);
/// Which of its entries are in use, a bit each. They are few; each new root gets them.
static KERNEL_ENTRIES: [AtomicU64; ENTRIES / 64] = [const { AtomicU64::new(0) }; ENTRIES / 64];

const TABLE_BITS: Bits = Bits::PRESENT.union(Bits::WRITE);
const DATA: Bits = Bits::PRESENT
    .union(Bits::WRITE)
    .union(Bits::GLOBAL)
    .union(Bits::NO_EXECUTE);
const CODE: Bits = Bits::PRESENT.union(Bits::GLOBAL);
const CONSTANT: Bits = Bits::PRESENT.union(Bits::GLOBAL).union(Bits::NO_EXECUTE);

/// Bytes that an entry maps at each level, 0 being the page.
const fn span(level: usize) -> usize {
    FRAME_SIZE << (9 * level)
}

fn table(frame: Frame) -> Table {
    // SAFETY: only called for frames that this module took as tables of the
    // kernel's half, which are never freed, and for roots (see `new_root`).
    unsafe { Table::new(frame) }
}

/// Builds the kernel's half. Returns the root.
pub fn build(memory: &mut Memory) -> Frame {
    let root = memory.allocate();
    KERNEL_ROOT.store(root.number(), Ordering::Relaxed);

    let image = layout::image();
    let ram = core::mem::replace(&mut memory.ram, super::ranges::Ranges::new());
    for range in ram.as_slice() {
        // What cannot be written at the image's place cannot be written here either.
        let fixed = PhysRange {
            start: image.text.start.clamp(range.start, range.end),
            end: image.rodata.end.clamp(range.start, range.end),
        };
        for (start, end, bits) in [
            (range.start, fixed.start, DATA),
            (fixed.start, fixed.end, CONSTANT),
            (fixed.end, range.end, DATA),
        ] {
            let va = DIRECT_MAP + start as usize;
            map_range(memory, root, va, PhysRange { start, end }, bits);
        }
    }
    memory.ram = ram;

    for (range, bits) in [
        (image.text, CODE),
        (image.rodata, CONSTANT),
        (image.data, DATA),
    ] {
        for address in (range.start..range.end).step_by(FRAME_SIZE) {
            let frame = Frame::containing(address);
            map_page(memory, root, KERNEL_BASE + address as usize, frame, bits);
        }
    }
    // The heap's and the devices' slots get their tables now, so that the root
    // never changes.
    for start in [HEAP, STACKS] {
        next_table(memory, root, start, 3);
    }
    for slot in (0..ENTRIES).filter(|&slot| table(root).load(slot).is_present()) {
        // Relaxed: this CPU alone runs.
        KERNEL_ENTRIES[slot / 64].fetch_or(1 << (slot % 64), Ordering::Relaxed);
    }
    root
}

/// The places of the root's entries that the kernel uses.
fn kernel_entries() -> impl Iterator<Item = usize> {
    let words = KERNEL_ENTRIES.iter().enumerate().skip(ENTRIES / 2 / 64);
    words.flat_map(|(place, word)| {
        let mut left = word.load(Ordering::Relaxed);
        core::iter::from_fn(move || {
            let bit = left.trailing_zeros() as usize;
            left &= left.checked_sub(1)?;
            Some(64 * place + bit)
        })
    })
}

/// Gives the CPU with this index its stacks.
pub fn map_stacks(memory: &mut Memory, cpu: usize) {
    let root = kernel_root();
    for stack in Stack::ALL {
        for page in (stack.bottom(cpu)..stack.top(cpu)).step_by(FRAME_SIZE) {
            let frame = memory.allocate();
            map_page(memory, root, page, frame, DATA);
        }
    }
}

/// Maps a page of device registers and returns where. Each page has its fixed
/// place, so mapping it twice does no harm.
pub fn map_device(memory: &mut Memory, address: u64) -> usize {
    let offset = address as usize % FRAME_SIZE;
    let place = DEVICES + (address as usize - offset);
    let frame = Frame::containing(address);
    map_page(memory, kernel_root(), place, frame, DATA | Bits::NO_CACHE);
    place + offset
}

/// Maps a range of physical memory with the largest pages that fit.
fn map_range(memory: &mut Memory, root: Frame, start: usize, range: PhysRange, bits: Bits) {
    let (mut physical, mut va) = (range.start, start);
    let largest = if Features::get().contains(Features::GIGABYTE_PAGES) {
        2
    } else {
        1
    };
    while physical < range.end {
        let fits = |level: &usize| {
            let span = span(*level) as u64;
            physical.is_multiple_of(span) && range.end - physical >= span
        };
        let level = (0..=largest).rev().find(fits).unwrap_or(0);
        let bits = if level > 0 { bits | Bits::HUGE } else { bits };
        set(
            memory,
            root,
            va,
            level,
            Entry::new(Frame::containing(physical), bits),
        );
        physical += span(level) as u64;
        va += span(level);
    }
}

fn map_page(memory: &mut Memory, root: Frame, va: usize, frame: Frame, bits: Bits) {
    set(memory, root, va, 0, Entry::new(frame, bits));
}

/// Puts `entry` into the table of `level` that covers `va`.
fn set(memory: &mut Memory, root: Frame, va: usize, level: usize, entry: Entry) {
    let mut frame = root;
    for above in (level + 1..4).rev() {
        frame = next_table(memory, frame, va, above);
    }
    table(frame).swap(index(va, level), entry);
}

/// The table below the entry for `va` in the table `frame` of `level`, made if
/// missing.
fn next_table(memory: &mut Memory, frame: Frame, va: usize, level: usize) -> Frame {
    let slot = index(va, level);
    let entry = table(frame).load(slot);
    entry.frame().unwrap_or_else(|| {
        let new = memory.allocate();
        table(frame).swap(slot, Entry::new(new, TABLE_BITS));
        new
    })
}

const fn index(va: usize, level: usize) -> usize {
    va / span(level) % ENTRIES
}

/// The root for a CPU on its way up: the kernel's half, and the page at
/// `address`, executable, where it is physically.
pub fn trampoline_root(memory: &mut Memory, address: u64) -> Frame {
    let root = memory.allocate();
    new_root(root);
    let bits = Bits::PRESENT | Bits::WRITE;
    map_page(
        memory,
        root,
        address as usize,
        Frame::containing(address),
        bits,
    );
    root
}

/// Maps one page of the kernel's heap, at `va` in `HEAP..STACKS`, writable.
///
/// `take` gives a zeroed frame for a table that is missing; `false` when it had
/// none. The caller makes sure that one CPU at a time does this. The page was not
/// mapped before, so no translation has to be flushed.
#[must_use]
pub fn map_kernel(
    va: usize,
    frame: Frame,
    bits: Bits,
    take: &mut dyn FnMut() -> Option<Frame>,
) -> bool {
    assert!((HEAP..STACKS).contains(&va) && va.is_multiple_of(FRAME_SIZE));
    let mut at = kernel_root();
    for level in (1..4).rev() {
        let slot = index(va, level);
        at = match table(at).load(slot).frame() {
            Some(next) => next,
            None => {
                let Some(next) = take() else { return false };
                table(at).swap(slot, Entry::new(next, TABLE_BITS));
                next
            }
        };
    }
    let bits = bits | Bits::PRESENT | Bits::GLOBAL | Bits::NO_EXECUTE;
    table(at).swap(index(va, 0), Entry::new(frame, bits));
    true
}

/// The root that maps no user memory.
pub fn kernel_root() -> Frame {
    Frame::new(KERNEL_ROOT.load(Ordering::Relaxed))
}

/// Makes a frame full of zeroes a root that maps the kernel's half.
pub fn new_root(root: Frame) {
    let (from, to) = (table(kernel_root()), table(root));
    for slot in kernel_entries() {
        to.swap(slot, from.load(slot));
    }
}

/// Takes out of a root what [`new_root`] has put in. No CPU uses it any more.
pub fn clear_root(root: Frame) {
    for slot in kernel_entries() {
        table(root).take(slot);
    }
}

/// How many PCIDs this CPU has besides 0: as many as fit into 12 bits, or none.
pub fn pcids() -> usize {
    if Features::get().contains(Features::PCID) {
        (1 << 12) - 1
    } else {
        0
    }
}

/// Makes `root` this CPU's address space, with PCID 0. All translations under it but global
/// ones are forgotten.
pub fn load_root(root: Frame) {
    load_cr3(root.address());
}

/// Makes `root` this CPU's address space, with a PCID under which all translations are
/// forgotten. For CPUs that have PCIDs.
pub fn load_root_tagged(root: Frame, pcid: Pcid) {
    load_cr3(root.address() | u64::from(pcid));
}

/// The same, but the translations under the PCID are kept.
pub fn load_root_keeping(root: Frame, pcid: Pcid) {
    /// Bit 63 of the value says so (Intel SDM vol. 3, 4.10.4.1).
    const KEEP: u64 = 1 << 63;
    load_cr3(root.address() | u64::from(pcid) | KEEP);
}

fn load_cr3(value: u64) {
    // SAFETY: a root made by `new_root` (or the kernel's own) maps the kernel as now; the user's
    // half, and which of its translations are kept, are the caller's business.
    unsafe { asm!("mov cr3, {}", in(reg) value, options(nostack, preserves_flags)) }
}

/// Leaves every address space.
pub fn load_kernel_root() {
    load_root(kernel_root());
}

/// Forgets this CPU's translations of the page at `va`, and its paging-structure
/// caches.
pub fn flush_page(va: usize) {
    // SAFETY: forgetting a translation changes no memory.
    unsafe { asm!("invlpg [{}]", in(reg) va, options(nostack, preserves_flags)) }
}

/// Forgets all of this CPU's translations under the current PCID but global ones (user pages are
/// never global).
pub fn flush_all() {
    // SAFETY: CR3 is loaded with the value that it has; bit 63 reads as 0.
    unsafe {
        asm!(
            "mov {0}, cr3",
            "mov cr3, {0}",
            out(reg) _,
            options(nostack, preserves_flags)
        );
    }
}

/// Whether a jump to `address` stays in user space.
pub fn is_user(address: usize) -> bool {
    address < USER_END
}

/// Maps device registers at boot.
pub fn device(address: u64) -> usize {
    map_device(&mut MEMORY.lock(), address)
}
