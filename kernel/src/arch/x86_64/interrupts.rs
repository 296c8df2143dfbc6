//! The interrupt table, and what happens after each of its 256 vectors.
//!
//! * From ring 3: the frame goes straight into the running `UserContext` (RSP0
//!   points there); the rest is in `user_entry`.
//! * From ring 0: an interrupt can only come while the CPU halts in [`idle`], and
//!   is served on the spot. An exception is a defect of the kernel.
//! * NMI, double fault and machine check have stacks of their own, and do not
//!   trust the GS base: they may hit between an entry and its `swapgs`.

use super::exception::KernelException;
use super::percpu::{self, IST_DOUBLE_FAULT, IST_MACHINE_CHECK, IST_NMI};
use super::registers::{TrapFrame, pop_registers, push_registers};
use super::stop::STOPPING;
use super::vectors::{
    APIC_ERROR, BREAKPOINT, CONSOLE, DOUBLE_FAULT, EXCEPTIONS, LEGACY, MACHINE_CHECK, NMI,
    RESCHEDULE, SPURIOUS, TIMER,
};
use super::{apic, serial};
use crate::arch::upward::kernel_exception;
use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU32, Ordering};
use spin::Once;
use x86_64::instructions::tables::lidt;
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::idt::{Entry, HandlerFunc};
use x86_64::{PrivilegeLevel, VirtAddr};

/// NMIs that had nothing to do with a panic; counted by the stub. Relaxed everywhere: the numbers
/// order nothing.
static NMIS: AtomicU32 = AtomicU32::new(0);
/// How many of them were logged.
static NMIS_LOGGED: AtomicU32 = AtomicU32::new(0);
/// Interrupts that no device of this kernel sends.
static UNKNOWN: AtomicU32 = AtomicU32::new(0);
/// How many of those are logged; a line that goes on and on is not to fill the log.
const UNKNOWN_LOGGED: u32 = 10;

static IDT: Once<[Entry<HandlerFunc>; 256]> = Once::new();

unsafe extern "C" {
    /// 256 stubs of [`STUB`] bytes.
    fn trap_stubs();
    fn nmi_entry();
    fn double_fault_entry();
    fn machine_check_entry();
}

const STUB: usize = 16;

// A stub pushes what `TrapFrame` has below the hardware's part: an error code
// where the CPU has pushed none, then the vector.
global_asm!(
    ".text",
    ".balign {stub}",
    ".global trap_stubs",
    "trap_stubs:",
    ".set vector, 0",
    ".rept 256",
    ".balign {stub}",
    ".if (vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)",
    ".else",
    "pushq $0",
    ".endif",
    "pushq $vector",
    "jmp trap_common",
    ".set vector, vector + 1",
    ".endr",
    stub = const STUB,
    options(att_syntax),
);

global_asm!(
    "trap_common:",
    "test byte ptr [rsp + 24], 3", // the frame's CS: where does it come from?
    "jnz trap_from_user",
    push_registers!(),
    "mov rdi, rsp",
    "call {from_kernel}",
    pop_registers!(),
    "add rsp, 16",
    "iretq",
    ".global nmi_entry",
    "nmi_entry:",
    "cmp byte ptr [rip + {stopping}], 0",
    "jne 3f",
    // Survived and counted. It is logged later (`report_nmis`): an NMI may come while the log's
    // lock is held.
    "lock inc dword ptr [rip + {nmis}]",
    "iretq",
    "3:",
    "cli",
    "hlt",
    "jmp 3b",
    ".global machine_check_entry",
    "machine_check_entry:",
    "push 0",
    "push {machine_check}",
    "jmp 4f",
    ".global double_fault_entry",
    "double_fault_entry:",
    "push {double_fault}",
    "4:",
    push_registers!(),
    "push 2",
    "popfq",
    "mov rdi, rsp",
    "call {fatal}",
    "ud2",
    stopping = sym STOPPING,
    nmis = sym NMIS,
    machine_check = const MACHINE_CHECK,
    double_fault = const DOUBLE_FAULT,
    from_kernel = sym from_kernel,
    fatal = sym fatal,
);

