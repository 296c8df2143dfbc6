//! `siginfo_t`: what comes with a signal (sigaction(2)).

use super::number::Signal;
use crate::process::exit_status::ExitStatus;
use crate::process::pid::Pid;
use crate::process::usage::Usage;
use core::ops::Range;
use linux_raw_sys::general as linux;

/// The part of a `siginfo_t` that is used; the rest is zero. A program that sends a signal with a
/// value may fill it freely (rt_sigqueueinfo(2)), so it is kept as bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SigInfo {
    signal: Signal,
    bytes: [u8; SigInfo::SIZE],
}

// Where the fields are (include/uapi/asm-generic/siginfo.h).
const NUMBER: usize = 0;
const CODE: usize = 8;
const PID: usize = 16;
const UID: usize = 20;
const STATUS: usize = 24;
const USER_TIME: usize = 32;
const SYSTEM_TIME: usize = 40;
const ADDRESS: usize = 16;
const TIMER: usize = 16;
const OVERRUN: usize = 20;
const VALUE: usize = 24;

/// Nanoseconds of a tick, in which `si_utime` counts.
const TICK: u64 = 10_000_000;

/// What happened to a child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChildEvent {
    /// It has ended.
    Ended(ExitStatus),
    /// A signal has stopped it.
    Stopped(Signal),
    /// It goes on.
    Continued,
}

impl ChildEvent {
    /// The event as `wait4` reports it (wait(2)).
    pub fn to_wait_status(self) -> u32 {
        match self {
            ChildEvent::Ended(status) => status.to_wait_status(),
            ChildEvent::Stopped(signal) => signal.number() << 8 | 0x7f,
            ChildEvent::Continued => 0xffff,
        }
    }
}

impl SigInfo {
    /// How many bytes of a `siginfo_t` are used.
    pub const SIZE: usize = 48;
    /// Where every siginfo has its number, error and code.
    pub const HEAD: Range<usize> = NUMBER..CODE + 4;
    /// Where a child's has its pid, uid and status.
    pub const OF_CHILD: Range<usize> = PID..STATUS + 4;

    fn new(signal: Signal, code: i32) -> SigInfo {
        let mut info = SigInfo {
            signal,
            bytes: [0; SigInfo::SIZE],
        };
        info.put(NUMBER, signal.number());
        info.put(CODE, code as u32);
        info
    }

    fn put(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    fn put_long(&mut self, at: usize, value: u64) {
        self.bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
    }

    /// From the kernel.
    pub fn kernel(signal: Signal) -> SigInfo {
        SigInfo::new(signal, linux::SI_KERNEL as i32)
    }

    /// What is known of a signal that had no room for more: as by kill(2), from pid 0.
    pub(super) fn without(signal: Signal) -> SigInfo {
        SigInfo::new(signal, linux::SI_USER as i32)
    }

    /// From a process of the user `uid`, by kill(2).
    pub fn user(signal: Signal, sender: Pid, uid: u32) -> SigInfo {
        SigInfo::sent(SigInfo::new(signal, linux::SI_USER as i32), sender, uid)
    }

    /// From a process to one thread, by tgkill(2).
    pub fn thread(signal: Signal, sender: Pid, uid: u32) -> SigInfo {
        SigInfo::sent(SigInfo::new(signal, linux::SI_TKILL), sender, uid)
    }

    fn sent(mut info: SigInfo, sender: Pid, uid: u32) -> SigInfo {
        info.put(PID, sender.0);
        info.put(UID, uid);
        info
    }

    /// Something that the program did at this address, which is `si_addr`.
    pub fn fault(signal: Signal, code: u32, address: usize) -> SigInfo {
        let mut info = SigInfo::new(signal, code as i32);
        info.put_long(ADDRESS, address as u64);
        info
    }

    /// `SIGCHLD` mostly: what happened to a child, with what it has used.
    pub fn child(signal: Signal, event: ChildEvent, child: Pid, usage: Usage) -> SigInfo {
        let (code, status) = match event {
            ChildEvent::Ended(ExitStatus::Code(code)) => (linux::CLD_EXITED, u32::from(code)),
            ChildEvent::Ended(ExitStatus::Signal(signal)) => (linux::CLD_KILLED, signal.number()),
            ChildEvent::Stopped(signal) => (linux::CLD_STOPPED, signal.number()),
            ChildEvent::Continued => (linux::CLD_CONTINUED, linux::SIGCONT),
        };
        let mut info = SigInfo::new(signal, code as i32);
        info.put(PID, child.0);
        info.put(UID, 0);
        info.put(STATUS, status);
        info.put_long(USER_TIME, usage.user / TICK);
        info.put_long(SYSTEM_TIME, usage.system / TICK);
        info
    }

    /// From a timer of the receiver (timer_create(2)).
    pub(in crate::process) fn timer(signal: Signal, timer: i32, value: u64) -> SigInfo {
        let mut info = SigInfo::new(signal, linux::SI_TIMER);
        info.put(TIMER, timer as u32);
        info.put_long(VALUE, value);
        info
    }

    /// How often the timer has expired beyond the first time.
    pub(super) fn set_overrun(&mut self, overrun: u32) {
        self.put(OVERRUN, overrun);
    }

    /// What a program says itself (rt_sigqueueinfo(2)).
    pub fn given(signal: Signal, bytes: [u8; SigInfo::SIZE]) -> SigInfo {
        let mut info = SigInfo { signal, bytes };
        info.put(NUMBER, signal.number());
        info
    }

    /// The signal.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// `si_code`.
    pub fn code(&self) -> i32 {
        let [a, b, c, d] = [0, 1, 2, 3].map(|n| self.bytes[CODE + n]);
        i32::from_ne_bytes([a, b, c, d])
    }

    /// The bytes of the `siginfo_t`.
    pub fn bytes(&self) -> &[u8; SigInfo::SIZE] {
        &self.bytes
    }
}
