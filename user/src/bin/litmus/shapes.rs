//! What several cases race with: a process that keeps pages shared, one that looks for strangers in
//! its frames, a delay.

use core::hint;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Relaxed, Release};

use user::random::Random;
use user::sync::{wait_while, wake_all};
use user::sys::process::{self, Pid, Status};
use user::testing::{Explain, Failure, Mapping, Verdict, shared};

use crate::trial::{Player, Trial};

/// A child that shares all private pages of the caller by copy-on-write, as long as it is kept. It
/// sleeps meanwhile.
#[must_use]
pub struct Holder {
    pid: Pid,
    released: &'static AtomicU32,
}

/// Makes holders, one at a time.
pub struct Holders(&'static AtomicU32);

impl Holders {
    pub fn new() -> Result<Self, Failure> {
        Ok(Self(shared::place(AtomicU32::new(0))?))
    }

    /// Forks a child that sleeps until it is released, and then runs `last`.
    pub fn hold(&self, trial: &Trial, last: impl FnOnce() -> Verdict) -> Result<Holder, Failure> {
        self.hold_looking(trial, || (), |()| last())
    }

    /// As [`hold`](Self::hold); what the child sees first is there for `last`.
    pub fn hold_looking<T>(
        &self,
        trial: &Trial,
        first: impl FnOnce() -> T,
        last: impl FnOnce(T) -> Verdict,
    ) -> Result<Holder, Failure> {
        self.0.store(0, Relaxed);
        let pid = process::spawn(|| {
            let seen = first();
            wait_while(self.0, 0);
            if let Err(failure) = last(seen) {
                trial.fail(failure);
            }
            0
        });
        Ok(Holder {
            pid: pid.or_fail("fork")?,
            released: self.0,
        })
    }
}

impl Holder {
    /// Lets the child go, and waits for its end.
    pub fn release(self) -> Verdict {
        self.released.store(1, Release);
        wake_all(self.released);
        let (_, status) = process::wait_for(self.pid).or_fail("wait")?;
        match status {
            Status::Exited(0) => Ok(()),
            other => Err(Failure::new(format_args!("a child ended with {other}"))),
        }
    }
}

/// What the stranger's frames are filled with. It looks like a table entry that is present and was
/// never used (Intel SDM vol. 3, table 4-20): a CPU that still walks one of the frames as a page
/// table sets the accessed bit in it, and that is seen as well. What it points to is beyond the
/// memory of any machine of today.
pub const MARK: u64 = 0x0005_aaaa_aaaa_a007;

/// A stranger: a process that takes fresh frames all the time, fills them with its mark, and looks
/// whether they stay so. Its frames are those that others have just given back.
pub fn stranger(trial: &Trial, cpu: usize) -> Result<Player, Failure> {
    const PAGES: usize = 48;
    trial.process(cpu, || {
        let mut random = Random::new(process::getpid().0 as u64);
        while !trial.is_stopped() {
            let area = Mapping::private(PAGES)?;
            let words = || (0..PAGES).flat_map(|page| (0..512).step_by(8).map(move |w| (page, w)));
            words().for_each(|(page, word)| area.set(page, word, MARK));
            delay(random.below(3000));
            for (page, word) in words() {
                let found = area.get(page, word);
                if found != MARK {
                    return Err(Failure::new(format_args!(
                        "{found:#x} was written into a frame that is another process's \
                         (page {page}, word {word})"
                    )));
                }
            }
        }
        Ok(())
    })
}

/// Lets some time pass.
pub fn delay(turns: u64) {
    for _ in 0..turns {
        hint::spin_loop();
    }
}
