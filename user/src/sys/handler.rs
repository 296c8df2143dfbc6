//! Signal handlers: where they run, and what they find of the program that they interrupt.

use linux_raw_sys::general::{
    __NR_rt_sigaction, __NR_rt_sigreturn, __NR_sigaltstack, SA_NODEFER, SA_ONSTACK, SA_RESTORER,
    SA_SIGINFO, SS_DISABLE, siginfo_t, stack_t,
};

use core::arch::naked_asm;
use core::mem::size_of;

use super::Result;
use super::raw::syscall;
use super::signal::{Action, Signal, SignalSet};

/// The interrupted program's registers, as in glibc's `ucontext_t` up to the last one that is used
/// here (System V ABI of Linux, `asm/sigcontext.h`).
#[repr(C)]
#[derive(Debug)]
pub struct Context {
    flags: u64,
    link: usize,
    stack: [u64; 3],
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub rdx: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rsp: u64,
    pub rip: u64,
    pub rflags: u64,
}

/// What a signal tells about itself, as far as faults need it (man 2 sigaction).
#[repr(C)]
#[derive(Debug)]
pub struct Info {
    pub signal: i32,
    pub errno: i32,
    pub code: i32,
    /// For `SIGSEGV` and `SIGBUS`: what was accessed.
    pub address: usize,
}

const _: () = assert!(size_of::<Info>() <= size_of::<siginfo_t>());

/// A handler: it gets the signal's number, and may change the registers that the program goes on
/// with.
pub type Handler = extern "C" fn(i32, &Info, &mut Context);

/// Has `handler` called for a signal, on the thread's alternate stack where it has one. The signal
/// is not held back meanwhile.
///
/// # Safety
/// The handler does nothing that the interrupted code does not expect at any moment: it takes no
/// lock, and what it does to the registers makes sense to the code that goes on with them.
pub unsafe fn set(signal: Signal, handler: Handler) -> Result<()> {
    let action = Action {
        handler: handler as usize,
        flags: u64::from(SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTORER),
        restorer: restore as *const () as usize,
        mask: 0,
    };
    syscall!(
        __NR_rt_sigaction,
        signal.0,
        &raw const action,
        0,
        size_of::<SignalSet>()
    )
    .map(drop)
}

/// Where a handler returns to.
#[unsafe(naked)]
extern "C" fn restore() {
    naked_asm!("mov eax, {call}", "syscall", "ud2", call = const __NR_rt_sigreturn)
}

/// Lets this thread's handlers run on other memory than its stack.
///
/// # Safety
/// The memory is there, and used by no other code, until the thread has ended or called this again.
pub unsafe fn set_stack(start: usize, size: usize) -> Result<()> {
    let stack = stack_t {
        ss_sp: start as *mut _,
        ss_flags: 0,
        ss_size: size as u64,
    };
    syscall!(__NR_sigaltstack, &raw const stack, 0).map(drop)
}

/// Lets this thread's handlers run on its stack again.
pub fn unset_stack() -> Result<()> {
    let stack = stack_t {
        ss_sp: core::ptr::null_mut(),
        ss_flags: SS_DISABLE as i32,
        ss_size: 0,
    };
    syscall!(__NR_sigaltstack, &raw const stack, 0).map(drop)
}
