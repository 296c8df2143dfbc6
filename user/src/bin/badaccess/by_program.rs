//! The program uses the addresses.

use core::arch::asm;

use user::sys::memory::Protection;
use user::sys::process::{self, Pid, Status};
use user::sys::signal::Signal;
use user::sys::system;
use user::testing::child::{self, expect_signal, expect_status};
use user::testing::{Case, Channel, Explain, Failure, Mapping, Verdict};
use user::{cases, ensure};

use crate::places::{NOWHERE, Rights, is_canonical};

pub const CASES: &[Case] = cases![
    read_nowhere => "read-nowhere",
    write_nowhere => "write-nowhere",
    jump_nowhere => "jump-nowhere",
    read_forbidden => "read-forbidden",
    write_forbidden => "write-forbidden",
    execute_data => "execute-data",
    execute_stack => "execute-stack",
    write_code => "write-code",
    write_constants => "write-constants",
    over_the_edge => "over-the-edge",
    stack_to_nowhere => "stack-to-nowhere",
    stack_overflow => "stack-overflow",
    privileged_instructions => "privileged-instructions",
    invalid_instruction => "invalid-instruction",
    division_by_zero => "division-by-zero",
    breakpoint => "breakpoint",
    other_instructions_of_old => "int-80",
    kernel_selectors => "kernel-selectors",
    many_at_once => "many-at-once",
    others_go_on => "others-go-on",
];

fn read(address: usize) {
    // SAFETY: reading changes nothing; the kernel ends the process where it must.
    unsafe { asm!("mov {0}, [{0}]", inout(reg) address => _, options(nostack)) };
}

fn write(address: usize) {
    // SAFETY: the caller's addresses are no memory of Rust's; the kernel ends the process.
    unsafe { asm!("mov qword ptr [{0}], 1", in(reg) address, options(nostack)) };
}

fn jump(address: usize) {
    // SAFETY: nothing comes back from there but a signal, which ends the process.
    unsafe { asm!("jmp {0}", in(reg) address, options(noreturn)) };
}

/// Each of the addresses, used by a child of its own, is the child's end.
fn fatal(places: &[(&str, usize)], access: fn(usize)) -> Verdict {
    for (name, address) in places {
        expect_signal(Signal::SIGSEGV, || access(*address))
            .map_err(|failure| Failure::new(format_args!("{name} ({address:#x}): {failure}")))?;
    }
    Ok(())
}

fn read_nowhere() -> Verdict {
    fatal(NOWHERE, read)
}

fn write_nowhere() -> Verdict {
    fatal(NOWHERE, write)
}

fn jump_nowhere() -> Verdict {
    fatal(NOWHERE, jump)
}

fn read_forbidden() -> Verdict {
    let rights = Rights::new()?;
    read(rights.read_only());
    fatal(
        &[
            ("no access", rights.no_access()),
            ("unmapped", rights.unmapped()),
        ],
        read,
    )
}

fn write_forbidden() -> Verdict {
    let rights = Rights::new()?;
    let places = [
        ("read-only", rights.read_only()),
        ("no access", rights.no_access()),
        ("unmapped", rights.unmapped()),
    ];
    fatal(&places, write)?;
    rights.check()
}

/// A page full of `ret`.
fn page_of_code() -> Result<Mapping, Failure> {
    let area = Mapping::private(1)?;
    (0..512).for_each(|word| area.set(0, word, 0xc3c3_c3c3_c3c3_c3c3));
    Ok(area)
}

fn call(address: usize) {
    // SAFETY: the page there is full of `ret`, or it may not be executed and that is the end.
    unsafe { asm!("call {0}", in(reg) address, clobber_abi("C")) };
}

fn execute_data() -> Verdict {
    let area = page_of_code()?;
    fatal(&[("data", area.page(0))], call)?;
    area.protect(0, 1, Protection::READ_EXECUTE)?;
    call(area.page(0));
    area.protect(0, 1, Protection::READ_WRITE)?;
    fatal(&[("data again", area.page(0))], call)
}

fn execute_stack() -> Verdict {
    let code = [0xc3u8; 16];
    let code = core::hint::black_box(&code);
    fatal(&[("the stack", code.as_ptr() as usize)], call)
}

fn write_code() -> Verdict {
    fatal(&[("code", write_code as *const () as usize)], write)
}

fn write_constants() -> Verdict {
    static CONSTANT: [u64; 4] = [1, 2, 3, 4];
    let address = core::hint::black_box(&CONSTANT).as_ptr() as usize;
    fatal(&[("a constant", address)], write)?;
    ensure!(CONSTANT[0] == 1, "the constant is {}", CONSTANT[0]);
    Ok(())
}

/// A word that begins on a good page and ends on a bad one.
fn over_the_edge() -> Verdict {
    let rights = Rights::new()?;
    fatal(&[("write into read-only", rights.read_only() - 4)], write)?;
    fatal(&[("read into no access", rights.no_access() - 4)], read)?;
    rights.check()
}

