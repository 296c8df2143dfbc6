//! The end by a defect: all CPUs stop, and the log says what was broken, where, and how
//! the kernel came there.
//!
//! Nothing is locked or allocated here. The names of functions come from a text file of
//! the initramfs, which the build makes from the kernel's own symbols.

use crate::arch::{self, KernelException};
use crate::log::Port;
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use spin::Once;

/// What QEMU is told.
pub const EXIT_PANIC: u8 = 0x12;

/// How many of the last events of each CPU are reported, if there is a trace.
const EVENTS: usize = 8;

static SYMBOLS: Once<&'static [u8]> = Once::new();

/// Gives the table of symbols: lines of `address name`, the address with 16 hexadecimal
/// digits, sorted.
pub fn set_symbols(text: &'static [u8]) {
    SYMBOLS.call_once(|| text);
}

#[panic_handler]
fn panicked(info: &PanicInfo<'_>) -> ! {
    let place = info.location();
    report(format_args!("{}", info.message()), |port| {
        if let Some(place) = place {
            writeln!(port, "at {}:{}", place.file(), place.line())?;
        }
        trace(port, |each| arch::backtrace(each))
    })
}

/// An exception in the kernel itself. `arch` declares it (`arch/upward.rs`) and calls it.
#[unsafe(no_mangle)]
fn kernel_exception(exception: &KernelException<'_>) -> ! {
    report(format_args!("{exception}"), |port| {
        trace(port, |each| exception.backtrace(each))
    })
}

fn report(what: fmt::Arguments<'_>, more: impl FnOnce(&mut Port) -> fmt::Result) -> ! {
    if !arch::stop_other_cpus() {
        // Another CPU is reporting already.
        arch::halt();
    }
    // The port takes everything.
    let _ = writeln!(Port, "\nPANIC: {} on {}", what, arch::cpu());
    let _ = more(&mut Port);
    let _ = crate::trace::report(&mut Port, EVENTS);
    arch::power_off(EXIT_PANIC)
}

fn trace(port: &mut Port, walk: impl FnOnce(&mut dyn FnMut(usize))) -> fmt::Result {
    writeln!(port, "backtrace:")?;
    let mut result = Ok(());
    walk(&mut |address| {
        if result.is_ok() {
            result = match symbol(address) {
                Some((name, offset)) => writeln!(port, "  {address:016x} {name}+{offset:#x}"),
                None => writeln!(port, "  {address:016x}"),
            };
        }
    });
    result
}

/// The function that contains the address, and how far in it lies.
fn symbol(address: usize) -> Option<(&'static str, usize)> {
    let text = SYMBOLS.get()?;
    let mut found = None;
    for line in text.split(|&byte| byte == b'\n') {
        let Some((digits, name)) = line.split_at_checked(16) else {
            break;
        };
        let start = usize::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()?;
        if start > address {
            break;
        }
        found = Some((
            core::str::from_utf8(name).ok()?.trim_start(),
            address - start,
        ));
    }
    found
}
