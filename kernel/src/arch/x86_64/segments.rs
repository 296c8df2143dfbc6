//! A thread's segments: the selectors in DS, ES, FS and GS, and the bases of FS and GS.
//!
//! User mode may change any of them without the kernel's knowledge: the selectors always, the bases
//! where the CPU has FSGSBASE. So they are read back when user mode has been left ([`Segments::save`]),
//! and loaded when the CPU holds another thread's ([`Segments::load`]). In 64-bit mode only the two
//! bases have an effect (Intel SDM vol. 3, 3.4.4), but a program can read the selectors: what one
//! thread has loaded must not reach another.
//!
//! The kernel uses neither FS nor DS and ES; its own GS base is behind `swapgs`.

use super::features::Features;
use core::arch::asm;
use core::mem::offset_of;
use x86_64::VirtAddr;
use x86_64::registers::model_specific::{FsBase, KernelGsBase};
use x86_64::registers::segmentation::{FS, GS, Segment64};

/// The segments of a thread that is not in user mode.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Segments {
    fs_base: u64,
    gs_base: u64,
    selectors: Selectors,
}

#[repr(C, align(8))]
#[derive(Clone, Copy, Default)]
struct Selectors {
    ds: u16,
    es: u16,
    fs: u16,
    gs: u16,
}

const _: () = assert!(size_of::<Selectors>() == size_of::<u64>());

/// A selector of at most this is null, whatever its privilege level (Intel SDM vol. 3, 3.4.2).
const LAST_NULL: u16 = 3;

impl Selectors {
    /// Those of this CPU. All four at once: they are read on every slow path.
    #[inline(always)]
    fn read() -> Selectors {
        let mut read = Selectors::default();
        // SAFETY: stores four words of two bytes into the value.
        unsafe {
            asm!(
                "mov word ptr [{0} + {ds}], ds",
                "mov word ptr [{0} + {es}], es",
                "mov word ptr [{0} + {fs}], fs",
                "mov word ptr [{0} + {gs}], gs",
                in(reg) &raw mut read,
                ds = const offset_of!(Selectors, ds),
                es = const offset_of!(Selectors, es),
                fs = const offset_of!(Selectors, fs),
                gs = const offset_of!(Selectors, gs),
                options(nostack, preserves_flags)
            );
        }
        read
    }

    /// Whether all are 0, as a program begins, and as nearly all stay.
    fn are_zero(self) -> bool {
        (self.ds | self.es | self.fs | self.gs) == 0
    }

    /// Puts them into this CPU's registers. The bases are undefined afterwards.
    fn load(self) {
        // SAFETY: each was in this register in user mode, so it is null or selects a segment that
        // user mode may have, from a table that never changes: ring 0 may load it too. Loading GS
        // changes the base that is active, which between the two swaps is the user's; interrupts
        // are masked, and nothing uses the kernel's meanwhile.
        unsafe {
            asm!(
                "mov ds, {ds:x}",
                "mov es, {es:x}",
                "mov fs, {fs:x}",
                "swapgs",
                "mov gs, {gs:x}",
                "swapgs",
                ds = in(reg) self.ds,
                es = in(reg) self.es,
                fs = in(reg) self.fs,
                gs = in(reg) self.gs,
                options(nostack, preserves_flags)
            );
        }
    }
}

impl Segments {
    /// Reads back what user mode has left in this CPU's registers.
    #[inline(always)]
    pub fn save(&mut self) {
        self.selectors = Selectors::read();
        if Features::get().contains(Features::FSGSBASE) {
            self.fs_base = FS::read_base().as_u64();
            // SAFETY: interrupts are masked, and nothing uses the GS base between the
            // two swaps.
            unsafe {
                GS::swap();
                self.gs_base = GS::read_base().as_u64();
                GS::swap();
            }
            return;
        }
        // A selector that is not null was loaded by the program, and with it the base of its
        // segment, 0. With a null one the base is what the kernel has set last.
        if self.selectors.fs > LAST_NULL {
            self.fs_base = 0;
        }
        if self.selectors.gs > LAST_NULL {
            self.gs_base = 0;
        }
    }

    /// Puts them into this CPU's registers. `false` when a base is not canonical: nothing has been
    /// changed then.
    #[must_use]
    pub fn load(&self) -> bool {
        let (Ok(fs), Ok(gs)) = (
            VirtAddr::try_new(self.fs_base),
            VirtAddr::try_new(self.gs_base),
        ) else {
            return false;
        };
        if !(self.selectors.are_zero() && Selectors::read().are_zero()) {
            self.selectors.load();
        }
        if Features::get().contains(Features::FSGSBASE) {
            // SAFETY: the feature is on; the kernel does not use FS, and nothing uses
            // the GS base between the two swaps.
            unsafe {
                FS::write_base(fs);
                GS::swap();
                GS::write_base(gs);
                GS::swap();
            }
        } else {
            FsBase::write(fs);
            KernelGsBase::write(gs);
        }
        true
    }

    /// The FS base.
    pub fn fs_base(&self) -> u64 {
        self.fs_base
    }

    /// Sets the FS base. The selector becomes null, as on Linux: no segment has this base.
    pub fn set_fs_base(&mut self, base: u64) {
        self.fs_base = base;
        self.selectors.fs = 0;
    }

    /// The GS base.
    pub fn gs_base(&self) -> u64 {
        self.gs_base
    }

    /// Sets the GS base, as [`set_fs_base`](Self::set_fs_base).
    pub fn set_gs_base(&mut self, base: u64) {
        self.gs_base = base;
        self.selectors.gs = 0;
    }
}
