//! The clock: the time-stamp counter, which a program reads without a system call, set against
//! `clock_gettime` at the start. A system call around each sample would be longer than what is
//! measured, on some kernels more so than on others.

use core::arch::asm;

use user::sys::system;

/// What a sample is counted in: a tick divides into that many.
pub const PARTS: u64 = 10;

/// For how long the counter is set against the kernel's clock.
const CALIBRATION_NS: u64 = 50_000_000;

/// How many empty samples tell what reading the counter costs.
const EMPTY_SAMPLES: usize = 31;

/// How ticks are shown.
#[derive(Clone, Copy)]
pub struct Clock {
    /// So many nanoseconds are so many ticks; `None` where ticks are what is wanted.
    rate: Option<(u64, u64)>,
    /// Ticks between two readings with nothing in between.
    pub overhead: u64,
}

impl Clock {
    /// A clock that shows ticks.
    pub fn ticks() -> Self {
        Self {
            rate: None,
            overhead: overhead(),
        }
    }

    /// A clock that shows nanoseconds.
    pub fn nanoseconds() -> Self {
        let (start_ns, start) = (system::now(), now());
        let mut ns = 0;
        while ns < CALIBRATION_NS {
            ns = system::now().saturating_sub(start_ns);
        }
        let ticks = now().saturating_sub(start);
        Self {
            rate: Some((ns, ticks.max(1))),
            overhead: overhead(),
        }
    }

    /// What the samples are shown in.
    pub fn unit(&self) -> &'static str {
        match self.rate {
            None => "ticks",
            Some(_) => "ns",
        }
    }

    /// Parts of a tick as parts of the unit.
    pub fn show(&self, parts: u64) -> u64 {
        match self.rate {
            None => parts,
            Some((ns, ticks)) => (u128::from(parts) * u128::from(ns) / u128::from(ticks)) as u64,
        }
    }
}

/// The time-stamp counter, read after all that comes before and ahead of all that follows.
pub fn now() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reads a register that every 64-bit CPU has, and that both kernels let programs
    // read. The compiler moves no memory access over it.
    unsafe {
        asm!(
            "lfence",
            "rdtsc",
            "lfence",
            out("eax") low,
            out("edx") high,
            options(nostack, preserves_flags),
        );
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Ticks from `start` to `end`; none when the counters of two CPUs disagree.
pub fn between(start: u64, end: u64) -> u64 {
    end.saturating_sub(start)
}

fn overhead() -> u64 {
    let mut samples = [0; EMPTY_SAMPLES];
    for sample in &mut samples {
        let start = now();
        *sample = between(start, now());
    }
    samples.sort_unstable();
    samples[EMPTY_SAMPLES / 2]
}
