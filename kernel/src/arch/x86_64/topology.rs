//! What ACPI says about the machine: its CPUs and interrupt controllers (the
//! MADT).

use super::layout::physical;
use super::soft_off;
use crate::arch::interface::MAX_CPUS;
use acpi::madt::{Madt, MadtEntry};
use acpi::{AcpiHandler, AcpiTables, PhysicalMapping};
use core::ptr::NonNull;

const MAX_IO_APICS: usize = 8;
/// COM1's line on the ISA bus.
const CONSOLE_IRQ: u8 = 4;
const USABLE: u32 = 1;
/// An APIC id that addresses every CPU.
const BROADCAST: u32 = 0xff;

/// The CPUs and controllers.
pub struct Topology {
    cpus: [u32; MAX_CPUS],
    cpu_count: usize,
    io_apics: [IoApic; MAX_IO_APICS],
    io_apic_count: usize,
    /// Where the local APIC's registers are in xAPIC mode.
    pub local_apic: u64,
    /// The console's interrupt.
    pub console: IoApicLine,
}

/// One I/O APIC.
#[derive(Clone, Copy)]
pub struct IoApic {
    /// Its registers.
    pub address: u64,
    /// The global number of its line 0.
    pub first_interrupt: u32,
}

/// A line of an I/O APIC.
#[derive(Clone, Copy)]
pub struct IoApicLine {
    /// Its global number.
    pub interrupt: u32,
    /// Polarity and trigger mode, as in a redirection entry.
    pub mode: u32,
}

impl Topology {
    /// The APIC ids of the CPUs that may be used, in the order of the table.
    pub fn cpus(&self) -> &[u32] {
        &self.cpus[..self.cpu_count]
    }

    /// The I/O APICs.
    pub fn io_apics(&self) -> &[IoApic] {
        &self.io_apics[..self.io_apic_count]
    }

    /// Reads the tables. Without them: one CPU, and the controllers at their
    /// usual places.
    ///
    /// # Safety
    /// `rsdp` must be 0 or the address of the ACPI root pointer, and the boot
    /// tables in use.
    pub unsafe fn read(rsdp: u64) -> Topology {
        let mut topology = Topology {
            cpus: [0; MAX_CPUS],
            cpu_count: 0,
            io_apics: [IoApic {
                address: 0xfec0_0000,
                first_interrupt: 0,
            }; MAX_IO_APICS],
            io_apic_count: 0,
            local_apic: 0xfee0_0000,
            console: IoApicLine {
                interrupt: u32::from(CONSOLE_IRQ),
                mode: 0,
            },
        };
        // SAFETY: the caller's promise. A loader that passes no root pointer has
        // left a BIOS.
        let tables = unsafe {
            match rsdp {
                0 => AcpiTables::search_for_rsdp_bios(BootTables),
                _ => AcpiTables::from_rsdp(BootTables, rsdp as usize),
            }
        };
        if let Ok(tables) = &tables {
            // SAFETY: the caller's promise.
            unsafe { soft_off::find(tables) };
        }
        match tables.and_then(|tables| tables.find_table::<Madt>()) {
            Ok(madt) => topology.read_madt(&madt),
            Err(error) => log::warn!("no usable ACPI tables ({error:?}): using one CPU"),
        }
        if topology.io_apic_count == 0 {
            topology.io_apic_count = 1;
        }
        topology
    }

    fn read_madt(&mut self, madt: &PhysicalMapping<BootTables, Madt>) {
        let madt = madt.get();
        self.local_apic = u64::from(madt.local_apic_address);
        for entry in madt.entries() {
            match entry {
                MadtEntry::LocalApic(cpu) => self.add_cpu(u32::from(cpu.apic_id), cpu.flags),
                MadtEntry::LocalX2Apic(cpu) => self.add_cpu(cpu.x2apic_id, cpu.flags),
                MadtEntry::LocalApicAddressOverride(entry) => {
                    self.local_apic = entry.local_apic_address;
                }
                MadtEntry::IoApic(entry) => {
                    if let Some(slot) = self.io_apics.get_mut(self.io_apic_count) {
                        *slot = IoApic {
                            address: u64::from(entry.io_apic_address),
                            first_interrupt: entry.global_system_interrupt_base,
                        };
                        self.io_apic_count += 1;
                    }
                }
                MadtEntry::InterruptSourceOverride(entry) if entry.irq == CONSOLE_IRQ => {
                    self.console = IoApicLine {
                        interrupt: entry.global_system_interrupt,
                        mode: line_mode(entry.flags),
                    };
                }
                _ => {}
            }
        }
    }

    /// More CPUs than the kernel can use are left alone.
    fn add_cpu(&mut self, id: u32, flags: u32) {
        if flags & USABLE == 0 || id >= BROADCAST || self.cpus().contains(&id) {
            return;
        }
        if let Some(slot) = self.cpus.get_mut(self.cpu_count) {
            *slot = id;
            self.cpu_count += 1;
        }
    }
}

/// The MPS INTI flags of an override (ACPI 6.5, table 5.26) as bits of a
/// redirection entry. The ISA bus is active high, edge-triggered.
fn line_mode(flags: u16) -> u32 {
    const ACTIVE_LOW: u32 = 1 << 13;
    const LEVEL: u32 = 1 << 15;
    let polarity = if flags & 0b11 == 0b11 { ACTIVE_LOW } else { 0 };
    let trigger = if flags >> 2 & 0b11 == 0b11 { LEVEL } else { 0 };
    polarity | trigger
}

/// Reads physical memory through the boot tables, which show all of the first 4
/// GiB.
#[derive(Clone)]
struct BootTables;

impl AcpiHandler for BootTables {
    unsafe fn map_physical_region<T>(
        &self,
        address: usize,
        size: usize,
    ) -> PhysicalMapping<Self, T> {
        assert!(address + size <= 4 << 30, "an ACPI table above 4 GiB");
        let place: NonNull<T> = physical(address as u64).cast();
        // SAFETY: mapped by the boot tables; the firmware's tables are not
        // changed by anyone.
        unsafe { PhysicalMapping::new(address, place, size, size, BootTables) }
    }

    fn unmap_physical_region<T>(_region: &PhysicalMapping<Self, T>) {}
}
