//! Starting the other CPUs (Intel SDM vol. 3, 9.4): INIT, then a start-up
//! interrupt that names a page below 1 MiB, where the trampoline takes the CPU
//! from real mode to Rust.
//!
//! CPUs are started one after the other, so that one page and its data serve all.
//! A CPU takes a ticket first: one that wakes up after the boot CPU has given up
//! on it finds none and halts. Once up, each waits for its work in
//! [`wait_for_entry`].

use super::boot::memory::MEMORY;
use super::features::CR0;
use super::interrupts::idle;
use super::layout::{Stack, physical};
use super::topology::Topology;
use super::{apic, bring_up, paging, percpu, time};
use crate::arch::interface::{CpuId, MAX_CPUS, PhysRange};
use core::arch::global_asm;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering};
use spin::Once;
use x86_64::registers::control::Cr4Flags;
use x86_64::registers::model_specific::EferFlags;

/// Where the trampoline is copied: memory on every PC, and not used by the
/// firmware any more.
const TRAMPOLINE: u64 = 0x8000;
/// How long a CPU may take. Emulated ones share few real ones.
const PATIENCE: u64 = 5_000_000_000;

// Assembled as if at TRAMPOLINE; entered with CS = TRAMPOLINE / 16.
global_asm!(
    ".section .rodata.trampoline, \"a\"",
    ".code16",
    "trampoline_start:",
    "cli",
    "cld",
    "xorw %ax, %ax",
    "movw %ax, %ds",
    "xorl %eax, %eax",
    "xchgl %eax, {base} + trampoline_ticket - trampoline_start",
    "testl %eax, %eax",
    "jz 3f",
    "lgdtl {base} + 4f - trampoline_start",
    "movl ${cr4}, %eax",
    "movl %eax, %cr4",
    "movl {base} + trampoline_root - trampoline_start, %eax",
    "movl %eax, %cr3",
    "movl $0xc0000080, %ecx",
    "rdmsr",
    "orl ${efer}, %eax",
    "wrmsr",
    "movl ${cr0}, %eax",
    "movl %eax, %cr0",
    "ljmpl $8, ${base} + 2f - trampoline_start",
    "3: hlt",
    "jmp 3b",
    ".code64",
    "2:",
    "movw $16, %ax",
    "movw %ax, %ds",
    "movw %ax, %es",
    "movw %ax, %ss",
    "movq trampoline_stack(%rip), %rsp",
    "movq trampoline_index(%rip), %rdi",
    "xorl %ebp, %ebp",
    "movabsq ${entry}, %rax",
    "callq *%rax",
    "ud2",
    ".balign 8",
    "5: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff",
    "4: .word 23",
    ".long {base} + 5b - trampoline_start",
    ".balign 8",
    "trampoline_root: .quad 0",
    "trampoline_stack: .quad 0",
    "trampoline_index: .quad 0",
    "trampoline_ticket: .quad 0",
    "trampoline_end:",
    ".text",
    base = const TRAMPOLINE,
    cr4 = const Cr4Flags::PHYSICAL_ADDRESS_EXTENSION.bits(),
    efer = const EferFlags::LONG_MODE_ENABLE.union(EferFlags::NO_EXECUTE_ENABLE).bits(),
    cr0 = const CR0,
    entry = sym started,
    options(att_syntax),
);

unsafe extern "C" {
    static trampoline_start: u8;
    static trampoline_root: u8;
    static trampoline_stack: u8;
    static trampoline_index: u8;
    static trampoline_ticket: u8;
    static trampoline_end: u8;
}

/// The trampoline's copy, and the words in it.
struct Trampoline;

impl Trampoline {
    /// Copies the code to its page.
    fn place() -> Option<Trampoline> {
        let range = PhysRange {
            start: TRAMPOLINE,
            end: TRAMPOLINE + 4096,
        };
        let memory = MEMORY.lock();
        let fits = |r: &PhysRange| r.start <= range.start && range.end <= r.end;
        if !memory.ram.as_slice().iter().any(fits) {
            return None;
        }
        // SAFETY: the page is memory, mapped, and in the first MiB, which
        // nothing else uses; the symbols enclose less than a page.
        unsafe {
            let start = &raw const trampoline_start;
            let size = (&raw const trampoline_end).offset_from_unsigned(start);
            physical(TRAMPOLINE)
                .as_ptr()
                .copy_from_nonoverlapping(start, size);
        }
        Some(Trampoline)
    }

