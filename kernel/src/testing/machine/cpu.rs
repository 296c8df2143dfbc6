//! The CPUs of the simulated machine: which one runs and how many they are, their time, their CR3
//! and the instructions that invalidate translations.

use super::caches::Caches;
use super::state::{step, with};
use crate::arch::frame::Frame;
use crate::arch::interface::{CpuId, Pcid};

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

/// Remembers that the CPU was sent an IPI; see [`take_ipi`](super::take_ipi).
pub fn send_ipi(cpu: CpuId) {
    step();
    with(|state| state.cpus.borrow_mut()[cpu.0].ipi_pending = true);
}

/// There are no interrupts to wait for.
pub fn idle() {}

/// There are no timer interrupts.
pub fn set_timer(_deadline: Option<u64>) {}

/// All CPUs are there from the start.
pub fn start_cpus(_entry: fn() -> !) {}

/// How many PCIDs there are besides 0: few, so that they run out.
pub fn pcids() -> usize {
    3
}

/// Loads CR3, with PCID 0.
pub fn load_root(root: Frame) {
    set_root(Some(root), 0, Caches::invalidate_pcid);
}

/// Loads CR3 with a PCID, under which the CPU forgets all translations.
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
