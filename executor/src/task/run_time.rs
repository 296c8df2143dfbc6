//! Virtual run time: the time that a task was polled, divided by its weight (see
//! `scheduler::fair`).
//!
//! 32 bits in units of 256 ns: times are only compared by their distance, modulo 2^32, which is
//! good for nine minutes.

use super::share::ORDINARY;

/// Virtual time in units of 256 ns.
pub(crate) type Virtual = u32;

/// The amount that a time makes for a task of this weight, rounded up: a poll that is too short to
/// measure is not free.
pub(crate) fn charge(ns: u64, weight: u32) -> Virtual {
    let units = match weight {
        ORDINARY => ns >> 8,
        weight => (ns >> 8).saturating_mul(ORDINARY.into()) / u64::from(weight.max(1)),
    };
    units.min(u64::from(Virtual::MAX >> 2)) as Virtual + 1
}

/// How much later `a` is than `b`; 0 if it is not.
pub(crate) fn lead(a: Virtual, b: Virtual) -> Virtual {
    let distance = a.wrapping_sub(b);
    if distance > Virtual::MAX / 2 {
        0
    } else {
        distance
    }
}
