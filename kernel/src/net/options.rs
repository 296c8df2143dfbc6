//! What setsockopt(2) sets and the sockets obey (socket(7), ipv6(7)).

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// What a socket's buffers are said to be at first (`net.core.wmem_default`).
const USUAL_BUFFER: u32 = 212_992;

/// The options of a socket. Each stands for itself, so all accesses are relaxed.
pub struct Options {
    receive_patience: AtomicU64,
    send_patience: AtomicU64,
    pass_credentials: AtomicBool,
    only_v6: AtomicBool,
    /// Those that are kept and told, one bit each.
    kept: AtomicU64,
    receive_buffer: AtomicU32,
    send_buffer: AtomicU32,
}

impl Options {
    /// What they are at first.
    pub const fn new() -> Options {
        Options {
            receive_patience: AtomicU64::new(0),
            send_patience: AtomicU64::new(0),
            pass_credentials: AtomicBool::new(false),
            only_v6: AtomicBool::new(false),
            kept: AtomicU64::new(0),
            receive_buffer: AtomicU32::new(USUAL_BUFFER),
            send_buffer: AtomicU32::new(USUAL_BUFFER),
        }
    }

    /// How many nanoseconds a call may wait to receive; 0: for ever (`SO_RCVTIMEO`).
    pub fn receive_patience(&self) -> &AtomicU64 {
        &self.receive_patience
    }

    /// The same to send (`SO_SNDTIMEO`).
    pub fn send_patience(&self) -> &AtomicU64 {
        &self.send_patience
    }

    /// What is told as `SO_RCVBUF`.
    pub fn receive_buffer(&self) -> &AtomicU32 {
        &self.receive_buffer
    }

    /// What is told as `SO_SNDBUF`.
    pub fn send_buffer(&self) -> &AtomicU32 {
        &self.send_buffer
    }

    /// Whether credentials come with each message (`SO_PASSCRED`).
    pub fn pass_credentials(&self) -> bool {
        self.pass_credentials.load(Ordering::Relaxed)
    }

    /// Says so.
    pub fn set_pass_credentials(&self, on: bool) {
        self.pass_credentials.store(on, Ordering::Relaxed);
    }

    /// Whether its addresses are of the sixth version alone (`IPV6_V6ONLY`).
    pub fn only_v6(&self) -> bool {
        self.only_v6.load(Ordering::Relaxed)
    }

    /// Says so.
    pub fn set_only_v6(&self, on: bool) {
        self.only_v6.store(on, Ordering::Relaxed);
    }

    /// Whether an option is on that is kept and told, and changes nothing here.
    pub fn kept(&self, bit: u32) -> bool {
        self.kept.load(Ordering::Relaxed) & 1 << bit != 0
    }

    /// Says so.
    pub fn keep(&self, bit: u32, on: bool) {
        match on {
            true => self.kept.fetch_or(1 << bit, Ordering::Relaxed),
            false => self.kept.fetch_and(!(1 << bit), Ordering::Relaxed),
        };
    }
}

impl Default for Options {
    fn default() -> Options {
        Options::new()
    }
}
