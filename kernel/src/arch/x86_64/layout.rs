//! Where things are in the kernel's half of every address space.
//!
//! | PML4 slot | what | mapped |
//! |---|---|---|
//! | 256..288 | all physical memory, at [`DIRECT_MAP`] | writable (but for the image's code and constants), no execute, global |
//! | 384 | the kernel's heap, filled by `map_kernel` | writable, no execute, global |
//! | 385 | stacks with guard pages, then device registers | writable, no execute, global |
//! | 511 | the kernel image, at [`KERNEL_BASE`] | by section: no page both writable and executable |
//!
//! The tables below these slots exist from the start, so the upper half of a root
//! is copied once, when the root is made, and never changes. The image's code and
//! constants are in the direct map too, and cannot be written there either.

use crate::arch::frame::Frame;
use crate::arch::interface::{MAX_CPUS, PhysRange};
use core::ptr::NonNull;

/// Physical address 0 in the kernel's half.
pub const DIRECT_MAP: usize = 0xffff_8000_0000_0000;
/// What the direct map can hold: 32 bits of frame numbers.
pub const DIRECT_MAP_SIZE: u64 = 1 << 44;
/// The kernel's heap: 512 GiB of addresses.
pub const HEAP: usize = 0xffff_c000_0000_0000;
/// The stacks of all CPUs.
pub const STACKS: usize = 0xffff_c080_0000_0000;
/// Device registers.
pub const DEVICES: usize = STACKS + (1 << 38);
/// The image's link address is this much above its physical address.
pub const KERNEL_BASE: usize = 0xffff_ffff_8000_0000;
/// Bytes of address space for one CPU's stacks.
pub const CPU_STACKS: usize = 256 * 1024;
const _: () = assert!(STACKS + MAX_CPUS * CPU_STACKS <= DEVICES);

/// One of the stacks of a CPU. Below each lies a page that is not mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stack {
    /// Where the kernel runs.
    Kernel,
    /// Where the non-maskable interrupt is taken.
    Nmi,
    /// Where a double fault is taken: the kernel stack may have run over.
    DoubleFault,
    /// Where a machine check is taken.
    MachineCheck,
}

impl Stack {
    /// All of them.
    pub const ALL: [Stack; 4] = [
        Stack::Kernel,
        Stack::Nmi,
        Stack::DoubleFault,
        Stack::MachineCheck,
    ];

    /// Offset of the lowest byte in the CPU's window, and the size.
    const fn place(self) -> (usize, usize) {
        match self {
            Stack::Kernel => (0x1000, 0x1_0000),
            Stack::Nmi => (0x1_2000, 0x1000),
            Stack::DoubleFault => (0x1_4000, 0x4000),
            Stack::MachineCheck => (0x1_9000, 0x4000),
        }
    }

    /// The lowest address of this stack of the CPU with this index.
    pub const fn bottom(self, cpu: usize) -> usize {
        STACKS + cpu * CPU_STACKS + self.place().0
    }

    /// One past the highest address.
    pub const fn top(self, cpu: usize) -> usize {
        self.bottom(cpu) + self.place().1
    }

    /// The stack that `address` lies on, and the index of its CPU.
    pub fn containing(address: usize) -> Option<(usize, Stack)> {
        let cpu = address.checked_sub(STACKS)? / CPU_STACKS;
        if cpu >= MAX_CPUS {
            return None;
        }
        Stack::ALL
            .into_iter()
            .find(|stack| (stack.bottom(cpu)..stack.top(cpu)).contains(&address))
            .map(|stack| (cpu, stack))
    }
}

/// Where the kernel can read and write `frame`, which must be memory.
pub fn frame_ptr(frame: Frame) -> NonNull<u8> {
    physical(frame.address())
}

/// The frame that [`frame_ptr`] has given a pointer to.
pub fn frame_at(pointer: NonNull<u8>) -> Frame {
    Frame::containing((pointer.addr().get() - DIRECT_MAP) as u64)
}

/// Called before an access to a table, where the simulated machine may switch CPUs. Nothing here.
#[inline(always)]
pub fn scheduling_point() {}

/// Where the kernel can read and write physical memory at `address`.
pub fn physical(address: u64) -> NonNull<u8> {
    debug_assert!(address < DIRECT_MAP_SIZE);
    // SAFETY: DIRECT_MAP is not null, and adding at most DIRECT_MAP_SIZE does not
    // wrap.
    unsafe { NonNull::new_unchecked((DIRECT_MAP + address as usize) as *mut u8) }
}

/// The physical pages of the parts of the image.
pub struct Image {
    /// Code and tables that only the way into Rust uses.
    pub boot: PhysRange,
    /// Code.
    pub text: PhysRange,
    /// Constants.
    pub rodata: PhysRange,
    /// Variables.
    pub data: PhysRange,
}

/// Reads the linker's symbols.
pub fn image() -> Image {
    unsafe extern "C" {
        static __boot_start: u8;
        static __boot_end: u8;
        static __text_start: u8;
        static __text_end: u8;
        static __rodata_end: u8;
        static __image_end: u8;
    }
    // The linker script defines all of these; only their addresses are taken.
    let [boot, boot_end, text, text_end, rodata_end, end] = [
        &raw const __boot_start,
        &raw const __boot_end,
        &raw const __text_start,
        &raw const __text_end,
        &raw const __rodata_end,
        &raw const __image_end,
    ]
    .map(|symbol| {
        let address = symbol as usize;
        // Only `.boot` is linked at its physical place.
        address.checked_sub(KERNEL_BASE).unwrap_or(address) as u64
    });
    let range = |start, end| PhysRange { start, end };
    Image {
        boot: range(boot, boot_end),
        text: range(text, text_end),
        rodata: range(text_end, rodata_end),
        data: range(rodata_end, end),
    }
}
