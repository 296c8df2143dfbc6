//! execve of ELF files that are not in order: each is an error or the end of the new program, and
//! in every case the caller lives on.
//!
//! What Linux finds out only when the old program is gone ends in a signal there. A kernel that
//! looks more closely first may refuse such a file; that is counted as well done.

mod image;

use alloc::vec::Vec;

use user::cases;
use user::ensure;
use user::random::Random;
use user::sys::Errno;
use user::sys::file;
use user::sys::process::{self, Status};
use user::sys::signal::Signal;
use user::sys::system;
use user::testing::{Case, Explain, Failure, Verdict};

use crate::scratch::{Scratch, write_file};
use image::{
    CODE, DATA, GOOD, HEADER, PLACE, PROGRAM_HEADER, PT_INTERP, R, Segment, TEXT, changed, image,
};

pub const CASES: &[Case] = cases![
    good => "elf-good",
    truncated => "elf-truncated",
    header => "elf-header",
    program_headers => "elf-program-headers",
    segments => "elf-segments",
    entry => "elf-entry",
    interpreter => "elf-interpreter",
    bss => "elf-bss",
    flipped_bits => "elf-flipped-bits",
];

/// What became of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Refused(Errno),
    Ended(Status),
}

/// What must become of it.
#[derive(Clone, Copy)]
enum Expected {
    Runs,
    Refused(Errno),
    /// Killed, or refused before that.
    Dies,
    /// Any of it, as long as it ends.
    Whatever,
}

use Expected::{Dies, Refused, Runs, Whatever};

impl Expected {
    fn allows(self, outcome: Outcome) -> bool {
        match (self, outcome) {
            (Whatever, _) => true,
            (Runs, Outcome::Ended(Status::Exited(code))) => code == GOOD,
            (Refused(expected), Outcome::Refused(errno)) => errno == expected,
            (Dies, Outcome::Refused(errno)) => {
                matches!(
                    errno,
                    Errno::ENOEXEC | Errno::EINVAL | Errno::ENOMEM | Errno::EFAULT
                )
            }
            (Dies, Outcome::Ended(Status::Killed(signal))) => {
                matches!(signal, Signal::SIGSEGV | Signal::SIGBUS | Signal::SIGKILL)
            }
            _ => false,
        }
    }
}

/// A file that loops is killed after this.
const PATIENCE_MS: u64 = 2_000;
/// The child's status when it was refused; the errno comes through a pipe.
const REFUSED: u8 = 99;

/// Writes the file and executes it in a child.
fn attempt(contents: &[u8]) -> Result<Outcome, Failure> {
    write_file(c"program", contents, 0o755)?;
    let report = file::pipe2(file::O_CLOEXEC | file::O_NONBLOCK).or_fail("pipe")?;
    let pid = process::spawn(|| {
        let errno = process::execute(c"./program", &[c"program"]);
        // If it cannot be written the parent finds nothing to read.
        let _ = file::write(report.write, &errno.number().to_ne_bytes());
        i32::from(REFUSED)
    })
    .or_fail("fork")?;
    let mut waited = 0;
    let status = loop {
        if let Some((_, status)) = process::try_wait(pid).or_fail("wait")? {
            break status;
        }
        system::sleep_ms(1);
        waited += 1;
        if waited == PATIENCE_MS {
            process::kill(pid, Signal::SIGKILL).or_fail("kill")?;
        }
    };
    let mut errno = [0; 2];
    let count = file::read(report.read, &mut errno);
    file::close(report.read).or_fail("close")?;
    file::close(report.write).or_fail("close")?;
    file::unlink(c"program").or_fail("unlink")?;
    Ok(match (status, count) {
        (Status::Exited(REFUSED), Ok(2)) => Outcome::Refused(Errno::new(u16::from_ne_bytes(errno))),
        _ => Outcome::Ended(status),
    })
}

/// Tries them all, and a good one after each.
fn all(table: &[(&str, Vec<u8>, Expected)]) -> Verdict {
    let _scratch = Scratch::enter()?;
    let good = image(&[TEXT, DATA]);
    for (name, contents, expected) in table {
        let outcome = attempt(contents)?;
        ensure!(expected.allows(outcome), "{name}: {outcome:?}");
        let outcome = attempt(&good)?;
        ensure!(
            Runs.allows(outcome),
            "a good program after {name}: {outcome:?}"
        );
    }
    Ok(())
}

const NO_PROGRAM: Expected = Refused(Errno::ENOEXEC);

fn good() -> Verdict {
    all(&[
        ("two segments", image(&[TEXT, DATA]), Runs),
        ("one segment", image(&[TEXT]), Runs),
        (
            "an unknown segment",
            image(&[
                TEXT,
                Segment {
                    kind: 0x6fff_1234,
                    ..DATA
                },
            ]),
            Runs,
        ),
        (
            "an empty segment",
            image(&[
                TEXT,
                Segment {
                    in_file: 0,
                    in_memory: 0,
                    ..DATA
                },
            ]),
            Runs,
        ),
    ])
}