/// Points this CPU to the table, which the first caller fills.
pub fn load() {
    let table = IDT.call_once(fill);
    let pointer = DescriptorTablePointer {
        limit: (size_of_val(table) - 1) as u16,
        base: VirtAddr::from_ptr(table),
    };
    // SAFETY: the table is complete, lives for ever and its entries lead to the
    // stubs above.
    unsafe { lidt(&pointer) };
}

fn fill() -> [Entry<HandlerFunc>; 256] {
    let mut table = [const { Entry::missing() }; 256];
    let address = |function: unsafe extern "C" fn()| VirtAddr::new(function as usize as u64);
    // SAFETY: each stub takes what the CPU pushes for its vector and returns with
    // `iretq`, if at all; the stack indices are those of `percpu`.
    unsafe {
        for (vector, entry) in table.iter_mut().enumerate() {
            entry.set_handler_addr(address(trap_stubs) + (vector * STUB) as u64);
        }
        // `int3` is for user mode too; no other vector can be called from there.
        let breakpoint = table[BREAKPOINT].handler_addr();
        table[BREAKPOINT]
            .set_handler_addr(breakpoint)
            .set_privilege_level(PrivilegeLevel::Ring3);
        table[NMI]
            .set_handler_addr(address(nmi_entry))
            .set_stack_index(IST_NMI);
        table[DOUBLE_FAULT]
            .set_handler_addr(address(double_fault_entry))
            .set_stack_index(IST_DOUBLE_FAULT);
        table[MACHINE_CHECK]
            .set_handler_addr(address(machine_check_entry))
            .set_stack_index(IST_MACHINE_CHECK);
    }
    table
}

/// An exception or interrupt in ring 0.
extern "C" fn from_kernel(frame: &TrapFrame) {
    if frame.vector < EXCEPTIONS {
        kernel_exception(&KernelException::new(frame));
    }
    serve(frame.vector as u8);
}

/// A double fault or machine check, wherever it came from.
extern "C" fn fatal(frame: &TrapFrame) -> ! {
    percpu::recover();
    kernel_exception(&KernelException::new(frame))
}

/// Serves an interrupt's device and acknowledges it.
///
/// The timer and the reschedule IPI only end user mode or the halt.
pub fn serve(vector: u8) {
    match vector {
        // Neither was delivered as an interrupt in service: no acknowledgement.
        SPURIOUS | LEGACY..0x30 => return,
        CONSOLE => serial::receive(),
        APIC_ERROR => apic::log_error(),
        TIMER => report_nmis(),
        RESCHEDULE => {}
        _ => report_unknown(vector),
    }
    apic::end_of_interrupt();
}

/// Logs the NMIs that have come since the last call. Called with the timer's interrupt.
fn report_nmis() {
    let seen = NMIS.load(Ordering::Relaxed);
    if seen != NMIS_LOGGED.load(Ordering::Relaxed) {
        let before = NMIS_LOGGED.swap(seen, Ordering::Relaxed);
        log::warn!("{} NMIs without a known reason", seen.wrapping_sub(before));
    }
}

/// Logs an interrupt that nothing of this kernel asked for. It is acknowledged like any other.
#[cold]
fn report_unknown(vector: u8) {
    let before = UNKNOWN.fetch_add(1, Ordering::Relaxed);
    if before < UNKNOWN_LOGGED {
        log::warn!("{}: unknown interrupt, vector {vector:#x}", percpu::cpu());
    }
}

/// Halts until an interrupt comes, and serves it. One that is pending ends it at
/// once: `sti` takes effect after the instruction that follows it, so there is no
/// gap before `hlt` (Intel SDM vol. 2, STI).
pub fn idle() {
    // SAFETY: the handlers preserve all registers, and run on this stack, whose
    // red zone the kernel target does not use. Interrupts are masked before and
    // after.
    unsafe { asm!("sti", "hlt", "cli") }
}
