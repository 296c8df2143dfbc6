//! What the loader tells about memory, and the allocator that serves until the
//! kernel has its own: it takes the lowest free page, and what it has not taken
//! is handed on in `BootInfo`.

use crate::arch::frame::{FRAME_SIZE, Frame};
use crate::arch::interface::PhysRange;
use crate::arch::x86_64::layout::{DIRECT_MAP_SIZE, frame_ptr, image, physical};
use crate::arch::x86_64::pages::zero_page;
use crate::arch::x86_64::ranges::Ranges;
use core::alloc::Layout;
use pvh::start_info::reader::{MemMap, StartInfoReader};
use spin::Mutex;

/// `XEN_HVM_MEMMAP_TYPE_RAM`.
const RAM: u32 = 1;
const MIB: u64 = 1 << 20;
/// The boot tables reach this far; so must all that is taken while they are in
/// use.
const BOOT_REACH: u64 = 4 << 30;

/// Memory at boot.
pub struct Memory {
    /// All memory of the machine.
    pub ram: Ranges,
    free: Ranges,
    initramfs: PhysRange,
    command_line: PhysRange,
    /// The ACPI root pointer, if the loader gave one.
    pub rsdp: u64,
}

/// The one allocator; used by the boot CPU only, until `BootInfo` is made.
pub static MEMORY: Mutex<Memory> = Mutex::new(Memory {
    ram: Ranges::new(),
    free: Ranges::new(),
    initramfs: EMPTY,
    command_line: EMPTY,
    rsdp: 0,
});

const EMPTY: PhysRange = PhysRange { start: 0, end: 0 };

/// The loader's structures as the boot tables show them.
struct DirectMap;

impl MemMap for DirectMap {
    fn ptr(&self, address: usize, _layout: Layout) -> *const u8 {
        physical(address as u64).as_ptr()
    }
}

impl Memory {
    /// Reads the start info and copies what will be needed.
    ///
    /// # Safety
    /// `start_info` must be what the loader passed, and the boot tables in use.
    pub unsafe fn read(&mut self, start_info: u32) {
        // SAFETY: the caller's promise; PVH puts its structures below 4 GiB,
        // where the boot tables map them, and nothing has been overwritten yet.
        let info = unsafe { StartInfoReader::from_paddr(start_info, DirectMap) };
        let info = info.expect("the loader passed no PVH start info");
        let entries = info.memmap();
        assert!(!entries.is_empty(), "the loader passed no memory map");
        for entry in entries.iter().filter(|entry| entry.ty == RAM) {
            let end = entry.addr.saturating_add(entry.size).min(DIRECT_MAP_SIZE);
            self.ram.add(PhysRange {
                start: entry.addr,
                end,
            });
            self.free.add(PhysRange {
                start: entry.addr,
                end,
            });
        }
        self.rsdp = info.raw().rsdp_paddr;
        if let Some(module) = info.modlist().next() {
            let module = module.raw();
            self.initramfs = PhysRange {
                start: module.paddr,
                end: module.paddr + module.size,
            };
        }
        // It is memory, also where the map says that the firmware keeps something: QEMU's `microvm`
        // puts it over a reserved page. So it gets its place in the direct map.
        const PAGE: u64 = FRAME_SIZE as u64;
        self.ram.add(PhysRange {
            start: self.initramfs.start / PAGE * PAGE,
            end: self.initramfs.end.next_multiple_of(PAGE),
        });
        // The first MiB holds the firmware's data and the trampoline of `smp`.
        self.free.remove(PhysRange { start: 0, end: MIB });
        let image = image();
        self.free.remove(PhysRange {
            start: image.boot.start,
            end: image.data.end,
        });
        self.free.remove(self.initramfs);
        if let Some(text) = info.cmdline() {
            self.copy_command_line(text.to_bytes());
        }
    }

    /// Copies the command line into pages of its own.
    fn copy_command_line(&mut self, text: &[u8]) {
        // It may lie in free memory, and must not be copied over itself.
        let source = text.as_ptr() as usize - physical(0).addr().get();
        let source = PhysRange {
            start: source as u64,
            end: (source + text.len()) as u64,
        };
        self.free.remove(source);
        let text = &text[..text.len().min(FRAME_SIZE)];
        let page = self.allocate();
        // SAFETY: the page was just taken, has room for FRAME_SIZE bytes and is
        // mapped at `frame_ptr`; it does not overlap the text, whose pages are
        // not free.
        unsafe {
            frame_ptr(page)
                .as_ptr()
                .copy_from_nonoverlapping(text.as_ptr(), text.len());
        }
        self.command_line = PhysRange {
            start: page.address(),
            end: page.address() + text.len() as u64,
        };
    }

    /// Takes a zeroed frame for good.
    pub fn allocate(&mut self) -> Frame {
        let address = self
            .free
            .take_page(MIB)
            .filter(|&address| address < BOOT_REACH);
        let frame = Frame::containing(address.expect("not enough memory to boot"));
        // SAFETY: the page was just taken out of the free ones.
        unsafe { zero_page(frame_ptr(frame)) };
        frame
    }

    /// The initramfs. May be read only once the final tables are in use.
    pub fn initramfs(&self) -> &'static [u8] {
        bytes(self.initramfs)
    }

    /// The command line, up to the first byte that is not UTF-8.
    pub fn command_line(&self) -> &'static str {
        let text = bytes(self.command_line);
        match core::str::from_utf8(text) {
            Ok(text) => text,
            Err(error) => core::str::from_utf8(&text[..error.valid_up_to()]).unwrap_or_default(),
        }
    }

    /// Ends the allocator's life: everything that is still free, with the boot
    /// code's pages. Must be called on the kernel's own stack and tables.
    pub fn finish(&mut self) -> Ranges {
        self.free.add(image().boot);
        core::mem::replace(&mut self.free, Ranges::new())
    }
}

/// Physical memory that is never given to anyone else.
fn bytes(range: PhysRange) -> &'static [u8] {
    let length = (range.end - range.start) as usize;
    // SAFETY: only called for the initramfs and the command line, which are not
    // among the free ranges, are never written, and are mapped as all memory is.
    unsafe { core::slice::from_raw_parts(physical(range.start).as_ptr(), length) }
}
