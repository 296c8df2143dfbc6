//! One VMA of virtual memory: what a program may do there, and where its pages come from.

use crate::arch::FRAME_SIZE;
use crate::memory::object::Object;
use crate::memory::vma::map::GUARD_GAP;
use alloc::sync::Arc;
use bitflags::bitflags;

bitflags! {
    /// What a program may do with a VMA.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Protection: u8 {
        /// Loads.
        const READ = 1;
        /// Stores.
        const WRITE = 2;
        /// Instruction fetches.
        const EXECUTE = 4;
    }

    /// What else is known of a VMA.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct VmaFlags: u8 {
        /// It grows by an access below it (`MAP_GROWSDOWN`, and every first stack).
        const GROWS_DOWN = 1;
        /// It shall stay in memory (mlock(2)). All memory does.
        const LOCKED = 2;
        /// A child does not get it (`MADV_DONTFORK`).
        const DONT_FORK = 4;
        /// A child gets it empty (`MADV_WIPEONFORK`).
        const WIPE_ON_FORK = 8;
    }
}

impl VmaFlags {
    /// Those for which a fork has to look at the VMAs one by one.
    pub(in crate::memory) const FORK_MASK: VmaFlags = VmaFlags::LOCKED
        .union(VmaFlags::DONT_FORK)
        .union(VmaFlags::WIPE_ON_FORK);
}

/// Where the pages of a VMA come from.
#[derive(Clone)]
pub enum Backing {
    /// Fresh zeroes, private.
    Anonymous,
    /// The contents of an object from this byte on, private: a write makes a copy.
    Private(Arc<Object>, u64),
    /// The contents of an object from this byte on, shared by all its mappings.
    Shared(Arc<Object>, u64),
}

impl Backing {
    /// The same contents, seen from `bytes` further on.
    fn advanced(&self, bytes: usize) -> Backing {
        match self {
            Backing::Anonymous => Backing::Anonymous,
            Backing::Private(object, offset) => {
                Backing::Private(object.clone(), offset + bytes as u64)
            }
            Backing::Shared(object, offset) => {
                Backing::Shared(object.clone(), offset + bytes as u64)
            }
        }
    }

    /// Whether a write is visible in all mappings of the object.
    pub fn is_shared(&self) -> bool {
        matches!(self, Backing::Shared(..))
    }

    /// Where in the object it begins, in bytes.
    pub fn offset(&self) -> u64 {
        match self {
            Backing::Anonymous => 0,
            Backing::Private(_, offset) | Backing::Shared(_, offset) => *offset,
        }
    }

    fn continues_as(&self, bytes: usize, other: &Backing) -> bool {
        match (self, other) {
            (Backing::Anonymous, Backing::Anonymous) => true,
            (Backing::Private(a, from), Backing::Private(b, to))
            | (Backing::Shared(a, from), Backing::Shared(b, to)) => {
                Arc::ptr_eq(a, b) && from + bytes as u64 == *to
            }
            _ => false,
        }
    }
}

/// One VMA: whole pages, `start` included, `end` not.
#[derive(Clone)]
pub struct Vma {
    /// The first address.
    pub start: usize,
    /// One past the last address.
    pub end: usize,
    /// What the program may do there.
    pub protection: Protection,
    /// What it may be allowed to do there by a later change of rights.
    pub allowed: Protection,
    /// Where its pages come from.
    pub backing: Backing,
    /// What else is known of it.
    pub flags: VmaFlags,
}

impl Vma {
    /// Bytes.
    pub fn size(&self) -> usize {
        self.end - self.start
    }

    /// Pages.
    pub fn pages(&self) -> usize {
        self.size() / FRAME_SIZE
    }

    /// Whether it counts for RLIMIT_DATA, as Linux has it: private, may be written, and is
    /// no stack.
    pub(in crate::memory) fn is_data(&self) -> bool {
        self.protection.contains(Protection::WRITE)
            && !self.backing.is_shared()
            && !self.flags.contains(VmaFlags::GROWS_DOWN)
    }

    /// Up to where another VMA may be placed below this one.
    pub(in crate::memory) fn border(&self) -> usize {
        if self.flags.contains(VmaFlags::GROWS_DOWN) {
            self.start.saturating_sub(GUARD_GAP)
        } else {
            self.start
        }
    }

    /// The part from `start` on, as it would be if the VMA ended at `end`: there may be
    /// less of it, or more.
    pub(in crate::memory) fn part(&self, start: usize, end: usize) -> Vma {
        Vma {
            start,
            end,
            protection: self.protection,
            allowed: self.allowed,
            backing: self.backing.advanced(start - self.start),
            flags: self.flags,
        }
    }

    /// The same contents at another place.
    pub(in crate::memory) fn moved_to(self, start: usize) -> Vma {
        let end = start + self.size();
        Vma { start, end, ..self }
    }

    /// Whether `after` continues this VMA, so that the two can be one.
    pub(in crate::memory) fn joins(&self, after: &Vma) -> bool {
        self.end == after.start
            && self.protection == after.protection
            && self.allowed == after.allowed
            && self.flags == after.flags
            && self.backing.continues_as(self.size(), &after.backing)
    }
}
