//! The instructions between ring 3 and the kernel.
//!
//! A trap ends user mode in one of two ways. Either it is answered *at once* (`FastPath`): by a
//! function that is called from the entry, while the registers that functions preserve still hold
//! the program's values, after which the program goes on. Or it is left to the caller of
//! [`enter_user`]: then all registers go into the frame, and `enter_user` returns.
//!
//! The program's registers are in the `TrapFrame` that `PerCpu` and RSP0 of the TSS point to:
//!
//! ```text
//!              SYSCALL                               exception, interrupt
//!              what functions may change             the CPU its part, then all registers
//!              call Entries::system_call             call Entries::trap
//! yes          load that again, SYSRET               load all registers, IRET
//! no           the other registers too               the frame is complete
//!              return from `enter_user`              the same
//! ```
//!
//! SYSRET takes `rip` from `rcx` and the flags from `r11`, which is where SYSCALL has left them,
//! and restores neither TF nor RF as IRET does. So a program that is stepped through is left
//! to `enter_user`. Where SYSCALL comes from, `rip` is good for SYSRET: what follows a program's last
//! possible instruction is canonical (`paging::is_user`). `enter_user` is told that by its caller.

use super::percpu::{FRAME, KERNEL_STACK, SCRATCH};
use super::registers::{TrapFrame, pop_registers, push_registers};
use core::arch::global_asm;
use core::mem::offset_of;
use x86_64::registers::rflags::RFlags;

/// The vector of a frame that the system-call entry made.
pub const SYSCALL: u64 = 256;

/// What the entries call, on the kernel's stack, to have a trap answered at once. They say whether
/// it is.
#[repr(C)]
pub struct Entries {
    /// For SYSCALL. Of the frame, only what is named in `syscall_entry` is valid.
    pub system_call: extern "sysv64" fn(&mut TrapFrame, *const ()) -> bool,
    /// For everything else. The frame is complete.
    pub trap: extern "sysv64" fn(&mut TrapFrame, *const ()) -> bool,
    /// Their second argument.
    pub fast: *const (),
}

unsafe extern "sysv64" {
    /// Resumes the program in `frame`, and returns when it has trapped and that was not answered at
    /// once, with the frame updated.
    ///
    /// # Safety
    /// The frame must have the user's selectors and sane flags, a `rip` in user
    /// space, and be the trap stack of this CPU. The functions in `entries` get the frame for
    /// themselves; `fast` must be what they expect.
    pub fn enter_user(frame: *mut TrapFrame, entries: *const Entries);
}

unsafe extern "C" {
    /// Where SYSCALL leads. Only the CPU may jump here.
    pub fn syscall_entry();
}

