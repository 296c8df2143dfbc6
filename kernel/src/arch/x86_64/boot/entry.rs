//! From a loader's entry point (32-bit, paging off) into Rust, on tables that map the first 4 GiB.
//! PVH and multiboot2 leave the CPU in the same state; they differ in what they hand over.
//!
//! Everything here is linked at its physical place and used once. The boot tables
//! map the first 4 GiB at 0 (this code) and at the direct map's place (the code
//! that builds the real tables), and the first 1 GiB at the image's place.

use crate::arch::x86_64::features::CR0;
use core::arch::naked_asm;
use core::cell::UnsafeCell;
use x86_64::registers::control::Cr4Flags;
use x86_64::registers::model_specific::EferFlags;

/// Zeroed memory of the boot code, page-aligned.
#[repr(C, align(4096))]
struct Pages<const N: usize>(UnsafeCell<[[u64; 512]; N]>);

// SAFETY: only the assembly below touches it, while one CPU runs.
unsafe impl<const N: usize> Sync for Pages<N> {}

impl<const N: usize> Pages<N> {
    const fn new() -> Self {
        Pages(UnsafeCell::new([[0; 512]; N]))
    }
}

const STACK_PAGES: usize = 8;

#[unsafe(link_section = ".bss.boot")]
static PML4: Pages<1> = Pages::new();
#[unsafe(link_section = ".bss.boot")]
static LOW_PDPT: Pages<1> = Pages::new();
#[unsafe(link_section = ".bss.boot")]
static HIGH_PDPT: Pages<1> = Pages::new();
#[unsafe(link_section = ".bss.boot")]
static DIRECTORIES: Pages<4> = Pages::new();
#[unsafe(link_section = ".bss.boot")]
static STACK: Pages<STACK_PAGES> = Pages::new();

/// A flat 64-bit code segment and a data segment.
#[unsafe(link_section = ".boot.text")]
static GDT: [u64; 3] = [0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff];

const EFER: u32 = 0xc000_0080;
const TABLE: u32 = 0b11; // present, writable
const LARGE: u32 = 0b1000_0011; // present, writable, 2 MiB

/// `ebx` holds the physical address of what the loader hands over, `esi` the number that tells
/// its protocol.
///
/// # Safety
/// Only the entry point of a protocol may jump here.
#[unsafe(naked)]
#[unsafe(link_section = ".boot.text")]
pub(super) unsafe extern "C" fn start_32() -> ! {
    naked_asm!(
        ".code32",
        "cli",
        "cld",
        "mov esp, offset {stack}",
        "add esp, {stack_size}",
        // 4 directories of 2 MiB pages: the first 4 GiB.
        "xor ecx, ecx",
        "2:",
        "mov eax, ecx",
        "shl eax, 21",
        "or eax, {large}",
        "mov [{directories} + ecx * 8], eax",
        "inc ecx",
        "cmp ecx, 2048",
        "jne 2b",
        "mov eax, offset {directories}",
        "or eax, {table}",
        "mov [{high_pdpt} + 510 * 8], eax",
        "xor ecx, ecx",
        "3:",
        "mov [{low_pdpt} + ecx * 8], eax",
        "add eax, 4096",
        "inc ecx",
        "cmp ecx, 4",
        "jne 3b",
        "mov eax, offset {low_pdpt}",
        "or eax, {table}",
        "mov [{pml4}], eax",
        "mov [{pml4} + 256 * 8], eax",
        "mov eax, offset {high_pdpt}",
        "or eax, {table}",
        "mov [{pml4} + 511 * 8], eax",
        // Long mode (Intel SDM vol. 3, 10.8.5).
        "mov eax, {cr4}",
        "mov cr4, eax",
        "mov eax, offset {pml4}",
        "mov cr3, eax",
        "mov ecx, {efer}",
        "rdmsr",
        "or eax, {long_mode}",
        "wrmsr",
        "mov eax, {cr0}",
        "mov cr0, eax",
        "sub esp, 8",
        "mov word ptr [esp], 23",
        "mov dword ptr [esp + 2], offset {gdt}",
        "lgdt [esp]",
        "add esp, 8",
        "push 8",
        "mov eax, offset start_64",
        "push eax",
        "retf",
        ".code64",
        "start_64:",
        "mov eax, 16",
        "mov ds, eax",
        "mov es, eax",
        "mov ss, eax",
        "mov edi, ebx",
        "mov esi, esi",
        "xor ebp, ebp",
        "movabs rax, offset {rust}",
        "call rax",
        "ud2",
        stack = sym STACK,
        stack_size = const STACK_PAGES * 4096,
        directories = sym DIRECTORIES,
        low_pdpt = sym LOW_PDPT,
        high_pdpt = sym HIGH_PDPT,
        pml4 = sym PML4,
        gdt = sym GDT,
        large = const LARGE,
        table = const TABLE,
        efer = const EFER,
        cr4 = const Cr4Flags::PHYSICAL_ADDRESS_EXTENSION.bits(),
        long_mode = const EferFlags::LONG_MODE_ENABLE.bits(),
        cr0 = const CR0,
        rust = sym super::enter,
    )
}
