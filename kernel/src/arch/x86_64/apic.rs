//! The local APIC of each CPU, in x2APIC mode where the CPU has it, and the I/O
//! APIC's line for the console (Intel SDM vol. 3, chapter 11).

use super::features::Features;
use super::topology::{IoApicLine, Topology};
use super::vectors::{APIC_ERROR, CONSOLE, LEGACY, RESCHEDULE, SPURIOUS, TIMER};
use super::{paging, percpu};
use crate::arch::interface::CpuId;
use core::sync::atomic::{AtomicUsize, Ordering};
use x86_64::instructions::port::Port;
use x86_64::registers::model_specific::{ApicBase, ApicBaseFlags, Msr};

/// A register by its xAPIC offset; the MSR is 0x800 + offset / 16.
#[derive(Clone, Copy)]
#[repr(usize)]
enum Register {
    Id = 0x20,
    TaskPriority = 0x80,
    EndOfInterrupt = 0xb0,
    Spurious = 0xf0,
    ErrorStatus = 0x280,
    Command = 0x300,
    CommandHigh = 0x310,
    TimerEntry = 0x320,
    PinEntry0 = 0x350,
    PinEntry1 = 0x360,
    ErrorEntry = 0x370,
    TimerInitial = 0x380,
    TimerCurrent = 0x390,
    TimerDivide = 0x3e0,
}

const X2APIC_MSRS: u32 = 0x800;
const TSC_DEADLINE: u32 = 0x6e0;

const ENABLE: u32 = 1 << 8;
const MASKED: u32 = 1 << 16;
const DEADLINE_MODE: u32 = 0b10 << 17;
const DIVIDE_BY_16: u32 = 0b0011;
const SEND_PENDING: u32 = 1 << 12;
const LEVEL_ASSERT: u32 = 1 << 14;
const NMI: u32 = 0b100 << 8;
const INIT: u32 = 0b101 << 8;
const START_UP: u32 = 0b110 << 8;
const ALL_OTHERS: u32 = 0b11 << 18;

/// Where xAPIC registers are mapped; 0 in x2APIC mode. Written once at boot.
static MAPPED: AtomicUsize = AtomicUsize::new(0);

fn read(register: Register) -> u32 {
    match MAPPED.load(Ordering::Relaxed) {
        // SAFETY: x2APIC mode is on (`init`); reading these registers has no side
        // effect.
        0 => unsafe { Msr::new(X2APIC_MSRS + (register as u32 >> 4)).read() as u32 },
        // SAFETY: the page of this CPU's registers is mapped there, uncached.
        base => unsafe { ((base + register as usize) as *const u32).read_volatile() },
    }
}

fn write(register: Register, value: u32) {
    match MAPPED.load(Ordering::Relaxed) {
        // SAFETY: as in `read`; this module writes only values that the manual
        // allows, and interrupts that result from them have their handlers.
        0 => unsafe { Msr::new(X2APIC_MSRS + (register as u32 >> 4)).write(u64::from(value)) },
        // SAFETY: as above.
        base => unsafe { ((base + register as usize) as *mut u32).write_volatile(value) },
    }
}

/// Finds the registers. Called once, by the boot CPU.
pub fn find(topology: &Topology) {
    if !Features::get().contains(Features::X2APIC) {
        MAPPED.store(paging::device(topology.local_apic), Ordering::Relaxed);
    }
}

/// Turns this CPU's APIC on, its timer stopped. Returns its id.
pub fn init() -> u32 {
    let x2apic = MAPPED.load(Ordering::Relaxed) == 0;
    let (base, mut flags) = ApicBase::read();
    flags |= ApicBaseFlags::LAPIC_ENABLE;
    flags.set(ApicBaseFlags::X2APIC_ENABLE, x2apic);
    // SAFETY: off to xAPIC or xAPIC to x2APIC: allowed changes, at the same
    // address.
    unsafe { ApicBase::write(base, flags) };
    write(Register::TaskPriority, 0);
    write(Register::PinEntry0, MASKED);
    // The platform's NMI, on a PC; the boot CPU takes it for all.
    let nmi = if percpu::cpu().0 == 0 { NMI } else { MASKED };
    write(Register::PinEntry1, nmi);
    write(Register::ErrorEntry, u32::from(APIC_ERROR));
    write(Register::TimerDivide, DIVIDE_BY_16);
    write(Register::TimerInitial, 0);
    let mode = if has_deadline() { DEADLINE_MODE } else { 0 };
    write(Register::TimerEntry, u32::from(TIMER) | mode);
    // The entry must be in place before the deadline's MSR is written (vol. 3,
    // 11.5.4.1).
    fence();
    write(Register::Spurious, u32::from(SPURIOUS) | ENABLE);
    let id = read(Register::Id);
    if x2apic { id } else { id >> 24 }
}

/// Acknowledges the interrupt in service.
#[inline]
pub fn end_of_interrupt() {
    write(Register::EndOfInterrupt, 0);
}

