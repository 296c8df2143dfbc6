//! The FPU registers of threads (x87, SSE, AVX, AVX-512).
//!
//! The kernel is compiled without them, so they hold a thread's values while the
//! kernel runs, and are saved only when the thread may go elsewhere. Each loading
//! gets a stamp (`PerCpu::stamp`), which is kept in the state and in the CPU:
//! when the two are equal, the registers hold this state, or what the program has
//! made of it since. A program never sees the values of another thread: a
//! thread enters user mode with its own state loaded.

use super::features::{Features, cpuid};
use super::percpu::{self, PerCpu};
use alloc::alloc::{alloc, alloc_zeroed, dealloc};
use core::alloc::Layout;
use core::arch::asm;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// XSAVE wants 64 (Intel SDM vol. 1, 13.4), FXSAVE 16.
const ALIGN: usize = 64;
/// The legacy area, which FXSAVE and XSAVE have in common.
pub(super) const LEGACY: usize = 512;
pub(super) const FCW: usize = 0;
pub(super) const MXCSR: usize = 24;
const MXCSR_MASK: usize = 28;
/// All exceptions masked; x87 with 64 bits of precision.
pub(super) const INITIAL_FCW: u16 = 0x37f;
const INITIAL_MXCSR: u32 = 0x1f80;
/// x87, SSE, AVX, the three parts of AVX-512.
const WANTED: u64 = 0b1110_0111;
pub(super) const X87_SSE: u64 = 0b11;
const AVX: u64 = 1 << 2;
const AVX512: u64 = 0b1110_0000;

/// How large a state is, and which components it has; set once at boot.
static SIZE: AtomicUsize = AtomicUsize::new(LEGACY);
pub(super) static COMPONENTS: AtomicU64 = AtomicU64::new(0);
/// The bits of MXCSR that may be set.
static MXCSR_BITS: AtomicU32 = AtomicU32::new(0);
/// Restoring a state leaves the pointers to the last x87 instruction and its operand as they were;
/// see [`pointers_stay`].
static POINTERS_STAY: AtomicBool = AtomicBool::new(false);

/// The bits of MXCSR that a program may set; the others make XRSTOR fault.
pub(super) fn mxcsr_mask() -> u32 {
    MXCSR_BITS.load(Ordering::Relaxed)
}

/// Turns the components on, on this CPU.
pub fn init() {
    note_mxcsr_mask();
    if Features::get().contains(Features::XSAVE) {
        turn_components_on();
    }
    POINTERS_STAY.store(pointers_stay(), Ordering::Relaxed);
}

fn turn_components_on() {
    let [low, _, _, high] = cpuid(0xd, 0);
    let mut components = (u64::from(high) << 32 | u64::from(low)) & WANTED;
    // AVX-512 is all or nothing, and needs AVX (Intel SDM vol. 1, 13.3).
    if components & AVX == 0 || components & AVX512 != AVX512 {
        components &= !AVX512;
    }
    components |= X87_SSE;
    // SAFETY: CR4.OSXSAVE is on; the components are supported and belong
    // together.
    unsafe {
        asm!(
            "xsetbv",
            in("ecx") 0,
            in("eax") components as u32,
            in("edx") (components >> 32) as u32,
            options(nostack, preserves_flags)
        );
    }
    // EBX is the size for the components that XCR0 has now.
    let [_, size, ..] = cpuid(0xd, 0);
    COMPONENTS.store(components, Ordering::Relaxed);
    SIZE.store(size as usize, Ordering::Relaxed);
}

/// Whether AVX is on, and nothing that has wider registers.
pub(super) fn widest_is_avx() -> bool {
    let components = COMPONENTS.load(Ordering::Relaxed);
    components & (AVX | AVX512) == AVX
}

/// An area for questions to the CPU: the legacy part and the header of XSAVE.
#[repr(align(64))]
struct Probe([u8; LEGACY + 64]);

