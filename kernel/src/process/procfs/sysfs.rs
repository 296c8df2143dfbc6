//! `/sys` (sysfs(5)), as far as there is something to tell: the CPUs, each of which is a core of its
//! own in one package, and one node of memory (Linux's Documentation/ABI/testing/sysfs-devices-system-cpu).

use super::fixed::{Entry, Fixed, Names};
use super::text::{Text, put_list};
use crate::arch;
use core::fmt::{self, Write};

/// `/sys` itself.
pub(super) const ROOT: Fixed = Fixed {
    names: &[
        ("devices", Entry::Directory(DEVICES)),
        ("kernel", Entry::Directory(KERNEL)),
        ("block", Entry::Directory(&[])),
        ("class", Entry::Directory(&[])),
        ("bus", Entry::Directory(&[])),
        ("fs", Entry::Directory(&[])),
    ],
    cpu: 0,
};

const DEVICES: Names = &[("system", Entry::Directory(SYSTEM))];

const SYSTEM: Names = &[
    ("cpu", Entry::Directory(CPUS)),
    ("node", Entry::Directory(NODES)),
];

const CPUS: Names = &[
    ("online", Entry::Text(|_, text| list(all(), text))),
    ("possible", Entry::Text(|_, text| list(all(), text))),
    ("present", Entry::Text(|_, text| list(all(), text))),
    ("offline", Entry::Text(|_, text| list(0, text))),
    ("isolated", Entry::Text(|_, text| list(0, text))),
    (
        "kernel_max",
        Entry::Text(|_, text| writeln!(text, "{}", arch::MAX_CPUS - 1)),
    ),
    ("cpu", Entry::EachCpu(CPU)),
];

const CPU: Names = &[("topology", Entry::Directory(TOPOLOGY))];

const TOPOLOGY: Names = &[
    (
        "physical_package_id",
        Entry::Text(|_, text| text.put(b"0\n")),
    ),
    ("die_id", Entry::Text(|_, text| text.put(b"0\n"))),
    ("core_id", Entry::Text(|cpu, text| writeln!(text, "{cpu}"))),
    (
        "thread_siblings",
        Entry::Text(|cpu, text| mask(1 << cpu, text)),
    ),
    (
        "thread_siblings_list",
        Entry::Text(|cpu, text| list(1 << cpu, text)),
    ),
    ("core_cpus", Entry::Text(|cpu, text| mask(1 << cpu, text))),
    (
        "core_cpus_list",
        Entry::Text(|cpu, text| list(1 << cpu, text)),
    ),
    ("core_siblings", Entry::Text(|_, text| mask(all(), text))),
    (
        "core_siblings_list",
        Entry::Text(|_, text| list(all(), text)),
    ),
    ("package_cpus", Entry::Text(|_, text| mask(all(), text))),
    (
        "package_cpus_list",
        Entry::Text(|_, text| list(all(), text)),
    ),
];

const NODES: Names = &[
    ("online", Entry::Text(|_, text| text.put(b"0\n"))),
    ("possible", Entry::Text(|_, text| text.put(b"0\n"))),
    ("has_cpu", Entry::Text(|_, text| text.put(b"0\n"))),
    ("has_memory", Entry::Text(|_, text| text.put(b"0\n"))),
    ("node0", Entry::Directory(NODE)),
];

const NODE: Names = &[
    ("cpulist", Entry::Text(|_, text| list(all(), text))),
    ("cpumap", Entry::Text(|_, text| mask(all(), text))),
    ("distance", Entry::Text(|_, text| text.put(b"10\n"))),
];

const KERNEL: Names = &[("mm", Entry::Directory(MM))];

const MM: Names = &[(
    "transparent_hugepage",
    Entry::Directory(&[(
        "enabled",
        Entry::Text(|_, text| text.put(b"always madvise [never]\n")),
    )]),
)];

/// All CPUs, a bit each.
fn all() -> u64 {
    u64::MAX >> (u64::BITS as usize - arch::cpu_count().clamp(1, u64::BITS as usize))
}

fn list(cpus: u64, text: &mut Text) -> fmt::Result {
    put_list(text, cpus)?;
    text.put(b"\n")
}

/// As Linux prints a mask of CPUs: groups of 32 bits with commas between.
fn mask(cpus: u64, text: &mut Text) -> fmt::Result {
    let digits = arch::cpu_count().div_ceil(4).min(8);
    match (cpus >> 32, arch::cpu_count() > 32) {
        (high, true) => writeln!(text, "{high:08x},{:08x}", cpus as u32),
        (_, false) => writeln!(text, "{cpus:0digits$x}"),
    }
}
