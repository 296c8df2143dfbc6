//! Open files: what a file descriptor refers to (open(2), "open file description"; Linux's
//! `struct file`).
//!
//! `dup` and `fork` share an [`OpenFile`], and with it the position and the status flags. Its
//! kinds are an enum, so a read or write is a direct call without a box.
//!
//! **Lock order.** The position, then the file's `writing` mutex. Both are async mutexes; no spin
//! lock is held across an `.await` (rule E1).

use super::device::Device;
use super::generated::{MOST_WRITTEN, Window};
use super::locks::{FileLocks, LockOwner};
use super::metadata::{Attributes, FileType, MAX_SIZE, Status};
use super::node::{Node, NodeKind};
use super::pipe::{self, Pipe, Reader, Writer};
use super::process_handle::ProcessHandle;
use super::transfer::{deliver, store, whole};
use super::tty::Tty;
use super::tty::open::Terminal;
use super::tty::pair::Master;
use crate::errno::{Errno, SysResult};
use crate::memory::fallible;
use crate::memory::{self, FRAME_SIZE, Object, PageError, Sink, Source, UserBuf};
use crate::wait::{Caller, Wait};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use executor::sync::Mutex as TaskMutex;
use linux_raw_sys::general as abi;

/// The flags that `F_SETFL` changes.
pub const CHANGEABLE: u32 = abi::O_APPEND | abi::O_NONBLOCK | abi::O_DIRECT | abi::O_NOATIME;

/// What `poll` reports of a file on which no call ever waits.
const ALWAYS_READY: u32 = abi::POLLIN | abi::POLLRDNORM | abi::POLLOUT | abi::POLLWRNORM;

/// What is open.
pub(super) enum Opened {
    /// A regular file; its bytes are in the node.
    Regular,
    /// A directory, with the position at which the reading of it ends.
    Directory(AtomicU64),
    /// A text that was made at `open`.
    Text(Vec<u8>),
    /// Contents that are read by offset.
    Window(Arc<dyn Window>),
    /// A device.
    Device(Device),
    /// A terminal.
    Terminal(Terminal),
    /// The other end of a pseudo-terminal.
    Master(Master),
    /// A process (pidfd_open(2)).
    Process(Arc<dyn ProcessHandle>),
    /// Only a name for a node (`O_PATH`).
    Path,
    /// The end of a pipe that is read from.
    Reader(Reader),
    /// The end of a pipe that is written to.
    Writer(Writer),
}

/// An open file. See the module's head.
pub struct OpenFile {
    opened: Opened,
    /// What has been opened; pipes have no node.
    node: Option<Arc<Node>>,
    /// The access mode and the status flags, as `F_GETFL` reports them.
    flags: AtomicU32,
    /// Held by the call that reads or writes at the position.
    position: TaskMutex<u64>,
    /// Whether it may own locks.
    locked: AtomicBool,
}

/// Where an offset counts from (lseek(2)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whence {
    /// The start of the file.
    Start,
    /// The position.
    Current,
    /// The end of the file.
    End,
    /// The next data at or after the offset.
    Data,
    /// The next hole at or after the offset; the end of the file is one.
    Hole,
}

impl OpenFile {
    pub(super) fn new(opened: Opened, node: Option<Arc<Node>>, flags: u32) -> OpenFile {
        OpenFile {
            opened,
            node,
            flags: AtomicU32::new(flags),
            position: TaskMutex::new(0),
            locked: AtomicBool::new(false),
        }
    }

    /// The locks on the file. From now on the last close looks for those that this open file owns.
    pub fn locks(&self) -> Result<Arc<FileLocks>, Errno> {
        // Pipes have no node; Linux has locks on them too, which serve for nothing.
        let locks = self.node.as_ref().ok_or(Errno::EBADF)?.locks()?;
        // Relaxed: the drop that reads it comes after this call, by the count of the `Arc`.
        self.locked.store(true, Ordering::Relaxed);
        Ok(locks)
    }

    /// The two ends of a new pipe (pipe2(2)).
    pub fn pipe(flags: u32) -> Result<(Arc<OpenFile>, Arc<OpenFile>), Errno> {
        let (reader, writer) = pipe::pipe()?;
        let reader = OpenFile::new(Opened::Reader(reader), None, flags | abi::O_RDONLY);
        let writer = OpenFile::new(Opened::Writer(writer), None, flags | abi::O_WRONLY);
        Ok((fallible::arc(reader)?, fallible::arc(writer)?))
    }

