//! Power-off by ACPI (ACPI 6.5, 4.8.3.2 and 7.4.2): the registers from the FADT, the value from the
//! package `_S5_` of the DSDT. The package is looked for by its bytes: nothing is interpreted.

use super::layout::physical;
use acpi::address::{AddressSpace, GenericAddress};
use acpi::fadt::Fadt;
use acpi::{AcpiHandler, AcpiTables};
use core::slice;
use spin::Once;
use x86_64::instructions::port::Port;

/// In a control register: enter the sleeping state.
const SLEEP: u16 = 1 << 13;
/// Where the type of the state is.
const TYPE_SHIFT: u32 = 10;

/// A control register, and what turns the machine off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Register {
    port: u16,
    value: u16,
}

static REGISTERS: Once<[Option<Register>; 2]> = Once::new();

/// Reads the tables. Without them, or with others than are known, there is no such power-off.
///
/// # Safety
/// The boot tables must be in use, and the tables below 4 GiB.
pub unsafe fn find(tables: &AcpiTables<impl AcpiHandler>) {
    let (Ok(fadt), Ok(dsdt)) = (tables.find_table::<Fadt>(), tables.dsdt()) else {
        return;
    };
    let place = physical(dsdt.address as u64);
    // SAFETY: the caller's promise, and the table is as long as it says; nothing changes it.
    let code = unsafe { slice::from_raw_parts(place.as_ptr(), dsdt.length as usize) };
    let Some([a, b]) = sleep_types(code) else {
        return;
    };
    let register = |address: Option<GenericAddress>, kind: u8| {
        let address = address.filter(|address| {
            address.address_space == AddressSpace::SystemIo && address.address != 0
        })?;
        Some(Register {
            port: u16::try_from(address.address).ok()?,
            value: u16::from(kind) << TYPE_SHIFT | SLEEP,
        })
    };
    let first = register(fadt.pm1a_control_block().ok(), a);
    let second = register(fadt.pm1b_control_block().ok().flatten(), b);
    REGISTERS.call_once(|| [first, second]);
}

/// The two numbers of the package `_S5_`, or `None` where it is not a plain one (20.2.5.4).
fn sleep_types(code: &[u8]) -> Option<[u8; 2]> {
    const PACKAGE: u8 = 0x12;
    let mut starts = code.windows(5).enumerate();
    let start = starts.find(|(_, bytes)| *bytes == b"_S5_\x12")?.0 + 4;
    debug_assert_eq!(code.get(start), Some(&PACKAGE));
    // The length has as many bytes more as its two highest bits say; the number of elements follows.
    let more = code.get(start + 1)? >> 6;
    let mut rest = code.get(start + 3 + usize::from(more)..)?.iter();
    let mut number = || match rest.next()? {
        // ZeroOp, OneOp, BytePrefix.
        0x00 => Some(0),
        0x01 => Some(1),
        0x0a => rest.next().map(|value| value & 7),
        _ => None,
    };
    Some([number()?, number()?])
}

/// Turns the machine off, where that is known; returns where it is not.
pub fn power_off() {
    for register in REGISTERS.get().into_iter().flatten().flatten() {
        // SAFETY: the firmware says that this ends the machine, and nothing is to run after it.
        unsafe { Port::<u16>::new(register.port).write(register.value) };
    }
}
