//! The event trace: what each CPU did, and when.
//!
//! With the parameter `trace=on` (or `trace=N`, for N records a CPU) each CPU writes what
//! it does into a ring of its own: records of 32 bytes, without a lock. Without the
//! parameter a place that could write one costs a load and a branch that is never taken.
//!
//! The rings lie in physical memory that is set aside at the start, and describe
//! themselves (see `ring`). So they are read from outside, out of the machine's memory:
//! nothing has to be sent, and a kernel that hangs or panics has a trace as well. A panic
//! also reports the last events of each CPU.
//!
//! This module stands below all others but `arch`: it knows numbers, not processes or
//! address spaces. Which events there are is the list below; `memory`, `process`,
//! `syscall` and `sched` say when they happen.

mod ring;

use crate::arch::{self, BootInfo, FRAME_SIZE, PerMachine, PhysRange};
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use ring::{Area, WORDS};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What can happen. The names and those of the words that come with an event are
        /// in `KINDS`.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Kind { $($(#[$doc])* $name,)* }

        /// The name of each kind, and after it those of its words.
        const KINDS: &[&str] = &[$($text,)*];
    };
}

kinds! {
    /// The poll of a task begins.
    PollBegin = "poll_begin task name more",
    /// It has ended.
    PollEnd = "poll_end",
    /// Tasks were taken from another CPU.
    Steal = "steal victim tasks",
    /// An interrupt was sent by the executor.
    ReschedIpi = "resched_ipi cpu",
    /// A CPU waits for work: awake, or halted.
    IdleBegin = "idle_begin halted",
    /// It goes on.
    IdleEnd = "idle_end",
    /// Another address space was entered; 0 is the kernel's own.
    Switch = "switch root",
    /// A task is a thread of a process.
    Thread = "thread task pid tid",
    /// A system call begins.
    CallBegin = "call_begin number pid tid",
    /// It has ended, or was given up.
    CallEnd = "call_end result",
    /// A page fault, of the program or of the kernel for it, begins.
    FaultBegin = "fault_begin address write",
    /// It has ended, or was given up.
    FaultEnd = "fault_end",
    /// A page was copied because it has another holder.
    Copy = "copy address from to",
    /// A page was reused by its only holder.
    Reuse = "reuse address frame",
    /// A table was copied because it has another holder.
    TableCopy = "table_copy level from to",
    /// A table was reused by its only holder.
    TableReuse = "table_reuse level frame",
    /// A fresh page was mapped.
    ZeroFill = "zero_fill address",
    /// Other CPUs are asked to forget translations.
    Shootdown = "shootdown id cpus pages",
    /// An interrupt was sent for it.
    Interrupt = "interrupt cpu",
    /// A CPU has forgotten; `last` is 1 for the last one.
    Ack = "ack id last",
    /// A reference was taken out of a table entry.
    Retire = "retire frame level",
    /// It was dropped; `id` is the shootdown that it had to wait for, or 0.
    Drop = "drop frame level id",
    /// A process was made.
    Fork = "fork parent child",
    /// A process has a new program.
    Exec = "exec pid name more",
    /// A process has ended.
    Exit = "exit pid status",
    /// At the end: what a counter has come to.
    Total = "total counter value",
}

/// Whether events are recorded. Changed once, before there is a second CPU; Relaxed, as a
/// CPU that saw it late would only lose events.
static ON: AtomicBool = AtomicBool::new(false);

static AREA: PerMachine<Area> = PerMachine::new();

/// Records for each CPU with `trace=on`.
const DEFAULT: usize = 1 << 16;

/// How many bytes [`init`] wants to have set aside: by the kernel's command line, but no
/// more than a quarter of memory.
pub fn bytes_wanted(boot: &BootInfo) -> usize {
    let wanted = match parameter(boot.command_line) {
        None | Some("off") => return 0,
        Some("on") => DEFAULT,
        Some(number) => match number.parse() {
            Ok(records) => records,
            Err(_) => {
                log::warn!("trace={number}: neither on, off nor a number of records");
                return 0;
            }
        },
    };
    let most = boot.frames * FRAME_SIZE / 4;
    let bytes = |records: usize| Area::bytes(arch::cpu_count(), records);
    let mut records = wanted.clamp(1, most).next_power_of_two();
    while bytes(records) > most {
        records /= 2;
    }
    bytes(records)
}

/// The last value of the parameter. There is no heap yet to take the command line apart.
fn parameter(command_line: &str) -> Option<&str> {
    command_line
        .split_ascii_whitespace()
        .take_while(|&word| word != "--")
        .filter_map(|word| word.strip_prefix("trace="))
        .last()
}

/// Starts the trace in this memory. Nothing happens if there is none. `counters` are the
/// names of what [`Kind::Total`] tells.
///
/// # Safety
/// Nothing else uses the memory, from now on for ever.
pub unsafe fn init(aside: PhysRange, counters: &[&str]) {
    if aside.start == aside.end {
        return;
    }
    let lists = [("event", KINDS), ("counter", counters)];
    // SAFETY: the caller's promise.
    AREA.init(unsafe { Area::new(aside, arch::cpu_count(), &lists) });
    ON.store(true, Ordering::Relaxed);
    // Tools that read the rings look for this line.
    crate::log::plain(format_args!(
        "trace: {} bytes at {:#x}",
        aside.end - aside.start,
        aside.start
    ));
}