    fn word(&self, symbol: *const u8) -> &AtomicU64 {
        // SAFETY: `symbol` is one of the aligned words in the trampoline, so the
        // same offset in the copy is too; all access to the copy is atomic.
        unsafe {
            let offset = symbol.offset_from_unsigned(&raw const trampoline_start);
            physical(TRAMPOLINE)
                .add(offset)
                .cast::<AtomicU64>()
                .as_ref()
        }
    }
}

/// Starts all other CPUs. Each counts itself when it is ready; the index of one
/// that does not come is used for the next.
pub fn start(topology: &Topology) {
    let boot_id = percpu::apic_id(CpuId(0));
    let others = || topology.cpus().iter().filter(|id| Some(**id) != boot_id);
    if others().next().is_none() {
        return;
    }
    let Some(trampoline) = Trampoline::place() else {
        log::error!("no memory for the trampoline: using one CPU");
        return;
    };
    let root = paging::trampoline_root(&mut MEMORY.lock(), TRAMPOLINE);
    trampoline
        .word(&raw const trampoline_root)
        .store(root.address(), Ordering::Relaxed);
    let mut stacks = percpu::cpu_count();
    // The boot CPU is one of those that the kernel can use.
    for &id in others().take(MAX_CPUS - 1) {
        let index = percpu::cpu_count();
        percpu::set_apic_id(index, id);
        if index == stacks {
            paging::map_stacks(&mut MEMORY.lock(), index);
            stacks += 1;
        }
        if !start_one(&trampoline, id, index) {
            log::error!("the CPU with APIC id {id} does not start");
        }
    }
}

fn start_one(trampoline: &Trampoline, id: u32, index: usize) -> bool {
    let stack = Stack::Kernel.top(index) as u64;
    trampoline
        .word(&raw const trampoline_stack)
        .store(stack, Ordering::Relaxed);
    trampoline
        .word(&raw const trampoline_index)
        .store(index as u64, Ordering::Relaxed);
    let ticket = trampoline.word(&raw const trampoline_ticket);
    // `Release`: the words above come with the ticket.
    ticket.store(1, Ordering::Release);
    let taken = || ticket.load(Ordering::Acquire) == 0;

    apic::send_init(id);
    // The manual's wait (9.4.4.1).
    time::wait(10_000_000);
    apic::send_start_up(id, TRAMPOLINE);
    wait_until(taken, 200_000);
    if !taken() {
        // The manual's second try; a CPU that has started ignores it.
        apic::send_start_up(id, TRAMPOLINE);
        wait_until(taken, PATIENCE);
    }
    if ticket.swap(0, Ordering::AcqRel) != 0 {
        return false;
    }
    // The CPU is on its way, and nothing can stop it any more.
    time::lead(|| percpu::cpu_count() > index);
    true
}

fn wait_until(done: impl Fn() -> bool, patience: u64) {
    let end = time::clock() + patience;
    while !done() && time::clock() < end {
        spin_loop();
    }
}

/// The first Rust code of a CPU that was started.
extern "C" fn started(index: usize) -> ! {
    // SAFETY: this CPU alone was given the index, and does this first.
    unsafe { bring_up::descriptors(index) };
    bring_up::features();
    // Leaves the tables that map the trampoline.
    paging::load_kernel_root();
    apic::init();
    time::follow();
    percpu::count_up();
    wait_for_entry()
}

/// What all CPUs but the first are to do.
static ENTRY: Once<fn() -> !> = Once::new();

/// Halts until [`start_cpus`] is called.
fn wait_for_entry() -> ! {
    loop {
        if let Some(entry) = ENTRY.get() {
            entry();
        }
        // The IPI that follows the entry ends this halt, or is pending already.
        idle();
    }
}

/// Makes every CPU but the calling one call `entry`. Once, by the boot CPU.
pub fn start_cpus(entry: fn() -> !) {
    ENTRY.call_once(|| entry);
    for index in 1..percpu::cpu_count() {
        apic::send_ipi(CpuId(index));
    }
}
