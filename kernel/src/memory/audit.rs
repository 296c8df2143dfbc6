//! Does it add up? Every table is walked, every reference recounted, and the result
//! compared with the counts (rules M1, M11).

use crate::arch::Frame;
use crate::arch::level::{Level, USER_ENTRIES};
use crate::arch::paging::{ENTRIES, Table};
use crate::memory::frame::{self, HEAP};
use crate::memory::object::Object;
use crate::memory::space::address_space::AddressSpace;
use crate::memory::table::occupancy;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// What an audit found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Audit {
    /// Frames that have a holder.
    pub held: usize,
    /// Of these, frames of the kernel's heap.
    pub heap: usize,
    /// Frames whose count is not the number of their holders.
    pub wrong: usize,
    /// The first of them, with its count and the number of holders that were found.
    pub example: Option<(Frame, u32, u32)>,
}

impl Audit {
    /// Whether every count is right.
    pub fn is_clean(&self) -> bool {
        self.wrong == 0
    }
}

/// Recounts all references, given everything that holds any: the address spaces and the
/// objects. They must not be in use meanwhile, and the reclaimer must have nothing left
/// to drop.
pub fn audit(spaces: &[Arc<AddressSpace>], objects: &[Arc<Object>]) -> Audit {
    let mut found = Recount {
        holders: vec![0; frame::table_len()],
    };
    for space in spaces {
        found.add(space.root());
        found.walk(space.root_table(), Level::ROOT, USER_ENTRIES);
    }
    for object in objects {
        object.each_frame(|frame| {
            found.add(frame);
        });
    }
    let mut audit = Audit::default();
    for (frame, count, owner) in frame::held() {
        audit.held += 1;
        let mut holders = found.holders[frame.number() as usize];
        if owner == HEAP {
            audit.heap += 1;
            holders += 1;
        }
        if count != holders {
            audit.wrong += 1;
            audit.example.get_or_insert((frame, count, holders));
        }
        found.holders[frame.number() as usize] = 0;
    }
    // What is still marked is pointed to, but free.
    for (number, &holders) in found
        .holders
        .iter()
        .enumerate()
        .filter(|(_, holders)| **holders != 0)
    {
        audit.wrong += 1;
        audit
            .example
            .get_or_insert((Frame::new(number as u32), 0, holders));
    }
    audit
}

struct Recount {
    holders: Vec<u32>,
}

impl Recount {
    /// Counts a holder of the frame. Says whether it is the first.
    fn add(&mut self, frame: Frame) -> bool {
        if frame::is_zeroes(frame) {
            // Its holders are not counted.
            return false;
        }
        let Some(holders) = self.holders.get_mut(frame.number() as usize) else {
            return false;
        };
        *holders += 1;
        *holders == 1
    }

    fn walk(&mut self, table: Table, level: Level, entries: usize) {
        for index in 0..entries.min(ENTRIES) {
            let Some(frame) = table.load(index).frame() else {
                continue;
            };
            // A table that many share holds its entries once.
            debug_assert!(
                occupancy::is_marked(table, index),
                "M11: entry {index} of {table:?} would be overlooked"
            );
            if self.add(frame) && level != Level::LEAF_TABLE {
                // SAFETY: above the lowest level entries point to tables, and nothing changes them
                // during an audit.
                self.walk(unsafe { Table::new(frame) }, level.below(), ENTRIES);
            }
        }
    }
}