global_asm!(
    ".text",
    ".global enter_user",
    "enter_user:",
    "push rbp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "push rsi",
    // Now the stack is aligned as a call wants it.
    "mov gs:[{kernel_stack}], rsp",
    "mov rcx, [rdi + {rip}]",
    "mov r11, [rdi + {rflags}]",
    "cmp rcx, [rdi + {rcx}]",
    "jne 6f",
    "cmp r11, [rdi + {r11}]",
    "jne 6f",
    "test r11d, {not_by_sysret}",
    "jnz 6f",
    "mov r15, [rdi + {r15}]",
    "mov r14, [rdi + {r14}]",
    "mov r13, [rdi + {r13}]",
    "mov r12, [rdi + {r12}]",
    "mov rbp, [rdi + {rbp}]",
    "mov rbx, [rdi + {rbx}]",
    // What functions may change, and out.
    "2:",
    "mov r10, [rdi + {r10}]",
    "mov r9, [rdi + {r9}]",
    "mov r8, [rdi + {r8}]",
    "mov rax, [rdi + {rax}]",
    "mov rdx, [rdi + {rdx}]",
    "mov rsi, [rdi + {rsi}]",
    "mov rsp, [rdi + {rsp}]",
    "mov rdi, [rdi + {rdi}]",
    "swapgs",
    "sysretq",
    //
    ".global syscall_entry",
    "syscall_entry:",
    "swapgs",
    "mov gs:[{scratch}], rsp",
    "mov rsp, gs:[{frame}]",
    "mov [rsp + {rip}], rcx",
    "mov [rsp + {rflags}], r11",
    "mov [rsp + {rax}], rax",
    "mov [rsp + {rdi}], rdi",
    "mov [rsp + {rsi}], rsi",
    "mov [rsp + {rdx}], rdx",
    "mov [rsp + {r10}], r10",
    "mov [rsp + {r8}], r8",
    "mov [rsp + {r9}], r9",
    "mov rdi, rsp",
    "mov rcx, gs:[{scratch}]",
    "mov [rdi + {rsp}], rcx",
    "mov rsp, gs:[{kernel_stack}]",
    "test r11d, {not_by_sysret}",
    "jnz 3f",
    "mov rax, [rsp]",
    "mov rsi, [rax + {fast}]",
    "call [rax + {system_call}]",
    "mov rdi, gs:[{frame}]",
    "mov rcx, [rdi + {rip}]",
    "mov r11, [rdi + {rflags}]",
    "test al, al",
    "jnz 2b",
    // The rest of a frame as a trap would have left it.
    "3:",
    "mov [rdi + {rcx}], rcx",
    "mov [rdi + {r11}], r11",
    "mov [rdi + {rbx}], rbx",
    "mov [rdi + {rbp}], rbp",
    "mov [rdi + {r12}], r12",
    "mov [rdi + {r13}], r13",
    "mov [rdi + {r14}], r14",
    "mov [rdi + {r15}], r15",
    "mov qword ptr [rdi + {error}], 0",
    "mov qword ptr [rdi + {vector}], {syscall}",
    // Back to the caller of `enter_user`.
    "4:",
    "pop rsi",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    "ret",
    //
    // The stub has pushed the vector, behind what the CPU has.
    ".global trap_from_user",
    "trap_from_user:",
    "swapgs",
    push_registers!(),
    "mov rdi, rsp",
    "mov rsp, gs:[{kernel_stack}]",
    // Interrupt gates leave AC and DF as the user had them. AC would switch SMAP
    // off.
    "push 2",
    "popfq",
    "mov rax, [rsp]",
    "mov rsi, [rax + {fast}]",
    "call [rax + {trap}]",
    "test al, al",
    "jz 4b",
    "mov rdi, gs:[{frame}]",
    "6:",
    "mov rsp, rdi",
    pop_registers!(),
    "add rsp, 16",
    "swapgs",
    "iretq",
    kernel_stack = const KERNEL_STACK,
    frame = const FRAME,
    scratch = const SCRATCH,
    syscall = const SYSCALL,
    not_by_sysret = const RFlags::TRAP_FLAG.union(RFlags::RESUME_FLAG).bits(),
    system_call = const offset_of!(Entries, system_call),
    trap = const offset_of!(Entries, trap),
    fast = const offset_of!(Entries, fast),
    vector = const offset_of!(TrapFrame, vector),
    error = const offset_of!(TrapFrame, error),
    rip = const offset_of!(TrapFrame, rip),
    rflags = const offset_of!(TrapFrame, rflags),
    rsp = const offset_of!(TrapFrame, rsp),
    r15 = const offset_of!(TrapFrame, general.r15),
    r14 = const offset_of!(TrapFrame, general.r14),
    r13 = const offset_of!(TrapFrame, general.r13),
    r12 = const offset_of!(TrapFrame, general.r12),
    r11 = const offset_of!(TrapFrame, general.r11),
    r10 = const offset_of!(TrapFrame, general.r10),
    r9 = const offset_of!(TrapFrame, general.r9),
    r8 = const offset_of!(TrapFrame, general.r8),
    rbp = const offset_of!(TrapFrame, general.rbp),
    rbx = const offset_of!(TrapFrame, general.rbx),
    rax = const offset_of!(TrapFrame, general.rax),
    rcx = const offset_of!(TrapFrame, general.rcx),
    rdx = const offset_of!(TrapFrame, general.rdx),
    rsi = const offset_of!(TrapFrame, general.rsi),
    rdi = const offset_of!(TrapFrame, general.rdi),
);
