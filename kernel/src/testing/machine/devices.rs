//! The devices of the simulated machine: what it prints goes to the host's output.

use super::cpu::clock;
use crate::arch::interface::Wanted;

/// Numbers that repeat from run to run.
pub fn random() -> u64 {
    clock().wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Prints.
pub fn console_write(bytes: &[u8]) {
    print!("{}", String::from_utf8_lossy(bytes));
}

/// Prints.
pub fn log_write(bytes: &[u8]) {
    eprint!("{}", String::from_utf8_lossy(bytes));
}

/// There is no keyboard.
pub fn set_console_input(_input: fn(u8) -> Wanted) {}

/// There is no keyboard.
pub fn resume_console_input() {}

/// It is no CPU that tells anything.
pub fn cpuid(_leaf: u32, _part: u32) -> [u32; 4] {
    [0; 4]
}

/// Ends the test.
pub fn power_off(code: u8) -> ! {
    panic!("power off with code {code:#x}")
}