/// Whether restoring a state leaves the x87 pointers of the one before: so do AMD's CPUs without
/// XSaveErPtr when no x87 exception is pending (AMD APM vol. 5, FXRSTOR), and QEMU's emulator. It is
/// tried out: an instruction with an operand, a state without either, and a look.
fn pointers_stay() -> bool {
    let mut area = Probe([0; LEGACY + 64]);
    area.0[FCW..FCW + 2].copy_from_slice(&INITIAL_FCW.to_le_bytes());
    area.0[MXCSR..MXCSR + 4].copy_from_slice(&INITIAL_MXCSR.to_le_bytes());
    area.0[LEGACY] = X87_SSE as u8;
    let operand = 1f64;
    // What FNSTENV stores (Intel SDM vol. 1, 8.1.10); the pointers are words 3 and 5.
    let mut environment = [0u32; 7];
    // SAFETY: the kernel and its compiler do not use these registers, and no thread's state is in
    // them yet. The area is valid: masked exceptions, and components that are on.
    unsafe {
        asm!("fninit", "fld qword ptr [{}]", in(reg) &raw const operand, options(nostack));
        restore(area.0.as_ptr(), X87_SSE);
        asm!("fnstenv [{}]", "fninit", in(reg) &raw mut environment, options(nostack));
    }
    environment[3] != 0 || environment[5] != 0
}

/// Loads the registers from an area.
///
/// # Safety
/// It must hold a state that the CPU accepts, with these components, as XSAVE or FXSAVE writes it.
unsafe fn restore(area: *const u8, components: u64) {
    let (low, high) = (components as u32, (components >> 32) as u32);
    // SAFETY: the caller's promise.
    unsafe {
        if Features::get().contains(Features::XSAVE) {
            asm!("xrstor64 [{}]", in(reg) area, in("eax") low, in("edx") high, options(nostack));
        } else {
            asm!("fxrstor64 [{}]", in(reg) area, options(nostack));
        }
    }
}

/// Asks for the bits of MXCSR (Intel SDM vol. 1, 11.6.6).
fn note_mxcsr_mask() {
    let mut area = Probe([0; LEGACY + 64]);
    // SAFETY: the area has FXSAVE's size and alignment; CR4.OSFXSR is on.
    unsafe { asm!("fxsave64 [{}]", in(reg) &raw mut area, options(nostack)) };
    let bytes = area.0.get(MXCSR_MASK..).and_then(|rest| rest.first_chunk());
    // Zero is the default of old.
    let mask = match bytes.copied().map_or(0, u32::from_le_bytes) {
        0 => 0xffbf,
        mask => mask,
    };
    MXCSR_BITS.store(mask, Ordering::Relaxed);
}

/// One thread's FPU registers, in the format of XSAVE (or FXSAVE).
pub struct FpuState {
    area: NonNull<u8>,
    /// Says on which CPU, if any, the state is in the registers; 0 is nowhere.
    stamp: u64,
}

// SAFETY: the area belongs to the value alone.
unsafe impl Send for FpuState {}

pub(super) fn image_layout() -> Layout {
    // SIZE does not change once there are states.
    Layout::from_size_align(SIZE.load(Ordering::Relaxed), ALIGN).unwrap_or(Layout::new::<u64>())
}

impl FpuState {
    /// The state of a new program, or `None` without memory for it.
    pub fn new() -> Option<FpuState> {
        // SAFETY: the layout's size is at least LEGACY.
        let area = NonNull::new(unsafe { alloc_zeroed(image_layout()) })?;
        let mut state = FpuState { area, stamp: 0 };
        state.set_initial_words();
        Some(state)
    }

    /// Makes this the state of a new program again.
    pub fn reset(&mut self) {
        self.unload();
        // SAFETY: the area has this size and is ours.
        unsafe { self.area.write_bytes(0, image_layout().size()) };
        self.set_initial_words();
    }

    /// The registers of this CPU, if they hold this state, hold it no longer. Called before the
    /// area changes or goes away.
    fn unload(&mut self) {
        let cpu = percpu::this();
        if self.stamp == cpu.fpu.get() {
            cpu.fpu_area.set(ptr::null_mut());
        }
        self.stamp = 0;
    }

    /// With all else zero, components are in their initial state.
    fn set_initial_words(&mut self) {
        // SAFETY: both words are inside of the legacy area.
        unsafe {
            self.area.add(FCW).cast::<u16>().write(INITIAL_FCW);
            self.area.add(MXCSR).cast::<u32>().write(INITIAL_MXCSR);
        }
    }