/// Whether events are recorded: for events whose words take work to find.
#[inline(always)]
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Records an event on this CPU, if events are recorded.
#[inline(always)]
pub fn event<const N: usize>(kind: Kind, words: [u64; N]) {
    const { assert!(N <= WORDS) };
    if is_on() {
        let mut all = [0; WORDS];
        all[..N].copy_from_slice(&words);
        record(kind, all);
    }
}

/// A number that no other call gives, on any CPU, as long as events are recorded after
/// each; 0 when none are. For what begins in one event and goes on in others.
#[inline(always)]
pub fn number() -> u64 {
    if is_on() { next_number() } else { 0 }
}

#[cold]
#[inline(never)]
fn next_number() -> u64 {
    let cpu = arch::cpu().0;
    let written = AREA.try_get().map_or(0, |area| area.ring(cpu).written());
    (written + 1) << 8 | cpu as u64
}

#[cold]
#[inline(never)]
fn record(kind: Kind, words: [u64; WORDS]) {
    // On the host another test's machine may have a trace while this one has none.
    if let Some(area) = AREA.try_get() {
        area.ring(arch::cpu().0)
            .push(arch::clock(), kind as u16, words);
    }
}

/// A system call that has begun. It is recorded as ended when this is dropped, come what
/// may: also when the future that it lives in is given up.
#[must_use]
pub struct Call {
    /// What it returned.
    pub result: u64,
}

/// Begins a system call.
#[inline]
pub fn call(number: usize, pid: u32, tid: u32) -> Call {
    event(Kind::CallBegin, [number as u64, pid.into(), tid.into()]);
    Call { result: 0 }
}

impl Drop for Call {
    #[inline]
    fn drop(&mut self) {
        event(Kind::CallEnd, [self.result]);
    }
}

/// A page fault that has begun, as [`Call`].
#[must_use]
pub struct Fault(());

/// Begins a page fault.
#[inline]
pub fn fault(address: usize, write: bool) -> Fault {
    event(Kind::FaultBegin, [address as u64, u64::from(write)]);
    Fault(())
}

/// Goes on with one that [`Fault::goes_on`] has left open.
pub fn fault_goes_on() -> Fault {
    Fault(())
}

impl Fault {
    /// Leaves it open for [`fault_goes_on`].
    pub fn goes_on(self) {
        core::mem::forget(self);
    }
}

impl Drop for Fault {
    #[inline]
    fn drop(&mut self) {
        event(Kind::FaultEnd, []);
    }
}

/// The first 16 bytes of a name, as two words.
pub fn name(bytes: &[u8]) -> [u64; 2] {
    let mut padded = [0; 16];
    let length = bytes.len().min(padded.len());
    padded[..length].copy_from_slice(&bytes[..length]);
    let (low, high) = padded.split_at(8);
    [low, high].map(|half| {
        half.iter()
            .rev()
            .fold(0, |word, &byte| word << 8 | u64::from(byte))
    })
}

/// Writes the last `count` events of each CPU. For a panic: the other CPUs have stopped,
/// perhaps in the middle of one.
pub fn report(to: &mut dyn fmt::Write, count: usize) -> fmt::Result {
    let Some(area) = AREA.try_get() else {
        return Ok(());
    };
    for (cpu, ring) in area.rings().iter().enumerate() {
        writeln!(to, "last events of cpu{cpu}:")?;
        for (time, kind, words) in ring.last(count) {
            let (seconds, nanos) = (time / 1_000_000_000, time % 1_000_000_000);
            let mut names = KINDS.get(usize::from(kind)).unwrap_or(&"?").split(' ');
            let name = names.next().unwrap_or_default();
            write!(to, "  {seconds:4}.{nanos:09} {name}")?;
            for (name, word) in names.zip(words) {
                write!(to, " {name}={word:#x}")?;
            }
            writeln!(to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sim;

    #[test]
    fn the_last_parameter_before_the_words_of_init_counts() {
        assert_eq!(parameter("log=debug"), None);
        assert_eq!(parameter("trace=off log=x trace=on -- trace=7"), Some("on"));
    }

    #[test]
    fn no_more_than_a_quarter_of_memory_is_wanted() {
        let _machine = sim::Machine::start(2, 64);
        let wanted = |command_line| {
            let free = &[];
            bytes_wanted(&BootInfo {
                free,
                initramfs: &[],
                command_line,
                frames: 64,
            })
        };
        assert_eq!(wanted(""), 0);
        assert_eq!(wanted("trace=off"), 0);
        assert_eq!(wanted("trace=many"), 0);
        assert_eq!(wanted("trace=100"), Area::bytes(2, 128));
        let most = wanted("trace=on");
        assert!(most <= 16 * FRAME_SIZE && most > 8 * FRAME_SIZE);
    }

    #[test]
    fn a_name_is_two_words_with_its_first_byte_lowest() {
        assert_eq!(name(b"ab"), [0x6261, 0]);
        assert_eq!(name(b"12345678x")[1], u64::from(b'x'));
    }
}
