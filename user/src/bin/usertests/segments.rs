//! Segment selectors, and the pointers of the x87 unit: parts of a CPU that no program needs, so that
//! a kernel easily leaves one program's in the registers for the next.

use core::arch::asm;

use linux_raw_sys::general::__NR_arch_prctl;

use user::sys::{process, raw, system, thread};
use user::testing::child::{finish, in_child, start};
use user::testing::{Case, Explain, Failure, Verdict};
use user::{cases, ensure};

use super::helper;

pub const CASES: &[Case] = cases![
    numbers => "segments-have-their-numbers",
    of_several_programs => "segments-of-several-programs",
    over_a_wait => "segments-over-a-wait",
    of_a_child => "segments-of-a-child",
    after_execve => "segments-after-execve",
    with_a_base => "segments-with-a-base",
    x87_pointers => "x87-pointers-after-execve",
];

const ARCH_SET_GS: usize = 0x1001;
const ARCH_GET_GS: usize = 0x1004;

/// What Linux has for 64-bit programs (arch/x86/include/asm/segment.h).
const CODE: u16 = 0x33;
const DATA: u16 = 0x2b;

/// DS, ES, FS and GS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Selectors([u16; 4]);

/// As a program begins.
const NULL: Selectors = Selectors([0; 4]);

/// Some that a program may load. The lowest two bits are a privilege level, which it may choose; but
/// IRET makes a null selector 0.
const ALLOWED: [u16; 5] = [0, DATA, CODE, DATA & !3, CODE & !2];

impl Selectors {
    fn pattern(number: usize) -> Selectors {
        Selectors([0, 1, 2, 3].map(|register| ALLOWED[(number + register) % ALLOWED.len()]))
    }

    fn load(self) {
        let [ds, es, fs, gs] = self.0;
        // SAFETY: the selectors are null or lead to segments of user mode, and 64-bit code uses
        // none of these registers but for their bases, which this program does not use.
        unsafe {
            asm!(
                "mov ds, {:x}", "mov es, {:x}", "mov fs, {:x}", "mov gs, {:x}",
                in(reg) ds, in(reg) es, in(reg) fs, in(reg) gs,
                options(nomem, nostack, preserves_flags)
            );
        }
    }

    fn read() -> Selectors {
        let [ds, es, fs, gs]: [u16; 4];
        // SAFETY: reads registers.
        unsafe {
            asm!(
                "mov {:x}, ds", "mov {:x}, es", "mov {:x}, fs", "mov {:x}, gs",
                out(reg) ds, out(reg) es, out(reg) fs, out(reg) gs,
                options(nomem, nostack, preserves_flags)
            );
        }
        Selectors([ds, es, fs, gs])
    }

    /// That these are in the registers.
    fn are_loaded(self) -> Verdict {
        let found = Selectors::read();
        ensure!(found == self, "{found:x?}, not {self:x?}");
        Ok(())
    }
}

fn numbers() -> Verdict {
    let (cs, ss): (u16, u16);
    // SAFETY: reads registers.
    unsafe { asm!("mov {:x}, cs", "mov {:x}, ss", out(reg) cs, out(reg) ss) };
    ensure!((cs, ss) == (CODE, DATA), "cs {cs:x}, ss {ss:x}");
    Ok(())
}

/// Others run on the same CPU, with other selectors.
fn of_several_programs() -> Verdict {
    const ROUNDS: usize = 200;
    in_child(|| {
        thread::pin_to(0).or_fail("pin")?;
        let mut programs = [None; 5];
        for (number, slot) in programs.iter_mut().enumerate() {
            *slot = Some(start(|| {
                // The last one changes nothing.
                let own = if number == 4 {
                    NULL
                } else {
                    Selectors::pattern(number)
                };
                if own != NULL {
                    own.load();
                }
                for _ in 0..ROUNDS {
                    process::sched_yield();
                    own.are_loaded()?;
                }
                Ok(())
            })?);
        }
        let ended = programs.into_iter().flatten().map(finish);
        ended.fold(Ok::<(), Failure>(()), Verdict::and)
    })
}

fn over_a_wait() -> Verdict {
    in_child(|| {
        let own = Selectors::pattern(2);
        own.load();
        system::sleep_ms(5);
        own.are_loaded()
    })
}

fn of_a_child() -> Verdict {
    in_child(|| {
        let own = Selectors::pattern(4);
        own.load();
        in_child(|| own.are_loaded())
    })
}

fn after_execve() -> Verdict {
    in_child(|| {
        Selectors([DATA; 4]).load();
        Err(helper::become_helper(&[c"no-segments"]))
    })
}

/// In the helper: all selectors are null.
pub fn are_null() -> bool {
    Selectors::read() == NULL
}

fn gs_base() -> Result<u64, Failure> {
    let mut base = 0u64;
    let address = &raw mut base as usize;
    // SAFETY: it writes the word.
    unsafe { raw::call(__NR_arch_prctl, [ARCH_GET_GS, address, 0, 0, 0, 0]) }
        .or_fail("arch_prctl")?;
    Ok(base)
}

/// To load a selector is to load its segment's base, and a base that is set has no selector.
fn with_a_base() -> Verdict {
    in_child(|| {
        let word = 0u64;
        let place = &raw const word as u64;
        // SAFETY: nothing here uses GS.
        let set = |base: u64| unsafe {
            raw::call(__NR_arch_prctl, [ARCH_SET_GS, base as usize, 0, 0, 0, 0])
        };
        set(place).or_fail("arch_prctl")?;
        let base = gs_base()?;
        ensure!(base == place, "the base is {base:x}");
        Selectors([0, 0, 0, DATA]).load();
        let base = gs_base()?;
        ensure!(base == 0, "the segment begins at {base:x}");
        Selectors([0, 0, 0, DATA]).are_loaded()?;
        set(place).or_fail("arch_prctl")?;
        NULL.are_loaded()?;
        let base = gs_base()?;
        ensure!(base == place, "the base is {base:x} after all");
        Ok(())
    })
}

fn x87_pointers() -> Verdict {
    in_child(|| {
        let number = 1f64;
        // SAFETY: puts a number on the stack of the x87 unit, which nothing here uses.
        unsafe { asm!("fld qword ptr [{}]", in(reg) &raw const number, options(nostack)) };
        process::sched_yield();
        Err(helper::become_helper(&[c"no-x87-pointers"]))
    })
}

/// In the helper: the x87 unit tells of no instruction before the program's own.
pub fn are_no_x87_pointers() -> bool {
    // The format of FNSTENV (Intel SDM vol. 1, 8.1.10).
    const INSTRUCTION: usize = 3;
    const OPERAND: usize = 5;
    let mut environment = [0u32; 7];
    // SAFETY: stores 28 bytes. It masks exceptions, of which none are on.
    unsafe { asm!("fnstenv [{}]", in(reg) &raw mut environment, options(nostack)) };
    // Linux puts an address of its own there on some CPUs.
    environment[INSTRUCTION] == 0 && environment[OPERAND] == 0 || !system::on_cowfork()
}
