//! Pages before they are used: MAP_POPULATE, mlock, mincore, msync, and what madvise knows of
//! that.

use user::cases;
use user::ensure;
use user::sys::file::{self, O_CREAT, O_RDWR};
use user::sys::memory::{self, PAGE, Protection, Sharing};
use user::sys::signal::Signal;
use user::sys::{Errno, Result, raw};
use user::testing::child::expect_signal;
use user::testing::failure::expect_error;
use user::testing::{Case, Explain, Mapping, Verdict, in_child};

use linux_raw_sys::general as numbers;

use crate::memory::{read, unmap, write};
use crate::scratch::Scratch;

pub const CASES: &[Case] = cases![
    present => "mincore",
    present_in_files => "mincore-of-files",
    mincore_errors => "mincore-errors",
    populated => "memory-populate",
    populated_by_advice => "madvise-populate",
    locked => "mlock",
    locked_all => "mlockall",
    lock_errors => "mlock-errors",
    synced => "msync",
    memory_as_a_file => "memfd",
];

const PLACE: usize = 0x2000_0000_0000;
const KERNEL: usize = 0xffff_8000_0000_0000;

fn call(number: u32, arguments: [usize; 3]) -> Result<()> {
    let [a, b, c] = arguments;
    // SAFETY: none of these calls changes memory, but for mincore's vector and what the cases
    // drop by madvise, which they know.
    unsafe { raw::call(number, [a, b, c, 0, 0, 0]) }.map(drop)
}

fn mincore(address: usize, length: usize, pages: &mut [u8]) -> Result<()> {
    assert!(pages.len() >= length.div_ceil(PAGE) || length > 1 << 30);
    let vector = pages.as_mut_ptr() as usize;
    call(numbers::__NR_mincore, [address, length, vector])
}

fn expect_present<const N: usize>(address: usize, expected: [u8; N]) -> Verdict {
    let mut pages = [9; N];
    mincore(address, N * PAGE, &mut pages).or_fail("mincore")?;
    pages.iter_mut().for_each(|page| *page &= 1);
    ensure!(pages == expected, "present are {pages:?}, not {expected:?}");
    Ok(())
}

fn present() -> Verdict {
    let area = Mapping::private_at(PLACE, 5)?;
    expect_present(PLACE, [0; 5])?;
    write(PLACE + PAGE);
    ensure!(read(PLACE + 3 * PAGE) == 0, "a fresh page is not zero");
    expect_present(PLACE, [0, 1, 0, 1, 0])?;
    in_child(|| expect_present(PLACE, [0, 1, 0, 1, 0]))?;
    // SAFETY: the case's own memory, used by address.
    let dropped = unsafe { memory::advise(PLACE, 2 * PAGE, numbers::MADV_DONTNEED) };
    dropped.or_fail("madvise")?;
    expect_present(PLACE, [0, 0, 0, 1, 0])?;
    // A length is rounded up.
    let mut pages = [9; 2];
    mincore(PLACE + 2 * PAGE, PAGE + 1, &mut pages).or_fail("mincore")?;
    ensure!(pages == [0, 1], "present are {pages:?}");
    drop(area);
    Ok(())
}

fn present_in_files() -> Verdict {
    let _scratch = Scratch::enter()?;
    let fd = file::open(c"file", O_RDWR | O_CREAT, 0o644).or_fail("open")?;
    file::write_all(fd, &[1; 2 * PAGE]).or_fail("write")?;
    let start =
        memory::map_file(fd, 2 * PAGE, Protection::READ, Sharing::Private).or_fail("mmap")?;
    expect_present(start, [1, 1])?;
    unmap(start, 2 * PAGE).or_fail("munmap")?;
    file::close(fd).or_fail("close")
}

fn mincore_errors() -> Verdict {
    let area = Mapping::private_at(PLACE, 4)?;
    area.unmap(2, 1)?;
    let mut pages = [9; 4];
    let mut bad = |what, address, length, errno| {
        expect_error(what, mincore(address, length, &mut pages), errno)
    };
    bad("odd start", PLACE + 1, PAGE, Errno::EINVAL)?;
    bad("a hole", PLACE, 4 * PAGE, Errno::ENOMEM)?;
    bad("the kernel", KERNEL, PAGE, Errno::ENOMEM)?;
    bad("all of memory", PLACE, usize::MAX, Errno::ENOMEM)?;
    for vector in [8, KERNEL, usize::MAX, area.page(2)] {
        let result = call(numbers::__NR_mincore, [PLACE, 2 * PAGE, vector]);
        expect_error("no vector", result, Errno::EFAULT)?;
    }
    call(numbers::__NR_mincore, [PLACE, 0, 8]).or_fail("nothing of nothing")
}

fn raw_map(length: usize, protection: u32, flags: u32) -> Result<usize> {
    let flags = flags | numbers::MAP_ANONYMOUS;
    let arguments = [
        0,
        length,
        protection as usize,
        flags as usize,
        usize::MAX,
        0,
    ];
    // SAFETY: fresh memory where nothing is.
    unsafe { raw::call(numbers::__NR_mmap, arguments) }
}

