//! A simulated machine, on which the memory system runs on the host.
//!
//! A [`Machine`] has physical memory, and CPUs of which each has a CR3, a TLB and
//! paging-structure caches that forget nothing until they are told to (`caches`), and
//! through which it gets at memory (`processor`); stores may wait in a buffer (`stores`). A test makes one with
//! [`Machine::start`], and either says with [`on`] which CPU it is playing, or gives each
//! CPU something to do and leaves the order to a seed (`schedule`). It loads and stores as
//! a user program would with [`load`] and [`store`].
//!
//! Each thread of the host has a machine of its own, so tests run side by side.

mod caches;
mod cell;
#[cfg_attr(loom, path = "modelled.rs")]
mod memory;
mod processor;
pub mod random;
#[cfg(test)]
pub mod schedule;
#[cfg(test)]
pub mod stores;
mod user;

use caches::Caches;
pub use cell::PerMachine;
use memory::Memory;
pub use processor::{PageFault, load, load_word, store, store_word, translate};
pub use user::{FpuState, SavedFrame, UserContext, save_loaded_fpu};

use super::paging::{Bits, ENTRIES, Entry, Table};
use super::{BootInfo, CpuId, PhysRange, Wanted};
use crate::arch::level::USER_ENTRIES;
use crate::arch::{FRAME_SIZE, Frame, Pcid};
use core::cell::{Cell, RefCell};
use core::ptr::NonNull;
use std::rc::Rc;

#[derive(Default)]
struct Cpu {
    root: Option<Frame>,
    pcid: Pcid,
    caches: Caches,
    /// Walks that no program has asked for.
    #[cfg(test)]
    walks: Vec<processor::Walk>,
    #[cfg(test)]
    stores: stores::Stores,
    kicked: bool,
}

impl Cpu {
    /// Makes the caches forget. What is being walked is not remembered afterwards either.
    fn invalidate(&mut self, what: impl FnOnce(&mut Caches, Pcid)) {
        what(&mut self.caches, self.pcid);
        #[cfg(test)]
        self.walks.clear();
    }
}

struct State {
    memory: Memory,
    cpus: RefCell<Vec<Cpu>>,
    here: Cell<usize>,
    clock: Cell<u64>,
    cells: cell::Cells,
    #[cfg(test)]
    schedule: schedule::Schedule,
}

