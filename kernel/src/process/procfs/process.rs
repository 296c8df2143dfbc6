//! The files of `/proc/PID`.

use super::sys::{parse_number, read_number};
use super::text::Text;
use crate::errno::Errno;
use crate::fs::generated::Window;
use crate::memory::{FRAME_SIZE, Protection, Sink, Vma};
use crate::process::oom;
use crate::process::priority::Priority;
use crate::process::state::Process;
use crate::process::thread::Tcb;
use alloc::sync::Arc;
use core::fmt::{self, Write};
use core::sync::atomic::Ordering;

pub(super) const FILES: [super::File<super::Describe>; 8] = [
    (b"status", status),
    (b"stat", stat),
    (b"statm", statm),
    (b"cmdline", |process, text| {
        text.put(&process.names().arguments)
    }),
    (b"comm", |process, text| {
        text.put(&process.name())?;
        text.put(b"\n")
    }),
    (b"maps", maps),
    (b"limits", limits),
    (b"oom_score", |process, text| {
        writeln!(text, "{}", oom::score(process))
    }),
];

/// Nanoseconds of a tick.
const TICK: u64 = 10_000_000;

/// The state of a process, which is its leader's while that is there.
fn state(process: &Process) -> (char, &'static str) {
    state_of(process, !process.leader_is_waiting())
}

/// The state of a thread.
pub(super) fn thread_state(thread: &Tcb) -> (char, &'static str) {
    state_of(thread.process(), !thread.is_waiting())
}

fn state_of(process: &Process, is_runnable: bool) -> (char, &'static str) {
    if process.exit_status().is_some() {
        ('Z', "zombie")
    } else if process.is_stopped() {
        ('T', "stopped")
    } else if is_runnable {
        ('R', "running")
    } else {
        ('S', "sleeping")
    }
}

fn status(process: &Process, text: &mut Text) -> fmt::Result {
    let (letter, word) = state(process);
    let parent = process.parent().map_or(0, |parent| parent.pid.0);
    let (mapped, resident) = process.space().map_or((0, 0), |space| space.usage_now());
    let who = process.credentials();
    text.put(b"Name:\t")?;
    text.put(&process.name())?;
    let umask = process.umask.load(Ordering::Relaxed);
    let pid = process.pid;
    write!(
        text,
        "\nUmask:\t{umask:04o}\nState:\t{letter} ({word})\nTgid:\t{pid}\nNgid:\t0\nPid:\t{pid}\n\
         PPid:\t{parent}\nTracerPid:\t0\n"
    )?;
    for (name, ids) in [("Uid", who.uid), ("Gid", who.gid)] {
        let [a, b, c, d] = [ids.real, ids.effective, ids.saved, ids.files];
        writeln!(text, "{name}:\t{a}\t{b}\t{c}\t{d}")?;
    }
    write!(text, "FDSize:\t{}\nGroups:\t", process.files().limit())?;
    for group in who.groups.iter() {
        write!(text, "{group} ")?;
    }
    let caps = who.capabilities;
    write!(
        text,
        "\nVmPeak:\t{mapped:8} kB\nVmSize:\t{mapped:8} kB\nVmHWM:\t{peak:8} kB\nVmRSS:\t{resident:8} kB\n\
         Threads:\t{threads}\nSigQ:\t0/{queued}\nSigPnd:\t{none:016x}\nShdPnd:\t{pending:016x}\n\
         SigIgn:\t{ignored:016x}\nSigCgt:\t{handled:016x}\nCapInh:\t{inheritable:016x}\n\
         CapPrm:\t{permitted:016x}\nCapEff:\t{effective:016x}\nCapBnd:\t{bounding:016x}\n\
         CapAmb:\t{none:016x}\nNoNewPrivs:\t{no_new}\nSeccomp:\t0\nCpus_allowed:\t{affinity:x}\n",
        mapped = mapped / 1024,
        peak = resident / 1024,
        resident = resident / 1024,
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
        affinity = process.affinity(),
    )
}

