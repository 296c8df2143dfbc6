//! `/proc/PID/maps`, `smaps` and `smaps_rollup` (proc(5)): the areas of an address space, and what is
//! in memory of each. As far as can be seen without waiting: an address space whose areas are being
//! changed at this moment shows none.

use super::text::Text;
use crate::fs;
use crate::fs::node::Node;
use crate::memory::{Backing, FRAME_SIZE, Protection, Residency, Vma, VmaFlags};
use crate::process::state::Process;
use alloc::borrow::Cow;
use core::fmt::{self, Write};

/// The column where the name begins.
const NAME_COLUMN: usize = 73;

pub(super) fn maps(process: &Process, text: &mut Text) -> fmt::Result {
    let Some(space) = process.space() else {
        return Ok(());
    };
    let heap = space.heap_now();
    let mut result = Ok(());
    space.visit_vmas_now(0, |vma| {
        result = line(vma, heap, text);
        result.is_ok()
    });
    result
}

/// What an area is called, and the number of its file.
fn name_of(vma: &Vma, heap: (usize, usize)) -> (u64, Cow<'static, [u8]>) {
    let fixed = Cow::Borrowed::<[u8]>;
    match &vma.backing {
        Backing::Anonymous if vma.start < heap.1 && heap.0 < vma.end => (0, fixed(b"[heap]")),
        Backing::Anonymous if vma.flags.contains(VmaFlags::GROWS_DOWN) => (0, fixed(b"[stack]")),
        Backing::Anonymous => (0, fixed(b"")),
        Backing::Private(object, _) | Backing::Shared(object, _) => {
            let node = object
                .owner()
                .and_then(|owner| owner.downcast::<Node>().ok());
            match node {
                Some(node) => {
                    let path = fs::tree().shown_path(&node).unwrap_or_default();
                    (node.number(), Cow::Owned(path))
                }
                None => (1, fixed(b"/dev/zero (deleted)")),
            }
        }
    }
}

fn line(vma: &Vma, heap: (usize, usize), text: &mut Text) -> fmt::Result {
    let flag = |right, letter| match vma.protection.contains(right) {
        true => letter,
        false => '-',
    };
    let (number, name) = name_of(vma, heap);
    let minor = u8::from(number != 0);
    let before = text.len();
    write!(
        text,
        "{:08x}-{:08x} {}{}{}{} {:08x} 00:{minor:02x} {number} ",
        vma.start,
        vma.end,
        flag(Protection::READ, 'r'),
        flag(Protection::WRITE, 'w'),
        flag(Protection::EXECUTE, 'x'),
        if vma.backing.is_shared() { 's' } else { 'p' },
        vma.backing.offset(),
    )?;
    if !name.is_empty() {
        let width = NAME_COLUMN.saturating_sub(text.len() - before);
        write!(text, "{:width$}", "")?;
        text.put(&name)?;
    }
    text.put(b"\n")
}

pub(super) fn smaps(process: &Process, text: &mut Text) -> fmt::Result {
    let Some(space) = process.space() else {
        return Ok(());
    };
    let heap = space.heap_now();
    let mut result = Ok(());
    space.visit_residency_now(|vma, residency| {
        let size = vma.size() / 1024;
        let page = FRAME_SIZE / 1024;
        result = line(vma, heap, text)
            .and_then(|()| {
                writeln!(
                    text,
                    "Size:           {size:8} kB\nKernelPageSize: {page:8} kB\n\
                     MMUPageSize:    {page:8} kB"
                )
            })
            .and_then(|()| amounts(residency, vma.flags.contains(VmaFlags::LOCKED), text))
            .and_then(|()| flags(vma, text));
        result.is_ok()
    });
    result
}

pub(super) fn smaps_rollup(process: &Process, text: &mut Text) -> fmt::Result {
    let Some(space) = process.space() else {
        return Ok(());
    };
    let mut sum = Residency::default();
    let mut span: Option<(usize, usize)> = None;
    space.visit_residency_now(|vma, residency| {
        sum = sum.plus(residency);
        span = Some((span.map_or(vma.start, |(start, _)| start), vma.end));
        true
    });
    let Some((start, end)) = span else {
        return Ok(());
    };
    writeln!(
        text,
        "{start:08x}-{end:08x} ---p 00000000 00:00 0{:21}[rollup]",
        ""
    )?;
    amounts(sum, false, text)
}

/// The lines that both files have. Nothing is known of which pages are clean, so all are told as
/// dirty that are not a file's.
fn amounts(residency: Residency, is_locked: bool, text: &mut Text) -> fmt::Result {
    let r = residency;
    let dirty = |all: usize| all.min(r.anonymous);
    let private_dirty = dirty(r.private);
    let shared_dirty = dirty(r.shared).min(r.anonymous - private_dirty);
    let lines = [
        ("Rss", r.private + r.shared),
        ("Pss", r.proportional),
        ("Pss_Dirty", r.proportional.min(r.anonymous)),
        ("Shared_Clean", r.shared - shared_dirty),
        ("Shared_Dirty", shared_dirty),
        ("Private_Clean", r.private - private_dirty),
        ("Private_Dirty", private_dirty),
        ("Referenced", r.private + r.shared),
        ("Anonymous", r.anonymous),
        ("LazyFree", 0),
        ("AnonHugePages", 0),
        ("ShmemPmdMapped", 0),
        ("FilePmdMapped", 0),
        ("Shared_Hugetlb", 0),
        ("Private_Hugetlb", 0),
        ("Swap", 0),
        ("SwapPss", 0),
        ("Locked", if is_locked { r.proportional } else { 0 }),
    ];
    for (name, bytes) in lines {
        let width = 23 - name.len();
        writeln!(text, "{name}:{:width$} kB", bytes / 1024)?;
    }
    Ok(())
}

/// The line of flags that ends an area in `smaps`.
fn flags(vma: &Vma, text: &mut Text) -> fmt::Result {
    text.put(b"THPeligible:    0\nVmFlags:")?;
    let flags = [
        (vma.protection.contains(Protection::READ), "rd"),
        (vma.protection.contains(Protection::WRITE), "wr"),
        (vma.protection.contains(Protection::EXECUTE), "ex"),
        (vma.backing.is_shared(), "sh"),
        (vma.allowed.contains(Protection::READ), "mr"),
        (vma.allowed.contains(Protection::WRITE), "mw"),
        (vma.allowed.contains(Protection::EXECUTE), "me"),
        (vma.flags.contains(VmaFlags::GROWS_DOWN), "gd"),
        (vma.flags.contains(VmaFlags::LOCKED), "lo"),
        (vma.flags.contains(VmaFlags::DONT_FORK), "dc"),
        (vma.flags.contains(VmaFlags::WIPE_ON_FORK), "wf"),
    ];
    for (_, name) in flags.into_iter().filter(|(is_set, _)| *is_set) {
        write!(text, " {name}")?;
    }
    text.put(b" \n")
}
