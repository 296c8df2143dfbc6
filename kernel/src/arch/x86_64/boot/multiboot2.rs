//! The multiboot2 protocol (its specification, version 2.0): GRUB, from a BIOS and from UEFI.

use super::entry::start_32;
use super::handover::{Handover, LowMemory};
use crate::arch::interface::PhysRange;
use core::arch::{global_asm, naked_asm};
use multiboot2::{BootInformation, MemoryAreaType};

/// What the loader puts into `eax`.
pub const PROTOCOL: u32 = 0x36d7_6289;

// The header (3.1.1): the entry point. A tag starts at a multiple of 8.
global_asm!(
    ".section .boot.multiboot2, \"a\"",
    ".balign 8",
    "20: .long 0xe85250d6, 0, 21f - 20b",
    ".long -(0xe85250d6 + (21f - 20b))",
    // The entry address.
    ".short 3, 0",
    ".long 12, {start}",
    ".balign 8",
    ".short 0, 0",
    ".long 8",
    "21:",
    ".text",
    start = sym multiboot2_start,
);

/// The entry point: `eax` holds [`PROTOCOL`], `ebx` the physical address of the boot information.
///
/// # Safety
/// Only a multiboot2 loader may jump here.
#[unsafe(naked)]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".boot.text")]
unsafe extern "C" fn multiboot2_start() -> ! {
    naked_asm!(
        ".code32",
        "mov esi, eax",
        "jmp {start}",
        start = sym start_32,
    )
}

/// Reads the boot information.
///
/// # Safety
/// `information` must be what a multiboot2 loader passed, the boot tables in use, and no memory
/// overwritten yet.
pub unsafe fn read(information: u32) -> Handover {
    let mut handover = Handover::new();
    let place = LowMemory.show(u64::from(information));
    // SAFETY: the caller's promise; the loader puts it below 4 GiB, where the boot tables map it.
    let info = unsafe { BootInformation::load(place.cast()) };
    let info = info.expect("the loader passed no boot information");
    let start = u64::from(information);
    handover.structures = PhysRange {
        start,
        end: start + info.total_size() as u64,
    };
    let map = info
        .memory_map_tag()
        .map_or(&[][..], |tag| tag.memory_areas());
    for area in map {
        if area.typ() == MemoryAreaType::Available {
            handover.add_memory(area.start_address(), area.size());
        }
    }
    handover.rsdp = rsdp(&info);
    if let Some(module) = info.module_tags().next() {
        handover.initramfs = PhysRange {
            start: u64::from(module.start_address()),
            end: u64::from(module.end_address()),
        };
    }
    let text = info.command_line_tag().map(|tag| tag.cmdline());
    if let Some(Ok(text)) = text {
        handover.command_line = LowMemory.range_of(text.as_bytes());
    }
    handover
}

/// The loader's copy of the ACPI root pointer: the newer one, if there are two.
fn rsdp(info: &BootInformation<'_>) -> u64 {
    /// Type and size of a tag.
    const HEAD: u64 = 8;
    let place = |address: *const u8| {
        // SAFETY: a tag is memory that the boot tables show, and has at least a head.
        let head = unsafe { core::slice::from_raw_parts(address, HEAD as usize) };
        LowMemory.range_of(head).end
    };
    match (info.rsdp_v2_tag(), info.rsdp_v1_tag()) {
        (Some(tag), _) => place((&raw const *tag).cast()),
        (None, Some(tag)) => place((&raw const *tag).cast()),
        (None, None) => 0,
    }
}
