//! Reading from a terminal: a line, or under raw rules what `VMIN` and `VTIME` say (termios(3)).
//!
//! A reader takes bytes under the line's lock and waits without it (rule E1). Under raw
//! rules bytes stay in the buffer until the read is complete, so one that is given up loses none.

use super::Tty;
use super::line::LineRead;
use crate::arch::Access;
use crate::errno::{Errno, SysResult};
use crate::memory::UserBuf;
use crate::sched;
use crate::wait::{Caller, Interrupted, Wait, interruptible};
use core::sync::atomic::Ordering;

/// Whether a read takes what there is, or waits.
#[derive(Clone, Copy)]
struct Wanted {
    /// Under raw rules: with how many bytes a read begins.
    minimum: usize,
    /// How long it waits for the first byte, or, with a minimum, for each after the first.
    patience: Option<u64>,
}

impl Tty {
    /// Reads what was typed. The end of the file when the other end of a pair is gone.
    pub async fn read(&self, to: &mut UserBuf<'_>, how: Wait<'_>) -> SysResult {
        let before = to.done();
        loop {
            let wanted = self.wanted();
            let mut step = self.attempt(to, before, wanted.minimum);
            if step == LineRead::Empty {
                step = match how {
                    // What is there, be it less than was asked for.
                    Wait::Never => self.attempt(to, before, 1),
                    Wait::For(caller) => {
                        match self.wait_to_read(caller, to, before, wanted).await {
                            Ok(step) => step,
                            Err(interrupted) => match self.attempt(to, before, 1) {
                                LineRead::Empty => return Err(interrupted.into()),
                                step => step,
                            },
                        }
                    }
                };
                // This was the one that was woken: pass it on if something is left.
                if self.line.lock().is_ready() {
                    self.readers.wake_one();
                }
            }
            match step {
                LineRead::Done(_) => return Ok(to.done() - before),
                LineRead::Empty => return Err(Errno::EAGAIN),
                LineRead::NotReady(_) => {}
            }
            if let Err(error) = to.fault_in(Access::Write).await {
                let done = to.done() - before;
                return if done > 0 {
                    Ok(done)
                } else {
                    Err(error.into())
                };
            }
        }
    }

    fn wanted(&self) -> Wanted {
        let line = self.line.lock();
        let settings = line.settings();
        let minimum = match settings.is_canonical() {
            true => 1,
            // With a time limit only, the timer says when it is enough.
            false if settings.patience().is_some() => settings.minimum().max(1),
            false => settings.minimum(),
        };
        let patience = settings.patience();
        Wanted { minimum, patience }
    }

    async fn wait_to_read(
        &self,
        caller: &dyn Caller,
        to: &mut UserBuf<'_>,
        before: usize,
        wanted: Wanted,
    ) -> Result<LineRead, Interrupted> {
        let is_first = wanted.minimum <= 1;
        match wanted.patience {
            // For the first byte only.
            Some(time) if self.line.lock().settings().minimum() == 0 => {
                let wait = self.complete(to, before, 1);
                let wait = sched::executor().timeout(time, wait);
                let result = interruptible(caller, wait).await?;
                Ok(result.unwrap_or(LineRead::Done(0)))
            }
            Some(time) if !is_first => loop {
                // The first byte may take its time. After each the timer runs anew.
                let seen = self.more_than(0);
                let seen = interruptible(caller, seen).await?;
                if seen >= wanted.minimum.min(to.remaining()) || self.is_hung_up() {
                    return Ok(self.attempt(to, before, 1));
                }
                let more = sched::executor().timeout(time, self.more_than(seen));
                if interruptible(caller, more).await?.is_err() {
                    match self.attempt(to, before, 1) {
                        // Another reader has taken it.
                        LineRead::Empty => {}
                        step => return Ok(step),
                    }
                }
            },
            _ => interruptible(caller, self.complete(to, before, wanted.minimum)).await,
        }
    }

    /// Waits until a read that begins with `minimum` bytes finds them.
    fn complete(
        &self,
        to: &mut UserBuf<'_>,
        before: usize,
        minimum: usize,
    ) -> impl Future<Output = LineRead> {
        self.readers.wait_until(move || {
            Some(self.attempt(to, before, minimum)).filter(|&step| step != LineRead::Empty)
        })
    }

    /// Waits until there are more bytes than so many, and says how many.
    fn more_than(&self, seen: usize) -> impl Future<Output = usize> {
        self.readers.wait_until(move || {
            let waiting = self.line.lock().waiting();
            (waiting > seen || self.is_hung_up()).then_some(waiting)
        })
    }

    fn attempt(&self, to: &mut UserBuf<'_>, before: usize, minimum: usize) -> LineRead {
        let (max, done) = (to.remaining(), to.done() - before);
        let step = self.line.lock().read(to, max, done, minimum);
        // Relaxed: `resume_input` looks again, under the line's lock.
        if self.paused.load(Ordering::Relaxed) {
            self.resume_input();
        }
        match step {
            LineRead::Empty if self.is_hung_up() => LineRead::Done(0),
            step => step,
        }
    }
}
