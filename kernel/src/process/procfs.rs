//! What `/proc` shows of processes, memory and the system, in Linux's formats (proc(5)).

mod executor;
mod task;

use super::fail_nth::{self, Cause};
use super::ids::{self, Pid};
use super::state::Process;
use crate::arch;
use crate::errno::Errno;
use crate::fs;
use crate::fs::generated::{Generate, Listing, Window, fixed_entry};
use crate::fs::metadata::FileType;
use crate::fs::node::NodeKind;
use crate::memory::{self, FRAME_SIZE, Protection, Sink, USER_END};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use arrayvec::ArrayString;
use core::fmt::Write;
use core::sync::atomic::Ordering;

/// Hangs `/proc` into the tree.
pub fn attach() {
    if let Err(error) = fs::tree().attach(b"/proc", NodeKind::Computed(Arc::new(Root))) {
        log::error!("/proc is missing: {error:?}");
    }
}

/// A file whose text a function makes.
struct Text(fn() -> String);

impl Generate for Text {
    fn generate(&self) -> Result<Vec<u8>, Errno> {
        Ok((self.0)().into_bytes())
    }
}

/// A name, and what makes the text.
type File<F> = (&'static [u8], F);
/// What makes a text about a process.
type Describe = fn(&Process) -> Result<Vec<u8>, Errno>;

/// The files of `/proc` itself.
const FILES: [File<fn() -> String>; 5] = [
    (b"vmstat", vmstat),
    (b"meminfo", meminfo),
    (b"uptime", uptime),
    (b"version", version),
    (b"stat", stat),
];

/// The links of `/proc` itself, to what asks.
const LINKS: [&[u8]; 2] = [b"self", b"thread-self"];

struct Root;

impl Listing for Root {
    fn lookup(&self, name: &[u8], caller: i32) -> Result<Option<NodeKind>, Errno> {
        if LINKS.contains(&name) {
            let tid = Pid(caller as u32);
            // The kernel's own walks have no caller.
            let link = ids::find_thread(tid).map(|(process, _)| match name {
                b"self" => process.pid.to_string(),
                _ => format!("{}/task/{tid}", process.pid),
            });
            return link.map(|link| NodeKind::link(link.as_bytes())).transpose();
        }
        if let Some(&(_, text)) = FILES.iter().find(|(file, _)| *file == name) {
            return Ok(Some(NodeKind::Generated(Arc::new(Text(text)))));
        }
        if let Some(&(_, file)) = executor::FILES.iter().find(|(file, _)| *file == name) {
            return Ok(Some(NodeKind::Generated(Arc::new(file))));
        }
        let pid = core::str::from_utf8(name)
            .ok()
            .and_then(|name| name.parse().ok())
            .map(Pid);
        let process = pid.and_then(ids::find);
        Ok(process.map(|process| NodeKind::Computed(Arc::new(Directory(process)))))
    }

    fn entry(&self, position: u64, show: &mut dyn FnMut(&[u8], FileType)) -> Option<u64> {
        let names = FILES.iter().map(|(name, _)| (*name, FileType::Regular));
        let names = names.chain(
            executor::FILES
                .iter()
                .map(|(name, _)| (*name, FileType::Regular)),
        );
        let names = names.chain(LINKS.iter().map(|name| (*name, FileType::Link)));
        let count = names.clone().count() as u64;
        if position < count {
            return fixed_entry(names, position, show);
        }
        // Behind the files, a process's position is its number.
        let process = ids::next(Pid(u32::try_from(position - count).ok()?))?;
        show(number_text(process.pid).as_bytes(), FileType::Directory);
        Some(count + u64::from(process.pid.0))
    }
}

/// A number as a name.
fn number_text(pid: Pid) -> ArrayString<10> {
    let mut text = ArrayString::new();
    // Ten digits are enough for 32 bits.
    let _ = write!(text, "{pid}");
    text
}

/// The directory of one process.
struct Directory(Arc<Process>);

/// A file whose text is made of a process.
struct About(Arc<Process>, Describe);

impl Generate for About {
    fn generate(&self) -> Result<Vec<u8>, Errno> {
        (self.1)(&self.0)
    }
}

const PROCESS_FILES: [File<Describe>; 6] = [
    (b"status", process_status),
    (b"stat", process_stat),
    (b"statm", process_statm),
    (b"cmdline", |process| Ok(process.names().arguments.clone())),
    (b"comm", |process| Ok([&process.name()[..], b"\n"].concat())),
    (b"maps", process_maps),
];

impl Listing for Directory {
    fn lookup(&self, name: &[u8], _caller: i32) -> Result<Option<NodeKind>, Errno> {
        Ok(match name {
            b"pagemap" => Some(NodeKind::Window(Arc::new(PageMap(self.0.clone())))),
            b"task" => Some(NodeKind::Computed(Arc::new(task::Tasks(self.0.clone())))),
            b"fail-nth" if fail_nth::is_allowed() => Some(NodeKind::Window(Arc::new(
                fail_nth::File(self.0.clone(), Cause::Call),
            ))),
            b"fail-fault" if fail_nth::is_allowed() => Some(NodeKind::Window(Arc::new(
                fail_nth::File(self.0.clone(), Cause::Fault),
            ))),
            b"exe" => match self.0.executable() {
                Some(executable) => Some(NodeKind::link(&executable.path()?)?),
                None => None,
            },
            b"cwd" => fs::tree()
                .path_of(&self.0.cwd())
                .ok()
                .map(|path| NodeKind::link(&path))
                .transpose()?,
            _ => {
                let file = PROCESS_FILES.iter().find(|(file, _)| *file == name);
                file.map(|&(_, text)| NodeKind::Generated(Arc::new(About(self.0.clone(), text))))
            }
        })
    }

    fn entry(&self, position: u64, show: &mut dyn FnMut(&[u8], FileType)) -> Option<u64> {
        let files = PROCESS_FILES
            .iter()
            .map(|(name, _)| (*name, FileType::Regular));
        let failing: &[&[u8]] = match fail_nth::is_allowed() {
            true => &[b"fail-nth", b"fail-fault"],
            false => &[],
        };
        let others: [(&[u8], _); 4] = [
            (b"pagemap", FileType::Regular),
            (b"task", FileType::Directory),
            (b"exe", FileType::Link),
            (b"cwd", FileType::Link),
        ];
        let names = files
            .chain(others)
            .chain(failing.iter().map(|name| (*name, FileType::Regular)));
        fixed_entry(names, position, show)
    }
}

/// `/proc/PID/pagemap` (Linux's Documentation/admin-guide/mm/pagemap.rst): eight bytes
/// for each page. Only for the process itself: of another's tables nothing can be said
/// that is true when it is read.
struct PageMap(Arc<Process>);

impl Window for PageMap {
    fn read_at(&self, offset: u64, sink: &mut dyn Sink, max: usize) -> Result<usize, Errno> {
        const PRESENT: u64 = 1 << 63;
        if !offset.is_multiple_of(8) || !max.is_multiple_of(8) {
            return Err(Errno::EINVAL);
        }
        let Some(space) = self.0.space() else {
            return Ok(0);
        };
        if !memory::is_current(&space) {
            return Err(Errno::EACCES);
        }
        let first = (offset / 8) as usize;
        let mut done = 0;
        for page in first..USER_END / FRAME_SIZE {
            if done + 8 > max {
                break;
            }
            let frame = space.frame_at(page * FRAME_SIZE);
            let entry = frame.map_or(0, |frame| PRESENT | u64::from(frame.number()));
            let taken = sink.put(&entry.to_le_bytes());
            done += taken;
            if taken < 8 {
                break;
            }
        }
        Ok(done)
    }
}

fn kib(frames: usize) -> usize {
    frames * FRAME_SIZE / 1024
}

fn state(process: &Process) -> (char, &'static str) {
    state_of(process, process.is_running())
}

/// The state of a process, or of a thread of it, that is polled right now or is not.
fn state_of(process: &Process, is_running: bool) -> (char, &'static str) {
    if process.exit_status().is_some() {
        ('Z', "zombie")
    } else if process.is_stopped() {
        ('T', "stopped")
    } else if is_running {
        ('R', "running")
    } else {
        // Whether a task is queued or waits is the executor's to know.
        ('S', "sleeping")
    }
}

fn process_status(process: &Process) -> Result<Vec<u8>, Errno> {
    let (letter, word) = state(process);
    let parent = process.parent().map_or(0, |parent| parent.pid.0);
    let (mapped, resident) = process.space().map_or((0, 0), |space| space.usage_now());
    let mut text = String::new();
    // A String takes everything.
    let _ = write!(
        text,
        "Name:\t{}\nUmask:\t{:04o}\nState:\t{letter} ({word})\nTgid:\t{pid}\nPid:\t{pid}\nPPid:\t{parent}\n\
         TracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t{}\nVmSize:\t{:8} kB\nVmRSS:\t{:8} kB\nThreads:\t{}\n\
         ShdPnd:\t{:016x}\nSigIgn:\t{:016x}\nSigCgt:\t{:016x}\nCpus_allowed:\t{:x}\n",
        String::from_utf8_lossy(&process.name()),
        process.umask.load(Ordering::Relaxed),
        process.files().limit(),
        mapped / 1024,
        resident / 1024,
        process.thread_count(),
        process.pending(),
        process.ignored(),
        process.handled(),
        process.affinity(),
        pid = process.pid,
    );
    Ok(text.into_bytes())
}

fn process_stat(process: &Process) -> Result<Vec<u8>, Errno> {
    let (letter, _) = state(process);
    let parent = process.parent().map_or(0, |parent| parent.pid.0);
    let (mapped, resident) = process.space().map_or((0, 0), |space| space.usage_now());
    let ticks = |nanoseconds: u64| nanoseconds / 10_000_000;
    // The 52 fields of proc(5); those that there is nothing to say about are 0.
    let text = format!(
        "{} ({}) {letter} {parent} {} {} 0 -1 0 0 0 0 0 {} 0 {} 0 20 0 {} 0 {} {mapped} {} {}\n",
        process.pid,
        String::from_utf8_lossy(&process.name()),
        process.group.load(Ordering::Relaxed),
        process.session.load(Ordering::Relaxed),
        ticks(process.cpu_time()),
        ticks(process.children_time()),
        process.thread_count(),
        ticks(process.started),
        resident / FRAME_SIZE,
        ["0"; 28].join(" "),
    );
    Ok(text.into_bytes())
}

fn process_statm(process: &Process) -> Result<Vec<u8>, Errno> {
    let (mapped, resident) = process.space().map_or((0, 0), |space| space.usage_now());
    let text = format!(
        "{} {} 0 0 0 0 0\n",
        mapped / FRAME_SIZE,
        resident / FRAME_SIZE
    );
    Ok(text.into_bytes())
}

/// The longest line about an area, in bytes.
const AREA_LINE: usize = 64;

fn process_maps(process: &Process) -> Result<Vec<u8>, Errno> {
    let Some(space) = process.space() else {
        return Ok(Vec::new());
    };
    // A program can have tens of thousands of areas (rule M10).
    let length = space.vma_count_now() * AREA_LINE;
    memory::ensure_free_bytes(length).map_err(|_| Errno::ENOMEM)?;
    let mut text = String::new();
    text.try_reserve_exact(length).map_err(|_| Errno::ENOMEM)?;
    space.visit_vmas_now(0, |vma| {
        let flag = |right, letter| {
            if vma.protection.contains(right) {
                letter
            } else {
                '-'
            }
        };
        // A String takes everything.
        let _ = writeln!(
            text,
            "{:08x}-{:08x} {}{}{}{} {:08x} 00:00 0",
            vma.start,
            vma.end,
            flag(Protection::READ, 'r'),
            flag(Protection::WRITE, 'w'),
            flag(Protection::EXECUTE, 'x'),
            if vma.backing.is_shared() { 's' } else { 'p' },
            vma.backing.offset(),
        );
        // There may be more than a moment ago.
        text.capacity() - text.len() >= AREA_LINE
    });
    Ok(text.into_bytes())
}

fn vmstat() -> String {
    let mut text = String::new();
    // A String takes everything.
    let _ = writeln!(text, "nr_free_pages {}", memory::free_frames());
    for (name, value) in memory::statistics() {
        let _ = writeln!(text, "{name} {value}");
    }
    text
}

fn meminfo() -> String {
    let free = memory::free_frames();
    format!(
        "MemTotal:       {:8} kB\nMemFree:        {free:8} kB\nMemAvailable:   {free:8} kB\nSlab:           {:8} kB\n",
        kib(memory::managed_frames()),
        kib(memory::heap_frames()),
        free = kib(free),
    )
}

fn uptime() -> String {
    let hundredths = |nanoseconds: u64| {
        format!(
            "{}.{:02}",
            nanoseconds / 1_000_000_000,
            nanoseconds / 10_000_000 % 100
        )
    };
    let idle = (0..arch::cpu_count())
        .filter_map(|cpu| crate::sched::executor().counters(cpu))
        .map(|counters| counters.idle_ns)
        .sum();
    format!("{} {}\n", hundredths(arch::clock()), hundredths(idle))
}

fn version() -> String {
    format!(
        "Linux version 6.1.0-cowfork (cowfork {})\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// As far as programs count CPUs with it.
fn stat() -> String {
    let mut text = String::from("cpu  0 0 0 0 0 0 0 0 0 0\n");
    for cpu in 0..arch::cpu_count() {
        let _ = writeln!(text, "cpu{cpu} 0 0 0 0 0 0 0 0 0 0");
    }
    let _ = writeln!(
        text,
        "btime {}\nprocesses {}",
        arch::wall_clock_offset() / 1_000_000_000,
        ids::total()
    );
    text
}
