//! What each CPU has for itself, found through the GS base.
//!
//! In the kernel the GS base points to the CPU's [`PerCpu`]; `swapgs` changes it
//! for the user's at each entry and exit. Apart from the atomics, only the CPU itself
//! touches its fields, with interrupts masked, and never across a call that could
//! move to another CPU (kernel code between two awaits stays on one).

use super::layout::Stack;
use super::registers::TrapFrame;
use crate::arch::interface::{CpuId, MAX_CPUS};
use core::arch::asm;
use core::cell::{Cell, UnsafeCell};
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use x86_64::instructions::tables::load_tss;
use x86_64::registers::model_specific::{GsBase, KernelGsBase};
use x86_64::registers::segmentation::{CS, DS, ES, FS, GS, SS, Segment};
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::tss::TaskStateSegment;
use x86_64::{PrivilegeLevel, VirtAddr};

/// One CPU's own data.
#[repr(C, align(128))]
pub struct PerCpu {
    /// The address of this structure.
    this: Cell<usize>,
    /// Where `user_entry::enter_user` left the kernel's stack.
    kernel_stack: Cell<u64>,
    /// Where the registers of the program in user mode go; RSP0 is its end.
    frame: Cell<*mut TrapFrame>,
    /// Keeps the user's stack pointer for three instructions of the system-call
    /// entry.
    scratch: Cell<u64>,
    /// Which CPU this is.
    id: Cell<usize>,
    /// The stamp of the user context whose segments are in the registers.
    pub segments: Cell<u64>,
    /// The stamp of the FPU state that is in the registers.
    pub fpu: Cell<u64>,
    /// Where that state goes at the end of the poll in which it was loaded; null: nowhere.
    pub fpu_area: Cell<*mut u8>,
    /// The last stamp given out here.
    last_stamp: Cell<u64>,
    /// Added to this CPU's TSC to get the boot CPU's; see `time`.
    pub tsc_offset: Cell<u64>,
    tss: UnsafeCell<TaskStateSegment>,
    gdt: UnsafeCell<GlobalDescriptorTable<10>>,
    /// The local APIC's id, written before the CPU is counted in [`COUNT`].
    apic_id: AtomicU32,
}

// SAFETY: the cells are used by their own CPU only (the module's rule), the rest
// is atomic.
unsafe impl Sync for PerCpu {}

/// Offsets for the assembly.
pub const KERNEL_STACK: usize = offset_of!(PerCpu, kernel_stack);
/// As [`KERNEL_STACK`].
pub const SCRATCH: usize = offset_of!(PerCpu, scratch);
/// As [`KERNEL_STACK`].
pub const FRAME: usize = offset_of!(PerCpu, frame);

/// The selectors. SYSCALL and SYSRET want the code and stack segments of each ring in this order
/// (Intel SDM vol. 3, 5.8.8). Programs see those of user mode, and some compare them with Linux's
/// numbers (0x33 and 0x2b), so all are where Linux has them; what it has for 32-bit programs is left
/// out.
pub const KERNEL_CODE: SegmentSelector = SegmentSelector::new(2, PrivilegeLevel::Ring0);
/// The stack segment of the kernel.
pub const KERNEL_DATA: SegmentSelector = SegmentSelector::new(3, PrivilegeLevel::Ring0);
/// The stack segment of user mode.
pub const USER_DATA: SegmentSelector = SegmentSelector::new(5, PrivilegeLevel::Ring3);
/// The code segment of user mode.
pub const USER_CODE: SegmentSelector = SegmentSelector::new(6, PrivilegeLevel::Ring3);
const TASK: SegmentSelector = SegmentSelector::new(8, PrivilegeLevel::Ring0);

/// Indices in the interrupt stack table.
pub const IST_NMI: u16 = 0;
/// As [`IST_NMI`].
pub const IST_DOUBLE_FAULT: u16 = 1;
/// As [`IST_NMI`].
pub const IST_MACHINE_CHECK: u16 = 2;

static CPUS: [PerCpu; MAX_CPUS] = [const { PerCpu::new() }; MAX_CPUS];
static COUNT: AtomicUsize = AtomicUsize::new(0);

impl PerCpu {
    const fn new() -> PerCpu {
        PerCpu {
            this: Cell::new(0),
            kernel_stack: Cell::new(0),
            frame: Cell::new(ptr::null_mut()),
            scratch: Cell::new(0),
            id: Cell::new(0),
            segments: Cell::new(0),
            fpu: Cell::new(0),
            fpu_area: Cell::new(ptr::null_mut()),
            last_stamp: Cell::new(0),
            tsc_offset: Cell::new(0),
            tss: UnsafeCell::new(TaskStateSegment::new()),
            gdt: UnsafeCell::new(GlobalDescriptorTable::empty()),
            apic_id: AtomicU32::new(0),
        }
    }

