//! Accesses that may fault, and then say so.
//!
//! The accesses are a few functions in assembler (`access`). A handler for `SIGSEGV` and
//! `SIGBUS` looks whether one of them was interrupted. If so, it has it return at once, with what
//! the signal tells of the fault; if not, the signal does what it does by default. The handler
//! runs on a stack of its own and touches nothing but the saved registers.

mod access;

use core::marker::PhantomData;
use core::sync::atomic::AtomicU64;

use crate::sys::Result;
use crate::sys::handler::{self, Context, Info};
use crate::sys::memory::{self, PAGE, Protection, Sharing};
use crate::sys::signal::{self, Disposition, Signal};
use access::Outcome;

/// Why an access did not come about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    pub signal: Signal,
    /// `si_code`: [`Fault::NOT_MAPPED`], [`Fault::NOT_ALLOWED`].
    pub code: i32,
    /// `si_addr`.
    pub address: usize,
}

impl Fault {
    /// `SEGV_MAPERR`: there is no mapping.
    pub const NOT_MAPPED: i32 = 1;
    /// `SEGV_ACCERR`: there is one that does not allow it.
    pub const NOT_ALLOWED: i32 = 2;

    /// Whether it is the `SIGSEGV` with that code, for that address.
    pub fn is(&self, code: i32, address: usize) -> bool {
        (self.signal, self.code, self.address) == (Signal::SIGSEGV, code, address)
    }
}

/// Room for a frame with all registers that a CPU has today.
const STACK: usize = 8 * PAGE;

/// A thread's right to access what may not be there.
pub struct Recovery {
    stack: usize,
    /// It is this thread's alternate stack.
    thread: PhantomData<*mut ()>,
}

impl Recovery {
    /// Prepares this thread, and the process when it is the first.
    pub fn new() -> Result<Self> {
        for signal in [Signal::SIGSEGV, Signal::SIGBUS] {
            // SAFETY: `on_fault` changes registers only of the functions that expect it.
            unsafe { handler::set(signal, on_fault) }?;
        }
        let stack = memory::map(STACK, Protection::READ_WRITE, Sharing::Private)?;
        let recovery = Self {
            stack,
            thread: PhantomData,
        };
        // SAFETY: fresh memory, which is there until `drop`.
        unsafe { handler::set_stack(stack, STACK) }?;
        Ok(recovery)
    }

    /// Reads a word of whatever is there.
    pub fn load(&self, address: usize) -> core::result::Result<u64, Fault> {
        // SAFETY: reading changes nothing, and a fault is dealt with.
        unsafe { access::load(address) }.result()
    }

    /// Writes a word.
    ///
    /// # Safety
    /// There is nothing at the address that Rust knows of.
    pub unsafe fn store(&self, address: usize, value: u64) -> core::result::Result<(), Fault> {
        // SAFETY: by the caller's word, and a fault is dealt with.
        unsafe { access::store(address, value) }.result().map(drop)
    }

    /// As [`load_two`], the second one being whatever is at the address.
    pub fn load_both(
        &self,
        first: &AtomicU64,
        address: usize,
    ) -> (u64, core::result::Result<u64, Fault>) {
        let mut seen = 0;
        // SAFETY: `first` is there, `seen` as well; as in `load`.
        let outcome = unsafe { access::load_both(first.as_ptr(), address, &raw mut seen) };
        (seen, outcome.result())
    }
}

/// Reads two words, the second one right after the first one. Before them comes
/// some work in a single run of instructions: an emulator takes interrupts at the end of such a run
/// only, so the two are read together while an interrupt may be waiting. (To a real CPU it is a
/// short delay.)
pub fn load_two(first: &AtomicU64, second: &AtomicU64) -> (u64, u64) {
    let mut seen = 0;
    // SAFETY: all three are there, so nothing faults.
    let outcome =
        unsafe { access::load_both(first.as_ptr(), second.as_ptr() as usize, &raw mut seen) };
    (seen, outcome.value)
}

impl Drop for Recovery {
    fn drop(&mut self) {
        let _ = handler::unset_stack();
        // SAFETY: no handler runs, and none will run there again.
        let _ = unsafe { memory::unmap(self.stack, STACK) };
    }
}

impl Outcome {
    fn result(self) -> core::result::Result<u64, Fault> {
        match self.fault {
            0 => Ok(self.value),
            fault => Err(Fault {
                signal: Signal((fault >> 32) as i32),
                code: fault as i32,
                address: self.value as usize,
            }),
        }
    }
}

/// Makes an access function return with the fault, or lets the signal have its default effect.
extern "C" fn on_fault(signal: i32, info: &Info, context: &mut Context) {
    if access::contains(context.rip) {
        context.rax = info.address as u64;
        context.rdx = (signal as u64) << 32 | u64::from(info.code as u32);
        context.rip = access::leave();
    } else {
        // The instruction is executed once more, and then it is the end.
        let _ = signal::set_disposition(Signal(signal), Disposition::Default);
    }
}