/// A pop with a bad stack pointer, and a system call with one: only the first needs a stack.
/// With an address that is not canonical a CPU raises its stack fault, which Linux makes
/// `SIGBUS`; QEMU's own CPU raises a general protection fault instead.
fn stack_to_nowhere() -> Verdict {
    for (name, address) in NOWHERE {
        let pid = process::spawn(|| {
            // SAFETY: the process ends here.
            unsafe { asm!("mov rsp, {0}", "pop rax", "ud2", in(reg) *address, options(noreturn)) }
        })
        .or_fail("fork")?;
        let (_, status) = process::wait_for(pid).or_fail("wait")?;
        let allowed = match status {
            Status::Killed(Signal::SIGSEGV) => true,
            Status::Killed(Signal::SIGBUS) => !is_canonical(*address),
            _ => false,
        };
        ensure!(allowed, "pop, {name}: ended with {status}");
        child::expect_exit(7, || {
            // SAFETY: exit_group, which touches no memory.
            unsafe {
                asm!(
                    "mov rsp, {0}",
                    "mov eax, 231",
                    "mov edi, 7",
                    "syscall",
                    in(reg) *address,
                    options(noreturn)
                )
            };
        })
        .map_err(|failure| Failure::new(format_args!("exit, {name}: {failure}")))?;
    }
    Ok(())
}

fn stack_overflow() -> Verdict {
    #[allow(unconditional_recursion)]
    fn deeper(level: u64) -> u64 {
        let room = [level; 128];
        core::hint::black_box(&room);
        deeper(level + 1) + room[5]
    }
    expect_signal(Signal::SIGSEGV, || {
        core::hint::black_box(deeper(0));
    })
}

fn privileged_instructions() -> Verdict {
    macro_rules! privileged {
        ($($instruction:literal),*) => {
            // SAFETY: none of these does anything in user mode but raise #GP.
            &[$(($instruction, (|_| unsafe {
                asm!($instruction, out("rax") _, out("rcx") _, out("rdx") _)
            }) as Instruction)),*]
        };
    }
    type Instruction = fn(usize);
    let all: &[(&str, Instruction)] = privileged!(
        "cli",
        "hlt",
        "mov rax, cr3",
        "mov cr3, rax",
        "rdmsr",
        "wrmsr",
        "invlpg [rax]",
        "in al, 0x60",
        "out 0xf4, al",
        "swapgs",
        "clts",
        "sysretq",
        "mov rax, dr7"
    );
    for (name, instruction) in all {
        expect_signal(Signal::SIGSEGV, || instruction(0))
            .map_err(|failure| Failure::new(format_args!("{name}: {failure}")))?;
    }
    Ok(())
}

fn invalid_instruction() -> Verdict {
    // SAFETY: it ends the process.
    expect_signal(Signal::SIGILL, || unsafe { asm!("ud2") })
}

fn division_by_zero() -> Verdict {
    // SAFETY: it ends the process.
    let divide = || unsafe {
        asm!("xor ecx, ecx", "div rcx", out("rcx") _, inout("rax") 1u64 => _, inout("rdx") 0u64 => _)
    };
    expect_signal(Signal::SIGFPE, divide)
}

fn breakpoint() -> Verdict {
    // SAFETY: it ends the process.
    expect_signal(Signal::SIGTRAP, || unsafe { asm!("int3") })
}

/// Interrupts that a program may not raise.
fn other_instructions_of_old() -> Verdict {
    // SAFETY: it ends the process.
    expect_signal(Signal::SIGSEGV, || unsafe { asm!("int 0x20") })?;
    // SAFETY: it ends the process.
    expect_signal(Signal::SIGSEGV, || unsafe { asm!("int 0x0e") })?;
    // SAFETY: it ends the process.
    expect_signal(Signal::SIGSEGV, || unsafe { asm!("int 0x08") })
}

/// Segments that are the kernel's.
fn kernel_selectors() -> Verdict {
    for selector in [0x08u16, 0x10] {
        // SAFETY: a privileged selector raises #GP and ends the process.
        expect_signal(Signal::SIGSEGV, || unsafe {
            asm!("mov ss, {0:x}", in(reg) selector)
        })?;
    }
    Ok(())
}

/// A crowd that dies at the same time.
fn many_at_once() -> Verdict {
    const COUNT: usize = 32;
    let mut pids = [Pid(0); COUNT];
    for (number, pid) in pids.iter_mut().enumerate() {
        let (_, address) = NOWHERE[number % NOWHERE.len()];
        *pid = process::spawn(|| {
            if number % 2 == 0 {
                read(address);
            } else {
                write(address);
            }
            0
        })
        .or_fail("fork")?;
    }
    pids.into_iter()
        .try_for_each(|pid| expect_status(pid, Status::Killed(Signal::SIGSEGV)))
}

/// Another process works on undisturbed while others die.
fn others_go_on() -> Verdict {
    let area = Mapping::private(8)?;
    let started = Channel::new()?;
    area.fill_all(1);
    let other = child::start(|| {
        started.send(0)?;
        let deadline = system::now() + 300_000_000;
        for pattern in 2.. {
            area.check_all(pattern - 1)?;
            area.fill_all(pattern);
            if system::now() > deadline {
                break;
            }
        }
        Ok(())
    })?;
    started.receive()?;
    fatal(NOWHERE, read)?;
    fatal(NOWHERE, write)?;
    area.check_all(1)?;
    child::finish(other)
}
