//! The files of `/proc` itself: what they tell of the machine as a whole.

use super::cpuinfo::cpuinfo;
use super::text::Text;
use crate::arch;
use crate::fs;
use crate::memory::{self, FRAME_SIZE};
use crate::process::{ids, load, overcommit};
use crate::sched;
use core::fmt::{self, Write};
use spin::Once;

/// What the kernel was started with.
pub(super) static COMMAND_LINE: Once<&'static str> = Once::new();

/// What makes a text.
pub(super) type Describe = fn(&mut Text) -> fmt::Result;

pub(super) const FILES: [super::File<Describe>; 13] = [
    (b"vmstat", vmstat),
    (b"meminfo", meminfo),
    (b"uptime", uptime),
    (b"version", version),
    (b"stat", stat),
    (b"loadavg", loadavg),
    (b"filesystems", |text| {
        text.put(b"nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tpipefs\n")
    }),
    (b"cpuinfo", cpuinfo),
    (b"cmdline", |text| {
        text.put(COMMAND_LINE.get().map_or(&b""[..], |line| line.as_bytes()))?;
        text.put(b"\n")
    }),
    (b"swaps", |text| {
        text.put(b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")
    }),
    (b"devices", |text| {
        text.put(b"Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n\nBlock devices:\n")
    }),
    (b"partitions", |text| {
        text.put(b"major minor  #blocks  name\n\n")
    }),
    (b"diskstats", |_| Ok(())),
];

fn kib(frames: usize) -> usize {
    frames * FRAME_SIZE / 1024
}

fn vmstat(text: &mut Text) -> fmt::Result {
    writeln!(text, "nr_free_pages {}", memory::free_frames())?;
    for (name, value) in memory::statistics() {
        writeln!(text, "{name} {value}")?;
    }
    Ok(())
}

fn meminfo(text: &mut Text) -> fmt::Result {
    let free = kib(memory::free_frames());
    let total = kib(memory::managed_frames());
    let files = kib(fs::tree().pages().used() as usize);
    let slab = kib(memory::heap_frames());
    let other = total.saturating_sub(free + files + slab);
    let lines = [
        ("MemTotal", total),
        ("MemFree", free),
        ("MemAvailable", free),
        ("Buffers", 0),
        ("Cached", files),
        ("SwapCached", 0),
        ("Active", other),
        ("Inactive", files),
        ("Unevictable", 0),
        ("Mlocked", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", 0),
        ("Writeback", 0),
        ("AnonPages", other),
        ("Shmem", files),
        ("KReclaimable", 0),
        ("Slab", slab),
        ("SReclaimable", 0),
        ("SUnreclaim", slab),
        ("CommitLimit", kib(overcommit::limit())),
        ("Committed_AS", kib(overcommit::committed())),
        ("VmallocTotal", 0),
        ("VmallocUsed", 0),
        ("AnonHugePages", 0),
    ];
    for (name, kib) in lines {
        // As Linux aligns them: the number ends at column 24.
        let width = 23 - name.len();
        writeln!(text, "{name}:{kib:width$} kB")?;
    }
    Ok(())
}

fn uptime(text: &mut Text) -> fmt::Result {
    let hundredths = |nanoseconds: u64| nanoseconds / 10_000_000;
    let idle = (0..arch::cpu_count())
        .filter_map(|cpu| sched::executor().counters(cpu))
        .map(|counters| counters.idle_ns)
        .sum();
    let [up, idle] = [arch::clock(), idle].map(hundredths);
    let (seconds, idle_seconds) = (up / 100, idle / 100);
    writeln!(
        text,
        "{seconds}.{:02} {idle_seconds}.{:02}",
        up % 100,
        idle % 100
    )
}

fn version(text: &mut Text) -> fmt::Result {
    let version = env!("CARGO_PKG_VERSION");
    writeln!(text, "Linux version 6.1.0-cowfork (cowfork {version})")
}

/// CPU time in ticks: what is neither idle nor in user mode counts as the kernel's.
fn stat(text: &mut Text) -> fmt::Result {
    const TICK: u64 = 10_000_000;
    let now = arch::clock();
    let of = |cpu| {
        let idle = sched::executor().counters(cpu);
        let idle = idle.map_or(0, |counters| counters.idle_ns.min(now));
        let user = load::user_time(cpu).min(now - idle);
        [user, now - idle - user, idle].map(|time| time / TICK)
    };
    let mut sum = [0; 3];
    for cpu in 0..arch::cpu_count() {
        let times = of(cpu);
        sum = [0, 1, 2].map(|at| sum[at] + times[at]);
    }
    let [user, system, idle] = sum;
    writeln!(text, "cpu  {user} 0 {system} {idle} 0 0 0 0 0 0")?;
    for cpu in 0..arch::cpu_count() {
        let [user, system, idle] = of(cpu);
        writeln!(text, "cpu{cpu} {user} 0 {system} {idle} 0 0 0 0 0 0")?;
    }
    let boot = arch::wall_clock_offset() / 1_000_000_000;
    let (made, running) = (ids::total(), ids::running());
    let polls = (0..arch::cpu_count()).filter_map(|cpu| sched::executor().counters(cpu));
    let switches: u64 = polls.map(|counters| counters.polls).sum();
    write!(
        text,
        "intr 0\nctxt {switches}\nbtime {boot}\nprocesses {made}\nprocs_running {running}\n\
         procs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n"
    )
}

fn loadavg(text: &mut Text) -> fmt::Result {
    let (running, count) = (ids::running(), ids::count());
    for average in load::averages() {
        write!(text, "{}.{:02} ", average / 100, average % 100)?;
    }
    writeln!(text, "{running}/{count} {}", ids::last())
}