/// Logs what the APIC complains about.
pub fn log_error() {
    write(Register::ErrorStatus, 0);
    log::error!("local APIC error {:#x}", read(Register::ErrorStatus));
}

/// Sends the reschedule IPI: another CPU leaves user mode or its halt, soon. No effect on one that
/// does not run.
pub fn send_ipi(cpu: CpuId) {
    if let Some(id) = percpu::apic_id(cpu) {
        send(id, u32::from(RESCHEDULE));
    }
}

/// Stops every other CPU for good. Called by a panic, after `STOPPING` is set.
pub fn stop_others() {
    command(0, NMI | LEVEL_ASSERT | ALL_OTHERS);
}

/// Resets a CPU that has not been started.
pub fn send_init(id: u32) {
    send(id, INIT | LEVEL_ASSERT);
}

/// Starts a CPU that was reset, in real mode, at a page below 1 MiB.
pub fn send_start_up(id: u32, address: u64) {
    send(id, START_UP | LEVEL_ASSERT | (address >> 12) as u32);
}

fn send(id: u32, what: u32) {
    command(id, what);
}

fn command(destination: u32, what: u32) {
    if MAPPED.load(Ordering::Relaxed) == 0 {
        // WRMSR to the x2APIC does not wait for stores (vol. 3, 11.12.3): what
        // the other CPU is to see must be visible before the interrupt.
        fence();
        let value = u64::from(destination) << 32 | u64::from(what);
        let msr = X2APIC_MSRS + (Register::Command as u32 >> 4);
        // SAFETY: sends one of the interrupts above.
        unsafe { Msr::new(msr).write(value) };
    } else {
        while read(Register::Command) & SEND_PENDING != 0 {
            core::hint::spin_loop();
        }
        // Writing the low half sends. Interrupts are masked: the halves stay
        // together.
        write(Register::CommandHigh, destination << 24);
        write(Register::Command, what);
    }
}

fn fence() {
    // SAFETY: fences have no effect on memory's contents.
    unsafe { core::arch::asm!("mfence", "lfence", options(nostack, preserves_flags)) }
}

/// Whether the timer compares with the TSC; else it counts down.
pub fn has_deadline() -> bool {
    Features::get().contains(Features::TSC_DEADLINE)
}

/// Interrupts when this CPU's TSC reaches `tsc`; 0 is never.
pub fn set_deadline(tsc: u64) {
    // SAFETY: the CPU has the register.
    unsafe { Msr::new(TSC_DEADLINE).write(tsc) };
}

/// Interrupts after `count` ticks of the timer; 0 is never.
pub fn set_count(count: u32) {
    write(Register::TimerInitial, count);
}

/// What is left of the count.
pub fn count() -> u32 {
    read(Register::TimerCurrent)
}

/// Masks the legacy interrupt controllers, moved away from the exceptions in case
/// they raise a spurious interrupt all the same.
pub fn mask_legacy() {
    const INIT_FOUR_WORDS: u8 = 0x11;
    let words = |base: u16, vector: u8, cascade: u8| {
        let mut command = Port::<u8>::new(base);
        let mut data = Port::<u8>::new(base + 1);
        // SAFETY: the 8259's initialisation sequence, then a mask of all lines;
        // on a machine without it the ports do nothing.
        unsafe {
            command.write(INIT_FOUR_WORDS);
            data.write(vector);
            data.write(cascade);
            data.write(1);
            data.write(0xff);
        }
    };
    words(0x20, LEGACY, 4);
    words(0xa0, LEGACY + 8, 2);
}

/// Masks all lines of the I/O APICs, and leads the console's to this CPU.
pub fn route_console(topology: &Topology, destination: u32) {
    for io_apic in topology.io_apics() {
        let registers = IoApic(paging::device(io_apic.address));
        for line in 0..registers.lines() {
            registers.set(line, MASKED, 0);
        }
        let IoApicLine { interrupt, mode } = topology.console;
        let line = interrupt.wrapping_sub(io_apic.first_interrupt);
        if line < registers.lines() {
            registers.set(line, u32::from(CONSOLE) | mode, destination << 24);
        }
    }
}

/// An I/O APIC's registers (82093AA data sheet): an index and a window.
struct IoApic(usize);

impl IoApic {
    fn select(&self, register: u32) -> *mut u32 {
        // SAFETY: the page is mapped, uncached; one CPU uses it, at boot.
        unsafe { (self.0 as *mut u32).write_volatile(register) };
        (self.0 + 0x10) as *mut u32
    }

    fn lines(&self) -> u32 {
        // SAFETY: as in `select`.
        let version = unsafe { self.select(1).read_volatile() };
        (version >> 16 & 0xff) + 1
    }

    fn set(&self, line: u32, low: u32, high: u32) {
        // Masked while the halves do not belong together.
        for (register, value) in [(0, MASKED), (1, high), (0, low)] {
            // SAFETY: as in `select`; the line exists.
            unsafe {
                self.select(0x10 + 2 * line + register)
                    .write_volatile(value)
            };
        }
    }
}
