//! The interrupt table, and what happens after each of its 256 vectors.
//!
//! * From ring 3: the frame goes straight into the running `UserContext` (RSP0
//!   points there); the rest is in `crossing`.
//! * From ring 0: an interrupt can only come while the CPU halts in [`idle`], and
//!   is served on the spot. An exception is a defect of the kernel.
//! * NMI, double fault and machine check have stacks of their own, and do not
//!   trust the GS base: they may hit between a crossing and its `swapgs`.

use super::fault::{self, KernelException};
use super::percpu::{IST_DOUBLE_FAULT, IST_MACHINE_CHECK, IST_NMI};
use super::registers::TrapFrame;
use super::{apic, serial};
use core::arch::{asm, global_asm};
use core::sync::atomic::AtomicBool;
use spin::Once;
use x86_64::instructions::tables::lidt;
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::idt::{Entry, HandlerFunc};
use x86_64::{PrivilegeLevel, VirtAddr};

/// Vectors 0 to 31 are the CPU's exceptions.
pub const EXCEPTIONS: u64 = 32;
/// COM1.
pub const CONSOLE: u8 = 0x40;
/// The local APIC's timer.
pub const TIMER: u8 = 0xe0;
/// Another CPU wants attention.
pub const KICK: u8 = 0xe1;
/// The local APIC's own errors.
pub const APIC_ERROR: u8 = 0xfe;
/// An interrupt that went away before it was taken.
pub const SPURIOUS: u8 = 0xff;
/// Where the masked legacy controllers would put theirs.
pub const LEGACY: u8 = 0x20;

const BREAKPOINT: usize = 3;
const NMI: usize = 2;
const DOUBLE_FAULT: usize = 8;
const MACHINE_CHECK: usize = 18;

/// A panic is on its way: an NMI means "halt". Also read by the NMI stub.
pub static STOPPING: AtomicBool = AtomicBool::new(false);

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

macro_rules! push_registers {
    () => {
        "push rdi; push rsi; push rdx; push rcx; push rax; push r8; push r9; push r10;
         push r11; push rbx; push rbp; push r12; push r13; push r14; push r15;"
    };
}
macro_rules! pop_registers {
    () => {
        "pop r15; pop r14; pop r13; pop r12; pop rbp; pop rbx; pop r11; pop r10;
         pop r9; pop r8; pop rax; pop rcx; pop rdx; pop rsi; pop rdi;"
    };
}
pub(super) use {pop_registers, push_registers};

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
        fault::fatal(&KernelException::new(frame));
    }
    serve(frame.vector as u8);
}

/// A double fault or machine check, wherever it came from.
extern "C" fn fatal(frame: &TrapFrame) -> ! {
    super::percpu::recover();
    fault::fatal(&KernelException::new(frame))
}

/// Serves an interrupt's device and acknowledges it.
///
/// The timer and the kick only wanted to end user mode or the halt.
pub fn serve(vector: u8) {
    match vector {
        // Neither was delivered as an interrupt in service: no acknowledgement.
        SPURIOUS | LEGACY..0x30 => return,
        CONSOLE => serial::receive(),
        APIC_ERROR => apic::log_error(),
        _ => {}
    }
    apic::end_of_interrupt();
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
