//! Writing to a terminal. A writer holds an async mutex (rule E1), so that writes of up to [`WHOLE`]
//! bytes are not mixed with each other, and yields between small chunks, because the port is slow
//! (rule E4). It waits while output is stopped, and while the other end of a pair has no room.

use super::Tty;
use super::line::Flow;
use super::output::WIDEST;
use crate::arch::Access;
use crate::errno::{Errno, SysResult};
use crate::memory::{Source, UserBuf};
use crate::wait::{Caller, Interrupted, Wait, interruptible};
use executor::sync::MutexGuard;

/// Writes up to this size come out in one piece.
pub const WHOLE: usize = 4096;
/// How many bytes are sent before others on this CPU have their chance.
const CHUNK: usize = 256;

impl Tty {
    /// Prints. `EIO` when the other end is gone.
    pub async fn write(&self, from: &mut UserBuf<'_>, how: Wait<'_>) -> SysResult {
        let before = from.done();
        match self.print_all(from, how).await {
            Err(_) if from.done() > before => Ok(from.done() - before),
            Err(error) => Err(error),
            Ok(()) => Ok(from.done() - before),
        }
    }

    async fn print_all(&self, from: &mut UserBuf<'_>, how: Wait<'_>) -> Result<(), Errno> {
        while from.remaining() > 0 {
            let _printing = self.begin_printing(how).await?;
            let end = from.done() + from.remaining().min(WHOLE);
            while from.done() < end {
                if self.is_hung_up() {
                    return Err(Errno::EIO);
                }
                if !self.may_print() {
                    let Wait::For(caller) = how else {
                        return Err(Errno::EAGAIN);
                    };
                    let go = || (self.may_print() || self.is_hung_up()).then_some(());
                    interruptible(caller, self.writers.wait_until(go)).await?;
                    continue;
                }
                if self.print(from, end - from.done()) == 0 && self.may_print() {
                    from.fault_in(Access::Read).await?;
                }
                if from.done() < end {
                    executor::yield_now().await;
                }
            }
        }
        Ok(())
    }

    async fn begin_printing(&self, how: Wait<'_>) -> Result<MutexGuard<'_, ()>, Errno> {
        match how {
            Wait::Never => self.output.try_lock().ok_or(Errno::EAGAIN),
            Wait::For(caller) => Ok(interruptible(caller, self.output.lock()).await?),
        }
    }

    /// Whether a byte could go out now.
    pub(super) fn may_print(&self) -> bool {
        self.room() >= WIDEST && self.line.lock().flow() == Flow::Going
    }

    fn room(&self) -> usize {
        self.pair.as_ref().map_or(usize::MAX, |pair| pair.room())
    }

    /// Prints up to `max` bytes, a chunk at most, and says how many it got.
    fn print(&self, from: &mut (impl Source + ?Sized), max: usize) -> usize {
        let mut chunk = [0; CHUNK];
        let max = max.min(CHUNK).min(self.room() / WIDEST);
        let taken = from.take(&mut chunk[..max]);
        let mut rest = &chunk[..taken];
        let mut out = [0; 2 * CHUNK];
        while !rest.is_empty() {
            let (used, made) = self.line.lock().outgoing(rest, &mut out);
            self.send(&out[..made]);
            rest = &rest[used..];
        }
        taken
    }

    /// Prints bytes of the kernel's without waiting (sendfile(2)), and says how many.
    pub(in super::super) fn accept(&self, source: &mut dyn Source, count: usize) -> usize {
        let mut done = 0;
        while done < count && self.may_print() {
            match self.print(source, count - done) {
                0 => break,
                taken => done += taken,
            }
        }
        done
    }

    /// Waits until what others are printing is out (tcdrain(3)).
    pub async fn drain(&self, caller: &dyn Caller) -> Result<(), Interrupted> {
        interruptible(caller, self.output.lock()).await.map(drop)
    }
}
