//! The tree against a `BTreeMap`, with random changes of several versions.

use super::node::{Node, NodeRef};
use super::{NoNode, Span, Spares, Tree};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cell::Cell;

thread_local! {
    // Tests run side by side, each on a thread of its own.
    static NODES: Cell<isize> = const { Cell::new(0) };
    static REFUSED: Cell<bool> = const { Cell::new(false) };
}

/// Counts an allocation, or refuses it.
pub(super) fn allocation(nodes: isize) -> Result<(), NoNode> {
    if REFUSED.get() {
        return Err(NoNode);
    }
    NODES.set(NODES.get() + nodes);
    Ok(())
}

pub(super) fn freed() {
    NODES.set(NODES.get() - 1);
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Piece {
    start: usize,
    end: usize,
    grows: bool,
    colour: u8,
}

const GUARD: usize = 5;

impl Span for Piece {
    fn start(&self) -> usize {
        self.start
    }

    fn end(&self) -> usize {
        self.end
    }

    fn border(&self) -> usize {
        match self.grows {
            true => self.start.saturating_sub(GUARD),
            false => self.start,
        }
    }
}

/// A small generator of random numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }
}

type Model = BTreeMap<usize, Piece>;

/// A version and what it should be.
#[derive(Clone)]
struct Version<const N: usize> {
    tree: Tree<Piece, N>,
    model: Model,
}

fn spares<const N: usize>(nodes: usize) -> Spares<Piece, N> {
    let mut spares = Spares::new();
    for _ in 0..nodes {
        spares.allocate().unwrap();
    }
    spares
}

/// Does a change, which may not allocate.
fn without_memory(change: impl FnOnce()) {
    REFUSED.set(true);
    change();
    REFUSED.set(false);
}

/// Checks the node and everything below, and returns how many levels and spans there are.
fn check_node<const N: usize>(node: &NodeRef<Piece, N>) -> (usize, usize) {
    assert_ne!(node.len(), 0, "an empty node");
    match &**node {
        Node::Leaf(spans) => (1, spans.len()),
        Node::Inner(branches) => {
            let below: Vec<_> = branches
                .iter()
                .map(|branch| {
                    assert_eq!(Some(branch.summary), branch.node.summary());
                    check_node(&branch.node)
                })
                .collect();
            assert!(below.iter().all(|(levels, _)| *levels == below[0].0));
            (below[0].0 + 1, below.iter().map(|(_, spans)| spans).sum())
        }
        Node::Spare(_) => panic!("a spare node in a tree"),
    }
}

/// The end of the highest gap, found by looking at all.
fn highest_gap(model: &Model, length: usize, bottom: usize, top: usize) -> Option<usize> {
    let mut end = top;
    for piece in model.values().rev() {
        if piece.start >= top {
            end = top.min(piece.border());
            continue;
        }
        if end >= length + piece.end.max(bottom) {
            return Some(end);
        }
        end = piece.border();
    }
    (end >= length + bottom).then_some(end)
}

impl<const N: usize> Version<N> {
    fn new() -> Self {
        Version {
            tree: Tree::new(),
            model: Model::new(),
        }
    }

    fn insert(&mut self, piece: Piece) {
        let (start, end) = (piece.start, piece.end);
        if self
            .model
            .range(..end)
            .next_back()
            .is_some_and(|(_, last)| last.end > start)
        {
            return;
        }
        let needed = self.tree.copies(start, end, usize::MAX) + self.tree.splits(start, 1);
        let mut spares = spares(needed);
        self.model.insert(start, piece.clone());
        without_memory(|| self.tree.insert(piece, &mut spares));
    }

