//! What every CPU does on its way up, the first as the others.

use super::{features, fpu, interrupts, percpu, user};

/// Makes this CPU the one with the index: its descriptors and stacks, the interrupt table, the
/// system-call entry.
///
/// # Safety
/// No other CPU may have this index, and it must be this CPU's first call.
pub unsafe fn descriptors(index: usize) {
    // SAFETY: the caller's promise.
    unsafe { percpu::init(index) };
    interrupts::load();
    user::init();
}

/// Turns on what the kernel uses of the CPU. [`descriptors`] and `features::detect` come first.
pub fn features() {
    features::enable();
    fpu::init();
}
