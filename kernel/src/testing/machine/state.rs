//! A simulated machine as a whole: its memory, its CPUs, and which of them the thread plays.

use super::caches::Caches;
use super::cell::Cells;
use super::memory::Memory;
#[cfg(test)]
use super::{processor::Walk, schedule, stores::Stores};
use crate::arch::frame::{FRAME_SIZE, Frame};
use crate::arch::interface::{BootInfo, Pcid, PhysRange};
use core::cell::{Cell, RefCell};
use core::ptr::NonNull;
use std::rc::Rc;

#[derive(Default)]
pub(super) struct Cpu {
    pub root: Option<Frame>,
    pub pcid: Pcid,
    pub caches: Caches,
    /// Walks that no program has asked for.
    #[cfg(test)]
    pub walks: Vec<Walk>,
    #[cfg(test)]
    pub stores: Stores,
    /// An IPI was sent to this CPU, and has not arrived yet.
    pub ipi_pending: bool,
}

impl Cpu {
    /// Makes the caches forget. What is being walked is not remembered afterwards either.
    pub fn invalidate(&mut self, what: impl FnOnce(&mut Caches, Pcid)) {
        what(&mut self.caches, self.pcid);
        #[cfg(test)]
        self.walks.clear();
    }
}

pub(super) struct State {
    memory: Memory,
    pub cpus: RefCell<Vec<Cpu>>,
    /// The number of the CPU that the thread plays.
    pub here: Cell<usize>,
    pub clock: Cell<u64>,
    pub cells: Cells,
    holders: fn(Frame) -> u32,
    #[cfg(test)]
    pub schedule: schedule::Schedule,
}

impl State {
    /// One of `n` things that the CPU may do: by the seed under the scheduler, else the
    /// last.
    pub fn choose(&self, n: usize) -> usize {
        #[cfg(test)]
        return self.schedule.choose(n);
        #[cfg(not(test))]
        return n - 1;
    }
}

thread_local! {
    static MACHINE: RefCell<Option<Rc<State>>> = const { RefCell::new(None) };
}

/// A machine that runs until it is dropped.
pub struct Running(());

/// Starts a machine, with what it tells the kernel. This thread plays CPU 0 first.
///
/// `holders` tells how many holders a frame has: an access to a frame with none is reported as a
/// breach of rule M2.
///
/// # Panics
/// If this thread has a machine already.
pub fn power_on(cpus: usize, frames: usize, holders: fn(Frame) -> u32) -> (Running, BootInfo) {
    let state = State {
        memory: Memory::new(frames),
        cpus: RefCell::new((0..cpus).map(|_| Cpu::default()).collect()),
        here: Cell::new(0),
        clock: Cell::new(0),
        cells: Cells::default(),
        holders,
        #[cfg(test)]
        schedule: schedule::Schedule::default(),
    };
    MACHINE.with(|machine| {
        let before = machine.borrow_mut().replace(Rc::new(state));
        assert!(before.is_none(), "this thread has a machine already");
    });
    // Frame 0 is left out: a null frame in an entry would look like nothing.
    let free = vec![PhysRange {
        start: FRAME_SIZE as u64,
        end: (frames * FRAME_SIZE) as u64,
    }];
    let boot = BootInfo {
        free: Box::leak(free.into_boxed_slice()),
        initramfs: &[],
        command_line: "",
        frames,
    };
    (Running(()), boot)
}

impl Running {
    /// Ends the machine, and drops what its cells hold. Nothing else is alive on it any more.
    pub fn drop_cells(self) {
        with(|state| state.cells.drop_all());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let state = MACHINE
            .with(|machine| machine.borrow_mut().take())
            .expect("started");
        // What the cells hold may still look at the memory, so they go first; and they may use
        // the machine while they go.
        MACHINE.with(|machine| *machine.borrow_mut() = Some(state.clone()));
        state.cells.leave_all();
        MACHINE.with(|machine| machine.borrow_mut().take());
    }
}

pub(super) fn with<T>(f: impl FnOnce(&State) -> T) -> T {
    let state = MACHINE.with(|machine| machine.borrow().clone());
    f(&state.expect("no simulated machine on this thread: Machine::start"))
}

/// Whether the frame has a holder (rule M2).
pub(super) fn is_held(frame: Frame) -> bool {
    let holders = with(|state| state.holders);
    holders(frame) > 0
}

/// Plays CPU `cpu` for the time of the call.
pub fn on<T>(cpu: usize, f: impl FnOnce() -> T) -> T {
    let before = with(|state| state.here.replace(cpu));
    let result = f();
    with(|state| state.here.set(before));
    result
}

/// The number of the CPU that this thread plays.
pub fn here() -> usize {
    with(|state| state.here.get())
}

/// Whether an IPI was sent to the CPU since the last call.
pub fn take_ipi(cpu: usize) -> bool {
    with(|state| core::mem::take(&mut state.cpus.borrow_mut()[cpu].ipi_pending))
}

/// Whether an IPI arrives now, between two instructions of a user program. Under the
/// scheduler it may be late.
#[cfg(test)]
pub fn interrupt_arrives(cpu: usize) -> bool {
    let arrives =
        with(|state| state.cpus.borrow()[cpu].ipi_pending && state.schedule.ipi_arrives());
    arrives && take_ipi(cpu)
}

/// The kernel's view of a frame.
pub fn frame_ptr(frame: Frame) -> NonNull<u8> {
    with(|state| state.memory.frame(frame))
}

/// Called before an access to a table: another CPU may go on here (see `schedule`).
pub fn scheduling_point() {
    #[cfg(test)]
    schedule::point_at_entry();
}

/// Called before anything else that other CPUs can see: another CPU may go on here.
pub(super) fn step() {
    #[cfg(test)]
    schedule::point();
}
