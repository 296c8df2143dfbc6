//! Moving bytes between a file's contents and the user's memory.
//!
//! Both ways are the same loop: move without waiting what can be moved; where
//! the user's memory is not ready, make it ready and go on. What was moved before an
//! error counts: the error shows at the next call, as on Linux.

use super::metadata::MAX_SIZE;
use crate::arch::Access;
use crate::errno::{Errno, SysResult};
use crate::memory::{self, Object, PageError, Sink, Source, UserBuf};

/// How many bytes are moved before others on this CPU have their chance.
const STRETCH: usize = 256 * 1024;

/// A sink that remembers whether it was offered more than it took.
struct Noting<'a, 'b> {
    inner: &'a mut UserBuf<'b>,
    refused: bool,
}

impl Sink for Noting<'_, '_> {
    fn put(&mut self, bytes: &[u8]) -> usize {
        let n = self.inner.put(bytes);
        self.refused |= n < bytes.len();
        n
    }
}

/// Gives the user the contents from `offset` on. `read` puts at most so many bytes from an
/// offset into a sink; when it puts none without being refused, the contents are at their end.
pub(super) async fn deliver(
    to: &mut UserBuf<'_>,
    offset: u64,
    read: impl Fn(&mut dyn Sink, u64, usize) -> SysResult,
) -> SysResult {
    let before = to.done();
    let mut pause = Pause { last: before };
    let error = loop {
        let at = offset.saturating_add((to.done() - before) as u64);
        let max = to.remaining().min(STRETCH);
        if max == 0 || at > MAX_SIZE {
            break None;
        }
        let mut sink = Noting {
            inner: to,
            refused: false,
        };
        let result = read(&mut sink, at, max);
        let refused = sink.refused;
        match result {
            Err(error) => break Some(error),
            Ok(_) if refused => {
                if let Err(error) = to.fault_in(Access::Write).await {
                    break Some(error.into());
                }
            }
            Ok(0) => break None,
            Ok(_) => {}
        }
        pause.after(to.done()).await;
    };
    outcome(to.done() - before, error)
}

/// Takes all bytes from the user. More than fit into the buffer are `EINVAL`.
pub(super) async fn whole<'a>(
    from: &mut UserBuf<'_>,
    buffer: &'a mut [u8],
) -> Result<&'a [u8], Errno> {
    let mut done = 0;
    while from.remaining() != 0 {
        let rest = buffer.get_mut(done..).filter(|rest| !rest.is_empty());
        let taken = from.take(rest.ok_or(Errno::EINVAL)?);
        if taken == 0 {
            from.fault_in(Access::Read).await?;
        }
        done += taken;
    }
    Ok(buffer.get(..done).unwrap_or_default())
}

/// Takes all bytes from the user and puts them into the object from `offset` on.
pub(super) async fn store(from: &mut UserBuf<'_>, offset: u64, object: &Object) -> SysResult {
    let before = from.done();
    // Pages of a file that was just removed may still have to be freed.
    let mut tries = 16;
    let mut pause = Pause { last: before };
    let error = loop {
        let at = offset.saturating_add((from.done() - before) as u64);
        let room = usize::try_from(MAX_SIZE.saturating_sub(at)).unwrap_or(usize::MAX);
        let max = from.remaining().min(STRETCH).min(room);
        if from.remaining() == 0 {
            break None;
        }
        if max == 0 {
            break Some(Errno::EFBIG);
        }
        match object.write_at(at, from, max) {
            Err(PageError::OutOfMemory) if tries > 0 && memory::direct_reclaim().await => {
                tries -= 1;
            }
            // The file system is the memory: it is full.
            Err(_) => break Some(Errno::ENOSPC),
            Ok(n) if n < max => {
                if let Err(error) = from.fault_in(Access::Read).await {
                    break Some(error.into());
                }
            }
            Ok(_) => {}
        }
        pause.after(from.done()).await;
    };
    outcome(from.done() - before, error)
}

/// Lets others run now and then (rule E4).
pub(super) struct Pause {
    pub(super) last: usize,
}

impl Pause {
    /// To be called again and again, with how many bytes have been moved so far.
    pub(super) async fn after(&mut self, done: usize) {
        if done - self.last >= STRETCH {
            self.last = done;
            executor::yield_now().await;
        }
    }
}

fn outcome(done: usize, error: Option<Errno>) -> SysResult {
    match error {
        Some(error) if done == 0 => Err(error),
        _ => Ok(done),
    }
}
