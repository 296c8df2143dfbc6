//! What a program is told about its own faults and exceptions: the signal for each.

use super::registers::Registers;
use super::signal::{SigInfo, Signal};
use super::thread::Thread;
use crate::arch::{Access, FloatError, Violation};
use crate::log::Rationed;
use crate::memory::FaultError;
use linux_raw_sys::general as linux;

/// Log lines about programs that crash.
static CRASHES: Rationed = Rationed::new();

/// Sends the signal for an access that cannot be made possible.
pub(super) fn bad_access(
    thread: &Thread,
    ip: usize,
    (address, access): (usize, Access),
    error: FaultError,
) {
    let (signal, code, why) = match error {
        FaultError::NotMapped => (Signal::SEGV, linux::SEGV_MAPERR, "nothing is mapped there"),
        FaultError::NotAllowed => (Signal::SEGV, linux::SEGV_ACCERR, "not allowed"),
        FaultError::BeyondEnd => (Signal::BUS, linux::BUS_ADRERR, "beyond the end of the file"),
        // The caller ends a process in this case; no signal can be handled without memory.
        FaultError::OutOfMemory => (Signal::BUS, linux::BUS_ADRERR, "no memory"),
    };
    if !thread.catches(signal) {
        CRASHES.info(format_args!(
            "process {}: {access:?} at {address:#x} by {ip:#x}: {why}",
            thread.process().pid,
        ));
    }
    thread.force(SigInfo::fault(signal, code, address));
}

/// Sends the signal for an exception, as Linux has it (arch/x86/kernel/traps.c).
pub(super) fn exception(thread: &Thread, registers: &mut Registers, vector: u8, error: u64) {
    let ip = registers.user.ip();
    let here = |signal, code| SigInfo::fault(signal, code, ip);
    let info = match Violation::of(vector) {
        Violation::Division => here(Signal::FPE, linux::FPE_INTDIV),
        Violation::Float => here(Signal::FPE, float_code(registers, vector)),
        Violation::Step => here(Signal::TRAP, linux::TRAP_TRACE),
        Violation::Breakpoint => SigInfo::kernel(Signal::TRAP),
        Violation::Instruction => here(Signal::ILL, linux::ILL_ILLOPN),
        Violation::Segment => SigInfo::kernel(Signal::BUS),
        Violation::Alignment => SigInfo::fault(Signal::BUS, linux::BUS_ADRALN, 0),
        Violation::Protection => SigInfo::kernel(Signal::SEGV),
    };
    if !thread.catches(info.signal()) {
        CRASHES.info(format_args!(
            "process {}: exception {vector}, error code {error:#x}, at {ip:#x}",
            thread.process().pid,
        ));
    }
    thread.force(info);
}

fn float_code(registers: &mut Registers, vector: u8) -> u32 {
    match registers.fpu.float_error(vector) {
        FloatError::Invalid => linux::FPE_FLTINV,
        FloatError::DivideByZero => linux::FPE_FLTDIV,
        FloatError::Overflow => linux::FPE_FLTOVF,
        FloatError::Underflow => linux::FPE_FLTUND,
        FloatError::Inexact => linux::FPE_FLTRES,
        FloatError::Unknown => linux::FPE_FLTUNK,
    }
}