    /// A number that no CPU has given out before, and not 0. Code that keeps it
    /// beside a state that was loaded into registers can tell later whether the
    /// state is still there.
    pub fn stamp(&self) -> u64 {
        let next = self.last_stamp.get() + MAX_CPUS as u64;
        self.last_stamp.set(next);
        next
    }

    /// Sets where the next trap from user mode leaves the registers.
    pub fn set_frame(&self, frame: *mut TrapFrame) {
        self.frame.set(frame);
        let top = VirtAddr::from_ptr(frame.wrapping_add(1));
        // SAFETY: only this CPU uses its TSS, in user mode; the field is not
        // aligned, so it is written through a raw pointer.
        unsafe {
            (&raw mut (*self.tss.get()).privilege_stack_table[0]).write_unaligned(top);
        }
    }
}

/// This CPU's data.
#[inline(always)]
pub fn this() -> &'static PerCpu {
    let this: *const PerCpu;
    // SAFETY: `init` has set the GS base and the first word (its own address)
    // before anything else ran on this CPU; nothing changes them.
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) this, options(pure, readonly, nostack, preserves_flags));
        &*this
    }
}

/// The CPU that this runs on.
#[inline]
pub fn cpu() -> CpuId {
    CpuId(this().id.get())
}

/// How many CPUs run.
pub fn cpu_count() -> usize {
    COUNT.load(Ordering::Acquire)
}

/// Counts one CPU more. `Release` pairs with `cpu_count`: its data is complete.
pub fn count_up() {
    COUNT.fetch_add(1, Ordering::Release);
}

/// The local APIC's id of a running CPU.
pub fn apic_id(cpu: CpuId) -> Option<u32> {
    let known = cpu.0 < cpu_count();
    known.then(|| CPUS[cpu.0].apic_id.load(Ordering::Relaxed))
}

/// Notes the APIC id of the CPU that will have this index.
pub fn set_apic_id(index: usize, id: u32) {
    CPUS[index].apic_id.store(id, Ordering::Relaxed);
}

/// Finds this CPU's data again when the GS base cannot be trusted: a fatal
/// exception may come with the user's in place. The stack tells which CPU it is.
pub fn recover() {
    let here = 0u8;
    let cpu = Stack::containing(&raw const here as usize).map_or(0, |(cpu, _)| cpu);
    GsBase::write(VirtAddr::from_ptr(&raw const CPUS[cpu]));
}

/// Makes this CPU the one with the index: its descriptors and stacks. The first thing that a CPU
/// does in Rust.
///
/// # Safety
/// No other CPU may have this index, and it must be this CPU's first call.
pub unsafe fn init(index: usize) {
    let cpu = &CPUS[index];
    cpu.this.set(&raw const *cpu as usize);
    cpu.id.set(index);
    cpu.last_stamp.set(index as u64);
    // Stamps that no state has: the registers hold the state of no thread.
    cpu.segments.set(cpu.stamp());
    cpu.fpu.set(cpu.stamp());

    let mut tss = TaskStateSegment::new();
    for (slot, stack) in [
        (IST_NMI, Stack::Nmi),
        (IST_DOUBLE_FAULT, Stack::DoubleFault),
        (IST_MACHINE_CHECK, Stack::MachineCheck),
    ] {
        tss.interrupt_stack_table[slot as usize] = VirtAddr::new(stack.top(index) as u64);
    }
    let mut gdt = GlobalDescriptorTable::empty();
    let unused = || Descriptor::UserSegment(0);
    // SAFETY: the TSS is in a static, at its place for good.
    let task = unsafe { Descriptor::tss_segment_unchecked(cpu.tss.get()) };
    for (descriptor, selector) in [
        (unused(), None),
        (Descriptor::kernel_code_segment(), Some(KERNEL_CODE)),
        (Descriptor::kernel_data_segment(), Some(KERNEL_DATA)),
        (unused(), None),
        (Descriptor::user_data_segment(), Some(USER_DATA)),
        (Descriptor::user_code_segment(), Some(USER_CODE)),
        (unused(), None),
        (task, Some(TASK)),
    ] {
        let place = gdt.append(descriptor);
        debug_assert!(selector.is_none_or(|selector| selector == place));
    }

    // SAFETY: the caller promises that only this CPU uses this entry and that
    // neither table is loaded yet. The selectors are those of the table just
    // filled: the order above.
    unsafe {
        cpu.tss.get().write(tss);
        cpu.gdt.get().write(gdt);
        (*cpu.gdt.get()).load_unsafe();
        CS::set_reg(KERNEL_CODE);
        SS::set_reg(KERNEL_DATA);
        DS::set_reg(SegmentSelector::NULL);
        ES::set_reg(SegmentSelector::NULL);
        FS::set_reg(SegmentSelector::NULL);
        GS::set_reg(SegmentSelector::NULL);
        load_tss(TASK);
    }
    GsBase::write(VirtAddr::from_ptr(cpu));
    KernelGsBase::write(VirtAddr::zero());
}
