//! Limits of a process: kept, inherited, and what they do to memory.

use alloc::format;

use user::cases;
use user::ensure;
use user::sys::memory::{self, Protection, Sharing};
use user::sys::signal::Signal;
use user::sys::system::{
    self, Limit, RLIMIT_AS, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_NPROC, RLIMIT_STACK,
};
use user::sys::{Errno, Result, raw};
use user::testing::child::expect_signal;
use user::testing::failure::expect_error;
use user::testing::{Case, Explain, Failure, Verdict, in_child};

use linux_raw_sys::general::{__NR_prlimit64, MREMAP_MAYMOVE};

use crate::helper;
use crate::memory::{unmap, write};
use crate::scratch::string;

pub const CASES: &[Case] = cases![
    kept => "limit-kept",
    inherited => "limit-inherited",
    address_space => "limit-address-space",
    data => "limit-data",
    stack => "limit-stack",
    processes => "limit-processes",
    errors => "limit-errors",
];

const MIB: usize = 1 << 20;

/// Lowers a soft limit, for the rest of the process.
fn lower(resource: u32, soft: u64) -> Verdict {
    let before = system::limit(resource).or_fail("getrlimit")?;
    set(resource, soft, before.rlim_max).or_fail("setrlimit")
}

fn set(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = Limit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    system::set_limit(resource, limit)
}

fn soft(resource: u32) -> core::result::Result<u64, Failure> {
    Ok(system::limit(resource).or_fail("getrlimit")?.rlim_cur)
}

fn kept() -> Verdict {
    for resource in [RLIMIT_FSIZE, RLIMIT_STACK, RLIMIT_AS] {
        let before = system::limit(resource).or_fail("getrlimit")?;
        lower(resource, 1 << 32)?;
        let after = system::limit(resource).or_fail("getrlimit")?;
        ensure!(after.rlim_cur == 1 << 32, "{} is kept", after.rlim_cur);
        ensure!(
            after.rlim_max == before.rlim_max,
            "the hard one has changed"
        );
        set(resource, before.rlim_cur, before.rlim_max).or_fail("raise")?;
    }
    Ok(())
}

fn inherited() -> Verdict {
    lower(RLIMIT_FSIZE, 123_456)?;
    in_child(|| {
        ensure!(soft(RLIMIT_FSIZE)? == 123_456, "a child has another");
        lower(RLIMIT_FSIZE, 1000)
    })?;
    ensure!(
        soft(RLIMIT_FSIZE)? == 123_456,
        "the child's is the parent's"
    );
    let number = string(format!("{RLIMIT_FSIZE}"));
    in_child(|| Err(helper::become_helper(&[c"limit", &number, c"123456"])))
}

fn map(bytes: usize, protection: Protection, sharing: Sharing) -> Result<usize> {
    memory::map(bytes, protection, sharing)
}

fn address_space() -> Verdict {
    const RIGHTS: Protection = Protection::READ_WRITE;
    lower(RLIMIT_AS, 64 * MIB as u64)?;
    let no_room = |what, result| expect_error(what, result, Errno::ENOMEM);
    no_room("mmap", map(80 * MIB, Protection::NONE, Sharing::Private))?;
    no_room("shared", map(80 * MIB, RIGHTS, Sharing::Shared))?;
    let start = map(32 * MIB, RIGHTS, Sharing::Private).or_fail("mmap")?;
    no_room("more", map(40 * MIB, RIGHTS, Sharing::Private))?;
    // SAFETY: the case's own memory, used by address.
    let remap = |length| unsafe { memory::remap(start, 32 * MIB, length, MREMAP_MAYMOVE, 0) };
    no_room("mremap", remap(80 * MIB))?;
    in_child(|| no_room("a child's mmap", map(40 * MIB, RIGHTS, Sharing::Private)))?;
    // In its own place it is no more than before.
    // SAFETY: likewise.
    let again = unsafe { memory::map_at(start, 32 * MIB, RIGHTS, Sharing::Private) };
    ensure!(again == Ok(start), "mmap in place: {again:x?}");
    unmap(start, 32 * MIB).or_fail("munmap")?;
    let start = map(40 * MIB, RIGHTS, Sharing::Private).or_fail("mmap after munmap")?;
    unmap(start, 40 * MIB).or_fail("munmap")
}

fn data() -> Verdict {
    const RIGHTS: Protection = Protection::READ_WRITE;
    lower(RLIMIT_DATA, 32 * MIB as u64)?;
    let private = |bytes, protection| map(bytes, protection, Sharing::Private);
    expect_error("mmap", private(40 * MIB, RIGHTS), Errno::ENOMEM)?;
    let shared = map(40 * MIB, RIGHTS, Sharing::Shared).or_fail("shared memory")?;
    unmap(shared, 40 * MIB).or_fail("munmap")?;
    let readable = private(40 * MIB, Protection::READ).or_fail("read-only memory")?;
    // SAFETY: the case's own memory, used by address.
    let writable = unsafe { memory::protect(readable, 40 * MIB, RIGHTS) };
    expect_error("mprotect", writable, Errno::ENOMEM)?;
    unmap(readable, 40 * MIB).or_fail("munmap")?;
    // SAFETY: it does not move.
    let end = unsafe { memory::set_break(0) }.or_fail("brk")?;
    // SAFETY: likewise.
    let now = unsafe { memory::set_break(end + 40 * MIB) };
    ensure!(now == Ok(end), "brk moved to {now:x?}");
    Ok(())
}

/// How far below this function's own place the stack can be used.
fn stack() -> Verdict {
    let local = 0u8;
    let top = (&raw const local) as usize;
    // The usual 8 MiB, less what is in use.
    in_child(|| {
        write(top - 6 * MIB);
        Ok(())
    })?;
    expect_signal(Signal::SIGSEGV, || write(top - 9 * MIB))?;
    in_child(|| {
        lower(RLIMIT_STACK, 2 * MIB as u64)?;
        expect_signal(Signal::SIGSEGV, || write(top - 3 * MIB))?;
        write(top - MIB);
        Ok(())
    })?;
    in_child(|| {
        lower(RLIMIT_STACK, 16 * MIB as u64)?;
        write(top - 12 * MIB);
        expect_signal(Signal::SIGSEGV, || write(top - 17 * MIB))
    })
}

/// Root may have as many processes as there is room for.
fn processes() -> Verdict {
    if user::sys::process::getuid() != 0 {
        return Ok(());
    }
    in_child(|| {
        lower(RLIMIT_NPROC, 1)?;
        in_child(|| in_child(|| Ok(())))
    })
}

fn errors() -> Verdict {
    let before = system::limit(RLIMIT_FSIZE).or_fail("getrlimit")?;
    expect_error("no such", system::limit(16), Errno::EINVAL)?;
    expect_error("soft above hard", set(RLIMIT_FSIZE, 5, 4), Errno::EINVAL)?;
    let endless = set(system::RLIMIT_NOFILE, 1 << 40, 1 << 40);
    expect_error("descriptors without end", endless, Errno::EPERM)?;
    for (what, new, old) in [("from nowhere", 8, 0), ("to nowhere", 0, 8)] {
        // SAFETY: nothing is written to a bad address.
        let result =
            unsafe { raw::call(__NR_prlimit64, [0, RLIMIT_FSIZE as usize, new, old, 0, 0]) };
        expect_error(what, result, Errno::EFAULT)?;
    }
    let after = system::limit(RLIMIT_FSIZE).or_fail("getrlimit")?;
    ensure!(
        after.rlim_cur == before.rlim_cur,
        "a failed call has changed it"
    );
    Ok(())
}
