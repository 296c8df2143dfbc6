//! `/proc/sys`: settings, most of which only tell (proc_sys(5)).

use super::fixed::{Entry, Names};
use super::text::Text;
use crate::arch;
use crate::errno::Errno;
use crate::fs::generated::Window;
use crate::fs::table::MAX_LIMIT;
use crate::memory::Sink;
use crate::process::{ids, overcommit};
use arrayvec::ArrayString;
use core::fmt::{self, Write};
use core::ops::RangeInclusive;
use spin::Once;

/// A setting that is a number.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    get: fn() -> u64,
    /// Changes it, if it can be changed, within this range.
    set: Option<(fn(u64), RangeOf)>,
}

/// The smallest and the largest value.
type RangeOf = (u64, u64);

/// A number that cannot be changed.
const fn fixed(get: fn() -> u64) -> Entry {
    Entry::Setting(Setting { get, set: None })
}

/// A number that can be changed, from the smallest to the largest value.
const fn changeable(get: fn() -> u64, set: fn(u64), range: RangeOf) -> Entry {
    Entry::Setting(Setting {
        get,
        set: Some((set, range)),
    })
}

const VM: Names = &[
    (
        "overcommit_memory",
        changeable(
            || overcommit::get(overcommit::Setting::Policy),
            |value| overcommit::set(overcommit::Setting::Policy, value),
            (0, 2),
        ),
    ),
    (
        "overcommit_ratio",
        changeable(
            || overcommit::get(overcommit::Setting::Ratio),
            |value| overcommit::set(overcommit::Setting::Ratio, value),
            (0, i32::MAX as u64),
        ),
    ),
    (
        "overcommit_kbytes",
        changeable(
            || overcommit::get(overcommit::Setting::Kbytes),
            |value| overcommit::set(overcommit::Setting::Kbytes, value),
            (0, i64::MAX as u64),
        ),
    ),
    ("max_map_count", fixed(|| 65530)),
    ("swappiness", fixed(|| 0)),
    ("mmap_min_addr", fixed(|| 65536)),
];

const KERNEL: Names = &[
    ("ostype", Entry::Text(|_, text| text.put(b"Linux\n"))),
    (
        "osrelease",
        Entry::Text(|_, text| text.put(b"6.1.0-cowfork\n")),
    ),
    (
        "version",
        Entry::Text(|_, text| writeln!(text, "cowfork {} SMP", env!("CARGO_PKG_VERSION"))),
    ),
    ("hostname", Entry::Text(|_, text| text.put(b"cowfork\n"))),
    ("domainname", Entry::Text(|_, text| text.put(b"(none)\n"))),
    ("core_pattern", Entry::Text(|_, text| text.put(b"core\n"))),
    ("core_uses_pid", fixed(|| 0)),
    ("pid_max", fixed(|| u64::from(ids::LIMIT))),
    ("threads-max", fixed(|| u64::from(ids::LIMIT))),
    ("ngroups_max", fixed(|| 65536)),
    ("cap_last_cap", fixed(|| 40)),
    ("overflowuid", fixed(|| 65534)),
    ("overflowgid", fixed(|| 65534)),
    ("randomize_va_space", fixed(|| 0)),
    ("tainted", fixed(|| 0)),
    ("printk", Entry::Text(|_, text| text.put(b"4\t4\t1\t7\n"))),
    ("random", Entry::Directory(RANDOM)),
];

const RANDOM: Names = &[
    ("boot_id", Entry::Text(|_, text| put_uuid(boot_id(), text))),
    ("uuid", Entry::Text(|_, text| put_uuid(random(), text))),
    ("entropy_avail", fixed(|| 256)),
    ("poolsize", fixed(|| 256)),
];

const FS: Names = &[
    ("file-max", fixed(|| i64::MAX as u64)),
    ("nr_open", fixed(|| MAX_LIMIT as u64)),
    ("pipe-max-size", fixed(|| 1 << 20)),
    ("pipe-user-pages-hard", fixed(|| 0)),
    ("pipe-user-pages-soft", fixed(|| 16384)),
    ("overflowuid", fixed(|| 65534)),
    ("overflowgid", fixed(|| 65534)),
];

/// `/proc/sys` itself.
pub(super) const ROOT: Names = &[
    ("kernel", Entry::Directory(KERNEL)),
    ("vm", Entry::Directory(VM)),
    ("fs", Entry::Directory(FS)),
];

/// A number that looks random.
fn random() -> u128 {
    u128::from(arch::random()) << 64 | u128::from(arch::random())
}

/// The same number from start to end.
fn boot_id() -> u128 {
    static ID: Once<u128> = Once::new();
    *ID.call_once(random)
}

/// A random number in the form of a UUID of version 4 (RFC 9562, section 5.4).
fn put_uuid(number: u128, text: &mut Text) -> fmt::Result {
    let fixed = 0xf << 76 | 0x3 << 62;
    let number = number & !fixed | 4 << 76 | 2 << 62;
    let part = |from: u32, bits: u32| number >> from & ((1 << bits) - 1);
    writeln!(
        text,
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        part(96, 32),
        part(80, 16),
        part(64, 16),
        part(48, 16),
        part(0, 48)
    )
}

impl Window for Setting {
    fn is_writable(&self) -> bool {
        self.set.is_some()
    }

    fn read_at(&self, offset: u64, sink: &mut dyn Sink, max: usize) -> Result<usize, Errno> {
        read_number((self.get)(), offset, sink, max)
    }

    fn write(&self, text: &[u8]) -> Result<(), Errno> {
        let (set, (least, most)) = self.set.as_ref().ok_or(Errno::EACCES)?;
        let value = parse_number(text, *least as i64..=*most as i64)?;
        set(value as u64);
        Ok(())
    }
}

/// Reads a file that is a number and a line end.
pub(super) fn read_number(
    number: impl core::fmt::Display,
    offset: u64,
    sink: &mut dyn Sink,
    max: usize,
) -> Result<usize, Errno> {
    let mut text = ArrayString::<24>::new();
    // A number of 64 bits fits.
    let _ = writeln!(text, "{number}");
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let rest = text.as_bytes().get(offset..).unwrap_or_default();
    Ok(sink.put(&rest[..rest.len().min(max)]))
}

/// The number that a program has written.
pub(super) fn parse_number(text: &[u8], range: RangeInclusive<i64>) -> Result<i64, Errno> {
    let text = core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
    let number = text.trim().parse().map_err(|_| Errno::EINVAL)?;
    range
        .contains(&number)
        .then_some(number)
        .ok_or(Errno::EINVAL)
}
