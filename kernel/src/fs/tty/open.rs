//! Which terminal a name means: `/dev/console`, `/dev/tty`, `/dev/ptmx` and those in `/dev/pts`
//! (tty(4), pts(4)).
//!
//! Pseudo-terminals are found by their number in a table of fixed size. It holds no terminal: its
//! descriptors do. Under its lock nothing is allocated or dropped (rule M10). The name in `/dev/pts`
//! is a file like others, so its owner and mode can be changed; it is there from the opening of the
//! master to its end.

use super::pair::{Master, Pair};
use super::settings::Mode;
use super::{Tty, console};
use crate::errno::Errno;
use crate::fs;
use crate::fs::device::Device;
use crate::fs::node::NodeKind;
use crate::fs::walk::Start;
use crate::memory::fallible;
use alloc::sync::{Arc, Weak};
use core::ops::Deref;
use spin::Mutex;

/// How many pseudo-terminals there may be (`/proc/sys/kernel/pty/max`).
pub const LIMIT: usize = 1024;

static PAIRS: Mutex<[Option<Weak<Tty>>; LIMIT]> = Mutex::new([const { None }; LIMIT]);

/// A terminal that is open.
pub enum Terminal {
    /// The console.
    Console,
    /// The side of a pseudo-terminal that programs use.
    Slave(Slave),
}

/// An open side of a pseudo-terminal; counted.
pub struct Slave(Arc<Tty>);

impl Slave {
    fn new(tty: Arc<Tty>) -> Slave {
        if let Some(pair) = tty.pair() {
            pair.opened();
        }
        Slave(tty)
    }
}

impl Drop for Slave {
    fn drop(&mut self) {
        if let Some(pair) = self.0.pair() {
            pair.closed();
        }
    }
}

impl Deref for Terminal {
    type Target = Tty;

    fn deref(&self) -> &Tty {
        match self {
            Terminal::Console => console(),
            Terminal::Slave(slave) => &slave.0,
        }
    }
}

/// Opens the terminal that a device means for the thread with the number `caller`. `None` for
/// a device that is no terminal.
///
/// # Errors
/// `ENXIO` for `/dev/tty` of a session without one; `EIO` for a pseudo-terminal that is locked or whose
/// other end is gone.
pub fn open(device: Device, caller: i32) -> Result<Option<Terminal>, Errno> {
    match device {
        Device::Console => Ok(Some(Terminal::Console)),
        Device::Tty => {
            let session = match console().hooks.get() {
                Some(hooks) => (hooks.session_of)(caller),
                None => return Ok(Some(Terminal::Console)),
            };
            of_session(session).ok_or(Errno::ENXIO).map(Some)
        }
        Device::Slave(index) => {
            let tty = find(|tty| tty.pair().is_some_and(|pair| pair.index() == index));
            let tty = tty.ok_or(Errno::EIO)?;
            if tty.is_hung_up() || tty.pair().is_none_or(Pair::is_locked) {
                return Err(Errno::EIO);
            }
            Ok(Some(Terminal::Slave(Slave::new(tty))))
        }
        _ => Ok(None),
    }
}

/// The terminal of a session.
pub fn of_session(session: i32) -> Option<Terminal> {
    if session <= 0 {
        return None;
    }
    if console().session() == session {
        return Some(Terminal::Console);
    }
    find(|tty| tty.session() == session).map(|tty| Terminal::Slave(Slave::new(tty)))
}

fn find(matches: impl Fn(&Tty) -> bool) -> Option<Arc<Tty>> {
    let mut after = 0;
    loop {
        let (index, tty) = {
            let pairs = PAIRS.lock();
            let mut rest = pairs.iter().enumerate().skip(after);
            rest.find_map(|(index, tty)| Some((index, tty.as_ref()?.upgrade()?)))?
        };
        // One that does not match is dropped here, without the lock.
        if matches(&tty) {
            return Some(tty);
        }
        after = index + 1;
    }
}

/// A new pseudo-terminal (`/dev/ptmx`).
///
/// # Errors
/// `ENOSPC` when there are [`LIMIT`].
pub fn master() -> Result<Master, Errno> {
    let tty = fallible::arc(Tty::new(Mode::Pair, Some(Pair::new()?)))?;
    if let Some(hooks) = console().hooks.get() {
        tty.hooks.call_once(|| *hooks);
    }
    let (index, old) = {
        let mut pairs = PAIRS.lock();
        let is_free =
            |tty: &Option<Weak<Tty>>| tty.as_ref().is_none_or(|tty| tty.strong_count() == 0);
        let index = pairs.iter().position(is_free).ok_or(Errno::ENOSPC)?;
        if let Some(pair) = tty.pair() {
            pair.set_index(index as u32);
        }
        (index as u32, pairs[index].replace(Arc::downgrade(&tty)))
    };
    drop(old);
    let master = Master::new(tty);
    let mut name = [0; NAME];
    let path = path(index, &mut name);
    let node = fs::tree().attach(path, NodeKind::Device(Device::Slave(index)))?;
    node.change(|attributes| {
        attributes.permissions = 0o620;
        attributes.group = TTY_GROUP;
    });
    Ok(master)
}

/// The group of terminals in all distributions, which devpts is mounted with.
const TTY_GROUP: u32 = 5;
/// As long as the longest path.
const NAME: usize = 16;

/// The path of a pseudo-terminal.
pub fn path(index: u32, buffer: &mut [u8; NAME]) -> &[u8] {
    const FOLDER: &[u8] = b"/dev/pts/";
    let mut at = NAME;
    let mut rest = index % 1_000_000;
    loop {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    at -= FOLDER.len();
    buffer[at..at + FOLDER.len()].copy_from_slice(FOLDER);
    &buffer[at..]
}

/// Removes a pseudo-terminal's name.
pub(super) fn forget(index: u32) {
    let tree = fs::tree();
    let start = Start {
        directory: tree.root(),
        caller: 0,
    };
    let mut name = [0; NAME];
    // A program may have removed it, or put something else there.
    let path = path(index, &mut name);
    if let Ok(node) = tree.node(start, path, crate::fs::walk::Follow::No)
        && let NodeKind::Device(Device::Slave(found)) = node.kind()
        && *found == index
    {
        let _ = tree.unlink(start, path);
    }
}