fn populated() -> Verdict {
    const RIGHTS: u32 = numbers::PROT_READ | numbers::PROT_WRITE;
    for kind in [numbers::MAP_PRIVATE, numbers::MAP_SHARED] {
        for how in [numbers::MAP_POPULATE, numbers::MAP_LOCKED] {
            let start = raw_map(4 * PAGE, RIGHTS, kind | how).or_fail("mmap")?;
            expect_present(start, [1; 4])?;
            ensure!(read(start + 3 * PAGE) == 0, "a fresh page is not zero");
            unmap(start, 4 * PAGE).or_fail("munmap")?;
        }
    }
    // Pages without rights are not there either, and is no error.
    let flags = numbers::MAP_PRIVATE | numbers::MAP_POPULATE;
    let start = raw_map(2 * PAGE, numbers::PROT_NONE, flags).or_fail("mmap")?;
    expect_present(start, [0; 2])?;
    unmap(start, 2 * PAGE).or_fail("munmap")
}

fn advise(address: usize, pages: usize, advice: u32) -> Result<()> {
    call(
        numbers::__NR_madvise,
        [address, pages * PAGE, advice as usize],
    )
}

fn populated_by_advice() -> Verdict {
    const READING: u32 = numbers::MADV_POPULATE_READ;
    const WRITING: u32 = numbers::MADV_POPULATE_WRITE;
    let area = Mapping::private_at(PLACE, 8)?;
    advise(PLACE, 2, WRITING).or_fail("by writing")?;
    advise(PLACE + 2 * PAGE, 2, READING).or_fail("by reading")?;
    expect_present(PLACE, [1, 1, 1, 1, 0, 0, 0, 0])?;
    area.protect(4, 1, Protection::READ)?;
    area.protect(5, 1, Protection::NONE)?;
    area.unmap(7, 1)?;
    let bad = |what, page: usize, pages, advice, errno| {
        expect_error(what, advise(PLACE + page * PAGE, pages, advice), errno)
    };
    bad("writing where one may not", 4, 1, WRITING, Errno::EINVAL)?;
    bad("using pages without rights", 5, 1, READING, Errno::EINVAL)?;
    bad("a hole", 6, 2, READING, Errno::ENOMEM)?;
    advise(PLACE + 4 * PAGE, 1, READING).or_fail("reading what may be read")?;
    expect_present(PLACE + 4 * PAGE, [1, 0, 1])
}

fn locked() -> Verdict {
    let area = Mapping::private_at(PLACE, 6)?;
    // From the middle of a page to the middle of another.
    call(numbers::__NR_mlock, [PLACE + PAGE + 100, PAGE, 0]).or_fail("mlock")?;
    expect_present(PLACE, [0, 1, 1, 0, 0, 0])?;
    for advice in [
        numbers::MADV_DONTNEED,
        numbers::MADV_FREE,
        numbers::MADV_COLD,
        numbers::MADV_PAGEOUT,
    ] {
        let advised = advise(PLACE + PAGE, 1, advice);
        expect_error("dropping locked memory", advised, Errno::EINVAL)?;
    }
    // A lock is not inherited.
    in_child(|| advise(PLACE + PAGE, 1, numbers::MADV_DONTNEED).or_fail("a child's madvise"))?;
    let sync = |flags: u32| call(numbers::__NR_msync, [PLACE, 6 * PAGE, flags as usize]);
    expect_error("msync", sync(numbers::MS_INVALIDATE), Errno::EBUSY)?;
    call(numbers::__NR_munlock, [PLACE, 6 * PAGE, 0]).or_fail("munlock")?;
    sync(numbers::MS_INVALIDATE).or_fail("msync")?;
    advise(PLACE + PAGE, 1, numbers::MADV_DONTNEED).or_fail("madvise")?;
    let on_fault = numbers::MLOCK_ONFAULT as usize;
    call(numbers::__NR_mlock2, [PLACE, 6 * PAGE, on_fault]).or_fail("mlock2")?;
    expect_present(PLACE, [0, 0, 1, 0, 0, 0])?;
    advise(PLACE, 6, numbers::MADV_DONTNEED_LOCKED).or_fail("madvise")?;
    expect_present(PLACE, [0; 6])?;
    drop(area);
    Ok(())
}

fn locked_all() -> Verdict {
    let area = Mapping::private_at(PLACE, 3)?;
    area.protect(1, 1, Protection::NONE)?;
    let lock_all = |flags: u32| call(numbers::__NR_mlockall, [flags as usize, 0, 0]);
    lock_all(numbers::MCL_CURRENT | numbers::MCL_FUTURE).or_fail("mlockall")?;
    expect_present(PLACE, [1, 0, 1])?;
    let later = Mapping::private(2)?;
    expect_present(later.page(0), [1, 1])?;
    in_child(|| expect_present(Mapping::private(2)?.page(0), [0, 0]))?;
    call(numbers::__NR_munlockall, [0; 3]).or_fail("munlockall")?;
    let unlocked = Mapping::private_at(2 * PLACE, 2)?;
    expect_present(unlocked.page(0), [0, 0])?;
    for flags in [0, 8, numbers::MCL_ONFAULT] {
        expect_error("mlockall", lock_all(flags), Errno::EINVAL)?;
    }
    Ok(())
}