impl State {
    /// One of `n` things that the CPU may do: by the seed under the scheduler, else the
    /// last.
    fn choose(&self, n: usize) -> usize {
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
pub struct Machine(());

impl Machine {
    /// Starts a machine and its memory system. This thread plays CPU 0 first.
    ///
    /// # Panics
    /// If this thread has one already.
    pub fn start(cpus: usize, frames: usize) -> Machine {
        let state = State {
            memory: Memory::new(frames),
            cpus: RefCell::new((0..cpus).map(|_| Cpu::default()).collect()),
            here: Cell::new(0),
            clock: Cell::new(0),
            cells: cell::Cells::default(),
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
        crate::memory::init(&boot, 0);
        Machine(())
    }

    /// Ends a machine on which nothing is alive any more, and gives back all that it has
    /// taken. (One that is just dropped leaves what its cells hold.)
    pub fn dismantle(self) {
        with(|state| state.cells.drop_all());
    }
}

impl Drop for Machine {
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

fn with<T>(f: impl FnOnce(&State) -> T) -> T {
    let state = MACHINE.with(|machine| machine.borrow().clone());
    f(&state.expect("no simulated machine on this thread: Machine::start"))
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

/// Whether a kick has arrived at the CPU since the last call.
pub fn take_kick(cpu: usize) -> bool {
    with(|state| core::mem::take(&mut state.cpus.borrow_mut()[cpu].kicked))
}

/// Whether a kick arrives now, between two instructions of a user program. Under the
/// scheduler it may be late.
#[cfg(test)]
pub fn interrupt_arrives(cpu: usize) -> bool {
    with(|state| state.cpus.borrow()[cpu].kicked && state.schedule.kick_arrives()) && take_kick(cpu)
}

// The surface that `arch` lists.

/// The CPU that this thread plays.
pub fn cpu() -> CpuId {
    step();
    CpuId(with(|state| state.here.get()))
}

/// How many CPUs the machine has.
pub fn cpu_count() -> usize {
    with(|state| state.cpus.borrow().len())
}

/// Nanoseconds; each look advances it by one.
pub fn clock() -> u64 {
    with(|state| state.clock.replace(state.clock.get() + 1))
}

/// There is no calendar.
pub fn wall_clock_offset() -> u64 {
    0
}

/// Remembers that the CPU was kicked; see [`take_kick`].
pub fn kick(cpu: CpuId) {
    step();
    with(|state| state.cpus.borrow_mut()[cpu.0].kicked = true);
}

/// There are no interrupts to wait for.
pub fn idle() {}

/// There are no timer interrupts.
pub fn set_timer(_deadline: Option<u64>) {}

/// All CPUs are there from the start.
pub fn start_cpus(_entry: fn() -> !) {}

/// The kernel's view of a frame.
pub fn frame_ptr(frame: Frame) -> NonNull<u8> {
    with(|state| state.memory.frame(frame))
}

/// How pages are copied and zeroed.
pub fn page_moves() -> &'static str {
    "the host"
}

/// Fills a page with zeroes.
///
/// # Safety
/// `page` is the caller's.
pub unsafe fn zero_page(page: NonNull<u8>) {
    // SAFETY: a whole page, the caller's.
    unsafe { memory::zero(page) }
}

/// Copies a page.
///
/// # Safety
/// `to` is the caller's, `from` is a page of memory, and they differ.
pub unsafe fn copy_page(to: NonNull<u8>, from: NonNull<u8>) {
    // SAFETY: two different whole pages.
    unsafe { core::ptr::copy_nonoverlapping(from.as_ptr(), to.as_ptr(), FRAME_SIZE) }
}

/// Gives a root its kernel half: an entry that would be noticed if it were taken for a
/// user's.
pub fn new_root(root: Frame) {
    // SAFETY: a fresh root.
    let table = unsafe { Table::new(root) };
    for index in USER_ENTRIES..ENTRIES {
        table.swap(
            index,
            Entry::new(Frame::new(0), Bits::PRESENT | Bits::GLOBAL),
        );
    }
}

/// Takes that out again.
pub fn clear_root(root: Frame) {
    // SAFETY: a root.
    let table = unsafe { Table::new(root) };
    for index in USER_ENTRIES..ENTRIES {
        table.take(index);
    }
}

/// How many PCIDs there are besides 0: few, so that they run out.
pub fn pcids() -> usize {
    3
}

/// Loads CR3, with PCID 0.
pub fn load_root(root: Frame) {
    set_root(Some(root), 0, Caches::invalidate_pcid);
}

/// Loads CR3 with a PCID, under which all is forgotten that the CPU knows.
pub fn load_root_tagged(root: Frame, pcid: Pcid) {
    set_root(Some(root), pcid, Caches::invalidate_pcid);
}

/// Loads CR3 with a PCID and the bit that keeps what the CPU knows under it.
pub fn load_root_keeping(root: Frame, pcid: Pcid) {
    set_root(Some(root), pcid, |_, _| {});
}

/// Loads CR3 with tables that have no user half.
pub fn load_kernel_root() {
    set_root(None, 0, Caches::invalidate_pcid);
}

fn set_root(root: Option<Frame>, pcid: Pcid, what: impl FnOnce(&mut Caches, Pcid)) {
    step();
    with(|state| {
        let cpu = &mut state.cpus.borrow_mut()[state.here.get()];
        cpu.root = root;
        cpu.pcid = pcid;
        cpu.invalidate(what);
    });
}

fn invalidate(what: impl FnOnce(&mut Caches, Pcid)) {
    step();
    with(|state| state.cpus.borrow_mut()[state.here.get()].invalidate(what));
}

/// INVLPG.
pub fn flush_page(address: usize) {
    invalidate(|caches, pcid| caches.invalidate_page(pcid, address));
}

/// Forgets everything of the user half under the current PCID.
pub fn flush_all() {
    invalidate(Caches::invalidate_pcid);
}

/// INVPCID, type 0: one address under one PCID.
pub fn flush_address_of(pcid: Pcid, address: usize) {
    invalidate(|caches, _| caches.invalidate_address(pcid, address));
}

/// INVPCID, type 1: one PCID.
pub fn flush_pcid(pcid: Pcid) {
    invalidate(|caches, _| caches.invalidate_pcid(pcid));
}

/// INVPCID, types 2 and 3: all PCIDs.
pub fn flush_all_pcids() {
    invalidate(|caches, _| caches.invalidate_all());
}

/// A place before an access to a table, where another CPU may act: see `schedule`.
pub fn scheduling_point() {
    #[cfg(test)]
    schedule::point_at_entry();
}

/// A place before something else of which others take notice.
fn step() {
    #[cfg(test)]
    schedule::point();
}

/// Numbers that repeat from run to run.
pub fn random() -> u64 {
    clock().wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Prints.
pub fn console_write(bytes: &[u8]) {
    print!("{}", String::from_utf8_lossy(bytes));
}

/// Prints.
pub fn log_write(bytes: &[u8]) {
    eprint!("{}", String::from_utf8_lossy(bytes));
}

/// There is no keyboard.
pub fn set_console_input(_input: fn(u8) -> Wanted) {}

/// There is no keyboard.
pub fn resume_console_input() {}

/// Ends the test.
pub fn power_off(code: u8) -> ! {
    panic!("power off with code {code:#x}")
}
