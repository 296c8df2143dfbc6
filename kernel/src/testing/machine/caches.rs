//! What a CPU remembers of the tables: its TLB and its paging-structure caches (Intel SDM
//! vol. 3, 4.10.2 and 4.10.3).
//!
//! Nothing is forgotten until it has to be, which the architecture allows. Under the
//! scheduler anything may be forgotten at any time as well, and anything that the tables
//! reach may be remembered at any time (4.10.2.3), used or not. A page may have two
//! translations at once, one from before a change and one from after, and an access uses
//! either: real CPUs have more than one TLB, each with an entry of its own.
//!
//! Every entry is tagged with the PCID under which it was made (4.10.1), and is used under
//! that only.

use super::random::Random;
use crate::arch::frame::{FRAME_SIZE, Frame};
use crate::arch::interface::Pcid;
use crate::arch::level::Level;
use arrayvec::ArrayVec;
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

/// The translations of one page, the oldest first.
type Translations = ArrayVec<Translation, 2>;

/// The caches of one CPU. Ordered maps, so that a run follows from its seed.
#[derive(Default)]
pub(super) struct Caches {
    pages: BTreeMap<(Pcid, usize), Translations>,
    /// By the level of the table that the entry is in, and the part of the address that
    /// selects the entry.
    structures: BTreeMap<(Pcid, Level, usize), Structure>,
}

impl Caches {
    /// All translations of the page that there are.
    pub fn page(&self, pcid: Pcid, address: usize) -> &[Translation] {
        let translations = self.pages.get(&(pcid, address / FRAME_SIZE));
        translations.map_or(&[], |translations| translations.as_slice())
    }

    /// Adds a translation; the oldest goes if there are two others.
    pub fn remember_page(&mut self, pcid: Pcid, address: usize, translation: Translation) {
        let page = self.pages.entry((pcid, address / FRAME_SIZE)).or_default();
        if !page.contains(&translation) {
            if page.is_full() {
                page.remove(0);
            }
            page.push(translation);
        }
    }

    /// The entry for the address in a table of this level.
    pub fn structure(&self, pcid: Pcid, level: Level, address: usize) -> Option<Structure> {
        let key = (pcid, level, address / level.entry_size());
        self.structures.get(&key).copied()
    }

    /// Remembers an entry in the place of what was known of it before.
    pub fn remember_structure(
        &mut self,
        pcid: Pcid,
        level: Level,
        address: usize,
        structure: Structure,
    ) {
        let key = (pcid, level, address / level.entry_size());
        self.structures.insert(key, structure);
    }

    /// What INVLPG does: the page, and the paging-structure caches for all addresses
    /// (4.10.4.1), of the current PCID.
    pub fn invalidate_page(&mut self, pcid: Pcid, address: usize) {
        self.pages.remove(&(pcid, address / FRAME_SIZE));
        self.structures.retain(|&(tag, ..), _| tag != pcid);
    }

    /// What a page fault does, and INVPCID for one address: all that is used for this
    /// address goes (4.10.4.1).
    pub fn invalidate_address(&mut self, pcid: Pcid, address: usize) {
        self.pages.remove(&(pcid, address / FRAME_SIZE));
        self.structures
            .retain(|&(tag, level, part), _| tag != pcid || part != address / level.entry_size());
    }

    /// What loading CR3 does without the bit that keeps entries, and INVPCID for one PCID;
    /// nothing of user memory is global.
    pub fn invalidate_pcid(&mut self, pcid: Pcid) {
        self.pages.retain(|&(tag, _), _| tag != pcid);
        self.structures.retain(|&(tag, ..), _| tag != pcid);
    }

    /// What INVPCID does for all PCIDs.
    pub fn invalidate_all(&mut self) {
        *self = Caches::default();
    }

    /// Forgets one entry, as the CPU may at any time.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the scheduler"))]
    pub fn forget_any(&mut self, random: &mut Random) {
        let n = random.below(self.pages.len() + self.structures.len() + 1);
        if let Some((&key, translations)) = self.pages.iter_mut().nth(n) {
            translations.remove(random.below(translations.len()));
            if translations.is_empty() {
                self.pages.remove(&key);
            }
        } else if let Some(&key) = self.structures.keys().nth(n - self.pages.len()) {
            self.structures.remove(&key);
        }
    }

    /// All frames that this CPU may use under the PCID without another look at the tables.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the scheduler"))]
    pub fn frames(&self, pcid: Pcid) -> impl Iterator<Item = Frame> {
        let pages = self.pages.range((pcid, 0)..=(pcid, usize::MAX));
        let structures = self.structures.iter();
        pages
            .flat_map(|(_, translations)| translations.iter().map(|page| page.frame))
            .chain(
                structures
                    .filter(move |((tag, ..), _)| *tag == pcid)
                    .map(|(_, entry)| entry.table),
            )
    }
}
