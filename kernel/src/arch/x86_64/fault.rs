//! When the kernel itself fails: what to report, and how to end.

use super::interrupts::STOPPING;
use super::layout::Stack;
use super::registers::TrapFrame;
use super::{apic, percpu};
use core::arch::asm;
use core::fmt;
use core::sync::atomic::Ordering;
use x86_64::registers::control::{Cr2, Cr3};

/// An exception that the kernel does not survive.
pub struct KernelException<'a> {
    frame: &'a TrapFrame,
    cr2: u64,
    cr3: u64,
}

const DOUBLE_FAULT: u64 = 8;
const PAGE_FAULT: u64 = 14;

/// Exceptions by number (Intel SDM vol. 3, table 6-1).
const NAMES: [&str; 22] = [
    "divide error",
    "debug exception",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "bound range exceeded",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor segment overrun",
    "invalid TSS",
    "segment not present",
    "stack fault",
    "general protection",
    "page fault",
    "reserved exception",
    "x87 error",
    "alignment check",
    "machine check",
    "SIMD error",
    "virtualization exception",
    "control protection",
];

impl<'a> KernelException<'a> {
    pub(super) fn new(frame: &'a TrapFrame) -> KernelException<'a> {
        KernelException {
            frame,
            cr2: Cr2::read_raw(),
            cr3: Cr3::read_raw().0.start_address().as_u64(),
        }
    }

    /// Calls `each` with the addresses of code on the way to the exception, innermost first.
    pub fn backtrace(&self, each: &mut dyn FnMut(usize)) {
        each(self.frame.rip as usize);
        walk(self.frame.general.rbp as usize, each);
    }
}

impl fmt::Display for KernelException<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frame = self.frame;
        let name = NAMES.get(frame.vector as usize).unwrap_or(&"exception");
        write!(f, "{name} in the kernel, error code {:#x}", frame.error)?;
        match frame.vector {
            PAGE_FAULT => write!(f, ", address {:#x}", self.cr2)?,
            // Its stack pointer has run into the page below the stack.
            DOUBLE_FAULT
                if Stack::containing(frame.rsp as usize + 4096).is_some()
                    && Stack::containing(frame.rsp as usize).is_none() =>
            {
                write!(f, ": the kernel stack is full")?;
            }
            _ => {}
        }
        writeln!(f)?;
        write!(f, "{frame}\ncr2 {:016x} cr3 {:016x}", self.cr2, self.cr3)
    }
}

/// The end: the kernel's panic takes over.
pub(super) fn fatal(exception: &KernelException<'_>) -> ! {
    crate::panic::exception(exception)
}

/// Calls `each` with the return addresses on this stack, innermost first.
pub fn backtrace(each: &mut dyn FnMut(usize)) {
    let frame: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    walk(frame, each);
}

/// Follows the frame pointers, as long as they lead upwards on one stack, so
/// that nothing outside of a stack is ever read.
fn walk(mut frame: usize, each: &mut dyn FnMut(usize)) {
    const WORD: usize = size_of::<usize>();
    let Some((cpu, stack)) = Stack::containing(frame) else {
        return;
    };
    while frame.is_multiple_of(WORD)
        && (stack.bottom(cpu)..=stack.top(cpu) - 2 * WORD).contains(&frame)
    {
        // SAFETY: two aligned words on a stack, which is mapped.
        let [above, address] = unsafe { (frame as *const [usize; 2]).read_volatile() };
        if address == 0 {
            return;
        }
        each(address);
        if above <= frame {
            return;
        }
        frame = above;
    }
}

/// Stops all other CPUs where they are, for good. `false` if another CPU has
/// already called it: then this one should halt and leave the word to that one.
pub fn stop_other_cpus() -> bool {
    if STOPPING.swap(true, Ordering::SeqCst) {
        return false;
    }
    if percpu::cpu_count() > 1 {
        apic::stop_others();
    }
    true
}

/// Halts this CPU for good.
pub fn halt() -> ! {
    loop {
        // SAFETY: interrupts are masked; only an NMI ends the halt, and then the next follows.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
