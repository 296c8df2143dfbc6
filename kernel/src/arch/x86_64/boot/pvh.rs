//! The PVH protocol (Xen's docs/misc/pvh.pandoc): QEMU's `-kernel`, Firecracker.

use super::entry::start_32;
use super::handover::{Handover, LowMemory};
use crate::arch::interface::PhysRange;
use core::alloc::Layout;
use core::arch::naked_asm;
use pvh::start_info::reader::{MemMap, StartInfoReader};

/// What `esi` tells the common way in.
pub const PROTOCOL: u32 = 0x336e_c578;
/// `XEN_HVM_MEMMAP_TYPE_RAM`.
const RAM: u32 = 1;

pvh::xen_elfnote_phys32_entry!(pvh_start);

/// The entry point: `ebx` holds the physical address of the start info.
///
/// # Safety
/// Only a PVH loader may jump here.
#[unsafe(naked)]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".boot.text")]
unsafe extern "C" fn pvh_start() -> ! {
    naked_asm!(
        ".code32",
        "mov esi, {protocol}",
        "jmp {start}",
        protocol = const PROTOCOL,
        start = sym start_32,
    )
}

impl MemMap for LowMemory {
    fn ptr(&self, address: usize, _layout: Layout) -> *const u8 {
        self.show(address as u64)
    }
}

/// Reads the start info.
///
/// # Safety
/// `start_info` must be what a PVH loader passed, the boot tables in use, and no memory
/// overwritten yet.
pub unsafe fn read(start_info: u32) -> Handover {
    let mut handover = Handover::new();
    // SAFETY: the caller's promise; PVH puts its structures below 4 GiB, where the boot tables
    // map them.
    let info = unsafe { StartInfoReader::from_paddr(start_info, LowMemory) };
    let info = info.expect("the loader passed no PVH start info");
    for entry in info.memmap().iter().filter(|entry| entry.ty == RAM) {
        handover.add_memory(entry.addr, entry.size);
    }
    handover.rsdp = info.raw().rsdp_paddr;
    if let Some(module) = info.modlist().next() {
        let module = module.raw();
        handover.initramfs = PhysRange {
            start: module.paddr,
            end: module.paddr.saturating_add(module.size),
        };
    }
    if let Some(text) = info.cmdline() {
        handover.command_line = LowMemory.range_of(text.to_bytes());
    }
    handover
}
