//! The files of `/proc/PID`.

use super::sys::{parse_number, read_number};
use super::text::{self, Text};
use super::{areas, mounts};
use crate::errno::Errno;
use crate::fs::device::Device;
use crate::fs::generated::Window;
use crate::fs::tty;
use crate::memory::{AddressSpace, FRAME_SIZE, Protection, Residency, Sink, Vma, VmaFlags};
use crate::process::oom;
use crate::process::state::Process;
use crate::process::thread::{Name, Tcb};
use crate::process::usage::Usage;
use alloc::sync::Arc;
use arrayvec::ArrayVec;
use core::fmt::{self, Write};
use core::sync::atomic::Ordering;
use linux_raw_sys::general as linux;

pub(super) const FILES: [super::File<super::Describe>; 20] = [
    (b"status", |process, text| status(process, None, text)),
    (b"stat", |process, text| stat(process, None, text)),
    (b"statm", statm),
    (b"cmdline", |process, text| {
        text.put(&process.names().arguments)
    }),
    (b"environ", |process, text| {
        text.put(&process.names().environment)
    }),
    (b"auxv", |process, text| {
        text.put(&process.names().auxiliary)
    }),
    (b"maps", areas::maps),
    (b"smaps", areas::smaps),
    (b"smaps_rollup", areas::smaps_rollup),
    (b"mounts", |_, text| mounts::mounts(text)),
    (b"mountinfo", |_, text| mounts::mountinfo(text)),
    (b"limits", limits),
    (b"io", io),
    (b"wchan", |_, text| text.put(b"0")),
    (b"schedstat", |process, text| {
        writeln!(text, "{} 0 0", process.usage().time())
    }),
    (b"cgroup", |_, text| text.put(b"0::/\n")),
    (b"loginuid", |_, text| write!(text, "{}", u32::MAX)),
    (b"sessionid", |_, text| write!(text, "{}", u32::MAX)),
    (b"personality", |_, text| text.put(b"00000000\n")),
    (b"oom_score", |process, text| {
        writeln!(text, "{}", oom::score(process))
    }),
];

/// Nanoseconds of a tick.
const TICK: u64 = 10_000_000;

/// The state of a thread, or of a process: its leader's while that is there.
fn state(process: &Process, thread: Option<&Tcb>) -> (char, &'static str) {
    let is_waiting = match thread {
        Some(thread) => thread.is_waiting(),
        None => process.leader_is_waiting(),
    };
    if process.exit_status().is_some() {
        ('Z', "zombie")
    } else if process.is_stopped() {
        ('T', "stopped")
    } else if is_waiting {
        ('S', "sleeping")
    } else {
        ('R', "running")
    }
}

/// What both files call it.
fn name(process: &Process, thread: Option<&Tcb>) -> Name {
    thread.map_or_else(|| process.name(), Tcb::name)
}

