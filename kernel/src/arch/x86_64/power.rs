//! The way out.

use super::soft_off;
use super::stop::halt;
use x86_64::instructions::port::Port;

/// QEMU's isa-debug-exit, as `boot/` sets it up.
const DEBUG_EXIT: u16 = 0xf4;
/// The keyboard controller, and its command to pulse the CPU's reset line.
const KEYBOARD: u16 = 0x64;
const RESET: u8 = 0xfe;

/// Ends the machine: with `code` where a debug-exit device listens, by ACPI elsewhere, without that
/// by a reset (which is how a Firecracker guest ends), and at worst by a halt.
pub fn power_off(code: u8) -> ! {
    // SAFETY: nothing is expected to run after this.
    unsafe {
        Port::<u8>::new(DEBUG_EXIT).write(code);
        soft_off::power_off();
        // A machine takes its time to turn itself off. The clock may not run yet.
        for _ in 0..100_000_000 {
            core::hint::spin_loop();
        }
        Port::<u8>::new(KEYBOARD).write(RESET);
    }
    halt()
}
