//! Pseudo-terminals (pty(7), ioctl_tty(2)): a terminal with a program behind it.
//!
//! The program's end is the [`Master`]: what it writes is typed, what it reads is what the programs on
//! the terminal print. The terminal itself is a [`Tty`] like the console, with a [`Pair`] in
//! place of the port. The master's end owns no more than the descriptor: when it is dropped the
//! terminal is hung up. Open descriptors of the terminal are counted, so that the master is told when
//! the last one is gone.
//!
//! What is printed waits in memory that is reserved when the pair is made (rule M10). Half of it is for
//! programs, which wait when it is full; the rest is for echoes, which cannot wait and
//! are lost when that is full too.

use super::Tty;
use super::line::Flow;
use super::settings::Settings;
use crate::arch::Access;
use crate::errno::{Errno, SysResult};
use crate::memory::{Sink, Source, UserBuf};
use crate::wait::{Wait, interruptible};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use executor::Label;
use executor::sync::WaitQueue;
use linux_raw_sys::general as abi;
use spin::Mutex;

/// How many bytes of programs wait for the master.
const ROOM: usize = 4096;

/// What a terminal has instead of a port.
pub struct Pair {
    index: AtomicU32,
    /// What was printed. It never grows beyond what was reserved.
    printed: Mutex<VecDeque<u8>>,
    /// Masters that read, and those that poll.
    readers: WaitQueue,
    pollers: WaitQueue,
    /// Masters that write to a line that is full.
    typists: WaitQueue,
    /// The terminal cannot be opened yet (`TIOCSPTLCK`).
    locked: AtomicBool,
    /// Packet mode, and what there is to report in it (`TIOCPKT`).
    packets: AtomicBool,
    reports: AtomicU32,
    /// Open descriptors of the terminal, and whether there was one.
    opened: AtomicU32,
    was_opened: AtomicBool,
    hung_up: AtomicBool,
}

// Relaxed throughout: each flag stands for itself. One that ends a wait is changed before the queue is
// woken, and the queue's lock orders it before the waiter's next look.
impl Pair {
    /// Memory for one, locked as on Linux.
    pub(super) fn new() -> Result<Pair, Errno> {
        let mut printed = VecDeque::new();
        printed
            .try_reserve_exact(2 * ROOM)
            .map_err(|_| Errno::ENOMEM)?;
        Ok(Pair {
            index: AtomicU32::new(0),
            printed: Mutex::new(printed),
            readers: WaitQueue::labelled(&Label("pseudo-terminal")),
            pollers: WaitQueue::labelled(&Label("poll: pseudo-terminal")),
            typists: WaitQueue::labelled(&Label("pseudo-terminal: input")),
            locked: AtomicBool::new(true),
            packets: AtomicBool::new(false),
            reports: AtomicU32::new(0),
            opened: AtomicU32::new(0),
            was_opened: AtomicBool::new(false),
            hung_up: AtomicBool::new(false),
        })
    }

    /// The terminal's name in `/dev/pts` (`TIOCGPTN`).
    pub fn index(&self) -> u32 {
        self.index.load(Ordering::Relaxed)
    }

    pub(super) fn set_index(&self, index: u32) {
        self.index.store(index, Ordering::Relaxed);
    }

    /// Whether the terminal cannot be opened (`TIOCGPTLCK`).
    pub fn is_locked(&self) -> bool {
        self.locked.load(Ordering::Relaxed)
    }

    /// Locks or unlocks it (`TIOCSPTLCK`).
    pub fn set_locked(&self, locked: bool) {
        self.locked.store(locked, Ordering::Relaxed);
    }

    /// Whether reads of the master begin with a byte of reports (`TIOCGPKT`).
    pub fn has_packets(&self) -> bool {
        self.packets.load(Ordering::Relaxed)
    }

    /// Switches packet mode (`TIOCPKT`).
    pub fn set_packets(&self, on: bool) {
        if !self.packets.swap(on, Ordering::Relaxed) {
            self.reports.store(0, Ordering::Relaxed);
        }
    }

    /// How many bytes the master could read (`FIONREAD` there, `TIOCOUTQ` at the terminal).
    pub fn printed(&self) -> usize {
        self.printed.lock().len()
    }

