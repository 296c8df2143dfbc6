//! The registers as a trap leaves them in memory.

use core::fmt;

/// All registers of an interrupted program: pushed by the stubs, up to `error`,
/// and by the hardware, from `rip` on (Intel SDM vol. 3, 6.14.2).
#[repr(C, align(16))]
#[derive(Clone, Copy, Default)]
pub struct TrapFrame {
    /// The general registers.
    pub general: General,
    /// The exception's or interrupt's number, or `user::SYSCALL`.
    pub vector: u64,
    /// The exception's error code, or 0.
    pub error: u64,
    /// The next instruction.
    pub rip: u64,
    /// The code segment.
    pub cs: u64,
    /// The flags.
    pub rflags: u64,
    /// The stack pointer.
    pub rsp: u64,
    /// The stack segment.
    pub ss: u64,
}

// For the entries: a frame's general registers, pushed and popped in the order of [`General`].
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

/// The general registers but `rsp`, in the order in which the stubs push them
/// (last first).
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the names are Intel's
pub struct General {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
}

// The CPU aligns the stack to 16 bytes before it pushes: the end must be aligned.
const _: () = assert!(size_of::<TrapFrame>() == 22 * 8);

impl fmt::Display for TrapFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let g = &self.general;
        writeln!(
            f,
            "rip {:016x} cs {:02x} rflags {:08x} rsp {:016x} ss {:02x}",
            self.rip, self.cs, self.rflags, self.rsp, self.ss
        )?;
        writeln!(
            f,
            "rax {:016x} rbx {:016x} rcx {:016x} rdx {:016x}",
            g.rax, g.rbx, g.rcx, g.rdx
        )?;
        writeln!(
            f,
            "rsi {:016x} rdi {:016x} rbp {:016x} r8  {:016x}",
            g.rsi, g.rdi, g.rbp, g.r8
        )?;
        writeln!(
            f,
            "r9  {:016x} r10 {:016x} r11 {:016x} r12 {:016x}",
            g.r9, g.r10, g.r11, g.r12
        )?;
        write!(
            f,
            "r13 {:016x} r14 {:016x} r15 {:016x}",
            g.r13, g.r14, g.r15
        )
    }
}