/// The lines of proc(5), "/proc/pid/status", of a process or of one of its threads.
pub(super) fn status(process: &Process, thread: Option<&Tcb>, text: &mut Text) -> fmt::Result {
    let (letter, word) = state(process, thread);
    let parent = process.parent().map_or(0, |parent| parent.pid.0);
    let who = process.credentials();
    let tid = thread.map_or(process.pid, Tcb::tid);
    text.put(b"Name:\t")?;
    text.put_escaped(&name(process, thread))?;
    let umask = process.umask.load(Ordering::Relaxed);
    let pid = process.pid;
    write!(
        text,
        "\nUmask:\t{umask:04o}\nState:\t{letter} ({word})\nTgid:\t{pid}\nNgid:\t0\nPid:\t{tid}\n\
         PPid:\t{parent}\nTracerPid:\t0\n"
    )?;
    for (name, ids) in [("Uid", who.uid), ("Gid", who.gid)] {
        let [a, b, c, d] = [ids.real, ids.effective, ids.saved, ids.files];
        writeln!(text, "{name}:\t{a}\t{b}\t{c}\t{d}")?;
    }
    let size = process.files().size().next_multiple_of(64).max(64);
    write!(text, "FDSize:\t{size}\nGroups:\t")?;
    for group in who.groups.iter() {
        write!(text, "{group} ")?;
    }
    let group = process.group.load(Ordering::Relaxed);
    let session = process.session.load(Ordering::Relaxed);
    write!(
        text,
        "\nNStgid:\t{pid}\nNSpid:\t{tid}\nNSpgid:\t{group}\nNSsid:\t{session}\n"
    )?;
    if let Some(space) = process.space() {
        memory(process, &space, text)?;
    }
    let caps = who.capabilities;
    let blocked = match thread {
        Some(thread) => thread.signals.blocked(),
        None => process.leader_blocked(),
    };
    let affinity = thread.map_or_else(|| process.affinity(), Tcb::affinity);
    let usage = thread.map_or_else(|| process.usage(), Tcb::usage);
    write!(
        text,
        "CoreDumping:\t0\nTHP_enabled:\t0\nThreads:\t{threads}\nSigQ:\t0/{queued}\n\
         SigPnd:\t{none:016x}\nShdPnd:\t{pending:016x}\nSigBlk:\t{blocked:016x}\n\
         SigIgn:\t{ignored:016x}\nSigCgt:\t{handled:016x}\nCapInh:\t{inheritable:016x}\n\
         CapPrm:\t{permitted:016x}\nCapEff:\t{effective:016x}\nCapBnd:\t{bounding:016x}\n\
         CapAmb:\t{none:016x}\nNoNewPrivs:\t{no_new}\nSeccomp:\t0\nSeccomp_filters:\t0\n\
         Cpus_allowed:\t{affinity:x}\nCpus_allowed_list:\t",
        threads = process.thread_count(),
        queued = process.limits.pending_signals(),
        none = 0,
        pending = process.pending(),
        ignored = process.ignored(),
        handled = process.handled(),
        inheritable = caps.inheritable,
        permitted = caps.permitted,
        effective = caps.effective,
        bounding = caps.bounding,
        no_new = u8::from(who.no_new_privileges),
    )?;
    text::put_list(text, affinity)?;
    write!(
        text,
        "\nMems_allowed:\t1\nMems_allowed_list:\t0\nvoluntary_ctxt_switches:\t{}\n\
         nonvoluntary_ctxt_switches:\t{}\n",
        usage.voluntary, usage.involuntary
    )
}

/// The lines about memory.
fn memory(process: &Process, space: &Arc<AddressSpace>, text: &mut Text) -> fmt::Result {
    let mut parts = Parts::default();
    space.visit_residency_now(|vma, residency| {
        parts.add(vma, residency);
        true
    });
    let resident = parts.anonymous + parts.file + parts.shared;
    let peak = (process.usage().peak as usize * FRAME_SIZE).max(resident);
    let lines = [
        ("VmPeak", parts.all),
        ("VmSize", parts.all),
        ("VmLck", parts.locked),
        ("VmPin", 0),
        ("VmHWM", peak),
        ("VmRSS", resident),
        ("RssAnon", parts.anonymous),
        ("RssFile", parts.file),
        ("RssShmem", parts.shared),
        ("VmData", parts.data),
        ("VmStk", parts.stack),
        ("VmExe", parts.code),
        ("VmLib", 0),
        ("VmPTE", space.footprint().tables as usize * FRAME_SIZE),
        ("VmSwap", 0),
        ("HugetlbPages", 0),
    ];
    for (name, bytes) in lines {
        writeln!(text, "{name}:\t{:8} kB", bytes / 1024)?;
    }
    Ok(())
}

/// What an address space has, by kind, in bytes.
#[derive(Default)]
struct Parts {
    all: usize,
    locked: usize,
    data: usize,
    stack: usize,
    code: usize,
    anonymous: usize,
    file: usize,
    shared: usize,
}