    pub(super) fn is_hung_up(&self) -> bool {
        self.hung_up.load(Ordering::Relaxed)
    }

    /// Whether all descriptors of the terminal are closed again.
    fn is_left(&self) -> bool {
        self.was_opened.load(Ordering::Relaxed) && self.opened.load(Ordering::Relaxed) == 0
    }

    pub(super) fn room(&self) -> usize {
        ROOM.saturating_sub(self.printed())
    }

    pub(super) fn push(&self, bytes: &[u8]) {
        {
            let mut printed = self.printed.lock();
            // No more than was reserved: nothing is allocated under the lock.
            let room = (2 * ROOM).saturating_sub(printed.len());
            printed.extend(&bytes[..bytes.len().min(room)]);
        }
        self.wake_master();
    }

    fn wake_master(&self) {
        self.readers.wake_all();
        self.pollers.wake_all();
    }

    /// Discards what was printed.
    pub(super) fn flush(&self) {
        self.printed.lock().clear();
        self.report(abi::TIOCPKT_FLUSHWRITE);
    }

    /// Has something to report in packet mode.
    pub(super) fn report(&self, what: u32) {
        if !self.has_packets() {
            return;
        }
        let opposite = match what {
            abi::TIOCPKT_STOP => abi::TIOCPKT_START,
            abi::TIOCPKT_START => abi::TIOCPKT_STOP,
            abi::TIOCPKT_DOSTOP => abi::TIOCPKT_NOSTOP,
            abi::TIOCPKT_NOSTOP => abi::TIOCPKT_DOSTOP,
            _ => 0,
        };
        self.reports.fetch_and(!opposite, Ordering::Relaxed);
        self.reports.fetch_or(what, Ordering::Relaxed);
        self.wake_master();
    }

    pub(super) fn settings_changed(&self, old: &Settings, new: &Settings) {
        // As Linux's pty_set_termios: flow control is the usual one, by ^S and ^Q.
        let usual = |settings: &Settings| {
            settings.input(abi::IXON)
                && settings.key(abi::VSTOP) == 0x13
                && settings.key(abi::VSTART) == 0x11
        };
        if usual(old) != usual(new) {
            self.report(match usual(new) {
                true => abi::TIOCPKT_DOSTOP,
                false => abi::TIOCPKT_NOSTOP,
            });
        }
        if old.local(abi::EXTPROC) || new.local(abi::EXTPROC) {
            self.report(abi::TIOCPKT_IOCTL);
        }
    }

    pub(super) fn input_has_room(&self) {
        self.typists.wake_all();
        self.pollers.wake_all();
    }

    pub(super) fn opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.was_opened.store(true, Ordering::Relaxed);
    }

    pub(super) fn closed(&self) {
        if self.opened.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.wake_master();
            self.typists.wake_all();
        }
    }
}

/// What came of an attempt of the master to read.
enum Step {
    Done,
    NotReady,
    Empty,
}

/// The end of a pseudo-terminal that stands for the person.
pub struct Master {
    tty: Arc<Tty>,
}

impl Master {
    pub(super) fn new(tty: Arc<Tty>) -> Master {
        Master { tty }
    }

    /// The terminal.
    pub fn tty(&self) -> &Tty {
        &self.tty
    }

    fn pair(&self) -> Result<&Pair, Errno> {
        self.tty.pair.as_ref().ok_or(Errno::EIO)
    }

    /// Reads what was printed. `EIO` when no program has the terminal open any more.
    pub async fn read(&self, to: &mut UserBuf<'_>, how: Wait<'_>) -> SysResult {
        let pair = self.pair()?;
        let before = to.done();
        loop {
            let mut step = self.attempt(pair, to)?;
            if let Step::Empty = step {
                let Wait::For(caller) = how else {
                    return Err(Errno::EAGAIN);
                };
                let wait = pair.readers.wait_until(|| match self.attempt(pair, to) {
                    Ok(Step::Empty) => None,
                    step => Some(step),
                });
                step = interruptible(caller, wait).await??;
            }
            if let Step::Done = step {
                return Ok(to.done() - before);
            }
            to.fault_in(Access::Write).await?;
        }
    }

