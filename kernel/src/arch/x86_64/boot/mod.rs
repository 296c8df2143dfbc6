//! From the first Rust code to the kernel proper, on the boot CPU.
//!
//! `entry` comes from the loader, `pvh` and `multiboot2` read what it hands over (`handover`).
//!
//! On the boot tables: this CPU's descriptors, serial ports, what the loader and
//! ACPI say, the final tables. Then on those, and on the CPU's own stack:
//! interrupt controllers, time, the other CPUs.

mod entry;
pub mod handover;
pub mod memory;
mod multiboot2;
mod pvh;

use self::memory::MEMORY;
use super::layout::Stack;
use super::ranges::Ranges;
use super::topology::Topology;
use super::{apic, bring_up, features, pages, paging, percpu, rtc, serial, smp, time};
use crate::arch::frame::{FRAME_SIZE, Frame};
use crate::arch::interface::{BootInfo, PhysRange};
use crate::arch::upward::{kernel_log, kernel_start};
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};
use spin::Once;

static TOPOLOGY: Once<Topology> = Once::new();
static FREE: Once<Ranges> = Once::new();
/// UNIX nanoseconds at clock 0.
static WALL_CLOCK: AtomicU64 = AtomicU64::new(0);

/// Comes from `entry`, on the boot tables and the boot stack.
///
/// # Safety
/// Only `entry` may call this, with what the loader passed, and the number of its protocol.
pub unsafe extern "C" fn enter(info: u32, protocol: u32) -> ! {
    // SAFETY: this is the boot CPU's first call.
    unsafe { bring_up::descriptors(0) };
    serial::init();
    kernel_log();
    features::detect();
    bring_up::features();
    pages::init();
    let root = {
        let mut memory = MEMORY.lock();
        // SAFETY: the boot tables are in use, and `info` is the loader's.
        memory.adopt(unsafe {
            match protocol {
                pvh::PROTOCOL => pvh::read(info),
                multiboot2::PROTOCOL => multiboot2::read(info),
                _ => panic!("an unknown loader, {protocol:#x}"),
            }
        });
        // SAFETY: the boot tables are in use, and the address is the loader's.
        TOPOLOGY.call_once(|| unsafe { Topology::read(memory.rsdp) });
        let root = paging::build(&mut memory);
        paging::map_stacks(&mut memory, 0);
        root
    };
    // SAFETY: nothing on the boot stack is used any more.
    unsafe { leave_boot_tables(root) }
}

/// # Safety
/// `root` must be the complete kernel root; nothing may refer to the boot stack.
unsafe fn leave_boot_tables(root: Frame) -> ! {
    // SAFETY: the root maps the image where it is now, and the new stack.
    unsafe {
        asm!(
            "mov cr3, {root}",
            "mov rsp, {stack}",
            "xor ebp, ebp",
            "call {next}",
            "ud2",
            root = in(reg) root.address(),
            stack = in(reg) Stack::Kernel.top(0),
            next = sym on_kernel_stack,
            options(noreturn)
        )
    }
}

extern "C" fn on_kernel_stack() -> ! {
    let topology = TOPOLOGY.call_once(|| unreachable!("the tables were read before"));
    apic::mask_legacy();
    apic::find(topology);
    let id = apic::init();
    percpu::set_apic_id(0, id);
    percpu::count_up();
    time::calibrate();
    let now = rtc::seconds() * 1_000_000_000;
    WALL_CLOCK.store(now.saturating_sub(time::clock()), Ordering::Relaxed);
    smp::start(topology);
    apic::route_console(topology, id);
    kernel_start(info())
}

fn info() -> BootInfo {
    let mut memory = MEMORY.lock();
    let free = FREE.call_once(|| memory.finish()).as_slice();
    let end = memory
        .ram
        .as_slice()
        .last()
        .map_or(0, |range: &PhysRange| range.end);
    BootInfo {
        free,
        initramfs: memory.initramfs(),
        command_line: memory.command_line(),
        frames: (end / FRAME_SIZE as u64) as usize,
    }
}

/// UNIX time in nanoseconds when `clock` was 0.
pub fn wall_clock_offset() -> u64 {
    WALL_CLOCK.load(Ordering::Relaxed)
}