fn truncated() -> Verdict {
    let cut = |length| {
        image(&[TEXT, DATA])
            .get(..length)
            .map(Vec::from)
            .unwrap_or_default()
    };
    all(&[
        ("3 bytes", cut(3), NO_PROGRAM),
        ("the magic number", cut(4), NO_PROGRAM),
        ("half a header", cut(32), NO_PROGRAM),
        ("most of a header", cut(63), NO_PROGRAM),
        ("a header alone", cut(HEADER), NO_PROGRAM),
        ("half a program header", cut(HEADER + 20), NO_PROGRAM),
        (
            "one program header of two",
            cut(HEADER + PROGRAM_HEADER),
            NO_PROGRAM,
        ),
        ("no code", cut(CODE), Dies),
    ])
}

fn header() -> Verdict {
    all(&[
        ("bad magic", changed(0, b"\x7fELG"), NO_PROGRAM),
        ("no magic", changed(0, &[0; 4]), NO_PROGRAM),
        (
            "32 bits, another machine",
            {
                let mut file = changed(4, &[1]);
                file[18] = 40;
                file
            },
            NO_PROGRAM,
        ),
        ("another machine", changed(18, &[183, 0]), NO_PROGRAM),
        ("no machine", changed(18, &[0, 0]), NO_PROGRAM),
        ("no type", changed(16, &[0, 0]), NO_PROGRAM),
        ("an object file", changed(16, &[1, 0]), NO_PROGRAM),
        ("a core file", changed(16, &[4, 0]), NO_PROGRAM),
    ])
}

fn program_headers() -> Verdict {
    all(&[
        (
            "small entries",
            changed(54, &32u16.to_le_bytes()),
            NO_PROGRAM,
        ),
        (
            "large entries",
            changed(54, &64u16.to_le_bytes()),
            NO_PROGRAM,
        ),
        ("entries of no size", changed(54, &[0, 0]), NO_PROGRAM),
        ("none", changed(56, &[0, 0]), NO_PROGRAM),
        ("more than fit", changed(56, &[0xff, 0xff]), NO_PROGRAM),
        (
            "beyond the end",
            changed(32, &0x10_0000u64.to_le_bytes()),
            NO_PROGRAM,
        ),
        (
            "far beyond the end",
            changed(32, &(u64::MAX - 7).to_le_bytes()),
            Whatever,
        ),
        (
            "at the largest offset",
            changed(32, &(i64::MAX as u64).to_le_bytes()),
            Whatever,
        ),
        (
            "nothing to load",
            image(&[Segment { kind: 4, ..TEXT }]),
            Dies,
        ),
    ])
}

fn segments() -> Verdict {
    let with = |segment| image(&[TEXT, segment]);
    let only = |segment| image(&[segment]);
    let kernel = 0xffff_8000_0000_0000;
    all(&[
        (
            "in the kernel's half",
            with(Segment {
                address: kernel,
                ..DATA
            }),
            Dies,
        ),
        (
            "at the end of memory",
            with(Segment {
                address: u64::MAX - 0xfff,
                ..DATA
            }),
            Dies,
        ),
        (
            "not canonical",
            with(Segment {
                address: 0x8000_0000_0000,
                ..DATA
            }),
            Dies,
        ),
        (
            "over the end of the user's half",
            with(Segment {
                address: 0x7fff_ffff_e000,
                in_memory: 0x10_0000,
                ..DATA
            }),
            Dies,
        ),
        (
            "the code in the kernel's half",
            only(Segment {
                address: kernel,
                ..TEXT
            }),
            Dies,
        ),
        (
            "as large as memory",
            with(Segment {
                in_memory: u64::MAX,
                ..DATA
            }),
            Dies,
        ),
        (
            "larger than the user's half",
            with(Segment {
                in_memory: 1 << 48,
                ..DATA
            }),
            Dies,
        ),
        (
            "a sum that overflows",
            with(Segment {
                address: PLACE + 0x10000,
                in_memory: u64::MAX - PLACE,
                ..DATA
            }),
            Dies,
        ),
        (
            "more in the file than in memory",
            with(Segment {
                in_file: 64,
                in_memory: 32,
                ..DATA
            }),
            Dies,
        ),
        (
            "the file's part beyond its end",
            only(Segment {
                offset: 0x10_0000,
                ..TEXT
            }),
            Dies,
        ),
        (
            "the file's part at the largest offset",
            only(Segment {
                offset: (i64::MAX as u64) & !0xfff,
                ..TEXT
            }),
            Dies,
        ),
        (
            "a file's part larger than the file",
            with(Segment {
                in_file: 1 << 40,
                in_memory: 1 << 40,
                ..DATA
            }),
            Whatever,
        ),
        (
            "offset and address out of step",
            only(Segment {
                offset: CODE as u64 + 5,
                ..TEXT
            }),
            Dies,
        ),
        (
            "one over the other",
            with(Segment {
                address: PLACE,
                ..DATA
            }),
            Whatever,
        ),
        ("the same twice", with(TEXT), Whatever),
        (
            "at address zero",
            with(Segment { address: 0, ..DATA }),
            Whatever,
        ),
        (
            "without any rights",
            only(Segment { flags: 0, ..TEXT }),
            Dies,
        ),
    ])
}

