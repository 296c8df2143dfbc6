//! The frame that a signal handler returns by says what no program may have.
//!
//! A handler changes its frame, and returns. What the processor would refuse is the program's end,
//! and what only the kernel may set is left as it was.

use core::arch::asm;
use core::sync::atomic::{AtomicUsize, Ordering};

use user::cases;
use user::sys::handler::{self, Context, Info};
use user::sys::process;
use user::sys::signal::Signal;
use user::testing::child::{expect_exit, expect_signal};
use user::testing::{Case, Failure, Verdict};

use crate::places::{NOWHERE, Rights};

pub const CASES: &[Case] = cases![
    no_frame => "frame-missing",
    instruction => "frame-instruction",
    stack => "frame-stack",
    segments => "frame-segments",
    flags => "frame-flags",
    registers_of_the_fpu => "frame-fpu",
    fpu_elsewhere => "frame-fpu-elsewhere",
    incomplete_fpu => "frame-fpu-incomplete",
    handler_nowhere => "frame-handler-nowhere",
    stack_for_it_nowhere => "frame-stack-for-it-nowhere",
];

// Where things are in `ucontext_t` (asm/ucontext.h, asm/sigcontext.h) ...
const RSP: usize = 160;
const RIP: usize = 168;
const FLAGS: usize = 176;
const CS: usize = 184;
const SS: usize = 190;
const FPU: usize = 224;
// ... and in the FPU's image.
const MXCSR: usize = 24;
const SIZE: usize = 480;
const HEADER: usize = 512;

/// What the handler changes: the place, how many bytes, and their value.
static PLACE: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);
static VALUE: AtomicUsize = AtomicUsize::new(0);
/// The place is in the FPU's image: there, or behind its end.
const IN_IMAGE: usize = 1 << 16;
const BEHIND_IMAGE: usize = 1 << 17;

extern "C" fn change(_: i32, _: &Info, context: &mut Context) {
    let place = PLACE.load(Ordering::Relaxed);
    let value = VALUE.load(Ordering::Relaxed).to_ne_bytes();
    let start = (&raw mut *context).cast::<u8>();
    // SAFETY: all this is within the frame, which the kernel has made, and no other code reads.
    unsafe {
        let image = start.add(FPU).cast::<*mut u8>().read();
        let target = if place & BEHIND_IMAGE != 0 {
            let size = image.add(SIZE).cast::<u32>().read();
            image.add(size as usize)
        } else if place & IN_IMAGE != 0 {
            image.add(place - IN_IMAGE)
        } else {
            start.add(place)
        };
        target.copy_from_nonoverlapping(value.as_ptr(), BYTES.load(Ordering::Relaxed));
    }
}

/// Comes back from a handler with the frame changed.
fn return_with(place: usize, bytes: usize, value: usize) {
    PLACE.store(place, Ordering::Relaxed);
    BYTES.store(bytes, Ordering::Relaxed);
    VALUE.store(value, Ordering::Relaxed);
    // SAFETY: the handler changes its frame only.
    let _ = unsafe { handler::set(Signal::SIGUSR1, change) };
    let _ = process::kill(process::getpid(), Signal::SIGUSR1);
}

/// A frame with that change is the end.
fn fatal(name: &str, place: usize, bytes: usize, value: usize) -> Verdict {
    expect_signal(Signal::SIGSEGV, || return_with(place, bytes, value))
        .map_err(|failure| Failure::new(format_args!("{name} ({value:#x}): {failure}")))
}

/// The call without a handler.
fn no_frame() -> Verdict {
    const RT_SIGRETURN: usize = 15;
    let rights = Rights::new()?;
    let zeroes = [0u64; 256];
    let places = [
        ("zeroes", zeroes.as_ptr() as usize + 8),
        ("no access", rights.no_access()),
        ("over the edge", rights.no_access() - 64),
    ];
    for (name, address) in places.iter().chain(NOWHERE) {
        expect_signal(Signal::SIGSEGV, || {
            // SAFETY: the process ends here.
            unsafe {
                asm!("mov rsp, {0}", "syscall", "ud2", in(reg) *address, in("rax") RT_SIGRETURN,
                     options(noreturn))
            }
        })
        .map_err(|failure| Failure::new(format_args!("{name}: {failure}")))?;
    }
    Ok(())
}

