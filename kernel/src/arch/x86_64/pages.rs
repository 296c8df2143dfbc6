//! Copying and zeroing whole pages, which is half of what a COW fault and a first touch are.
//!
//! Two ways, of which the machine is given one at boot:
//!
//! * **String instructions** (`rep movsq`, `rep stosq`), in which the CPU moves whole cache lines
//!   where it has fast strings. They do not touch the vector registers.
//! * **Vectors** of 32 bytes, for CPUs that have AVX and do not claim fast strings (ERMS, FSRM), and
//!   for QEMU's emulator, which claims them but runs a string instruction as a loop of words.
//!
//! In the kernel the vector registers hold a program's values (`fpu.rs`). The vector way puts the
//! few that it uses aside and back again. Nothing comes in between: interrupts are masked, and what
//! is not ends in a panic. A 32-byte move zeroes the bits of a register above them, so the vectors
//! are not used where XCR0 has wider registers (AVX-512).

use super::features::{Features, cpuid};
use super::fpu;
use crate::arch::frame::FRAME_SIZE;
use core::arch::asm;
use core::arch::x86_64::__cpuid;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

/// Whether pages are moved by vectors. Relaxed: it is set before the other CPUs run.
static BY_VECTORS: AtomicBool = AtomicBool::new(false);

/// Bytes that a turn of the loops moves.
const STRIDE: usize = 256;
const _: () = assert!(FRAME_SIZE.is_multiple_of(STRIDE));

/// Chooses, when the FPU's components are on.
pub fn init() {
    let [_, seven_b, _, seven_d] = cpuid(7, 0);
    let fast_strings = seven_b & 1 << 9 != 0 || seven_d & 1 << 4 != 0;
    let vectors = Features::get().contains(Features::XSAVE) && fpu::widest_is_avx();
    BY_VECTORS.store(
        vectors && (!fast_strings || is_emulated()),
        Ordering::Relaxed,
    );
}

/// Whether the CPU is played by QEMU's emulator, TCG.
fn is_emulated() -> bool {
    // It is not below the CPU's own highest leaf, so `features::cpuid` does not know it.
    let signature = __cpuid(0x4000_0000);
    Features::get().contains(Features::HYPERVISOR)
        && [signature.ebx, signature.ecx, signature.edx].map(u32::to_le_bytes)
            == [*b"TCGT", *b"CGTC", *b"GTCG"]
}

/// How pages are copied and zeroed, for the log.
pub fn page_moves() -> &'static str {
    match BY_VECTORS.load(Ordering::Relaxed) {
        true => "vectors",
        false => "strings",
    }
}

/// Copies a page.
///
/// # Safety
/// Both must be the start of frames at `frame_ptr`, which the caller holds: `dst`
/// alone.
pub unsafe fn copy_page(dst: NonNull<u8>, src: NonNull<u8>) {
    let (dst, src) = (dst.as_ptr(), src.as_ptr());
    // SAFETY: the caller's promise is that of both; they write the one frame and read the other.
    unsafe {
        if BY_VECTORS.load(Ordering::Relaxed) {
            copy_by_vectors(dst, src);
        } else {
            copy_by_strings(dst, src);
        }
    }
}

/// Zeroes a page.
///
/// # Safety
/// `dst` must be the start of a frame at `frame_ptr` that the caller holds alone.
pub unsafe fn zero_page(dst: NonNull<u8>) {
    let dst = dst.as_ptr();
    // SAFETY: the caller's promise is that of both; they write the one frame.
    unsafe {
        if BY_VECTORS.load(Ordering::Relaxed) {
            zero_by_vectors(dst);
        } else {
            zero_by_strings(dst);
        }
    }
}

/// 8 bytes at a time: emulators run byte-wise string instructions a byte at a time, and CPUs are as
/// fast either way.
unsafe fn copy_by_strings(dst: *mut u8, src: *const u8) {
    // SAFETY: a count of 512 words is the whole of both frames.
    unsafe {
        asm!(
            "rep movsq",
            inout("rcx") FRAME_SIZE / 8 => _,
            inout("rdi") dst => _,
            inout("rsi") src => _,
            options(nostack, preserves_flags)
        );
    }
}