    fn attempt(&self, pair: &Pair, to: &mut UserBuf<'_>) -> Result<Step, Errno> {
        if to.remaining() == 0 {
            return Ok(Step::Done);
        }
        {
            let mut printed = pair.printed.lock();
            let reports = pair.reports.load(Ordering::Relaxed);
            if pair.has_packets() && reports != 0 {
                if to.put(&[reports as u8]) == 0 {
                    return Ok(Step::NotReady);
                }
                // One that came meanwhile stays.
                pair.reports.fetch_and(!reports, Ordering::Relaxed);
                return Ok(Step::Done);
            }
            if printed.is_empty() {
                return match pair.is_left() {
                    true => Err(Errno::EIO),
                    false => Ok(Step::Empty),
                };
            }
            if pair.has_packets() && to.put(&[abi::TIOCPKT_DATA as u8]) == 0 {
                return Ok(Step::NotReady);
            }
            let wanted = to.remaining();
            let (first, second) = printed.as_slices();
            let first = &first[..first.len().min(wanted)];
            let mut given = to.put(first);
            if given == first.len() {
                given += to.put(&second[..second.len().min(wanted - given)]);
            }
            printed.drain(..given);
            if given == 0 && wanted > 0 && !pair.has_packets() {
                return Ok(Step::NotReady);
            }
        }
        self.tty.writers.wake_all();
        self.tty.pollers.wake_all();
        Ok(Step::Done)
    }

    /// Types. Waits while the line is full of what no program has read.
    pub async fn write(&self, from: &mut UserBuf<'_>, how: Wait<'_>) -> SysResult {
        let before = from.done();
        match self.type_all(from, how).await {
            Err(_) if from.done() > before => Ok(from.done() - before),
            Err(error) => Err(error),
            Ok(()) => Ok(from.done() - before),
        }
    }

    async fn type_all(&self, from: &mut UserBuf<'_>, how: Wait<'_>) -> Result<(), Errno> {
        let pair = self.pair()?;
        let mut since_yield = 0;
        while from.remaining() > 0 {
            if self.is_full() {
                let Wait::For(caller) = how else {
                    return Err(Errno::EAGAIN);
                };
                let room = || (!self.is_full() || pair.is_left()).then_some(());
                interruptible(caller, pair.typists.wait_until(room)).await?;
                if self.is_full() {
                    return Err(Errno::EIO);
                }
            }
            let mut bytes = [0; 64];
            let room = bytes.len().min(self.tty.line.lock().room());
            let taken = from.take(&mut bytes[..room.max(1)]);
            for &byte in &bytes[..taken] {
                // It waits by `is_full` instead.
                let _ = self.tty.input(byte);
            }
            if taken == 0 {
                from.fault_in(Access::Read).await?;
            }
            since_yield += taken;
            if since_yield >= 1024 {
                since_yield = 0;
                executor::yield_now().await;
            }
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.tty.line.lock().is_full()
    }

    /// How many bytes a read would get (`FIONREAD`).
    pub fn readable(&self) -> usize {
        self.tty.pair.as_ref().map_or(0, Pair::printed)
    }

    /// What `poll` reports.
    pub fn ready(&self) -> u32 {
        let Ok(pair) = self.pair() else {
            return abi::POLLERR;
        };
        let given = |is_there, events| if is_there { events } else { 0 };
        let reports = pair.has_packets() && pair.reports.load(Ordering::Relaxed) != 0;
        given(reports || pair.printed() > 0, abi::POLLIN | abi::POLLRDNORM)
            | given(reports, abi::POLLPRI)
            | given(pair.is_left(), abi::POLLHUP)
            | given(!self.is_full(), abi::POLLOUT | abi::POLLWRNORM)
    }

    /// Waits until one of these `POLL*` bits is reported.
    pub async fn wait_ready(&self, events: u32) {
        let Ok(pair) = self.pair() else {
            return;
        };
        let ready = || (self.ready() & events != 0).then_some(());
        pair.pollers.wait_until(ready).await;
    }

    /// Stops the terminal's output or lets it go on (tcflow(3)).
    pub fn set_flow(&self, flow: Flow) {
        self.tty.set_flow(flow);
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        if let Some(pair) = &self.tty.pair {
            pair.hung_up.store(true, Ordering::Relaxed);
            super::open::forget(pair.index());
        }
        self.tty.hang_up();
    }
}
