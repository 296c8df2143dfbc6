//! An exception that the kernel does not survive: what there is to report of it, and the way that
//! the kernel came there.

use super::layout::Stack;
use super::registers::TrapFrame;
use super::vectors::{DOUBLE_FAULT, PAGE_FAULT};
use crate::arch::frame::FRAME_SIZE;
use core::arch::asm;
use core::fmt;
use x86_64::registers::control::{Cr2, Cr3};

/// An exception that the kernel does not survive.
pub struct KernelException<'a> {
    frame: &'a TrapFrame,
    cr2: u64,
    cr3: u64,
}

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

    /// Calls `each` with the addresses of code on the way to the exception,
    /// innermost first.
    pub fn backtrace(&self, each: &mut dyn FnMut(usize)) {
        each(self.frame.rip as usize);
        walk(self.frame.general.rbp as usize, each);
    }
}

impl fmt::Display for KernelException<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frame = self.frame;
        let name = NAMES.get(frame.vector as usize).unwrap_or(&"exception");
        // Machine checks do not choose.
        let place = match frame.cs & 3 {
            0 => "the kernel",
            _ => "user mode",
        };
        write!(f, "{name} in {place}, error code {:#x}", frame.error)?;
        match frame.vector {
            PAGE_FAULT => write!(f, ", address {:#x}", self.cr2)?,
            // The push that failed was just below a stack.
            vector if vector == DOUBLE_FAULT as u64 && below_a_stack(self.cr2) => {
                write!(f, ": the kernel stack is full")?;
            }
            _ => {}
        }
        writeln!(f)?;
        write!(f, "{frame}\ncr2 {:016x} cr3 {:016x}", self.cr2, self.cr3)
    }
}

/// Whether the address is in the page below a stack, which is not mapped.
fn below_a_stack(address: u64) -> bool {
    let address = address as usize;
    Stack::containing(address).is_none()
        && Stack::containing(address.wrapping_add(FRAME_SIZE)).is_some()
}

/// Calls `each` with the return addresses on this stack, innermost first.
pub fn backtrace(each: &mut dyn FnMut(usize)) {
    let frame: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    walk(frame, each);
}

/// Follows the frame pointers, as long as they lead upwards on one of this CPU's
/// stacks, so that nothing outside of them is ever read: those of a CPU that does
/// not run are not mapped.
fn walk(mut frame: usize, each: &mut dyn FnMut(usize)) {
    const WORD: usize = size_of::<usize>();
    let here = 0u8;
    let this_cpu = Stack::containing(&raw const here as usize).map(|(cpu, _)| cpu);
    let Some((cpu, stack)) = Stack::containing(frame) else {
        return;
    };
    if Some(cpu) != this_cpu {
        return;
    }
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
