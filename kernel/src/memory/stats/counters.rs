//! What the memory system has done, counted per CPU and summed up for `/proc/vmstat`.

use crate::arch::{self, MAX_CPUS, PerMachine};
use core::sync::atomic::{AtomicU64, Ordering};
use crossbeam_utils::CachePadded;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Something that is counted.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Counter { $($(#[$doc])* $name,)* }

        /// All counters with the names they have in `/proc/vmstat`.
        pub const ALL: &[(Counter, &str)] = &[$((Counter::$name, $text),)*];
    };
}

counters! {
    /// Address spaces copied by `fork`.
    Forks = "forks",
    /// Page faults taken from user mode or resolved for a system call.
    Faults = "faults",
    /// Write faults on a page that may be written once COW is broken.
    CowFaults = "cow_faults",
    /// Pages copied because they had other holders too.
    CowCopies = "cow_copies",
    /// Pages made writable in place, because they had no other holder.
    CowReuses = "cow_reuses",
    /// Of these, those that replaced a page that no CPU had used: without a shootdown, although the
    /// address space was active on other CPUs.
    CowCopiesUntouched = "cow_copies_untouched",
    /// Tables copied because they had other holders too.
    CowTableCopies = "cow_table_copies",
    /// Tables made writable in place.
    CowTableReuses = "cow_table_reuses",
    /// Fresh pages mapped.
    ZeroFills = "zero_fills",
    /// Fresh frames, for pages and tables, that were taken from the pre-zeroed pool.
    PrezeroedHits = "prezeroed_hits",
    /// Places that were read before they were written, where the frame of zeroes was mapped.
    ZeroPageMaps = "zero_page_maps",
    /// Pages of a file mapped.
    FileMaps = "file_maps",
    /// Changes of tables that asked for a flush.
    ShootdownsAsked = "shootdowns_asked",
    /// Of these, those that had to ask another CPU.
    ShootdownsSent = "shootdowns_sent",
    /// Of these, those without a request, as no other CPU was active.
    ShootdownsAvoided = "shootdowns_avoided",
    /// Requests to a CPU that had been asked already, and got no second interrupt.
    ShootdownsMerged = "shootdowns_merged",
    /// Interrupts sent for shootdowns.
    ShootdownInterrupts = "shootdown_interrupts",
    /// Times that a CPU came back to an address space and kept its translations.
    TranslationsKept = "tlb_kept",
    /// References taken out of table entries.
    ReferencesRetired = "references_retired",
    /// Of these, those dropped since.
    ReferencesDropped = "references_dropped",
    /// Frames given back to the allocator.
    FramesFreed = "frames_freed",
    /// Allocations of frames that failed.
    AllocationsFailed = "allocations_failed",
    /// Processes killed because memory ran out.
    OutOfMemoryKills = "oom_kill",
}

type Row = CachePadded<[AtomicU64; ALL.len()]>;

/// For each CPU that there can be, so that it is found without a look at how many there are.
/// Each row is set by itself: all of them are as large as the stack of the first CPU.
static COUNTERS: [PerMachine<Row>; MAX_CPUS] = [const { PerMachine::new() }; MAX_CPUS];

pub(in crate::memory) fn init() {
    let row = || CachePadded::new([const { AtomicU64::new(0) }; ALL.len()]);
    COUNTERS.iter().for_each(|counters| counters.init(row()));
}

/// Counts one.
pub fn count(counter: Counter) {
    // Relaxed, and no read-modify-write: only this CPU writes its row, and nothing interrupts
    // it.
    let cell = &COUNTERS[arch::cpu().0].get()[counter as usize];
    cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// The sum over all CPUs.
pub fn total(counter: Counter) -> u64 {
    COUNTERS
        .iter()
        .map(|row| row.get()[counter as usize].load(Ordering::Relaxed))
        .sum()
}
