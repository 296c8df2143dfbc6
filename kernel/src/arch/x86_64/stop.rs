//! The end of the kernel: all CPUs stop where they are.

use super::{apic, percpu};
use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A panic is on its way: an NMI means "halt". Also read by the NMI stub.
pub static STOPPING: AtomicBool = AtomicBool::new(false);

/// The CPU that stops the others, plus one.
static STOPPER: AtomicUsize = AtomicUsize::new(0);

/// Stops all other CPUs where they are, for good.
///
/// `false` when another CPU was first: this one should then [`halt`], and leave
/// the word to that one.
#[must_use]
pub fn stop_other_cpus() -> bool {
    let this = percpu::cpu().0 + 1;
    let first = STOPPER.compare_exchange(0, this, Ordering::AcqRel, Ordering::Acquire);
    if first.is_ok() {
        STOPPING.store(true, Ordering::SeqCst);
        if percpu::cpu_count() > 1 {
            apic::stop_others();
        }
    }
    first.is_ok() || first == Err(this)
}

/// Halts this CPU for good.
pub fn halt() -> ! {
    loop {
        // SAFETY: interrupts are masked; only an NMI ends the halt, and then the
        // next follows.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
