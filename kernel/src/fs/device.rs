//! The devices of `/dev` (null(4), full(4), random(4), console(4), tty(4)).

use super::transfer::Pause;
use super::tty;
use crate::arch::{self, Access};
use crate::errno::{Errno, SysResult};
use crate::memory::{Sink, Source, UserBuf};
use crate::wait::{Caller, Wait};

/// A character device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Device {
    /// Takes everything, and is always at its end.
    Null,
    /// Takes everything, and gives zeros.
    Zero,
    /// Has no space, and gives zeros.
    Full,
    /// Gives random bytes.
    Random,
    /// The same under its other name; it differs in its number only.
    Urandom,
    /// The terminal on the console.
    Console,
    /// The terminal of the session, which is the console too.
    Tty,
}

static ZEROS: [u8; 4096] = [0; 4096];

impl Device {
    /// All devices with their names in `/dev`.
    pub const ALL: [(&'static [u8], Device); 7] = [
        (b"null", Device::Null),
        (b"zero", Device::Zero),
        (b"full", Device::Full),
        (b"random", Device::Random),
        (b"urandom", Device::Urandom),
        (b"console", Device::Console),
        (b"tty", Device::Tty),
    ];

    /// The device's number as `st_rdev` tells it: major number 1 is memory, 5 terminals
    /// (Linux's Documentation/admin-guide/devices.txt).
    pub fn number(self) -> u64 {
        let (major, minor) = match self {
            Device::Null => (1, 3),
            Device::Zero => (1, 5),
            Device::Full => (1, 7),
            Device::Random => (1, 8),
            Device::Urandom => (1, 9),
            Device::Tty => (5, 0),
            Device::Console => (5, 1),
        };
        major << 8 | minor
    }

    /// The terminal, if it is one.
    pub fn tty(self) -> Option<&'static tty::Tty> {
        match self {
            Device::Console | Device::Tty => Some(tty::console()),
            _ => None,
        }
    }

    /// Reads (read(2)).
    pub async fn read(self, to: &mut UserBuf<'_>, wait: Wait<'_>) -> SysResult {
        match self {
            Device::Null => Ok(0),
            Device::Zero | Device::Full => fill(to, zeros).await,
            Device::Random | Device::Urandom => fill(to, noise).await,
            Device::Console | Device::Tty => tty::console().read(to, wait).await,
        }
    }

    /// Writes (write(2)).
    pub async fn write(self, from: &mut UserBuf<'_>, caller: &dyn Caller) -> SysResult {
        match self {
            Device::Full => Err(Errno::ENOSPC),
            Device::Console | Device::Tty => tty::console().write(from, caller).await,
            // What is written is not looked at.
            _ => Ok(from.remaining()),
        }
    }
}

impl Device {
    /// Writes bytes of the kernel's without waiting (sendfile(2)), and says how many.
    pub(super) fn accept(self, source: &mut dyn Source, count: usize) -> SysResult {
        let mut buffer = [0; 256];
        if self == Device::Full {
            return Err(Errno::ENOSPC);
        }
        let mut done = 0;
        while done < count {
            let part = (count - done).min(buffer.len());
            let taken = match self.tty() {
                Some(tty) => tty.print(source, part),
                None => source.take(&mut buffer[..part]),
            };
            done += taken;
            if taken < part {
                break;
            }
        }
        Ok(done)
    }
}

/// Fills the user's memory by steps, each of which says how many bytes it did.
async fn fill(to: &mut UserBuf<'_>, step: impl Fn(&mut UserBuf<'_>) -> usize) -> SysResult {
    let before = to.done();
    let mut pause = Pause { last: before };
    while to.remaining() > 0 {
        if step(to) == 0
            && let Err(error) = to.fault_in(Access::Write).await
        {
            let done = to.done() - before;
            return if done > 0 {
                Ok(done)
            } else {
                Err(error.into())
            };
        }
        pause.after(to.done()).await;
    }
    Ok(to.done() - before)
}

fn zeros(to: &mut UserBuf<'_>) -> usize {
    let n = to.remaining().min(ZEROS.len());
    to.put(&ZEROS[..n])
}

fn noise(to: &mut UserBuf<'_>) -> usize {
    let bytes = arch::random().to_ne_bytes();
    let n = to.remaining().min(bytes.len());
    to.put(&bytes[..n])
}