fn lock_errors() -> Verdict {
    let area = Mapping::private_at(PLACE, 4)?;
    area.protect(3, 1, Protection::NONE)?;
    area.unmap(1, 1)?;
    for number in [numbers::__NR_mlock, numbers::__NR_munlock] {
        expect_error("a hole", call(number, [PLACE, 3 * PAGE, 0]), Errno::ENOMEM)?;
        expect_error("kernel", call(number, [KERNEL, PAGE, 0]), Errno::ENOMEM)?;
        let around = call(number, [PLACE, 0usize.wrapping_sub(PAGE), 0]);
        expect_error("around", around, Errno::EINVAL)?;
        call(number, [PLACE, 0, 0]).or_fail("nothing")?;
    }
    let unusable = call(numbers::__NR_mlock, [area.page(3), PAGE, 0]);
    expect_error("pages without rights", unusable, Errno::ENOMEM)?;
    let flags = call(numbers::__NR_mlock2, [PLACE, PAGE, 2]);
    expect_error("flags", flags, Errno::EINVAL)
}

fn synced() -> Verdict {
    let area = Mapping::private_at(PLACE, 3)?;
    area.unmap(1, 1)?;
    let sync = |address: usize, length: usize, flags: u32| {
        call(numbers::__NR_msync, [address, length, flags as usize])
    };
    const SYNC: u32 = numbers::MS_SYNC;
    for flags in [0, SYNC, numbers::MS_ASYNC, SYNC | numbers::MS_INVALIDATE] {
        sync(PLACE, PAGE, flags).or_fail("msync")?;
    }
    sync(PLACE, 0, SYNC).or_fail("nothing")?;
    let bad = |what, result, errno| expect_error(what, result, errno);
    bad(
        "both",
        sync(PLACE, PAGE, SYNC | numbers::MS_ASYNC),
        Errno::EINVAL,
    )?;
    bad("flags", sync(PLACE, PAGE, 8), Errno::EINVAL)?;
    bad("odd start", sync(PLACE + 1, PAGE, SYNC), Errno::EINVAL)?;
    bad("a hole", sync(PLACE, 3 * PAGE, SYNC), Errno::ENOMEM)?;
    bad("kernel", sync(KERNEL, PAGE, SYNC), Errno::ENOMEM)
}

/// Memory that is a file without a name: shared by all that map it, and as long as it was made.
fn memory_as_a_file() -> Verdict {
    let create = |name: usize, flags: u32| {
        // SAFETY: it reads a string.
        unsafe {
            raw::call(
                numbers::__NR_memfd_create,
                [name, flags as usize, 0, 0, 0, 0],
            )
        }
    };
    let name = c"case".as_ptr() as usize;
    let fd = create(name, numbers::MFD_CLOEXEC).or_fail("memfd_create")?;
    let fd = file::Fd(fd as i32);
    let flags = file::descriptor_flags(fd).or_fail("fcntl")?;
    ensure!(flags == 1, "the descriptor's flags are {flags}");
    let map = |sharing| {
        let mapped = memory::map_file(fd, 2 * PAGE, Protection::READ_WRITE, sharing);
        mapped.or_fail("mmap")
    };
    let shared = map(Sharing::Shared)?;
    expect_signal(Signal::SIGBUS, || write(shared))?;
    file::truncate(fd, PAGE as u64).or_fail("ftruncate")?;
    let private = map(Sharing::Private)?;
    in_child(|| {
        write(shared + 5);
        in_child(|| {
            write(shared + 6);
            Ok(())
        })
    })?;
    let found = [5, 6, 7].map(|at| read(private + at));
    ensure!(found == [1, 1, 0], "found {found:?}");
    write(private);
    ensure!(read(shared) == 0, "a private write is seen");
    let mut bytes = [9; 7];
    let count = file::pread(fd, &mut bytes, 0).or_fail("pread")?;
    ensure!(
        count == 7 && bytes == [0, 0, 0, 0, 0, 1, 1],
        "read {bytes:?}"
    );
    expect_signal(Signal::SIGBUS, || write(shared + PAGE))?;
    expect_error("no name", create(8, 0), Errno::EFAULT)?;
    expect_error("flags", create(name, 0x1000), Errno::EINVAL)?;
    let long = [b'x'; 251];
    expect_error(
        "a long name",
        create(long.as_ptr() as usize, 0),
        Errno::EINVAL,
    )?;
    unmap(shared, 2 * PAGE).or_fail("munmap")?;
    unmap(private, 2 * PAGE).or_fail("munmap")?;
    file::close(fd).or_fail("close")
}