impl Parts {
    fn add(&mut self, vma: &Vma, residency: Residency) {
        self.all += vma.size();
        if vma.flags.contains(VmaFlags::LOCKED) {
            self.locked += vma.size();
        }
        if vma.flags.contains(VmaFlags::GROWS_DOWN) {
            self.stack += vma.size();
        } else if vma.protection.contains(Protection::WRITE) && !vma.backing.is_shared() {
            self.data += vma.size();
        } else if vma.protection.contains(Protection::EXECUTE) {
            self.code += vma.size();
        }
        self.anonymous += residency.anonymous;
        let rest = residency.private + residency.shared - residency.anonymous;
        if vma.backing.is_shared() {
            self.shared += rest;
        } else {
            self.file += rest;
        }
    }
}

/// The 52 fields of proc(5); those that there is nothing to say about are 0.
pub(super) fn stat(process: &Process, thread: Option<&Tcb>, text: &mut Text) -> fmt::Result {
    let (letter, _) = state(process, thread);
    let parent = process.parent().map_or(0, |parent| parent.pid.0);
    let (mapped, resident) = process.space().map_or((0, 0), |space| space.usage_now());
    let (own, children) = match thread {
        Some(thread) => (thread.usage(), Usage::NONE),
        None => (process.usage(), process.children_usage()),
    };
    write!(text, "{} (", thread.map_or(process.pid, Tcb::tid))?;
    text.put(&name(process, thread))?;
    let group = process.group.load(Ordering::Relaxed);
    let session = process.session.load(Ordering::Relaxed);
    let (terminal, foreground) = terminal(session);
    write!(
        text,
        ") {letter} {parent} {group} {session} {terminal} {foreground} 0"
    )?;
    let faults = [own.faults, children.faults, 0, 0];
    let times = [own.user, own.system, children.user, children.system].map(|ns| ns / TICK);
    for value in faults.into_iter().chain(times) {
        write!(text, " {value}")?;
    }
    let priority = thread.map_or_else(|| process.priority(), Tcb::priority);
    let limit = process.limit(linux::RLIMIT_RSS as usize);
    let limit = limit.map_or(u64::MAX, |limit| limit.soft);
    write!(
        text,
        " {} {} {} 0 {} {mapped} {} {limit}",
        priority.number(),
        priority.nice,
        process.thread_count(),
        process.started / TICK,
        resident / FRAME_SIZE
    )?;
    let blocked = match thread {
        Some(thread) => thread.signals.blocked(),
        None => process.leader_blocked(),
    };
    let mask = i32::MAX as u64;
    // The first code, its end and the stack; the registers; then the signals.
    write!(
        text,
        " 0 0 0 0 0 {} {} {} {} 0 0 0 {} {} {} {}",
        process.pending() & mask,
        blocked & mask,
        process.ignored() & mask,
        process.handled() & mask,
        process
            .attributes
            .exit_signal()
            .map_or(0, |signal| signal.number()),
        process.last_cpu(thread),
        priority.real_time,
        priority.policy as u32
    )?;
    zeroes(text, 11)
}

/// The number of the terminal of a session and the group in its foreground: 0 and -1 for none.
fn terminal(session: u32) -> (u64, i32) {
    let tty = tty::console();
    match tty.session() {
        owner if owner > 0 && owner as u32 == session => {
            (Device::Console.number(), tty.foreground())
        }
        _ => (0, -1),
    }
}

/// Fields without anything to say, to the end of the line.
fn zeroes(text: &mut Text, count: usize) -> fmt::Result {
    (0..count).try_for_each(|_| text.put(b" 0"))?;
    text.put(b"\n")
}

/// Nothing is read from or written to a device; what programs move is not counted.
fn io(_: &Process, text: &mut Text) -> fmt::Result {
    for name in [
        "rchar",
        "wchar",
        "syscr",
        "syscw",
        "read_bytes",
        "write_bytes",
        "cancelled_write_bytes",
    ] {
        writeln!(text, "{name}: 0")?;
    }
    Ok(())
}