fn instruction() -> Verdict {
    NOWHERE
        .iter()
        .try_for_each(|(name, address)| fatal(name, RIP, 8, *address))
}

/// With a bad stack the program goes on until it uses it; the next handler cannot be called.
fn stack() -> Verdict {
    let rights = Rights::new()?;
    fatal("no access", RSP, 8, rights.no_access() + 64)?;
    fatal("unmapped", RSP, 8, rights.unmapped() + 64)
}

fn segments() -> Verdict {
    for selector in [0, 8, 0x10, 0x4b, 0xfff8, 0xffff] {
        fatal("cs", CS, 2, selector)?;
        if selector != 0 {
            fatal("ss", SS, 2, selector)?;
        }
    }
    Ok(())
}

/// The right to use ports and to mask interrupts, and others of the kernel's: no handler gives
/// them.
fn flags() -> Verdict {
    const KERNELS: usize = 0x3000 | 0x4000 | 0x2_0000 | 0x8_0000 | 0x10_0000;
    expect_exit(5, || {
        return_with(FLAGS, 8, KERNELS | 0x46);
        5
    })?;
    expect_signal(Signal::SIGSEGV, || {
        return_with(FLAGS, 8, KERNELS | 0x46);
        // SAFETY: it ends the process.
        unsafe { asm!("cli") }
    })
}

/// What would make the processor refuse to load the registers.
fn registers_of_the_fpu() -> Verdict {
    let max = usize::MAX;
    fatal("MXCSR", IN_IMAGE + MXCSR, 4, max)?;
    fatal("components", IN_IMAGE + HEADER, 8, max)?;
    fatal("unknown component", IN_IMAGE + HEADER, 8, 1 << 62 | 3)?;
    fatal("compaction", IN_IMAGE + HEADER + 8, 8, 1 << 63)?;
    fatal("header", IN_IMAGE + HEADER + 16, 8, 1)
}

fn fpu_elsewhere() -> Verdict {
    for (name, address) in NOWHERE.iter().filter(|(_, address)| *address != 0) {
        fatal(name, FPU, 8, *address)?;
    }
    // None at all: the registers are those of a new program.
    expect_exit(6, || {
        return_with(FPU, 8, 0);
        6
    })
}

/// Without its end the image counts as one of old, without a header.
fn incomplete_fpu() -> Verdict {
    expect_exit(7, || {
        return_with(IN_IMAGE + BEHIND_IMAGE, 4, 0);
        return_with(IN_IMAGE + SIZE, 4, 0xffff_ffff);
        7
    })
}

fn handler_nowhere() -> Verdict {
    for (name, address) in NOWHERE.iter().filter(|(_, address)| *address > 1) {
        expect_signal(Signal::SIGSEGV, || {
            // SAFETY: there is no code at all, so the handler does nothing; the type is only a
            // number to the kernel.
            unsafe {
                let nowhere = core::mem::transmute::<usize, handler::Handler>(*address);
                let _ = handler::set(Signal::SIGUSR1, nowhere);
            }
            let _ = process::kill(process::getpid(), Signal::SIGUSR1);
        })
        .map_err(|failure| Failure::new(format_args!("{name}: {failure}")))?;
    }
    Ok(())
}

/// An alternative stack where no memory is: the frame cannot be written.
fn stack_for_it_nowhere() -> Verdict {
    let rights = Rights::new()?;
    let places = [
        ("read-only", rights.read_only()),
        ("no access", rights.no_access()),
        ("unmapped", rights.unmapped()),
    ];
    for (name, address) in places.iter().chain(NOWHERE) {
        expect_signal(Signal::SIGSEGV, || {
            // SAFETY: the stack is no memory of Rust's.
            let _ = unsafe { handler::set_stack(*address, 4096) };
            return_with(RIP, 0, 0);
        })
        .map_err(|failure| Failure::new(format_args!("{name}: {failure}")))?;
    }
    rights.check()
}