    /// The access mode and the status flags (`F_GETFL`).
    pub fn flags(&self) -> u32 {
        // Relaxed: the word stands for itself.
        self.flags.load(Ordering::Relaxed)
    }

    /// Changes the status flags in `mask` (`F_SETFL`, `FIONBIO`).
    pub fn set_flags(&self, mask: u32, flags: u32) {
        let mask = mask & CHANGEABLE;
        let change = |old: u32| Some(old & !mask | flags & mask);
        // Cannot fail: `change` always has a value.
        let _ = self
            .flags
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }

    /// Whether a caller may wait.
    pub(super) fn wait<'a>(&self, caller: &'a dyn Caller) -> Wait<'a> {
        match self.flags() & abi::O_NONBLOCK {
            0 => Wait::For(caller),
            _ => Wait::Never,
        }
    }

    /// Whether it was opened for reading.
    pub fn is_readable(&self) -> bool {
        self.flags() & abi::O_ACCMODE != abi::O_WRONLY && !self.is_path()
    }

    /// Whether it was opened for writing.
    pub fn is_writable(&self) -> bool {
        self.flags() & abi::O_ACCMODE != abi::O_RDONLY && !self.is_path()
    }

    /// The node that was opened, unless it is a pipe.
    pub fn node(&self) -> Option<&Arc<Node>> {
        self.node.as_ref()
    }

    /// The bytes of a regular file, for `mmap`.
    pub fn object(&self) -> Option<&Arc<Object>> {
        match self.opened {
            Opened::Regular => self.node.as_ref()?.object(),
            _ => None,
        }
    }

    /// The terminal, if it is one.
    pub fn tty(&self) -> Option<&Tty> {
        match &self.opened {
            Opened::Terminal(terminal) => Some(terminal),
            _ => None,
        }
    }

    /// A file for a process (pidfd_open(2)), with these status flags.
    pub fn of_process(process: Arc<dyn ProcessHandle>, flags: u32) -> Result<Arc<OpenFile>, Errno> {
        let opened = Opened::Process(process);
        let file = OpenFile::new(opened, None, flags | abi::O_RDWR);
        Ok(fallible::arc(file)?)
    }

    /// The process, if it is a file for one.
    pub fn process(&self) -> Option<&Arc<dyn ProcessHandle>> {
        match &self.opened {
            Opened::Process(process) => Some(process),
            _ => None,
        }
    }

    /// The other end of a pseudo-terminal, if it is one.
    pub fn master(&self) -> Option<&Master> {
        match &self.opened {
            Opened::Master(master) => Some(master),
            _ => None,
        }
    }

    /// Whether it is an end of a pipe: a write that fails with `EPIPE` is then
    /// to be followed by `SIGPIPE`.
    pub fn is_pipe(&self) -> bool {
        self.as_pipe().is_some()
    }

    /// The pipe, if it is an end of one.
    pub fn as_pipe(&self) -> Option<&Pipe> {
        match &self.opened {
            Opened::Reader(reader) => Some(reader.pipe()),
            Opened::Writer(writer) => Some(writer.pipe()),
            _ => None,
        }
    }

    /// Pages that would come back with it: those of what is in a pipe, counted at its reading end.
    pub(super) fn held_pages(&self) -> usize {
        match &self.opened {
            Opened::Reader(reader) => reader.pipe().readable().div_ceil(FRAME_SIZE),
            _ => 0,
        }
    }

    /// Whether it is only a name for a node (`O_PATH`).
    pub fn is_path(&self) -> bool {
        matches!(self.opened, Opened::Path)
    }

    pub(super) fn opened(&self) -> &Opened {
        &self.opened
    }

    /// The fast path of a read from a pipe: `Some` if it completes without waiting. After `None`,
    /// go on with [`read`](Self::read), which counts what `to` has got already.
    pub fn read_fast(&self, to: &mut UserBuf<'_>) -> Option<SysResult> {
        match &self.opened {
            Opened::Reader(reader) => reader.read_fast(to),
            _ => None,
        }
    }

    /// The fast path of a write into a pipe. After `None` nothing has been written, though bytes of
    /// `from` may have been consumed.
    pub fn write_fast(&self, from: &mut UserBuf<'_>) -> Option<usize> {
        match &self.opened {
            Opened::Writer(writer) => writer.write_fast(from),
            _ => None,
        }
    }

    /// Reads at the position and moves it (read(2)).
    pub async fn read(&self, to: &mut UserBuf<'_>, caller: &dyn Caller) -> SysResult {
        if !self.is_readable() {
            return Err(Errno::EBADF);
        }
        match &self.opened {
            Opened::Reader(reader) => reader.read(to, self.wait(caller)).await,
            Opened::Device(device) => device.read(to).await,
            Opened::Terminal(terminal) => terminal.read(to, self.wait(caller)).await,
            Opened::Master(master) => master.read(to, self.wait(caller)).await,
            _ => {
                let mut position = self.position.lock().await;
                let n = self.read_contents(to, *position).await?;
                *position += n as u64;
                Ok(n)
            }
        }
    }

    /// Writes at the position, or at the end (`O_APPEND`), and moves the position (write(2)).
    /// After `EPIPE` the caller sends `SIGPIPE`.
    pub async fn write(&self, from: &mut UserBuf<'_>, caller: &dyn Caller) -> SysResult {
        if !self.is_writable() {
            return Err(Errno::EBADF);
        }
        match &self.opened {
            Opened::Writer(writer) => writer.write(from, self.wait(caller)).await,
            Opened::Device(device) => device.write(from).await,
            Opened::Terminal(terminal) => terminal.write(from, self.wait(caller)).await,
            Opened::Master(master) => master.write(from, self.wait(caller)).await,
            _ => {
                let mut position = self.position.lock().await;
                let (n, end) = self.write_contents(from, *position).await?;
                *position = end;
                Ok(n)
            }
        }
    }

    /// Reads at `offset` (pread64(2)).
    pub async fn read_at(&self, to: &mut UserBuf<'_>, offset: u64) -> SysResult {
        if !self.is_readable() {
            return Err(Errno::EBADF);
        }
        self.check_seekable()?;
        match &self.opened {
            Opened::Device(device) => device.read(to).await,
            _ => self.read_contents(to, offset).await,
        }
    }

    /// Writes at `offset` (pwrite64(2); with `O_APPEND` at the end all the same, as Linux does).
    pub async fn write_at(&self, from: &mut UserBuf<'_>, offset: u64) -> SysResult {
        if !self.is_writable() {
            return Err(Errno::EBADF);
        }
        self.check_seekable()?;
        match &self.opened {
            Opened::Device(device) => device.write(from).await,
            _ => self.write_contents(from, offset).await.map(|(n, _)| n),
        }
    }

    fn check_seekable(&self) -> Result<(), Errno> {
        match &self.opened {
            Opened::Reader(_) | Opened::Writer(_) => Err(Errno::ESPIPE),
            Opened::Terminal(_) | Opened::Master(_) | Opened::Process(_) => Err(Errno::ESPIPE),
            Opened::Path => Err(Errno::EBADF),
            _ => Ok(()),
        }
    }

    async fn read_contents(&self, to: &mut UserBuf<'_>, offset: u64) -> SysResult {
        match (&self.opened, &self.node) {
            (Opened::Regular, Some(node)) => {
                let object = node.object().ok_or(Errno::EINVAL)?;
                deliver(
                    to,
                    offset,
                    |sink, at, max| Ok(object.read_at(at, sink, max)),
                )
                .await
            }
            (Opened::Text(text), _) => {
                deliver(to, offset, |sink, at, max| {
                    let start = usize::try_from(at).unwrap_or(usize::MAX).min(text.len());
                    let end = start.saturating_add(max).min(text.len());
                    Ok(sink.put(&text[start..end]))
                })
                .await
            }
            (Opened::Window(window), _) => {
                deliver(to, offset, |sink, at, max| window.read_at(at, sink, max)).await
            }
            (Opened::Directory(_), _) => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Returns how many bytes were written, and where they end.
    async fn write_contents(
        &self,
        from: &mut UserBuf<'_>,
        offset: u64,
    ) -> Result<(usize, u64), Errno> {
        if let Opened::Window(window) = &self.opened {
            let mut text = [0; MOST_WRITTEN];
            let text = whole(from, &mut text).await?;
            window.write(text)?;
            return Ok((text.len(), offset));
        }
        let Some(NodeKind::Regular(file)) = self.node.as_ref().map(|node| node.kind()) else {
            return Err(Errno::EINVAL);
        };
        if from.remaining() == 0 {
            return Ok((0, offset));
        }
        let _writing = file.writing.lock().await;
        let append = self.flags() & abi::O_APPEND != 0;
        let start = if append { file.object.len() } else { offset };
        let n = store(from, start, &file.object).await?;
        if let Some(node) = &self.node {
            node.touch();
        }
        Ok((n, start + n as u64))
    }

    /// Moves the position (lseek(2)).
    pub async fn seek(&self, offset: i64, whence: Whence) -> SysResult {
        self.check_seekable()?;
        let mut position = self.position.lock().await;
        let size = match &self.opened {
            Opened::Regular => Some(self.status().size),
            Opened::Text(text) => Some(text.len() as u64),
            // As Linux's drivers for memory devices do: there is no position.
            Opened::Device(_) => return Ok(0),
            _ => None,
        };
        let target = match whence {
            Whence::Start => Some(offset),
            Whence::Current => (*position as i64).checked_add(offset),
            Whence::End => (size.ok_or(Errno::EINVAL)? as i64).checked_add(offset),
            Whence::Data | Whence::Hole => {
                let size = size.ok_or(Errno::EINVAL)?;
                let start = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
                if start >= size {
                    return Err(Errno::ENXIO);
                }
                let found = match (self.object(), whence) {
                    (Some(object), Whence::Data) => object
                        .next_data(start)
                        .filter(|&found| found < size)
                        .ok_or(Errno::ENXIO)?,
                    // There is one behind the end.
                    (Some(object), _) => object.next_hole(start).min(size),
                    // All of a text is data.
                    (None, Whence::Data) => start,
                    (None, _) => size,
                };
                i64::try_from(found).ok()
            }
        };
        let target = target.ok_or(Errno::EOVERFLOW)?;
        let target = u64::try_from(target).map_err(|_| Errno::EINVAL)?;
        *position = target;
        Ok(target as usize)
    }

    /// The position.
    pub async fn tell(&self) -> u64 {
        *self.position.lock().await
    }

    pub(super) async fn set_position(&self, position: u64) {
        *self.position.lock().await = position;
    }

    /// Gives `sink` contents from `offset` on, without waiting, and says how many bytes it took.
    pub(super) fn give(&self, offset: u64, count: usize, sink: &mut dyn Sink) -> SysResult {
        match (&self.opened, self.object()) {
            (Opened::Regular, Some(object)) => Ok(object.read_at(offset, sink, count)),
            (Opened::Text(text), _) => {
                let start = usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(text.len());
                let end = start.saturating_add(count).min(text.len());
                Ok(sink.put(&text[start..end]))
            }
            (Opened::Directory(_), _) => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Takes bytes from `source` and puts them at `offset`, without waiting.
    pub(super) fn accept(&self, offset: u64, count: usize, source: &mut dyn Source) -> SysResult {
        match (&self.opened, self.object()) {
            (Opened::Regular, Some(object)) => {
                let room = usize::try_from(MAX_SIZE.saturating_sub(offset)).unwrap_or(usize::MAX);
                if room == 0 {
                    return Err(Errno::EFBIG);
                }
                let result = object.write_at(offset, source, count.min(room));
                if let Some(node) = &self.node {
                    node.touch();
                }
                // As for a write: memory is what the file system is made of.
                result.map_err(|_| Errno::ENOSPC)
            }
            (Opened::Device(device), _) => device.accept(source, count),
            (Opened::Terminal(terminal), _) => Ok(terminal.accept(source, count)),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Makes a range of the file take memory, and the file as long unless its size is kept
    /// (fallocate(2)).
    pub async fn allocate(&self, range: Range<u64>, keep_size: bool) -> Result<(), Errno> {
        let Some(NodeKind::Regular(file)) = self.node.as_ref().map(|node| node.kind()) else {
            return Err(Errno::EOPNOTSUPP);
        };
        let _writing = file.writing.lock().await;
        let object = &file.object;
        let page = FRAME_SIZE as u64;
        let (first, last) = (range.start / page, range.end.div_ceil(page));
        let old_pages = object.len().div_ceil(page);
        for index in first..last {
            if let Err(error) = object.allocate(index) {
                // What was added behind the end goes again.
                object.punch(first.max(old_pages) * page..index.max(old_pages) * page);
                return Err(match error {
                    PageError::OutOfMemory => Errno::ENOSPC,
                    error => error.into(),
                });
            }
            if index % 64 == 63 {
                executor::yield_now().await;
            }
        }
        if !keep_size {
            object.extend_to(range.end);
        }
        if let Some(node) = &self.node {
            node.touch();
        }
        Ok(())
    }

    /// Makes a range of the file a hole (fallocate(2)).
    pub async fn punch(&self, range: Range<u64>) -> Result<(), Errno> {
        let Some(NodeKind::Regular(file)) = self.node.as_ref().map(|node| node.kind()) else {
            return Err(Errno::EOPNOTSUPP);
        };
        let _writing = file.writing.lock().await;
        let end = range
            .end
            .min(file.object.len().next_multiple_of(FRAME_SIZE as u64));
        if range.start < end {
            file.object.punch(range.start..end);
        }
        if let Some(node) = &self.node {
            node.touch();
        }
        Ok(())
    }

    /// Cuts the file or makes it longer (ftruncate(2)).
    pub async fn truncate(&self, length: u64) -> Result<(), Errno> {
        match &self.node {
            Some(node) if self.is_writable() && self.object().is_some() => {
                truncate(node, length).await
            }
            // ftruncate(2): EINVAL both for what is not open for writing and for what is no file.
            _ => Err(Errno::EINVAL),
        }
    }

    /// What `fstat` tells.
    pub fn status(&self) -> Status {
        if let Some(node) = &self.node {
            return node.status();
        }
        let number = self.as_pipe().map_or(0, Pipe::number);
        let attributes = Attributes {
            permissions: 0o600,
            user: 0,
            group: 0,
            accessed: 0,
            modified: 0,
            changed: 0,
        };
        Status {
            number,
            file_type: FileType::Pipe,
            attributes,
            links: 1,
            size: 0,
            blocks: 0,
            device: 0,
        }
    }

    /// What `poll` reports: a set of `POLL*` bits.
    pub fn ready(&self) -> u32 {
        match &self.opened {
            Opened::Reader(reader) => reader.ready(),
            Opened::Writer(writer) => writer.ready(),
            Opened::Terminal(terminal) => terminal.ready(),
            Opened::Master(master) => master.ready(),
            Opened::Process(process) if process.has_ended() => abi::POLLIN | abi::POLLRDNORM,
            Opened::Process(_) => 0,
            Opened::Path => abi::POLLNVAL,
            _ => ALWAYS_READY,
        }
    }

    /// Whether [`ready`](Self::ready) may change, so that waiting for it makes sense.
    pub fn can_change(&self) -> bool {
        matches!(
            &self.opened,
            Opened::Reader(_)
                | Opened::Writer(_)
                | Opened::Terminal(_)
                | Opened::Master(_)
                | Opened::Process(_)
        )
    }

    /// Waits until one of these `POLL*` bits is reported.
    pub async fn wait_ready(&self, events: u32) {
        match &self.opened {
            Opened::Reader(reader) => reader.wait_ready(events).await,
            Opened::Writer(writer) => writer.wait_ready(events).await,
            Opened::Terminal(terminal) => terminal.wait_ready(events).await,
            Opened::Master(master) => master.wait_ready(events).await,
            Opened::Process(process) => {
                let ready = || (self.ready() & events != 0).then_some(());
                process.ended().wait_until(ready).await;
            }
            _ if self.ready() & events != 0 => {}
            _ => core::future::pending().await,
        }
    }

    /// How many bytes can be read without waiting (`FIONREAD`).
    pub async fn readable(&self) -> Result<u64, Errno> {
        match &self.opened {
            Opened::Reader(reader) => Ok(reader.pipe().readable() as u64),
            Opened::Writer(writer) => Ok(writer.pipe().readable() as u64),
            Opened::Terminal(terminal) => Ok(terminal.readable() as u64),
            Opened::Master(master) => Ok(master.readable() as u64),
            Opened::Regular => {
                let position = *self.position.lock().await;
                Ok(self.status().size.saturating_sub(position))
            }
            _ => Err(Errno::ENOTTY),
        }
    }

    pub(super) fn position(&self) -> &TaskMutex<u64> {
        &self.position
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if *self.locked.get_mut()
            && let Some(node) = &self.node
        {
            node.release_locks(LockOwner::OpenFile((&raw const *self).addr()));
        }
    }
}

/// Cuts a file or makes it longer (truncate(2)).
pub async fn truncate(node: &Node, length: u64) -> Result<(), Errno> {
    match node.kind() {
        _ if length > MAX_SIZE => Err(Errno::EINVAL),
        NodeKind::Regular(file) => {
            let _writing = file.writing.lock().await;
            file.object.truncate(length);
            memory::unmap_beyond_end(&file.object).await;
            node.touch();
            Ok(())
        }
        NodeKind::Directory(_) | NodeKind::Computed(_) => Err(Errno::EISDIR),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