fn statm(process: &Process, text: &mut Text) -> fmt::Result {
    let mut parts = Parts::default();
    if let Some(space) = process.space() {
        space.visit_residency_now(|vma, residency| {
            parts.add(vma, residency);
            true
        });
    }
    let shared = parts.file + parts.shared;
    let data = parts.data + parts.stack;
    let [all, resident, shared, code, data] = [
        parts.all,
        parts.anonymous + shared,
        shared,
        parts.code,
        data,
    ]
    .map(|bytes| bytes / FRAME_SIZE);
    writeln!(text, "{all} {resident} {shared} {code} 0 {data} 0")
}

/// The names of the limits and what they count in, by their numbers (fs/proc/base.c).
const LIMITS: [(&str, &str); 16] = [
    ("Max cpu time", "seconds"),
    ("Max file size", "bytes"),
    ("Max data size", "bytes"),
    ("Max stack size", "bytes"),
    ("Max core file size", "bytes"),
    ("Max resident set", "bytes"),
    ("Max processes", "processes"),
    ("Max open files", "files"),
    ("Max locked memory", "bytes"),
    ("Max address space", "bytes"),
    ("Max file locks", "locks"),
    ("Max pending signals", "signals"),
    ("Max msgqueue size", "bytes"),
    ("Max nice priority", ""),
    ("Max realtime priority", ""),
    ("Max realtime timeout", "us"),
];

fn limits(process: &Process, text: &mut Text) -> fmt::Result {
    let line = ["Limit", "Soft Limit", "Hard Limit", "Units"];
    let [a, b, c, d] = line;
    writeln!(text, "{a:<25} {b:<20} {c:<20} {d:<10}")?;
    for (number, (name, unit)) in LIMITS.into_iter().enumerate() {
        let Ok(limit) = process.limit(number) else {
            continue;
        };
        write!(text, "{name:<25}")?;
        for value in [limit.soft, limit.hard] {
            match value {
                u64::MAX => write!(text, " {:<20}", "unlimited")?,
                value => write!(text, " {value:<20}")?,
            }
        }
        writeln!(text, " {unit:<10}")?;
    }
    Ok(())
}

/// `/proc/PID/comm`: what a thread is called, or the leader of a process.
pub(super) struct Comm(pub(super) Arc<Process>, pub(super) Option<Arc<Tcb>>);

impl Window for Comm {
    fn is_writable(&self) -> bool {
        true
    }

    fn read_at(&self, offset: u64, sink: &mut dyn Sink, max: usize) -> Result<usize, Errno> {
        let mut line = ArrayVec::<u8, 16>::new();
        line.extend(name(&self.0, self.1.as_deref()));
        line.push(b'\n');
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = line.get(offset..).unwrap_or_default();
        Ok(sink.put(rest.get(..max).unwrap_or(rest)))
    }

    fn write(&self, text: &[u8]) -> Result<(), Errno> {
        let end = text.iter().position(|byte| matches!(byte, 0 | b'\n'));
        let text = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
        let new = text.iter().copied().take(Name::new().capacity()).collect();
        match &self.1 {
            Some(thread) => thread.set_name(Some(new)),
            None => self.0.set_name(new),
        }
        Ok(())
    }
}

/// `/proc/PID/oom_score_adj`.
pub(super) struct OomScoreAdj(pub(super) Arc<Process>);

impl Window for OomScoreAdj {
    fn is_writable(&self) -> bool {
        true
    }

    fn read_at(&self, offset: u64, sink: &mut dyn Sink, max: usize) -> Result<usize, Errno> {
        let value = self.0.oom_score_adj.load(Ordering::Relaxed);
        read_number(value, offset, sink, max)
    }

    fn write(&self, text: &[u8]) -> Result<(), Errno> {
        let (least, most) = (*oom::ADJUSTMENTS.start(), *oom::ADJUSTMENTS.end());
        let value = parse_number(text, least.into()..=most.into())?;
        self.0.oom_score_adj.store(value as i32, Ordering::Relaxed);
        Ok(())
    }
}
