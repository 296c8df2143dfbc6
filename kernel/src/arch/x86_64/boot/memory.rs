//! What the loader tells about memory, and the allocator that serves until the
//! kernel has its own: it takes the lowest free page, and what it has not taken
//! is handed on in `BootInfo`.

use super::handover::{EMPTY, Handover};
use crate::arch::frame::{FRAME_SIZE, Frame};
use crate::arch::interface::PhysRange;
use crate::arch::x86_64::layout::{frame_ptr, image, physical};
use crate::arch::x86_64::pages::zero_page;
use crate::arch::x86_64::ranges::Ranges;
use spin::Mutex;

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

impl Memory {
    /// Takes over what the loader has handed over, and copies what will be needed. The loader's
    /// structures stay where they are.
    pub fn adopt(&mut self, handover: Handover) {
        assert!(
            !handover.ram.as_slice().is_empty(),
            "the loader passed no memory map"
        );
        for range in handover.ram.as_slice() {
            self.free.add(*range);
        }
        self.ram = handover.ram;
        self.rsdp = handover.rsdp;
        self.initramfs = handover.initramfs;
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
        self.free.remove(handover.structures);
        self.copy_command_line(handover.command_line);
    }

    /// Copies the command line into pages of its own.
    fn copy_command_line(&mut self, source: PhysRange) {
        // It may lie in free memory, and must not be copied over itself.
        self.free.remove(source);
        let text = bytes(source);
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
    // SAFETY: only called for the initramfs and the command line (the loader's and the copy), which
    // are not among the free ranges, are never written, and are mapped as all memory is.
    unsafe { core::slice::from_raw_parts(physical(range.start).as_ptr(), length) }
}
