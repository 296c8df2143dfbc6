//! The functions of the kernel that the machine calls.
//!
//! `arch` is the lowest layer, so it only declares them; the kernel defines each once, under this
//! name, and the linker brings them together.

use super::interface::BootInfo;
use super::x86_64::exception::KernelException;

unsafe extern "Rust" {
    /// Starts the log, as soon as there is a port to write it to: what the machine logs while it
    /// starts, a panic above all, is seen.
    ///
    /// Safe to call: `log.rs` defines it with this signature and asks nothing of its caller.
    pub safe fn kernel_log();

    /// The kernel proper, entered by the boot CPU when the machine is ready.
    ///
    /// Safe to call: `start.rs` defines it with this signature and asks nothing of its caller.
    pub safe fn kernel_start(boot: BootInfo) -> !;

    /// Reports an exception that the kernel does not survive, and ends the machine.
    ///
    /// Safe to call: `panic.rs` defines it with this signature and asks nothing of its caller.
    pub safe fn kernel_exception(exception: &KernelException<'_>) -> !;
}
