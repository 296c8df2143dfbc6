//! The 256 vectors: exceptions (Intel SDM vol. 3, table 6-1) and the interrupts that this kernel
//! gives a number. A higher number has a higher priority.

/// Vectors 0 to 31 are the CPU's exceptions.
pub const EXCEPTIONS: u64 = 32;
/// Exception 2.
pub const NMI: usize = 2;
/// Exception 3.
pub const BREAKPOINT: usize = 3;
/// Exception 8.
pub const DOUBLE_FAULT: usize = 8;
/// Exception 13.
pub const GENERAL_PROTECTION: u8 = 13;
/// Exception 14.
pub const PAGE_FAULT: u64 = 14;
/// Exception 16.
pub const X87_ERROR: u8 = 16;
/// Exception 18.
pub const MACHINE_CHECK: usize = 18;

/// Where the masked legacy controllers would put their sixteen.
pub const LEGACY: u8 = 0x20;
/// COM1.
pub const CONSOLE: u8 = 0x40;
/// The local APIC's timer.
pub const TIMER: u8 = 0xe0;
/// The reschedule IPI: another CPU asks this one to leave user mode or its halt.
pub const RESCHEDULE: u8 = 0xe1;
/// The local APIC's own errors.
pub const APIC_ERROR: u8 = 0xfe;
/// An interrupt that went away before it was taken.
pub const SPURIOUS: u8 = 0xff;
