//! What a change of the map needs, taken before it (rule M10).
//!
//! A change spends nodes that its [`Reservation`] holds, and so cannot fail half-way. A call that
//! adds or cuts areas is refused while only the reserve of memory is left. A call that removes areas
//! is not: it gets nodes as long as the heap has any. A map that is shared since a fork needs nodes
//! even for a removal, so each map keeps a few from its fork on.

use crate::memory::fault_injection;
use crate::memory::frame::{self, OutOfMemory};
use crate::memory::vma::dead_maps;
use crate::memory::vma::map::{NODE, VmaMap};
use crate::memory::vma::tree::{NoNode, Spares};
use crate::memory::vma::vm_area::Vma;

/// Nodes of the tree without areas.
pub(super) type Nodes = Spares<Vma, NODE>;

/// The most areas of one address space, as Linux's vm.max_map_count. As there, what adds an
/// area without cutting another looks before it does, and so may add one more.
const MAX_VMAS: usize = 65530;
/// Areas that mremap may add for a moment, as Linux counts them.
const MOVED: usize = 3;
/// About the size of a node, in bytes.
const NODE_SIZE: usize = NODE * size_of::<Vma>() + 64;

/// Nodes for one change, or for several that belong together.
#[must_use]
pub struct Reservation {
    pub(super) nodes: Nodes,
}

impl VmaMap {
    /// Whether there may be another area.
    pub fn may_add(&self) -> Result<(), OutOfMemory> {
        limit(self.count() <= MAX_VMAS)
    }

    /// Whether there may be as many as there are while part of one moves, and others are cut.
    pub fn may_move(&self, cuts: usize) -> Result<(), OutOfMemory> {
        limit(self.count() + cuts < MAX_VMAS - MOVED)
    }

    /// Whether there may be as many areas as there are after this change.
    pub fn may_change(
        &self,
        start: usize,
        end: usize,
        change: impl Fn(&mut Vma),
    ) -> Result<(), OutOfMemory> {
        // At the most two are cut. Mostly there is no need to look closer.
        limit(self.count() + 2 <= MAX_VMAS || !self.grows_beyond(MAX_VMAS, start, end, change))
    }

    /// Whether the change of a range leaves more areas than before, and more than `most`.
    fn grows_beyond(
        &self,
        most: usize,
        start: usize,
        end: usize,
        change: impl Fn(&mut Vma),
    ) -> bool {
        let (mut before, mut after) = (0, 0);
        let mut last: Option<Vma> = None;
        let near = self.areas.iter_from(start.saturating_sub(1));
        for vma in near.take_while(|vma| vma.start <= end) {
            before += 1;
            let (low, high) = (
                start.clamp(vma.start, vma.end),
                end.clamp(vma.start, vma.end),
            );
            for (from, to) in [(vma.start, low), (low, high), (high, vma.end)] {
                if from == to {
                    continue;
                }
                let mut part = vma.part(from, to);
                if from == low && to == high {
                    change(&mut part);
                }
                if let Some(last) = last.as_mut().filter(|last| last.joins(&part)) {
                    last.end = part.end;
                } else {
                    after += 1;
                    last = Some(part);
                }
            }
        }
        after > before && self.count() - before + after > most
    }

    /// Nodes to put an area into a range from which all else is taken out before, by a
    /// removal that has a reservation of its own.
    pub fn reserve_insert(&mut self, start: usize, end: usize) -> Result<Reservation, OutOfMemory> {
        let copies = self.areas.copies(start, end, usize::MAX);
        let needed = if self.is_free(start, end) {
            copies + self.areas.splits(start, 1)
        } else if self.last_below(start).is_some() {
            copies + self.splits_after_removal()
        } else {
            // It may take away the leaf that the area would come into now: the one that it comes
            // into then may be another, whose way is shared.
            self.areas.height() + self.splits_after_removal()
        };
        self.reserve(needed)
    }

    /// Nodes to change the areas in a range, cutting those that reach beyond it.
    pub fn reserve_change(&mut self, start: usize, end: usize) -> Result<Reservation, OutOfMemory> {
        let mut needed = self.areas.copies(start, end, usize::MAX);
        for edge in [start, end] {
            if self.is_inside(edge) {
                needed += self.areas.splits(edge, 2);
            }
        }
        self.reserve(needed)
    }

