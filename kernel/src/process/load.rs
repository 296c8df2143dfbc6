//! What the machine did: the time of each CPU in user mode (`/proc/stat`), and the load averages
//! (`/proc/loadavg`), both noted at the polls of threads. So an idle machine has no tick (rule E3).

use crate::arch::{self, PerMachine};
use crate::sched;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use crossbeam_utils::CachePadded;

/// Nanoseconds in user mode of each CPU. Only that CPU stores.
static USER: PerMachine<Vec<CachePadded<AtomicU64>>> = PerMachine::new();

/// The averages are brought up to date this often (`LOAD_FREQ`, include/linux/sched/loadavg.h).
const PERIOD: u64 = 5_000_000_000;
/// One in the fixed-point numbers of the averages, and how much of an average is left after a period:
/// over one, five and fifteen minutes (as there).
const ONE: u64 = 1 << 11;
const LEFT: [u64; 3] = [1884, 2014, 2037];

/// When the averages were brought up to date. Relaxed throughout: each number stands for itself, and
/// the CPU that moves this one on computes the averages.
static UPDATED: AtomicU64 = AtomicU64::new(0);
static AVERAGES: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// Called once, when there is a heap.
pub(super) fn init() {
    let none = |_| CachePadded::new(AtomicU64::new(0));
    USER.init((0..arch::cpu_count()).map(none).collect());
}

/// A poll on this CPU was in user mode for so long.
pub(super) fn note_user(nanoseconds: u64) {
    if let Some(user) = USER.get().get(arch::cpu().0) {
        let before = user.load(Ordering::Relaxed);
        user.store(before + nanoseconds, Ordering::Relaxed);
    }
}

/// How long a CPU has been in user mode, without the poll that goes on.
pub(super) fn user_time(cpu: usize) -> u64 {
    let user = USER.get().get(cpu);
    user.map_or(0, |user| user.load(Ordering::Relaxed))
}

/// A poll begins at `now`, or the averages are asked for.
pub(super) fn note_load(now: u64) {
    let updated = UPDATED.load(Ordering::Relaxed);
    let periods = now.saturating_sub(updated) / PERIOD;
    if periods == 0 {
        return;
    }
    let order = Ordering::Relaxed;
    let next = updated + periods * PERIOD;
    if UPDATED
        .compare_exchange(updated, next, order, order)
        .is_err()
    {
        return;
    }
    let active = sched::executor().ready() as u64 * ONE;
    for (average, left) in AVERAGES.iter().zip(LEFT) {
        let before = average.load(order);
        average.store(after(before, left, active, periods), order);
    }
}

/// An average after so many periods. In all but the last nothing was polled.
fn after(mut average: u64, left: u64, active: u64, periods: u64) -> u64 {
    /// After so many idle periods nothing is left.
    const MOST: u64 = 2_000;
    for _ in 1..periods.min(MOST) {
        average = average * left / ONE;
    }
    // Rounded up while it rises, as Linux does, so that it reaches what is constant.
    let rounding = if active >= average { ONE - 1 } else { 0 };
    (average * left + active * (ONE - left) + rounding) / ONE
}

/// The three averages in hundredths.
pub(super) fn averages() -> [u64; 3] {
    note_load(arch::clock());
    AVERAGES
        .each_ref()
        .map(|average| (average.load(Ordering::Relaxed) + ONE / 200) * 100 / ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_reaches_what_is_constant_and_forgets() {
        let mut average = 0;
        for _ in 0..12 {
            average = after(average, LEFT[0], 2 * ONE, 1);
        }
        // A minute: all but 1/e of it.
        let expected = (2.0 * (1.0 - (-1.0_f64).exp()) * ONE as f64) as u64;
        assert!(average.abs_diff(expected) < ONE / 20, "{average}");
        for _ in 0..500 {
            average = after(average, LEFT[0], 2 * ONE, 1);
        }
        assert_eq!(average, 2 * ONE);
        assert_eq!(after(average, LEFT[0], 0, 200), 0);
    }
}