fn entry() -> Verdict {
    let at = |address: u64| changed(24, &address.to_le_bytes());
    all(&[
        ("nowhere", at(0x1234_5678_9000), Dies),
        ("zero", at(0), Dies),
        ("in the kernel's half", at(0xffff_8000_0000_0000), Dies),
        ("not canonical", at(0x1234_5678_9abc_def0), Dies),
        ("in the data", at(PLACE + 0x10000), Dies),
        (
            "the code may not be executed",
            image(&[Segment { flags: R, ..TEXT }]),
            Dies,
        ),
    ])
}

fn interpreter() -> Verdict {
    /// A program that asks for an interpreter by that path, which is in the file at 0x800.
    fn asks_for(path: &[u8], length: u64) -> Vec<u8> {
        let request = Segment {
            kind: PT_INTERP,
            flags: R,
            offset: 0x800,
            in_file: length,
            in_memory: length,
            ..TEXT
        };
        let mut file = image(&[request, TEXT]);
        file.splice(0x800..0x800 + path.len(), path.iter().copied());
        file
    }
    let path = |path: &[u8]| asks_for(path, path.len() as u64);
    all(&[
        (
            "missing",
            path(b"/lib/no-such-interpreter.so\0"),
            Refused(Errno::ENOENT),
        ),
        (
            "missing, in the current directory",
            path(b"missing\0"),
            Refused(Errno::ENOENT),
        ),
        ("a directory", path(b"/bin\0"), Refused(Errno::EACCES)),
        ("no end", path(b"/lib/ld.so"), NO_PROGRAM),
        ("no length", asks_for(b"/lib/ld.so\0", 0), NO_PROGRAM),
        ("a length of one", asks_for(b"\0", 1), NO_PROGRAM),
        (
            "longer than a path",
            asks_for(b"/lib/ld.so\0", 5000),
            NO_PROGRAM,
        ),
        (
            "as long as memory",
            asks_for(b"/lib/ld.so\0", u64::MAX),
            NO_PROGRAM,
        ),
    ])
}

/// What a segment has in memory and not in the file is zero, up to the end of its last page.
fn bss() -> Verdict {
    // The program looks at 2 KiB after its 64 bytes of data, and at the last word of the segment:
    //   mov ecx, 256; mov rdi, PLACE+0x10040; xor eax, eax; repe scasq; jne bad
    //   mov rax, [PLACE+0x12ff8]; test rax, rax; jne bad; mov edi, 7; mov eax, 231; syscall
    //   bad: mov edi, 1; mov eax, 231; syscall
    const LOOKS: [u8; 61] = [
        0xb9, 0x00, 0x01, 0x00, 0x00, 0x48, 0xc7, 0xc7, 0x40, 0x00, 0x01, 0x10, 0x31, 0xc0, 0xf3,
        0x48, 0xaf, 0x75, 0x19, 0x48, 0x8b, 0x04, 0x25, 0xf8, 0x2f, 0x01, 0x10, 0x48, 0x85, 0xc0,
        0x75, 0x0c, 0xbf, 0x07, 0x00, 0x00, 0x00, 0xb8, 0xe7, 0x00, 0x00, 0x00, 0x0f, 0x05, 0xbf,
        0x01, 0x00, 0x00, 0x00, 0xb8, 0xe7, 0x00, 0x00, 0x00, 0x0f, 0x05, 0x90, 0x90, 0x90, 0x90,
        0x90,
    ];
    let length = LOOKS.len() as u64;
    let text = Segment {
        in_file: length,
        in_memory: length,
        ..TEXT
    };
    let data = Segment {
        in_memory: 0x3000,
        ..DATA
    };
    let mut file = image(&[text, data]);
    file.truncate(CODE);
    // Not zero in the file after what belongs to the segment.
    file[HEADER + 2 * PROGRAM_HEADER..].fill(0xee);
    file.extend_from_slice(&LOOKS);
    all(&[("the page's end", file, Runs)])
}

/// Random damage to the headers. Whatever becomes of it, it ends.
fn flipped_bits() -> Verdict {
    let _scratch = Scratch::enter()?;
    let mut random = Random::new(3);
    let good = image(&[TEXT, DATA]);
    for round in 0..150 {
        let mut file = good.clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below((HEADER + 2 * PROGRAM_HEADER) as u64) as usize;
            // The entry point stays: nothing but our own code shall run.
            if !(24..32).contains(&at) {
                file[at] ^= 1 << random.below(8);
            }
        }
        attempt(&file)?;
        if round % 10 == 0 {
            let outcome = attempt(&good)?;
            ensure!(
                Runs.allows(outcome),
                "a good program in round {round}: {outcome:?}"
            );
        }
    }
    Ok(())
}
