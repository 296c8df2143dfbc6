//! Vector registers: a kernel may copy and zero pages with them, but a program's values stay.

use core::arch::asm;
use core::arch::x86_64::__cpuid;

use user::random::mix;
use user::sys::memory::PAGE;
use user::testing::child::{Channel, finish, start};
use user::testing::{Case, Failure, Mapping, Verdict};
use user::{cases, ensure};

pub const CASES: &[Case] = cases![
    over_copies => "vectors-over-copies",
    over_fresh_pages => "vectors-over-fresh-pages",
    of_several_programs => "vectors-of-several-programs",
];

/// More than one table maps.
const PAGES: usize = 600;

/// The sixteen vector registers with 32 bytes each.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registers([[u64; 4]; 16]);

impl Registers {
    /// Each part of each has another value.
    pub fn pattern(number: u64) -> Registers {
        let value = |register: usize, part: usize| mix(number << 8 ^ (register * 4 + part) as u64);
        Registers(core::array::from_fn(|register| {
            core::array::from_fn(|part| value(register, part))
        }))
    }

    /// Loads them, does something, and returns what they are then. (The program is compiled without
    /// vector registers.)
    pub fn around<T>(&self, body: impl FnOnce() -> T) -> Registers {
        let mut found = *self;
        macro_rules! around {
            ($load:literal, $store:literal) => {
                // SAFETY: no other code uses the registers.
                unsafe {
                    asm!(
                        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
                        $load,
                        ".endr",
                        given = in(reg) self,
                        options(nostack)
                    );
                    body();
                    asm!(
                        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
                        $store,
                        ".endr",
                        found = in(reg) &raw mut found,
                        options(nostack)
                    );
                }
            };
        }
        if has_avx() {
            around!(
                "vmovdqu ymm\\n, [{given} + 32 * \\n]",
                "vmovdqu [{found} + 32 * \\n], ymm\\n"
            );
        } else {
            around!(
                "movdqu xmm\\n, [{given} + 32 * \\n]",
                "movdqu [{found} + 32 * \\n], xmm\\n"
            );
        }
        found
    }
}

/// Whether there are 32-byte registers, and the kernel keeps them.
fn has_avx() -> bool {
    let features = __cpuid(1).ecx;
    features & 1 << 27 != 0 && features & 1 << 28 != 0 && {
        let enabled: u32;
        // SAFETY: XCR0 may be read where OSXSAVE is shown.
        unsafe { asm!("xgetbv", in("ecx") 0, out("eax") enabled, out("edx") _) };
        enabled & 0b110 == 0b110
    }
}

/// Writes one word of each page, which leaves it as it is, between loading all vector registers
/// and storing them; returns what was stored.
fn write_all(area: &Mapping, given: &Registers) -> Registers {
    // What is not loaded counts as kept.
    let mut found = *given;
    macro_rules! write_all {
        ($load:literal, $store:literal) => {
            // SAFETY: the loop stays within the area, and the words keep their values. The program
            // is compiled without vector registers, so no code needs what was in them.
            unsafe {
                asm!(
                    ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
                    $load,
                    ".endr",
                    "2:",
                    "add qword ptr [{page}], 0",
                    "add {page}, {size}",
                    "sub {pages}, 1",
                    "jnz 2b",
                    ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
                    $store,
                    ".endr",
                    given = in(reg) given,
                    found = in(reg) &raw mut found,
                    page = inout(reg) area.page(0) => _,
                    pages = inout(reg) area.pages() => _,
                    size = const PAGE,
                    options(nostack)
                )
            }
        };
    }
    if has_avx() {
        write_all!(
            "vmovdqu ymm\\n, [{given} + 32 * \\n]",
            "vmovdqu [{found} + 32 * \\n], ymm\\n"
        );
    } else {
        write_all!(
            "movdqu xmm\\n, [{given} + 32 * \\n]",
            "movdqu [{found} + 32 * \\n], xmm\\n"
        );
    }
    found
}

fn keeps(area: &Mapping, number: u64) -> Verdict {
    let given = Registers::pattern(number);
    let found = write_all(area, &given);
    for (register, (given, found)) in given.0.iter().zip(&found.0).enumerate() {
        ensure!(
            given == found,
            "vector register {register}: {found:x?}, not {given:x?}"
        );
    }
    Ok(())
}

/// Pages with a pattern that a child shares as long as `body` runs, which gets them.
fn with_shared(body: impl FnOnce(&Mapping) -> Verdict) -> Verdict {
    let area = Mapping::private(PAGES)?;
    area.fill_all(1);
    let over = Channel::new()?;
    let child = start(|| {
        over.receive()?;
        area.check_all(1)
    })?;
    let verdict = body(&area);
    over.send(0)?;
    finish(child).and(verdict)
}

/// The copies are whole, too.
fn over_copies() -> Verdict {
    with_shared(|area| {
        keeps(area, 2)?;
        area.check_all(1)
    })
}

/// In frames that were full of something else.
fn over_fresh_pages() -> Verdict {
    let used = Mapping::private(PAGES)?;
    used.fill_all(3);
    drop(used);
    let fresh = Mapping::private(PAGES)?;
    keeps(&fresh, 4)?;
    (0..PAGES).try_for_each(|page| fresh.check_zero(page))
}

/// Side by side, each with values of its own.
fn of_several_programs() -> Verdict {
    let program = |number| {
        start(move || {
            (0..4).try_for_each(|round| {
                let number = 8 * number + round;
                with_shared(|area| keeps(area, number))?;
                keeps(&Mapping::private(PAGES)?, number)
            })
        })
    };
    let mut programs = [None; 4];
    for (number, slot) in programs.iter_mut().enumerate() {
        *slot = Some(program(number as u64)?);
    }
    let ended = programs.into_iter().flatten().map(finish);
    ended.fold(Ok::<(), Failure>(()), Verdict::and)
}
