//! What a CPU remembers of the tables: its TLB and its paging-structure caches (Intel SDM
//! vol. 3, 4.10.2 and 4.10.3).
//!
//! Nothing is forgotten until it has to be, which the architecture allows. Under the
//! scheduler anything may be forgotten at any time as well, and anything that the tables
//! reach may be remembered at any time (4.10.2.3), used or not.

use super::random::Random;
use crate::arch::level::Level;
use crate::arch::{FRAME_SIZE, Frame};
use std::collections::BTreeMap;

/// What the TLB holds of a page: the rights are those of all levels together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Translation {
    pub frame: Frame,
    pub writable: bool,
    pub user: bool,
    /// The dirty bit is set in the leaf entry, so that a write need not set it.
    pub dirty: bool,
}

/// What a paging-structure cache holds of an entry: the table that it points to, and the
/// rights of all levels so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Structure {
    pub table: Frame,
    pub writable: bool,
    pub user: bool,
}

/// The caches of one CPU. Ordered maps, so that a run follows from its seed.
#[derive(Default)]
pub(super) struct Caches {
    pages: BTreeMap<usize, Translation>,
    /// By the level of the table that the entry is in, and the part of the address that
    /// selects the entry.
    structures: BTreeMap<(Level, usize), Structure>,
}

fn selector(level: Level, address: usize) -> (Level, usize) {
    (level, address / level.entry_size())
}

impl Caches {
    pub fn page(&self, address: usize) -> Option<Translation> {
        self.pages.get(&(address / FRAME_SIZE)).copied()
    }

    pub fn remember_page(&mut self, address: usize, translation: Translation) {
        self.pages.insert(address / FRAME_SIZE, translation);
    }

    pub fn forget_page(&mut self, address: usize) {
        self.pages.remove(&(address / FRAME_SIZE));
    }

    /// The entry for the address in a table of this level.
    pub fn structure(&self, level: Level, address: usize) -> Option<Structure> {
        self.structures.get(&selector(level, address)).copied()
    }

    pub fn remember_structure(&mut self, level: Level, address: usize, structure: Structure) {
        self.structures.insert(selector(level, address), structure);
    }

    /// What INVLPG does: the page, and the paging-structure caches for all addresses
    /// (4.10.4.1).
    pub fn invalidate_page(&mut self, address: usize) {
        self.forget_page(address);
        self.structures.clear();
    }

    /// What a page fault does: all that was used for this address goes (4.10.4.1).
    pub fn after_fault(&mut self, address: usize) {
        self.forget_page(address);
        self.structures
            .retain(|&(level, part), _| part != address / level.entry_size());
    }

    /// What loading CR3 does; nothing of user memory is global.
    pub fn invalidate_all(&mut self) {
        *self = Caches::default();
    }

    /// Forgets one entry, as the CPU may at any time.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the scheduler"))]
    pub fn forget_any(&mut self, random: &mut Random) {
        let n = random.below(self.pages.len() + self.structures.len() + 1);
        if let Some(&page) = self.pages.keys().nth(n) {
            self.pages.remove(&page);
        } else if let Some(&key) = self.structures.keys().nth(n - self.pages.len()) {
            self.structures.remove(&key);
        }
    }

    /// All frames that this CPU may use without another look at the tables.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the scheduler"))]
    pub fn frames(&self) -> impl Iterator<Item = Frame> {
        let pages = self.pages.values().map(|page| page.frame);
        pages.chain(self.structures.values().map(|entry| entry.table))
    }
}
