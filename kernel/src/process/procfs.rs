//! What `/proc` shows of processes, memory and the system, in Linux's formats (proc(5)).

mod executor;
mod process;
mod sys;
mod system;
mod task;
mod text;

use super::fail_counts::Cause;
use super::fail_nth;
use super::ids::{self, Pid};
use super::state::Process;
use crate::errno::Errno;
use crate::fs;
use crate::fs::generated::{Generate, Listing, Window, fixed_entry};
use crate::fs::metadata::FileType;
use crate::fs::node::NodeKind;
use crate::memory::fallible;
use crate::memory::{self, FRAME_SIZE, Sink, USER_END};
use alloc::sync::Arc;
use alloc::vec::Vec;
use arrayvec::ArrayString;
use core::fmt::{self, Write};
use text::Text;

/// Hangs `/proc` into the tree.
pub fn attach() {
    if let Err(error) = fs::tree().attach(b"/proc", NodeKind::Computed(Arc::new(Root))) {
        log::error!("/proc is missing: {error:?}");
    }
}

/// A file whose text a function makes.
struct SystemText(system::Describe);

impl Generate for SystemText {
    fn generate(&self) -> Result<Vec<u8>, Errno> {
        text::text(self.0)
    }
}

/// A name, and what makes the text.
type File<F> = (&'static [u8], F);
/// What makes a text about a process.
type Describe = fn(&Process, &mut Text) -> fmt::Result;

/// The links of `/proc` itself, to what asks.
const LINKS: [&[u8]; 2] = [b"self", b"thread-self"];

/// The directory of settings.
const SYS: &[u8] = b"sys";

struct Root;

impl Listing for Root {
    fn lookup(&self, name: &[u8], caller: i32) -> Result<Option<NodeKind>, Errno> {
        if LINKS.contains(&name) {
            let tid = Pid(caller as u32);
            // The kernel's own walks have no caller.
            let Some((process, _)) = ids::find_thread(tid) else {
                return Ok(None);
            };
            let mut link = ArrayString::<32>::new();
            // Two numbers and a word fit.
            let _ = match name {
                b"self" => write!(link, "{}", process.pid),
                _ => write!(link, "{}/task/{tid}", process.pid),
            };
            return NodeKind::link(link.as_bytes()).map(Some);
        }
        if name == SYS {
            return Ok(Some(NodeKind::Computed(fallible::arc_from_reserve(
                sys::Sys,
            )?)));
        }
        if let Some(&(_, text)) = system::FILES.iter().find(|(file, _)| *file == name) {
            let file = fallible::arc_from_reserve(SystemText(text))?;
            return Ok(Some(NodeKind::Generated(file)));
        }
        if let Some(&(_, file)) = executor::FILES.iter().find(|(file, _)| *file == name) {
            return Ok(Some(NodeKind::Generated(fallible::arc_from_reserve(file)?)));
        }
        let pid = core::str::from_utf8(name)
            .ok()
            .and_then(|name| name.parse().ok())
            .map(Pid);
        let process = pid.and_then(ids::find);
        let directory = process.map(|process| fallible::arc_from_reserve(Directory(process)));
        Ok(directory
            .transpose()?
            .map(|directory| NodeKind::Computed(directory)))
    }

    fn entry(&self, position: u64, show: &mut dyn FnMut(&[u8], FileType)) -> Option<u64> {
        let names = system::FILES
            .iter()
            .map(|(name, _)| (*name, FileType::Regular));
        let names = names.chain(
            executor::FILES
                .iter()
                .map(|(name, _)| (*name, FileType::Regular)),
        );
        let names = names.chain(LINKS.iter().map(|name| (*name, FileType::Link)));
        let names = names.chain([(SYS, FileType::Directory)]);
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
        text::text(|text| (self.1)(&self.0, text))
    }
}

impl Listing for Directory {
    fn lookup(&self, name: &[u8], _caller: i32) -> Result<Option<NodeKind>, Errno> {
        Ok(match name {
            b"pagemap" => Some(NodeKind::Window(fallible::arc_from_reserve(PageMap(
                self.0.clone(),
            ))?)),
            b"oom_score_adj" => {
                let file = fallible::arc_from_reserve(process::OomScoreAdj(self.0.clone()))?;
                Some(NodeKind::Window(file))
            }
            b"task" => Some(NodeKind::Computed(fallible::arc_from_reserve(
                task::Tasks(self.0.clone()),
            )?)),
            b"fail-nth" if fail_nth::is_allowed() => Some(NodeKind::Window(
                fallible::arc_from_reserve(fail_nth::File(self.0.clone(), Cause::Call))?,
            )),
            b"fail-fault" if fail_nth::is_allowed() => Some(NodeKind::Window(
                fallible::arc_from_reserve(fail_nth::File(self.0.clone(), Cause::Fault))?,
            )),
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
                let file = process::FILES.iter().find(|(file, _)| *file == name);
                let file =
                    file.map(|&(_, text)| fallible::arc_from_reserve(About(self.0.clone(), text)));
                file.transpose()?.map(|file| NodeKind::Generated(file))
            }
        })
    }

    fn entry(&self, position: u64, show: &mut dyn FnMut(&[u8], FileType)) -> Option<u64> {
        let files = process::FILES
            .iter()
            .map(|(name, _)| (*name, FileType::Regular));
        let failing: &[&[u8]] = match fail_nth::is_allowed() {
            true => &[b"fail-nth", b"fail-fault"],
            false => &[],
        };
        let others: [(&[u8], _); 5] = [
            (b"oom_score_adj", FileType::Regular),
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
