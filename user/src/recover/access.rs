//! The instructions that may fault.
//!
//! They lie between two labels. None of these functions uses the stack, so wherever one is
//! interrupted it can be left by going to `access_leave`, which is a bare `ret`, with the result
//! in rax and rdx.

use core::arch::global_asm;

global_asm!(
    ".section .text.access, \"ax\"",
    ".global access_start, access_end, access_leave, access_load, access_store, access_load_both",
    "access_start:",
    "access_load:",
    "mov rax, [rdi]",
    "xor edx, edx",
    "ret",
    "access_store:",
    "mov [rdi], rsi",
    "xor eax, eax",
    "xor edx, edx",
    "ret",
    "access_load_both:",
    "mov rcx, rdx",
    // No fault for this one between the two reads.
    "mov qword ptr [rcx], 0",
    "fldln2",
    ".rept 48",
    "f2xm1",
    ".endr",
    "fstp st(0)",
    "mov r8, [rdi]",
    "mov [rcx], r8",
    "mov rax, [rsi]",
    "xor edx, edx",
    "ret",
    "access_leave:",
    "ret",
    "access_end:",
    ".section .text, \"ax\"",
);

/// What an access comes to, in rax and rdx.
#[repr(C)]
pub struct Outcome {
    /// What was read; after a fault, the address.
    pub value: u64,
    /// Zero, or the signal's number and its code.
    pub fault: u64,
}

unsafe extern "C" {
    static access_start: u8;
    static access_end: u8;
    static access_leave: u8;
    fn access_load(address: usize) -> Outcome;
    fn access_store(address: usize, value: u64) -> Outcome;
    fn access_load_both(first: *const u64, second: usize, seen: *mut u64) -> Outcome;
}

/// # Safety
/// A fault is dealt with by the handler in the module above.
pub unsafe fn load(address: usize) -> Outcome {
    // SAFETY: by the caller's word.
    unsafe { access_load(address) }
}

/// # Safety
/// As [`load`], and what is at the address may be written.
pub unsafe fn store(address: usize, value: u64) -> Outcome {
    // SAFETY: by the caller's word.
    unsafe { access_store(address, value) }
}

/// Reads two words; the first one is stored in `seen`, also when the second one faults.
///
/// # Safety
/// As [`load`]; `first` and `seen` are good.
pub unsafe fn load_both(first: *const u64, second: usize, seen: *mut u64) -> Outcome {
    // SAFETY: by the caller's word.
    unsafe { access_load_both(first, second, seen) }
}

/// Whether the instruction is one of those that may fault.
pub fn contains(address: u64) -> bool {
    (&raw const access_start as u64..&raw const access_end as u64).contains(&address)
}

/// Where to go on instead.
pub fn leave() -> u64 {
    &raw const access_leave as u64
}