/// The 52 fields of proc(5); those that there is nothing to say about are 0.
fn stat(process: &Process, text: &mut Text) -> fmt::Result {
    let (letter, _) = state(process);
    let parent = process.parent().map_or(0, |parent| parent.pid.0);
    let (mapped, resident) = process.space().map_or((0, 0), |space| space.usage_now());
    let (own, children) = (process.usage(), process.children_usage());
    write!(text, "{} (", process.pid)?;
    text.put(&process.name())?;
    let group = process.group.load(Ordering::Relaxed);
    let session = process.session.load(Ordering::Relaxed);
    write!(text, ") {letter} {parent} {group} {session} 0 -1 0")?;
    let faults = [own.faults, children.faults, 0, 0];
    let times = [own.user, own.system, children.user, children.system].map(|ns| ns / TICK);
    for value in faults.into_iter().chain(times) {
        write!(text, " {value}")?;
    }
    write!(
        text,
        " {} {} {} 0 {} {mapped} {}",
        process.priority().number(),
        process.priority().nice,
        process.thread_count(),
        process.started / TICK,
        resident / FRAME_SIZE
    )?;
    // From field 25 on.
    write_zeroes(text, 15)?;
    scheduling(process.priority(), text)
}

/// Fields 40 and 41, and the rest of the line.
fn scheduling(priority: Priority, text: &mut Text) -> fmt::Result {
    write!(text, " {} {}", priority.real_time, priority.policy as u32)?;
    zeroes(text, 11)
}

fn write_zeroes(text: &mut Text, count: usize) -> fmt::Result {
    (0..count).try_for_each(|_| text.put(b" 0"))
}

/// Fields without anything to say, to the end of the line.
pub(super) fn zeroes(text: &mut Text, count: usize) -> fmt::Result {
    write_zeroes(text, count)?;
    text.put(b"\n")
}

/// The line of a thread: the fields that are its own and those that name its process.
pub(super) fn thread_stat(thread: &Tcb, text: &mut Text) -> fmt::Result {
    let process = thread.process();
    let (letter, _) = thread_state(thread);
    let usage = thread.usage();
    write!(text, "{} (", thread.tid())?;
    text.put(&thread.name())?;
    write!(
        text,
        ") {letter} {} {} {} 0 -1 0 {} 0 0 0 {} {}",
        process.parent().map_or(0, |parent| parent.pid.0),
        process.group.load(Ordering::Relaxed),
        process.session.load(Ordering::Relaxed),
        usage.faults,
        usage.user / TICK,
        usage.system / TICK,
    )?;
    let priority = thread.priority();
    write!(
        text,
        " 0 0 {} {} {} 0 {}",
        priority.number(),
        priority.nice,
        process.thread_count(),
        process.started / TICK,
    )?;
    write_zeroes(text, 17)?;
    scheduling(priority, text)
}

fn statm(process: &Process, text: &mut Text) -> fmt::Result {
    let (mapped, resident) = process.space().map_or((0, 0), |space| space.usage_now());
    let [mapped, resident] = [mapped, resident].map(|bytes| bytes / FRAME_SIZE);
    writeln!(text, "{mapped} {resident} 0 0 0 0 0")
}

fn maps(process: &Process, text: &mut Text) -> fmt::Result {
    let Some(space) = process.space() else {
        return Ok(());
    };
    let mut result = Ok(());
    space.visit_vmas_now(0, |vma| {
        result = map_line(vma, text);
        result.is_ok()
    });
    result
}

fn map_line(vma: &Vma, text: &mut Text) -> fmt::Result {
    let flag = |right, letter| match vma.protection.contains(right) {
        true => letter,
        false => '-',
    };
    writeln!(
        text,
        "{:08x}-{:08x} {}{}{}{} {:08x} 00:00 0",
        vma.start,
        vma.end,
        flag(Protection::READ, 'r'),
        flag(Protection::WRITE, 'w'),
        flag(Protection::EXECUTE, 'x'),
        if vma.backing.is_shared() { 's' } else { 'p' },
        vma.backing.offset(),
    )
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
