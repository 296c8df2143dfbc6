//! Moving bytes from one open file to another (splice(2) and its kin).
//!
//! Bytes go straight from the one's pages to the other's: the side that is a regular file pulls from
//! or pushes to the pipe under the pipe's lock, as it does with user memory. A byte leaves a pipe only
//! when the other side has taken it, so nothing is lost when a call ends early.

use super::file::{OpenFile, Opened};
use super::pipe::{Reader, Writer};
use crate::errno::{Errno, SysResult};
use crate::memory::{Sink, Source};
use crate::wait::{Caller, Wait};

/// How many bytes are moved before other tasks on this CPU get their turn.
const STRETCH: usize = 256 * 1024;

/// One end of a copy: at an offset, or at the file's position, which moves then.
#[derive(Clone, Copy)]
pub struct End<'a> {
    /// The file.
    pub file: &'a OpenFile,
    /// The offset.
    pub offset: Option<u64>,
}

impl End<'_> {
    async fn start(&self) -> u64 {
        match self.offset {
            Some(offset) => offset,
            None => self.file.tell().await,
        }
    }

    async fn finish(&self, start: u64, moved: usize) {
        if self.offset.is_none() {
            self.file.set_position(start + moved as u64).await;
        }
    }
}

/// Copies up to `count` bytes from a file with contents to any other, until the contents end.
pub async fn copy(from: End<'_>, to: End<'_>, count: usize, caller: &dyn Caller) -> SysResult {
    if let Opened::Writer(_) = to.file.opened() {
        let mut done = 0;
        while done < count {
            let part = End {
                file: from.file,
                offset: from.offset.map(|offset| offset + done as u64),
            };
            match splice(part, to, count - done, Some(caller)).await {
                Ok(0) => break,
                Ok(moved) => done += moved,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        return Ok(done);
    }
    let (start, target) = (from.start().await, to.start().await);
    let mut done = 0;
    let error = loop {
        let part = (count - done).min(STRETCH);
        if part == 0 {
            break None;
        }
        let mut sink = FileSink {
            file: to.file,
            offset: target + done as u64,
            error: None,
        };
        let given = match from.file.give(start + done as u64, part, &mut sink) {
            Ok(0) => break sink.error,
            Ok(given) => given,
            Err(error) => break Some(error),
        };
        done += given;
        if sink.error.is_some() {
            break sink.error;
        }
        executor::yield_now().await;
    };
    from.finish(start, done).await;
    to.finish(target, done).await;
    match error {
        Some(error) if done == 0 => Err(error),
        _ => Ok(done),
    }
}

/// Moves up to `count` bytes between two files of which one is a pipe at least; waits only while
/// nothing can be moved, if there is a caller that may wait.
pub async fn splice(
    from: End<'_>,
    to: End<'_>,
    count: usize,
    caller: Option<&dyn Caller>,
) -> SysResult {
    match (from.file.opened(), to.file.opened()) {
        (Opened::Reader(reader), Opened::Writer(writer)) => {
            let wait = reader_wait(from.file, caller);
            loop {
                reader.wait_for_bytes(wait).await?;
                let moved = pour(reader, writer, count, Drain::Yes)?;
                match moved {
                    Some(moved) => return Ok(moved),
                    None => writer.wait_for_room(reader_wait(to.file, caller)).await?,
                }
            }
        }
        (Opened::Reader(reader), _) => {
            reader
                .wait_for_bytes(reader_wait(from.file, caller))
                .await?;
            let target = to.start().await;
            let mut source = PipeSource(reader);
            let moved = to
                .file
                .accept(target, count.min(reader.pipe().readable()), &mut source)?;
            to.finish(target, moved).await;
            Ok(moved)
        }
        (_, Opened::Writer(writer)) => {
            let start = from.start().await;
            let mut sink = PipeSink {
                writer,
                error: None,
            };
            loop {
                let given = from.file.give(start, count, &mut sink)?;
                match sink.error.take() {
                    _ if given > 0 => {
                        from.finish(start, given).await;
                        return Ok(given);
                    }
                    Some(Errno::EAGAIN) => {
                        writer.wait_for_room(reader_wait(to.file, caller)).await?;
                    }
                    Some(error) => return Err(error),
                    None => return Ok(0),
                }
            }
        }
        _ => Err(Errno::EINVAL),
    }
}

/// Copies bytes that are in one pipe into another, and leaves them where they are (tee(2)).
pub async fn tee(
    from: &OpenFile,
    to: &OpenFile,
    count: usize,
    caller: Option<&dyn Caller>,
) -> SysResult {
    let (Opened::Reader(reader), Opened::Writer(writer)) = (from.opened(), to.opened()) else {
        return Err(Errno::EINVAL);
    };
    loop {
        reader.wait_for_bytes(reader_wait(from, caller)).await?;
        match pour(reader, writer, count, Drain::No)? {
            Some(moved) => return Ok(moved),
            None => writer.wait_for_room(reader_wait(to, caller)).await?,
        }
    }
}

/// Whether bytes leave the pipe that they are copied from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Drain {
    Yes,
    No,
}

/// Moves bytes from one pipe to another without waiting: `None` if there was no room.
fn pour(
    reader: &Reader,
    writer: &Writer,
    count: usize,
    drain: Drain,
) -> Result<Option<usize>, Errno> {
    let mut done = 0;
    let mut buffer = [0; 1024];
    while done < count {
        let part = (count - done).min(buffer.len());
        let skip = if drain == Drain::Yes { 0 } else { done };
        let got = reader.peek(skip, &mut buffer[..part]);
        if got == 0 {
            return Ok(Some(done));
        }
        let put = match writer.put(&buffer[..got]) {
            Ok(put) => put,
            Err(Errno::EAGAIN) if done == 0 => return Ok(None),
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        };
        if drain == Drain::Yes {
            reader.discard(put);
        }
        done += put;
    }
    Ok(Some(done))
}

fn reader_wait<'a>(file: &OpenFile, caller: Option<&'a dyn Caller>) -> Wait<'a> {
    match caller {
        Some(caller) => file.wait(caller),
        None => Wait::Never,
    }
}

/// The bytes in a pipe.
struct PipeSource<'a>(&'a Reader);

impl Source for PipeSource<'_> {
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let got = self.0.peek(0, buffer);
        self.0.discard(got);
        got
    }
}

/// The room in a pipe.
struct PipeSink<'a> {
    writer: &'a Writer,
    error: Option<Errno>,
}

impl Sink for PipeSink<'_> {
    fn put(&mut self, bytes: &[u8]) -> usize {
        match self.writer.put(bytes) {
            Ok(put) => put,
            Err(error) => {
                self.error = Some(error);
                0
            }
        }
    }
}

/// A file that takes bytes at an offset.
struct FileSink<'a> {
    file: &'a OpenFile,
    offset: u64,
    error: Option<Errno>,
}

impl Sink for FileSink<'_> {
    fn put(&mut self, bytes: &[u8]) -> usize {
        let mut source = bytes;
        match self.file.accept(self.offset, bytes.len(), &mut source) {
            Ok(put) => {
                self.offset += put as u64;
                put
            }
            Err(error) => {
                self.error = Some(error);
                0
            }
        }
    }
}
