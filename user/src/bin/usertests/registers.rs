//! A program's registers over everything that takes it into the kernel and back: all of them are
//! as they were, but for what the ABI gives to the kernel (`rax`, `rcx` and `r11` of a system call).

use core::arch::naked_asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, Ordering};

use linux_raw_sys::errno::EBADF;
use linux_raw_sys::general::{__NR_arch_prctl, __NR_getppid, __NR_read, __NR_tkill};
use user::random::mix;
use user::sys::file;
use user::sys::handler::{self, Context, Info};
use user::sys::signal::Signal;
use user::sys::{process, raw, system};
use user::testing::child::{finish, start};
use user::testing::{Case, Explain, Failure, Mapping, Verdict};
use user::{cases, ensure};

use super::vectors;

pub const CASES: &[Case] = cases![
    over_a_call => "registers-over-a-call",
    over_a_failed_call => "registers-over-a-failed-call",
    over_a_wait => "registers-over-a-wait",
    over_a_handler => "registers-over-a-handler",
    over_faults => "registers-over-faults",
    over_time_slices => "registers-over-time-slices",
];

const ARCH_SET_GS: usize = 0x1001;
const ARCH_GET_FS: usize = 0x1003;
const ARCH_GET_GS: usize = 0x1004;

/// Carry, parity, adjust, zero, sign, direction, overflow, and the two that are always set.
const FLAGS: u64 = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x400 | 0x800 | 0x2 | 0x200;

/// The registers but the stack pointer.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Image {
    rax: u64,
    rbx: u64,
    rcx: u64,
    rdx: u64,
    rsi: u64,
    rdi: u64,
    rbp: u64,
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    flags: u64,
}

impl Image {
    /// Another value in each register.
    fn pattern(number: u64) -> Image {
        let value = |register| mix(number << 8 ^ register);
        Image {
            rax: value(0),
            rbx: value(1),
            rcx: value(2),
            rdx: value(3),
            rsi: value(4),
            rdi: value(5),
            rbp: value(6),
            r8: value(7),
            r9: value(8),
            r10: value(9),
            r11: value(10),
            r12: value(11),
            r13: value(12),
            r14: value(13),
            r15: value(14),
            flags: FLAGS,
        }
    }

    /// A system call with these arguments, and something else in the other registers.
    fn call(number: u32, arguments: [usize; 3]) -> Image {
        let [rdi, rsi, rdx] = arguments.map(|argument| argument as u64);
        Image {
            rax: number.into(),
            rdi,
            rsi,
            rdx,
            ..Image::pattern(number.into())
        }
    }
}

/// Defines a function that loads all registers, executes the instructions, and stores all registers.
macro_rules! crossing {
    ($name:ident: $($instruction:literal),*) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(given: &Image, found: &mut Image) {
            naked_asm!(
                "push rbx; push rbp; push r12; push r13; push r14; push r15; push rsi",
                "push qword ptr [rdi + {flags}]",
                "mov rax, [rdi + {rax}]; mov rbx, [rdi + {rbx}]; mov rcx, [rdi + {rcx}]",
                "mov rdx, [rdi + {rdx}]; mov rsi, [rdi + {rsi}]; mov rbp, [rdi + {rbp}]",
                "mov r8, [rdi + {r8}]; mov r9, [rdi + {r9}]; mov r10, [rdi + {r10}]",
                "mov r11, [rdi + {r11}]; mov r12, [rdi + {r12}]; mov r13, [rdi + {r13}]",
                "mov r14, [rdi + {r14}]; mov r15, [rdi + {r15}]; mov rdi, [rdi + {rdi}]",
                "popfq",
                $($instruction,)*
                // None of these changes a flag.
                "xchg rax, [rsp]",
                "mov [rax + {rbx}], rbx; mov [rax + {rcx}], rcx; mov [rax + {rdx}], rdx",
                "mov [rax + {rsi}], rsi; mov [rax + {rdi}], rdi; mov [rax + {rbp}], rbp",
                "mov [rax + {r8}], r8; mov [rax + {r9}], r9; mov [rax + {r10}], r10",
                "mov [rax + {r11}], r11; mov [rax + {r12}], r12; mov [rax + {r13}], r13",
                "mov [rax + {r14}], r14; mov [rax + {r15}], r15",
                "pushfq",
                "pop rcx",
                "cld",
                "mov [rax + {flags}], rcx",
                "pop rcx",
                "mov [rax + {rax}], rcx",
                "pop r15; pop r14; pop r13; pop r12; pop rbp; pop rbx",
                "ret",
                rax = const offset_of!(Image, rax),
                rbx = const offset_of!(Image, rbx),
                rcx = const offset_of!(Image, rcx),
                rdx = const offset_of!(Image, rdx),
                rsi = const offset_of!(Image, rsi),
                rdi = const offset_of!(Image, rdi),
                rbp = const offset_of!(Image, rbp),
                r8 = const offset_of!(Image, r8),
                r9 = const offset_of!(Image, r9),
                r10 = const offset_of!(Image, r10),
                r11 = const offset_of!(Image, r11),
                r12 = const offset_of!(Image, r12),
                r13 = const offset_of!(Image, r13),
                r14 = const offset_of!(Image, r14),
                r15 = const offset_of!(Image, r15),
                flags = const offset_of!(Image, flags),
            )
        }
    };
}

crossing!(system_call: "syscall");
// A word is read, and one is written.
crossing!(accesses: "mov r8, [rsi]", "mov [rdi], r9");
// Counts rcx down without touching a flag.
crossing!(spins: "2:", "lea rcx, [rcx - 1]", "jrcxz 3f", "jmp 2b", "3:");

