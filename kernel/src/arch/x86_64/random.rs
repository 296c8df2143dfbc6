//! Random numbers from the CPU.

use super::features::Features;
use core::arch::asm;
use core::arch::x86_64::_rdtsc;
use core::sync::atomic::{AtomicU64, Ordering};

/// Mixed into every number.
static POOL: AtomicU64 = AtomicU64::new(0x9e37_79b9_7f4a_7c15);
/// How often to ask RDRAND or RDSEED again (Intel SDM vol. 1, 7.3.17).
const TRIES: usize = 10;

/// A random number.
///
/// With RDSEED or RDRAND its quality is theirs. Without, it is made of the TSC's
/// low bits at unpredictable moments: good enough to place a stack, not to make a
/// key.
pub fn random() -> u64 {
    let features = Features::get();
    let hardware = if features.contains(Features::RDSEED) {
        retry(rdseed)
    } else {
        None
    };
    let hardware = hardware.or_else(|| {
        if features.contains(Features::RDRAND) {
            retry(rdrand)
        } else {
            None
        }
    });
    // SAFETY: every 64-bit CPU has RDTSC.
    let jitter = unsafe { _rdtsc() };
    let pool = POOL.fetch_add(jitter | 1, Ordering::Relaxed);
    mix(pool ^ jitter.rotate_left(32)) ^ hardware.unwrap_or(0)
}

fn retry(source: fn() -> Option<u64>) -> Option<u64> {
    (0..TRIES).find_map(|_| source())
}

fn rdseed() -> Option<u64> {
    let (value, ok): (u64, u8);
    // SAFETY: the CPU has the instruction.
    unsafe {
        asm!("rdseed {}", "setc {}", out(reg) value, out(reg_byte) ok, options(nomem, nostack))
    };
    (ok != 0).then_some(value)
}

fn rdrand() -> Option<u64> {
    let (value, ok): (u64, u8);
    // SAFETY: the CPU has the instruction.
    unsafe {
        asm!("rdrand {}", "setc {}", out(reg) value, out(reg_byte) ok, options(nomem, nostack))
    };
    (ok != 0).then_some(value)
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood, 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