    fn remove(&mut self, start: usize, end: usize, most: usize) {
        // Only whole ones, as the contract has it.
        let end = self
            .model
            .range(..end)
            .next_back()
            .map_or(end, |(_, last)| last.end.max(end));
        let copies = self.tree.copies(start, end, usize::MAX);
        let mut spares = spares(copies.min(2 * self.tree.height()));
        let mut gone = Vec::new();
        without_memory(|| {
            let keep = |piece: &Piece| gone.push(piece.clone());
            self.tree.remove(start, end, most, &mut spares, keep);
        });
        let expected: Vec<_> = self
            .model
            .range(start..end)
            .take(most)
            .map(|(_, piece)| piece.clone())
            .collect();
        expected.iter().for_each(|piece| {
            self.model.remove(&piece.start);
        });
        assert_eq!(gone, expected);
    }

    fn change(&mut self, start: usize, end: usize, colour: u8) {
        let change = |piece: &mut Piece| {
            piece.colour = colour;
            piece.grows = colour.is_multiple_of(5);
            // Its ends may move, too.
            if piece.end - piece.start > 2 {
                piece.end -= 1;
                piece.start += 1;
            }
        };
        let mut spares = spares(self.tree.copies(start, end, usize::MAX));
        without_memory(|| self.tree.change(start, end, &mut spares, change));
        let keys: Vec<usize> = self.model.range(start..end).map(|(key, _)| *key).collect();
        for key in keys {
            let mut piece = self.model.remove(&key).unwrap();
            change(&mut piece);
            self.model.insert(piece.start, piece);
        }
    }

    fn check(&self) {
        assert!(self.tree.iter_from(0).eq(self.model.values()));
        let counted = self.tree.root.as_ref().map_or((0, 0), check_node);
        assert_eq!(counted, (self.tree.height(), self.tree.len()));
    }

    fn check_looks(&self, at: usize, length: usize) {
        let model = &self.model;
        let containing = model.range(..=at).next_back().map(|(_, piece)| piece);
        let containing = containing.filter(|piece| piece.end > at);
        let first = model.range(at..).next().map(|(_, piece)| piece);
        let last = model.range(..at).next_back().map(|(_, piece)| piece);
        assert_eq!(self.tree.at_or_above(at), containing.or(first));
        assert_eq!(self.tree.first_from(at), first);
        assert_eq!(self.tree.last_below(at), last);
        let from = containing.map_or(at, |piece| piece.start);
        let rest = model.range(from..).map(|(_, piece)| piece);
        assert!(self.tree.iter_from(at).eq(rest));
        for bottom in [0, 3, at / 2] {
            assert_eq!(
                self.tree.highest_gap(length, bottom, at),
                highest_gap(model, length, bottom, at),
                "{length} bytes below {at} in {model:?}"
            );
        }
    }

    fn step(&mut self, random: &mut Random, reach: usize, grows: bool) {
        let start = random.below(reach);
        let end = start + 1 + random.below(6);
        let far = start + 1 + random.below(reach / 4);
        let colour = random.below(256) as u8;
        match random.below(if grows { 16 } else { 8 }) {
            0..2 => self.remove(start, end, 1),
            2 => self.remove(start, far, 1 + random.below(40)),
            3 => self.change(start, far, colour),
            4 => self.change(start, start + 1, colour),
            _ => self.insert(Piece {
                start,
                end,
                grows: random.below(6) == 0,
                colour,
            }),
        }
        self.check_looks(random.below(reach + 10), 1 + random.below(12));
    }
}

fn random_versions<const N: usize>(seed: u64, reach: usize, steps: usize) {
    let mut random = Random(seed * 2 + 1);
    let mut versions = Vec::from([Version::<N>::new()]);
    for step in 0..steps {
        let which = random.below(versions.len());
        let grows = step / 400 % 2 == 0;
        versions[which].step(&mut random, reach, grows);
        match random.below(40) {
            0 if versions.len() < 5 => {
                let copy = versions[which].clone();
                versions.push(copy);
            }
            1 if versions.len() > 1 => {
                let mut version = versions.swap_remove(which);
                let mut teardown = version.tree.tear_down();
                while teardown.step(1 + random.below(3)) {}
            }
            _ => {}
        }
        if step % 16 == 0 {
            versions.iter().for_each(Version::check);
        }
    }
    versions.iter().for_each(Version::check);
    drop(versions);
    assert_eq!(NODES.get(), 0, "nodes are left");
}

