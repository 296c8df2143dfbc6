//! The devices of `/dev` (null(4), full(4), random(4), console(4), tty(4), pts(4)). What is done with
//! a terminal is in [`tty`](super::tty).

use super::transfer::Pause;
use crate::arch::{self, Access};
use crate::errno::{Errno, SysResult};
use crate::memory::{Sink, Source, UserBuf};

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
    /// The terminal of the session.
    Tty,
    /// Makes a pseudo-terminal when it is opened.
    Ptmx,
    /// The pseudo-terminal with this number.
    Slave(u32),
}

static ZEROS: [u8; 4096] = [0; 4096];

impl Device {
    /// The devices that are always there, with their names in `/dev`.
    pub const ALL: [(&'static [u8], Device); 9] = [
        (b"null", Device::Null),
        (b"zero", Device::Zero),
        (b"full", Device::Full),
        (b"random", Device::Random),
        (b"urandom", Device::Urandom),
        (b"console", Device::Console),
        (b"tty", Device::Tty),
        (b"ptmx", Device::Ptmx),
        (b"pts/ptmx", Device::Ptmx),
    ];

    /// The device's number as `st_rdev` tells it: major number 1 is memory, 5 terminals, 136 and the
    /// next ones pseudo-terminals
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
            Device::Ptmx => (5, 2),
            Device::Slave(index) => (136 + u64::from(index / 256), u64::from(index % 256)),
        };
        major << 8 | minor
    }

    /// Reads (read(2)).
    pub async fn read(self, to: &mut UserBuf<'_>) -> SysResult {
        match self {
            Device::Null => Ok(0),
            Device::Zero | Device::Full => fill(to, zeros).await,
            Device::Random | Device::Urandom => fill(to, noise).await,
            Device::Console | Device::Tty | Device::Ptmx | Device::Slave(_) => Err(Errno::EIO),
        }
    }

    /// Writes (write(2)).
    pub async fn write(self, from: &mut UserBuf<'_>) -> SysResult {
        match self {
            Device::Full => Err(Errno::ENOSPC),
            Device::Console | Device::Tty | Device::Ptmx | Device::Slave(_) => Err(Errno::EIO),
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
            let taken = source.take(&mut buffer[..part]);
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