    /// Nodes to move part of an area to where nothing is mapped, a piece after the other, and to
    /// change what stays.
    pub fn reserve_move(
        &mut self,
        (start, end): (usize, usize),
        (to, to_end): (usize, usize),
    ) -> Result<Reservation, OutOfMemory> {
        // At the most four areas are added for some time.
        const ADDED: usize = 4;
        let copies = |start, end| self.areas.copies(start, end, usize::MAX);
        let copied = copies(start, end) + copies(to, to_end);
        // The first cut meets the tree as it is, the others after removals.
        let splits = self.areas.splits(start, ADDED) + 2 * self.splits_after_removal();
        // The area that moves may be the lowest one, as in `reserve_insert`.
        let lowest = match self.last_below(start.min(to)) {
            Some(_) => 0,
            None => 2 * self.areas.height() + 1,
        };
        self.reserve(copied + splits + lowest)
    }

    /// How many nodes an insertion at any place splits off at the most, once a removal has changed
    /// the tree: the removal joins siblings, which may fill a node on each level, and the part of
    /// an area that it leaves behind the range may make the tree higher by one.
    fn splits_after_removal(&self) -> usize {
        self.areas.height() + 2
    }

    /// Nodes to take out what is in a range, cutting areas that reach beyond it; none for whole
    /// areas, if the map is not shared.
    pub fn reserve_removal(
        &mut self,
        start: usize,
        end: usize,
    ) -> Result<Reservation, OutOfMemory> {
        // The ways to both ends of the range, and to where the removal is.
        let most = 3 * self.areas.height();
        let mut needed = self.areas.copies(start, end, most).min(most);
        if self.is_inside(start) {
            needed += self.areas.splits(start, 1);
            let is_middle = self.find(start).is_some_and(|vma| vma.end > end);
            limit(!is_middle || self.count() < MAX_VMAS)?;
        }
        let mut nodes = Nodes::new();
        while nodes.len() < needed {
            if !self.take_node(&mut nodes) && !nodes.take_from(&mut self.spare) {
                self.give_back(Reservation { nodes });
                return Err(OutOfMemory);
            }
        }
        Ok(Reservation { nodes })
    }

    /// Ends a removal: what is left of its nodes is kept for the next one as far as that may need
    /// it.
    pub fn give_back(&mut self, mut left: Reservation) {
        while self.spare.len() < self.kept_nodes() && self.spare.take_from(&mut left.nodes) {}
    }

    /// The map of a child, which shares all areas. Both keep nodes to take areas away.
    pub fn for_child(&mut self) -> Result<VmaMap, OutOfMemory> {
        let mut spare = Nodes::new();
        for nodes in [&mut spare, &mut self.spare] {
            while nodes.len() < kept_nodes(self.areas.height()) {
                allocate(nodes)?;
            }
        }
        Ok(VmaMap {
            areas: self.areas.clone(),
            totals: self.totals,
            spare,
        })
    }

    fn kept_nodes(&self) -> usize {
        kept_nodes(self.areas.height())
    }

    /// Whether an area begins below the address and ends above.
    fn is_inside(&self, address: usize) -> bool {
        self.find(address).is_some_and(|vma| vma.start < address)
    }

    fn reserve(&mut self, needed: usize) -> Result<Reservation, OutOfMemory> {
        let mut nodes = Nodes::new();
        if needed != 0 {
            frame::ensure_free_bytes(needed * NODE_SIZE)?;
            while nodes.len() < needed {
                if !self.take_node(&mut nodes) {
                    self.give_back(Reservation { nodes });
                    return Err(OutOfMemory);
                }
            }
        }
        Ok(Reservation { nodes })
    }

    /// Adds a node to those of a change. A map of one node has none left to share after its next
    /// change, so that goes with what it has kept for that.
    fn take_node(&mut self, nodes: &mut Nodes) -> bool {
        let small = self.areas.height() < 2;
        (small && nodes.take_from(&mut self.spare))
            || allocate(nodes).is_ok()
            || (dead_maps::drop_slice() && allocate(nodes).is_ok())
    }
}

/// How many nodes a map keeps from a fork on: as many as it takes to copy the ways to the
/// ends of a range.
fn kept_nodes(height: usize) -> usize {
    (2 * height).saturating_sub(1)
}

fn limit(is_kept: bool) -> Result<(), OutOfMemory> {
    is_kept.then_some(()).ok_or(OutOfMemory)
}

/// Allocates a node. All that the map takes of the heap is taken here.
fn allocate(nodes: &mut Nodes) -> Result<(), OutOfMemory> {
    fault_injection::check()?;
    nodes.allocate().map_err(|NoNode| OutOfMemory)
}