    /// Another state with the same values, or `None` without memory for it.
    pub fn copy(&mut self) -> Option<FpuState> {
        self.save_if_loaded();
        let layout = image_layout();
        // SAFETY: the layout's size is at least LEGACY.
        let area = NonNull::new(unsafe { alloc(layout) })?;
        // SAFETY: two areas of this size, the one fresh, the other ours and up to date.
        unsafe { area.copy_from_nonoverlapping(self.area, layout.size()) };
        Some(FpuState { area, stamp: 0 })
    }

    /// Brings the memory up to date if the registers hold this state. They go on
    /// holding it. To be called before the thread may run on another CPU, and
    /// before the state is copied or read.
    fn save_if_loaded(&mut self) {
        if self.stamp != percpu::this().fpu.get() {
            return;
        }
        // SAFETY: the registers hold this state, and the area is ours.
        unsafe { save(self.area.as_ptr()) };
    }

    /// Puts the state into this CPU's registers unless it is there.
    pub(super) fn load(&mut self, cpu: &PerCpu) {
        cpu.fpu_area.set(self.area.as_ptr());
        if self.stamp == cpu.fpu.get() {
            return;
        }
        if POINTERS_STAY.load(Ordering::Relaxed) {
            // FNINIT zeroes the pointers, and takes no exception that is pending.
            //
            // SAFETY: the registers hold nothing that is still needed.
            unsafe { asm!("fninit", options(nomem, nostack, preserves_flags)) };
        }
        let components = COMPONENTS.load(Ordering::Relaxed);
        // SAFETY: the area was made by `new`, saved by the CPU, or checked (`fpuframe`), so
        // its header and MXCSR are valid. The registers hold nothing that is still needed.
        unsafe { restore(self.area.as_ptr(), components) };
        self.stamp = cpu.stamp();
        cpu.fpu.set(self.stamp);
    }

    /// Replaces the state: all zeroes, and then what `change` makes of it. That must be an image
    /// that the CPU accepts.
    pub(super) fn overwrite(&mut self, change: impl FnOnce(&mut [u8])) {
        self.reset();
        // SAFETY: the area has this size, is initialised and borrowed with `self`.
        change(unsafe {
            core::slice::from_raw_parts_mut(self.area.as_ptr(), image_layout().size())
        });
    }

    /// The state as the CPU writes it, brought up to date.
    pub fn bytes(&mut self) -> &[u8] {
        self.save_if_loaded();
        // SAFETY: the area has this size, is initialised and borrowed with
        // `self`.
        unsafe { core::slice::from_raw_parts(self.area.as_ptr(), image_layout().size()) }
    }
}

/// Writes this CPU's registers to the area that they were loaded from in the current poll of a
/// thread, if any were. Called when that poll ends: the next one may be on another CPU. The thread's
/// future needs no access to its state for that, which its system call may have borrowed.
pub fn save_loaded() {
    let area = percpu::this().fpu_area.replace(ptr::null_mut());
    if !area.is_null() {
        // SAFETY: `load` has set the pointer in this poll, so the registers hold the state of this
        // area. The state is there still: `unload` clears the pointer before the area changes or
        // goes away. No reference to the area's bytes lives across the end of a poll.
        unsafe { save(area) };
    }
}

/// Writes the registers to an area.
///
/// # Safety
/// They must hold the state of this area, which nothing else uses meanwhile.
unsafe fn save(area: *mut u8) {
    let components = COMPONENTS.load(Ordering::Relaxed);
    let (low, high) = (components as u32, (components >> 32) as u32);
    let features = Features::get();
    // SAFETY: the area is large enough for the components, aligned and the caller's.
    // XSAVEOPT may leave out what has not changed since XRSTOR from this very
    // area (vol. 1, 13.9): a state is only ever loaded from its own area, and
    // a change of the area's contents voids the stamp.
    unsafe {
        if features.contains(Features::XSAVEOPT) {
            asm!("xsaveopt64 [{}]", in(reg) area, in("eax") low, in("edx") high, options(nostack));
        } else if features.contains(Features::XSAVE) {
            asm!("xsave64 [{}]", in(reg) area, in("eax") low, in("edx") high, options(nostack));
        } else {
            asm!("fxsave64 [{}]", in(reg) area, options(nostack));
        }
    }
}

impl Drop for FpuState {
    fn drop(&mut self) {
        self.unload();
        // SAFETY: allocated by `new` with the same layout. A CPU that still has
        // the stamp compares it with other stamps only.
        unsafe { dealloc(self.area.as_ptr(), image_layout()) };
    }
}
