//! Rights of mappings, by mprotect.

use user::cases;
use user::ensure;
use user::sys::Errno;
use user::sys::file::{self, O_RDONLY};
use user::sys::memory::{self, PAGE, Protection, Sharing};
use user::sys::signal::Signal;
use user::testing::child::expect_signal;
use user::testing::failure::expect_error;
use user::testing::{Case, Explain, Mapping, Verdict, in_child};

use crate::memory::{read, unmap, write};
use crate::scratch::{Scratch, expect_contents, write_file};

pub const CASES: &[Case] = cases![
    rights => "memory-rights",
    rights_by_page => "memory-rights-by-page",
    rights_keep_contents => "memory-rights-keep-contents",
    rights_of_the_descriptor => "memory-rights-of-the-descriptor",
    rights_unknown => "memory-rights-unknown",
    rights_over_holes => "memory-rights-over-holes",
    rights_that_one_may_not_have => "memory-rights-that-one-may-not-have",
];

fn rights() -> Verdict {
    let area = Mapping::private(2)?;
    area.fill_all(1);
    for _ in 0..3 {
        area.protect(0, 2, Protection::READ)?;
        area.check_all(1)?;
        expect_signal(Signal::SIGSEGV, || write(area.page(0)))?;
        area.protect(0, 2, Protection::NONE)?;
        expect_signal(Signal::SIGSEGV, || {
            read(area.page(0));
        })?;
        area.protect(0, 2, Protection::READ_WRITE)?;
        area.check_all(1)?;
        area.fill_all(1);
    }
    // A mapping may begin without any, and never had a page.
    let start = memory::map(PAGE, Protection::NONE, Sharing::Private).or_fail("mmap")?;
    expect_signal(Signal::SIGSEGV, || {
        read(start);
    })?;
    // SAFETY: no other code knows of the page.
    unsafe { memory::protect(start, PAGE, Protection::READ_WRITE) }.or_fail("mprotect")?;
    ensure!(read(start) == 0, "the page is not zero");
    write(start);
    unmap(start, PAGE).or_fail("munmap")
}

fn rights_by_page() -> Verdict {
    const PAGES: usize = 12;
    let area = Mapping::private(PAGES)?;
    area.fill_all(1);
    for page in (0..PAGES).step_by(2) {
        area.protect(page, 1, Protection::READ)?;
    }
    for page in 0..PAGES {
        if page.is_multiple_of(2) {
            expect_signal(Signal::SIGSEGV, || write(area.page(page)))?;
        } else {
            area.fill(page, 2);
        }
    }
    area.protect(0, PAGES, Protection::READ_WRITE)?;
    area.fill_all(3);
    area.check_all(3)
}

/// Rights that come and go over a fork leave the contents and the sharing alone.
fn rights_keep_contents() -> Verdict {
    let area = Mapping::private(4)?;
    area.fill_all(1);
    area.protect(0, 4, Protection::READ)?;
    in_child(|| {
        area.check_all(1)?;
        area.protect(0, 4, Protection::READ_WRITE)?;
        area.fill_all(2);
        area.check_all(2)
    })?;
    area.check_all(1)?;
    expect_signal(Signal::SIGSEGV, || write(area.page(0)))?;
    area.protect(0, 4, Protection::READ_WRITE)?;
    area.fill_all(3);
    area.check_all(3)
}

/// What maps a file shared through a descriptor that cannot write it never gets to write it.
fn rights_of_the_descriptor() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"file", b"contents", 0o644)?;
    let fd = file::open(c"file", O_RDONLY, 0).or_fail("open")?;
    let result = memory::map_file(fd, PAGE, Protection::READ_WRITE, Sharing::Shared);
    expect_error("mmap to write", result, Errno::EACCES)?;
    let shared =
        memory::map_file(fd, PAGE, Protection::READ, Sharing::Shared).or_fail("mmap, shared")?;
    // SAFETY: no other code knows of the page.
    let result = unsafe { memory::protect(shared, PAGE, Protection::READ_WRITE) };
    expect_error("mprotect to write", result, Errno::EACCES)?;
    // SAFETY: see above.
    unsafe { memory::protect(shared, PAGE, Protection::READ_EXECUTE) }.or_fail("mprotect")?;
    expect_signal(Signal::SIGSEGV, || write(shared))?;
    // A private one copies what it writes.
    let private =
        memory::map_file(fd, PAGE, Protection::READ, Sharing::Private).or_fail("mmap, private")?;
    file::close(fd).or_fail("close")?;
    // SAFETY: no other code knows of the page.
    unsafe { memory::protect(private, PAGE, Protection::READ_WRITE) }.or_fail("mprotect")?;
    write(private);
    unmap(shared, PAGE).or_fail("munmap")?;
    unmap(private, PAGE).or_fail("munmap")?;
    expect_contents(c"file", b"contents")
}

/// mmap ignores what it does not know, mprotect does not.
fn rights_unknown() -> Verdict {
    let odd = Protection(Protection::READ.0 | 0x100);
    let start = memory::map(PAGE, odd, Sharing::Private).or_fail("mmap")?;
    ensure!(read(start) == 0, "the page is not zero");
    // SAFETY: no other code knows of the page.
    let result = unsafe { memory::protect(start, PAGE, odd) };
    expect_error("mprotect", result, Errno::EINVAL)?;
    unmap(start, PAGE).or_fail("munmap")
}

/// What lies before the hole has been changed.
fn rights_over_holes() -> Verdict {
    let area = Mapping::private(6)?;
    area.fill_all(1);
    area.unmap(3, 1)?;
    // SAFETY: nothing of Rust's is there.
    let result = unsafe { memory::protect(area.page(1), 5 * PAGE, Protection::READ) };
    expect_error("mprotect over a hole", result, Errno::ENOMEM)?;
    // SAFETY: see above.
    let result = unsafe { memory::protect(area.page(3), 2 * PAGE, Protection::NONE) };
    expect_error("mprotect from a hole on", result, Errno::ENOMEM)?;
    expect_rights(&area, &[1, 2], &[0, 4, 5])
}

/// Nor does it go on behind what may not have the right.
fn rights_that_one_may_not_have() -> Verdict {
    let _scratch = Scratch::enter()?;
    write_file(c"file", b"contents", 0o644)?;
    let fd = file::open(c"file", O_RDONLY, 0).or_fail("open")?;
    let area = Mapping::private(4)?;
    area.fill_all(1);
    area.protect(0, 2, Protection::READ)?;
    area.protect(3, 1, Protection::READ)?;
    // SAFETY: nothing of Rust's is there.
    unsafe { memory::map_file_at(area.page(2), fd, PAGE, Protection::READ, Sharing::Shared) }
        .or_fail("mmap, shared")?;
    file::close(fd).or_fail("close")?;
    // SAFETY: as above.
    let result = unsafe { memory::protect(area.page(1), 3 * PAGE, Protection::READ_WRITE) };
    expect_error("mprotect to write", result, Errno::EACCES)?;
    expect_rights(&area, &[0, 2, 3], &[1])
}

/// Looks which pages can be written and which can only be read.
fn expect_rights(area: &Mapping, readable: &[usize], writable: &[usize]) -> Verdict {
    for &page in readable {
        read(area.page(page));
        expect_signal(Signal::SIGSEGV, || write(area.page(page)))?;
    }
    writable.iter().for_each(|&page| area.fill(page, 2));
    Ok(())
}