#[test]
fn versions_of_small_nodes_are_as_their_models() {
    for seed in 0..30 {
        random_versions::<4>(seed, 60 + seed as usize * 40, 3_000);
    }
}

#[test]
fn versions_of_large_nodes_are_as_their_models() {
    for seed in 0..10 {
        random_versions::<12>(seed, 400 + seed as usize * 200, 4_000);
    }
}

fn many<const N: usize>(pieces: usize) -> Version<N> {
    let mut version = Version::new();
    for number in 0..pieces {
        version.insert(Piece {
            start: 10 * number,
            end: 10 * number + 4,
            grows: false,
            colour: 0,
        });
    }
    version
}

#[test]
fn a_change_of_a_shared_tree_copies_one_path() {
    let mut version = many::<12>(60_000);
    let height = version.tree.height();
    assert!(height <= 6, "{height} levels");
    let before = NODES.get();
    assert_eq!(version.tree.copies(0, usize::MAX, usize::MAX), 0);
    let copy = version.clone();
    assert_eq!(NODES.get(), before, "a clone takes no node");
    version.change(300_000, 300_001, 1);
    assert!((NODES.get() - before) as usize <= height);
    copy.check();
    version.check();
    // The path is its own now.
    assert_eq!(version.tree.copies(300_002, 300_003, usize::MAX), 0);
}

#[test]
fn all_of_a_shared_tree_goes_with_a_few_nodes() {
    let mut version = many::<4>(2_000);
    let copy = version.clone();
    version.remove(0, usize::MAX, usize::MAX);
    assert_eq!(version.tree.len(), 0);
    copy.check();
    let mut piecewise = copy.clone();
    while piecewise.tree.len() != 0 {
        piecewise.remove(0, usize::MAX, 7);
        piecewise.check();
    }
}

#[test]
fn what_nobody_shares_is_changed_and_removed_without_a_node() {
    let mut version = many::<4>(500);
    for number in (0..500).step_by(3) {
        assert_eq!(version.tree.copies(10 * number, 10 * number + 4, 9), 0);
        version.remove(10 * number, 10 * number + 4, 1);
        version.check();
    }
    drop(version);
    assert_eq!(NODES.get(), 0);
}

#[test]
fn spans_in_order_fill_their_nodes() {
    for downwards in [false, true] {
        let mut version = Version::<12>::new();
        for number in 0..1_200 {
            let number = if downwards { 1_200 - number } else { number };
            version.insert(Piece {
                start: 10 * number,
                end: 10 * number + 4,
                grows: false,
                colour: 0,
            });
        }
        let nodes = NODES.get();
        assert!(nodes < 130, "{nodes} nodes for 100 full leaves");
    }
}

#[test]
fn a_large_tree_ends_in_slices_and_leaves_what_others_have() {
    let mut version = many::<4>(3_000);
    let mut copy = version.clone();
    copy.insert(Piece {
        start: 5,
        end: 7,
        grows: false,
        colour: 0,
    });
    let own = NODES.get();
    let mut teardown = version.tree.tear_down();
    while teardown.step(1) {}
    assert!(own - NODES.get() < 10, "what the copy has stays");
    copy.check();
    let mut slices = 0;
    let mut teardown = copy.tree.tear_down();
    loop {
        let before = NODES.get();
        let more = teardown.step(50);
        assert!(before - NODES.get() <= 50);
        slices += 1;
        if !more {
            break;
        }
    }
    assert!(slices > 10);
    assert_eq!(NODES.get(), 0);
}

#[test]
fn a_refused_node_is_an_error_and_leaves_nothing() {
    let mut spares = Spares::<Piece, 4>::new();
    spares.allocate().unwrap();
    REFUSED.set(true);
    assert_eq!(spares.allocate(), Err(NoNode));
    REFUSED.set(false);
    assert_eq!(spares.len(), 1);
    let mut others = Spares::new();
    assert!(others.take_from(&mut spares) && !others.take_from(&mut spares));
    drop(others);
    assert_eq!(NODES.get(), 0);
}
