//! What the kernel tells in `/proc`.

use user::sys::file::{self, O_RDONLY};
use user::sys::memory::PAGE;
use user::sys::{process, system};
use user::testing::pagemap::{self, Frame};
use user::testing::vmstat::{Vmstat, counter};
use user::testing::{Case, Explain, Failure, Mapping, Verdict, in_child};
use user::{cases, ensure};

pub const CASES: &[Case] = cases![
    status => "proc-status",
    status_of_others => "proc-status-of-others",
    memory => "proc-meminfo",
    counters => "proc-vmstat",
    counters_count => "proc-vmstat-counts",
    frames => "proc-pagemap",
    small_reads => "proc-small-reads",
];

/// The text of a small file.
fn text<'a>(path: &core::ffi::CStr, buffer: &'a mut [u8]) -> Result<&'a str, Failure> {
    let fd = file::open(path, O_RDONLY, 0).or_fail("open in /proc")?;
    let count = file::read_full(fd, buffer).or_fail("read in /proc");
    file::close(fd).or_fail("close")?;
    let bytes = buffer.get(..count?).unwrap_or_default();
    core::str::from_utf8(bytes).map_err(|_| Failure::new(format_args!("not a text")))
}

/// The first word of the line that begins with this.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))?
        .split_whitespace()
        .next()
}

fn number(text: &str, name: &str) -> Option<u64> {
    field(text, name)?.parse().ok()
}

fn status() -> Verdict {
    let mut buffer = [0; 8192];
    let text = text(c"/proc/self/status", &mut buffer)?;
    let name = field(text, "Name:");
    ensure!(name == Some("usertests"), "the name is {name:?}");
    let (pid, parent) = (number(text, "Pid:"), number(text, "PPid:"));
    ensure!(
        pid == Some(process::getpid().0 as u64),
        "the number is {pid:?}"
    );
    ensure!(
        parent == Some(process::getppid().0 as u64),
        "the parent is {parent:?}"
    );
    ensure!(
        number(text, "VmRSS:").is_some_and(|kib| kib > 0),
        "no resident memory"
    );
    ensure!(
        field(text, "State:") == Some("R"),
        "the state is {:?}",
        field(text, "State:")
    );
    Ok(())
}

fn status_of_others() -> Verdict {
    let me = process::getpid();
    in_child(|| {
        let path = crate::scratch::string(alloc::format!("/proc/{me}/status"));
        let mut buffer = [0; 8192];
        let text = text(&path, &mut buffer)?;
        ensure!(
            number(text, "Pid:") == Some(me.0 as u64),
            "another process's status"
        );
        Ok(())
    })?;
    let absent = file::open(c"/proc/1073741823/status", O_RDONLY, 0);
    user::testing::failure::expect_error("no process", absent, user::sys::Errno::ENOENT)
}

fn memory() -> Verdict {
    let mut buffer = [0; 8192];
    let text = text(c"/proc/meminfo", &mut buffer)?;
    let (total, free) = (number(text, "MemTotal:"), number(text, "MemFree:"));
    ensure!(
        total.is_some() && free.is_some(),
        "total {total:?}, free {free:?}"
    );
    ensure!(free < total, "total {total:?}, free {free:?}");
    Ok(())
}

fn counters() -> Verdict {
    let vmstat = Vmstat::read();
    ensure!(
        vmstat.get("nr_free_pages").is_some_and(|free| free > 0),
        "no free pages"
    );
    if system::on_cowfork() {
        for key in [
            "cow_faults",
            "cow_copies",
            "cow_reuses",
            "cow_table_copies",
            "cow_table_reuses",
            "zero_fills",
            "shootdowns_asked",
            "shootdowns_sent",
            "shootdowns_avoided",
            "shootdowns_merged",
            "shootdown_interrupts",
            "shootdown_latency_median_ns",
            "shootdown_latency_p99_ns",
            "retired_longest_ns",
            "references_retired",
            "references_dropped",
            "frames_freed",
            "forks",
        ] {
            ensure!(vmstat.get(key).is_some(), "{key} is missing");
        }
    }
    ensure!(
        vmstat.get("no_such_counter").is_none(),
        "a counter that is not there"
    );
    Ok(())
}

/// Where there are counters of copies and forks, they count.
fn counters_count() -> Verdict {
    const PAGES: u64 = 10;
    let (Some(forks), Some(copies)) = (counter("forks"), counter("cow_copies")) else {
        return Ok(());
    };
    let area = Mapping::private(PAGES as usize)?;
    area.fill_all(1);
    in_child(|| {
        area.fill_all(2);
        Ok(())
    })?;
    let forked = counter("forks").unwrap_or(0) - forks;
    let copied = counter("cow_copies").unwrap_or(0) - copies;
    // Others may have counted too.
    ensure!(forked >= 1, "{forked} forks");
    ensure!(copied >= PAGES, "{copied} copies of {PAGES} pages");
    Ok(())
}

fn frames() -> Verdict {
    let area = Mapping::private(4)?;
    ensure!(
        area.frame(1)? == Frame::Absent,
        "an untouched page has a frame"
    );
    area.fill(1, 1);
    area.fill(2, 1);
    let (one, other) = (area.frame(1)?, area.frame(2)?);
    pagemap::expect_different("two pages", one, other)?;
    ensure!(
        area.frame(3)? == Frame::Absent,
        "the untouched neighbour has a frame"
    );
    area.unmap(1, 1)?;
    ensure!(
        area.frame(1)? == Frame::Absent,
        "an unmapped page has a frame"
    );
    // Many entries at once, from a place that is not one of our pages'.
    let fd = file::open(c"/proc/self/pagemap", O_RDONLY, 0).or_fail("open")?;
    let mut entries = [1; 64];
    let count = file::pread(fd, &mut entries, (0x1234_5678_9000u64 / PAGE as u64) * 8);
    file::close(fd).or_fail("close")?;
    ensure!(
        count == Ok(64) && entries == [0; 64],
        "entries of nothing: {count:?}"
    );
    Ok(())
}

/// The same text comes whatever the size of the pieces.
fn small_reads() -> Verdict {
    let mut buffer = [0; 8192];
    let whole = text(c"/proc/self/status", &mut buffer)?;
    let name_line = whole.lines().next().unwrap_or_default().as_bytes();
    let fd = file::open(c"/proc/self/status", O_RDONLY, 0).or_fail("open")?;
    let mut result = Ok(());
    for byte in name_line {
        let mut piece = [0];
        let count = file::read(fd, &mut piece).or_fail("read")?;
        if count != 1 || piece[0] != *byte {
            result = Err(Failure::new(format_args!(
                "{count} bytes, {:?}",
                piece[0] as char
            )));
            break;
        }
    }
    file::close(fd).or_fail("close")?;
    result
}