unsafe fn zero_by_strings(dst: *mut u8) {
    // SAFETY: a count of 512 words is the whole of the frame.
    unsafe {
        asm!(
            "rep stosq",
            inout("rcx") FRAME_SIZE / 8 => _,
            inout("rdi") dst => _,
            in("rax") 0,
            options(nostack, preserves_flags)
        );
    }
}

/// Where vector registers are put aside.
#[repr(C, align(32))]
struct Aside([[u64; 4]; 4]);

unsafe fn copy_by_vectors(dst: *mut u8, src: *const u8) {
    let mut aside = MaybeUninit::<Aside>::uninit();
    // SAFETY: `init` has seen that AVX is on and nothing wider. The offset goes through both frames
    // from their start to their end. The registers are left as they were found, all their bits,
    // so that the compiler, which uses none, need not know of them.
    unsafe {
        asm!(
            "vmovdqa [{aside}], ymm0",
            "vmovdqa [{aside} + 32], ymm1",
            "vmovdqa [{aside} + 64], ymm2",
            "vmovdqa [{aside} + 96], ymm3",
            "2:",
            "vmovdqa ymm0, [{src}]",
            "vmovdqa ymm1, [{src} + 32]",
            "vmovdqa ymm2, [{src} + 64]",
            "vmovdqa ymm3, [{src} + 96]",
            "vmovdqa [{dst}], ymm0",
            "vmovdqa [{dst} + 32], ymm1",
            "vmovdqa [{dst} + 64], ymm2",
            "vmovdqa [{dst} + 96], ymm3",
            "vmovdqa ymm0, [{src} + 128]",
            "vmovdqa ymm1, [{src} + 160]",
            "vmovdqa ymm2, [{src} + 192]",
            "vmovdqa ymm3, [{src} + 224]",
            "vmovdqa [{dst} + 128], ymm0",
            "vmovdqa [{dst} + 160], ymm1",
            "vmovdqa [{dst} + 192], ymm2",
            "vmovdqa [{dst} + 224], ymm3",
            "add {src}, {STRIDE}",
            "add {dst}, {STRIDE}",
            "sub {turns:e}, 1",
            "jnz 2b",
            "vmovdqa ymm0, [{aside}]",
            "vmovdqa ymm1, [{aside} + 32]",
            "vmovdqa ymm2, [{aside} + 64]",
            "vmovdqa ymm3, [{aside} + 96]",
            aside = in(reg) aside.as_mut_ptr(),
            src = inout(reg) src => _,
            dst = inout(reg) dst => _,
            turns = inout(reg) FRAME_SIZE / STRIDE => _,
            STRIDE = const STRIDE,
            options(nostack)
        );
    }
}

unsafe fn zero_by_vectors(dst: *mut u8) {
    let mut aside = MaybeUninit::<Aside>::uninit();
    // SAFETY: as in `copy_by_vectors`.
    unsafe {
        asm!(
            "vmovdqa [{aside}], ymm0",
            "vpxor xmm0, xmm0, xmm0",
            "2:",
            "vmovdqa [{dst}], ymm0",
            "vmovdqa [{dst} + 32], ymm0",
            "vmovdqa [{dst} + 64], ymm0",
            "vmovdqa [{dst} + 96], ymm0",
            "vmovdqa [{dst} + 128], ymm0",
            "vmovdqa [{dst} + 160], ymm0",
            "vmovdqa [{dst} + 192], ymm0",
            "vmovdqa [{dst} + 224], ymm0",
            "add {dst}, {STRIDE}",
            "sub {turns:e}, 1",
            "jnz 2b",
            "vmovdqa ymm0, [{aside}]",
            aside = in(reg) aside.as_mut_ptr(),
            dst = inout(reg) dst => _,
            turns = inout(reg) FRAME_SIZE / STRIDE => _,
            STRIDE = const STRIDE,
            options(nostack)
        );
    }
}