/// What the processor adds to an address, and the word that GS leads to.
fn bases() -> Result<[u64; 2], Failure> {
    let mut found = [0; 2];
    for (code, base) in [ARCH_GET_FS, ARCH_GET_GS].into_iter().zip(&mut found) {
        let address = &raw mut *base as usize;
        // SAFETY: it writes the word.
        unsafe { raw::call(__NR_arch_prctl, [code, address, 0, 0, 0, 0]) }.or_fail("arch_prctl")?;
    }
    Ok(found)
}

/// Goes through `crossing` with these registers. Returns `rax`.
fn keeps_all(
    crossing: unsafe extern "C" fn(&Image, &mut Image),
    given: &Image,
    expected: Image,
) -> Result<u64, Failure> {
    let word = mix(given.rax);
    let base = &raw const word as usize;
    // SAFETY: nothing here uses GS.
    unsafe { raw::call(__NR_arch_prctl, [ARCH_SET_GS, base, 0, 0, 0, 0]) }.or_fail("arch_prctl")?;
    let before = bases()?;
    let vectors = vectors::Registers::pattern(given.rbx);
    let mut found = Image::default();
    let mut through_gs = 0u64;
    let kept = vectors.around(|| {
        // SAFETY: the functions keep to their ABI, and what they do is said where they are used.
        unsafe { crossing(given, &mut found) };
        // SAFETY: GS leads to `word`.
        unsafe { core::arch::asm!("mov {}, gs:[0]", out(reg) through_gs, options(nostack)) };
    });
    let result = found.rax;
    // Not the reserved and the system's.
    found.flags &= FLAGS;
    let found = Image {
        rax: expected.rax,
        ..found
    };
    ensure!(found == expected, "{found:x?}, not {expected:x?}");
    ensure!(kept == vectors, "a vector register has changed");
    ensure!(through_gs == word, "the GS base has changed");
    ensure!(bases()? == before, "a base has changed");
    Ok(result)
}

/// A system call keeps all but `rax`, `rcx` and `r11`. Returns the first.
fn calls(number: u32, arguments: [usize; 3]) -> Result<u64, Failure> {
    let given = Image::call(number, arguments);
    keeps_all(through_system_call, &given, given)
}

/// As [`system_call`], with what the ABI gives to the kernel put back.
unsafe extern "C" fn through_system_call(given: &Image, found: &mut Image) {
    // SAFETY: as the caller's.
    unsafe { system_call(given, found) };
    found.rcx = given.rcx;
    found.r11 = given.r11;
}

fn over_a_call() -> Verdict {
    let parent = calls(__NR_getppid, [0; 3])?;
    ensure!(parent == process::getppid().0 as u64, "getppid: {parent}");
    Ok(())
}

fn over_a_failed_call() -> Verdict {
    let result = calls(__NR_read, [usize::MAX, 0, 1])?;
    ensure!(result == -i64::from(EBADF) as u64, "read: {result:#x}");
    Ok(())
}

/// Others run meanwhile, with registers of their own.
fn over_a_wait() -> Verdict {
    let pipe = file::pipe().or_fail("pipe")?;
    let byte = [0u8];
    let writer = start(|| {
        system::sleep_ms(20);
        over_a_call()?;
        file::write(pipe.write, &[7]).or_fail("write").map(drop)
    })?;
    let place = byte.as_ptr().expose_provenance();
    let result = calls(__NR_read, [pipe.read.0 as usize, place, 1])?;
    finish(writer)?;
    file::close(pipe.read).or_fail("close")?;
    file::close(pipe.write).or_fail("close")?;
    ensure!(result == 1, "read: {result}");
    Ok(())
}

static HANDLED: AtomicU32 = AtomicU32::new(0);

/// Leaves nothing in the vector registers as it was; the compiler sees to the others.
extern "C" fn handle(_signal: i32, _info: &Info, _context: &mut Context) {
    vectors::Registers::pattern(!0).around(|| HANDLED.fetch_add(1, Ordering::Relaxed));
}

/// The handler runs in the middle of the call, which sends the signal to the thread itself.
fn over_a_handler() -> Verdict {
    // SAFETY: the handler counts.
    unsafe { handler::set(Signal::SIGUSR1, handle) }.or_fail("sigaction")?;
    let tid = process::gettid().0 as usize;
    let result = calls(__NR_tkill, [tid, Signal::SIGUSR1.0 as usize, 0])?;
    let handled = HANDLED.load(Ordering::Relaxed);
    ensure!(result == 0 && handled == 1, "{result}, {handled} handled");
    Ok(())
}

fn over_faults() -> Verdict {
    let area = Mapping::private(2)?;
    let given = Image {
        rsi: area.page(0) as u64,
        rdi: area.page(1) as u64,
        ..Image::pattern(1)
    };
    keeps_all(accesses, &given, Image { r8: 0, ..given })?;
    let written = area.get(1, 0);
    ensure!(written == given.r9, "{written:#x} was written");
    Ok(())
}

/// More programs than CPUs, mostly, and each for several slices.
fn over_time_slices() -> Verdict {
    const TURNS: u64 = 10_000_000;
    let mut programs = [None; 4];
    for (number, slot) in (2..).zip(&mut programs) {
        *slot = Some(start(|| {
            let given = Image {
                rcx: TURNS,
                ..Image::pattern(number)
            };
            keeps_all(spins, &given, Image { rcx: 0, ..given }).map(drop)
        })?);
    }
    let ended = programs.into_iter().flatten().map(finish);
    ended.fold(Ok::<(), Failure>(()), Verdict::and)
}
