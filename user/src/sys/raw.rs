//! The system-call instruction.
//!
//! The only place with `syscall` in it. The wrappers in [`crate::sys`] are safe where their types
//! keep the kernel's writes within what the caller lent; the few that can pull memory away from
//! under the program (`mmap` over something, `munmap`, `mprotect`, `brk`) are `unsafe`.

use core::arch::asm;

use super::errno::Errno;

/// The largest errno that the kernel returns (as `-errno`).
const MAX_ERRNO: isize = 4095;

/// Makes system call `number`.
///
/// # Safety
/// What the kernel does with these arguments leaves all memory that Rust knows of valid. A call
/// that fails (a bad address, an unknown number) does nothing.
pub unsafe fn call(number: u32, arguments: [usize; 6]) -> Result<usize, Errno> {
    let result: isize;
    // SAFETY: the instruction clobbers rax, rcx and r11 and nothing else of the program's
    // registers (man 2 syscall). What the kernel does to memory is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as usize => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            in("r9") arguments[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    if (-MAX_ERRNO..0).contains(&result) {
        Err(Errno::new(-result as u16))
    } else {
        Ok(result as usize)
    }
}

/// [`call`] with the arguments written out, the missing ones zero: the wrappers' own tool.
macro_rules! syscall {
    ($number:expr $(, $argument:expr)* $(,)?) => {{
        let given: &[usize] = &[$($argument as usize),*];
        let mut arguments = [0usize; 6];
        for (slot, value) in arguments.iter_mut().zip(given) {
            *slot = *value;
        }
        // SAFETY: each pointer among the arguments comes from a reference, and with its length,
        // that the wrapper holds over the call; or else the wrapper is `unsafe` itself.
        unsafe { $crate::sys::raw::call($number, arguments) }
    }};
}
pub(crate) use syscall;
