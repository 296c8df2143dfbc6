//! Changes of the map. None of them can fail: each spends what was reserved for it.

use crate::memory::vma::map::VmaMap;
use crate::memory::vma::reservation::{Nodes, Reservation};
use crate::memory::vma::totals::Totals;
use crate::memory::vma::vm_area::Vma;

impl VmaMap {
    /// Adds an area where nothing is mapped, and joins it to neighbours that continue it.
    pub fn insert(&mut self, vma: Vma, reservation: &mut Reservation) {
        debug_assert!(self.is_free(vma.start, vma.end));
        self.totals = self.totals.plus(Totals::of(&vma));
        let nodes = &mut reservation.nodes;
        let areas = &mut self.areas;
        let before = areas.last_below(vma.start);
        let before = before
            .filter(|before| before.joins(&vma))
            .map(|before| before.start);
        let after = areas.at_or_above(vma.start);
        let after = after
            .filter(|after| vma.joins(after))
            .map(|after| (after.start, after.end));
        match (before, after) {
            (None, None) => areas.insert(vma, nodes),
            (None, Some((start, _))) => areas.change(start, start + 1, nodes, |after| {
                after.start = vma.start;
                after.backing = vma.backing.clone();
            }),
            (Some(start), after) => {
                if let Some((start, _)) = after {
                    areas.remove(start, start + 1, 1, nodes, |_| ());
                }
                let end = after.map_or(vma.end, |(_, end)| end);
                areas.change(start, start + 1, nodes, |before| before.end = end);
            }
        }
    }

    /// Takes out what is in the range, cutting areas that reach beyond it, and at most so
    /// many whole areas. Returns how far it came.
    pub fn remove_some(
        &mut self,
        start: usize,
        end: usize,
        most: usize,
        reservation: &mut Reservation,
    ) -> usize {
        if self.is_free(start, end) {
            return end;
        }
        let nodes = &mut reservation.nodes;
        if let Some(vma) = self.find(start).filter(|vma| vma.start < start) {
            let key = vma.start;
            let gone = Totals::of_part(vma, vma.end.min(end) - start);
            let rest = (vma.end > end).then(|| vma.part(end, vma.end));
            self.totals = self.totals.minus(gone);
            self.areas
                .change(key, key + 1, nodes, |vma| vma.end = start);
            if let Some(rest) = rest {
                self.areas.insert(rest, nodes);
                return end;
            }
        }
        if let Some(vma) = self.find(end).filter(|vma| vma.start < end) {
            let key = vma.start;
            self.totals = self.totals.minus(Totals::of_part(vma, end - key));
            self.areas
                .change(key, key + 1, nodes, |vma| *vma = vma.part(end, vma.end));
        }
        let totals = &mut self.totals;
        self.areas.remove(start, end, most, nodes, |vma| {
            *totals = totals.minus(Totals::of(vma));
        });
        // What became empty is used again by the next piece, but not all of it.
        while nodes.len() > 3 * self.areas.height() + 1 {
            nodes.drop_one();
        }
        let next = self.areas.at_or_above(start);
        next.map_or(end, |vma| vma.start.min(end))
    }

    /// Changes the areas in the range, cutting those that reach beyond it, and joins those that
    /// continue each other then. None moves.
    pub fn change(
        &mut self,
        start: usize,
        end: usize,
        change: impl Fn(&mut Vma),
        reservation: &mut Reservation,
    ) {
        let nodes = &mut reservation.nodes;
        self.cut_at(start, nodes);
        self.cut_at(end, nodes);
        let totals = &mut self.totals;
        self.areas.change(start, end, nodes, |vma| {
            let before = Totals::of(vma);
            change(vma);
            *totals = totals.minus(before).plus(Totals::of(vma));
        });
        self.join(start, end, nodes);
    }

    /// Makes two areas of the one that contains the address, if it does not begin there.
    fn cut_at(&mut self, address: usize, nodes: &mut Nodes) {
        let vma = self.find(address).filter(|vma| vma.start < address);
        if let Some((key, rest)) = vma.map(|vma| (vma.start, vma.part(address, vma.end))) {
            self.areas
                .change(key, key + 1, nodes, |vma| vma.end = address);
            self.areas.insert(rest, nodes);
        }
    }

    /// Joins areas that continue each other, from the one that ends where the range begins to the
    /// one that begins where it ends.
    fn join(&mut self, start: usize, end: usize, nodes: &mut Nodes) {
        let mut from = start.saturating_sub(1);
        while let Some(seam) = self.first_seam(from, end) {
            self.areas
                .remove(seam.above, seam.above + 1, 1, nodes, |_| ());
            self.areas.change(seam.below, seam.below + 1, nodes, |vma| {
                vma.end = seam.end;
            });
            from = seam.below;
        }
    }

    /// The first two areas of which one continues the other, where the lower one ends above `from`
    /// and the upper one begins at `end` or below.
    fn first_seam(&self, from: usize, end: usize) -> Option<Seam> {
        let mut areas = self.areas.iter_from(from);
        let mut below = areas.next()?;
        for above in areas.take_while(|vma| vma.start <= end) {
            if below.joins(above) {
                return Some(Seam {
                    below: below.start,
                    above: above.start,
                    end: above.end,
                });
            }
            below = above;
        }
        None
    }
}

/// Two areas of which one continues the other.
struct Seam {
    /// Where the lower one begins.
    below: usize,
    /// Where the upper one begins.
    above: usize,
    /// Where it ends.
    end: usize,
}
