//! Time: the TSC, calibrated once against the PIT, and the one-shot timer.
//!
//! `clock` is monotonic across CPUs: each CPU that comes up exchanges readings
//! with the boot CPU ([`follow`]), and where its TSC was seen behind or ahead the
//! difference is added to its readings from then on. That it stays so is what an
//! invariant TSC promises; emulators and hypervisors give all CPUs one TSC. Where
//! CPUID does not promise it, the log says so.

use super::apic;
use super::features::{Features, cpuid};
use super::percpu;
use core::arch::asm;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering};
use x86_64::instructions::port::Port;

const NANOSECONDS: u64 = 1_000_000_000;

/// The TSC at clock 0.
static START: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds in a tick, ticks in a nanosecond, and ticks of the APIC's timer in
/// a nanosecond, as fixed-point numbers with 32 bits behind the point.
static NS_PER_TICK: AtomicU64 = AtomicU64::new(0);
static TICKS_PER_NS: AtomicU64 = AtomicU64::new(0);
static COUNTS_PER_NS: AtomicU64 = AtomicU64::new(0);

fn scale(value: u64, factor: &AtomicU64) -> u64 {
    ((u128::from(value) * u128::from(factor.load(Ordering::Relaxed))) >> 32) as u64
}

fn ratio(a: u64, b: u64) -> u64 {
    ((u128::from(a) << 32) / u128::from(b)) as u64
}

/// The TSC, not read ahead of what comes before.
fn tsc() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reads a register that every 64-bit CPU has. Memory accesses are not
    // moved over it, as the readings of `lead` and `follow` need it.
    unsafe {
        asm!("lfence", "rdtsc", out("eax") low, out("edx") high, options(nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Nanoseconds since boot.
pub fn clock() -> u64 {
    let now = tsc().wrapping_add(percpu::this().tsc_offset.get());
    scale(
        now.saturating_sub(START.load(Ordering::Relaxed)),
        &NS_PER_TICK,
    )
}

/// Asks for a timer interrupt on this CPU when the clock reaches `deadline` (at
/// once, if it has), in place of what was asked before. It may come early: the
/// counter of an APIC without deadlines holds about a minute.
pub fn set_timer(deadline: Option<u64>) {
    if apic::has_deadline() {
        let target = deadline.map_or(0, |deadline| {
            let ticks = START
                .load(Ordering::Relaxed)
                .wrapping_add(scale(deadline, &TICKS_PER_NS));
            // Not 0, which would mean "never".
            ticks.wrapping_sub(percpu::this().tsc_offset.get()).max(1)
        });
        apic::set_deadline(target);
    } else {
        let count = deadline.map_or(0, |deadline| {
            let counts = scale(deadline.saturating_sub(clock()), &COUNTS_PER_NS) + 1;
            u32::try_from(counts).unwrap_or(u32::MAX)
        });
        apic::set_count(count);
    }
}

/// Lets `time` pass, in nanoseconds.
pub fn wait(time: u64) {
    let end = clock() + time;
    while clock() < end {
        spin_loop();
    }
}

/// Measures the rates of the TSC and the APIC's timer, and starts the clock.
pub fn calibrate() {
    let start = tsc();
    START.store(start, Ordering::Relaxed);
    apic::set_count(u32::MAX);
    let (ticks, counts, ns) = match measure() {
        Some(measured) => measured,
        None => from_cpuid(),
    };
    apic::set_count(0);
    NS_PER_TICK.store(ratio(ns, ticks), Ordering::Relaxed);
    TICKS_PER_NS.store(ratio(ticks, ns), Ordering::Relaxed);
    COUNTS_PER_NS.store(ratio(counts, ns), Ordering::Relaxed);
    log::info!("TSC at {} MHz", scale(1000, &TICKS_PER_NS));
    if !Features::get().intersects(Features::INVARIANT_TSC | Features::HYPERVISOR) {
        log::warn!("the CPU does not promise a TSC of constant rate");
    }
}

/// One moment, on three clocks.
struct Moment {
    tsc: u64,
    count: u64,
    pit: u64,
}

/// The PIT counts down at this rate, from 65,535: for 55 ms (8254 data sheet).
const PIT_HZ: u64 = 1_193_182;
const PIT_TICKS: u64 = PIT_HZ / 100;
const PIT_COMMAND: u16 = 0x43;
const PIT_CHANNEL_0: u16 = 0x40;
/// Channel 0, both bytes, mode 0: count down once.
const COUNT_DOWN: u8 = 0b0011_0000;
/// Latch the status and the count of channel 0.
const READ_BACK: u8 = 0b1100_0010;
/// In the status: the count has run out.
const OUTPUT: u8 = 1 << 7;
/// In the status: the count just written is not in the counter yet.
const NOT_LOADED: u8 = 1 << 6;
/// How many measurements may be spoilt before the PIT is given up.
const ATTEMPTS: usize = 10;

/// TSC ticks, APIC counts and nanoseconds of 10 ms or a little more; `None` without
/// a PIT.
fn measure() -> Option<(u64, u64, u64)> {
    (0..ATTEMPTS).find_map(|_| {
        start_pit();
        let first = moment()?;
        while first.pit.saturating_sub(pit()?) < PIT_TICKS {
            // Without a PIT the count never changes.
            if tsc() - first.tsc > NANOSECONDS {
                return None;
            }
            spin_loop();
        }
        let last = moment()?;
        Some((
            last.tsc - first.tsc,
            first.count - last.count,
            (first.pit - last.pit) * NANOSECONDS / PIT_HZ,
        ))
    })
}

fn start_pit() {
    // SAFETY: nothing else uses the PIT, and its interrupt is masked.
    unsafe {
        Port::<u8>::new(PIT_COMMAND).write(COUNT_DOWN);
        let mut data = Port::<u8>::new(PIT_CHANNEL_0);
        data.write(0xff);
        data.write(0xff);
    }
}

/// What is left of the count. `None` once it has run out (and goes on from the top):
/// a virtual CPU may be held up that long.
fn pit() -> Option<u64> {
    for _ in 0..1000 {
        // SAFETY: reading the count changes nothing.
        let [status, low, high] = unsafe {
            Port::<u8>::new(PIT_COMMAND).write(READ_BACK);
            let mut data = Port::<u8>::new(PIT_CHANNEL_0);
            [data.read(), data.read(), data.read()]
        };
        if status & OUTPUT != 0 {
            return None;
        }
        if status & NOT_LOADED == 0 {
            return Some(u64::from(high) << 8 | u64::from(low));
        }
    }
    None
}

/// Reads all clocks, several times, and keeps the reading that took the shortest.
fn moment() -> Option<Moment> {
    let reading = || {
        let before = tsc();
        let (pit, count) = (pit()?, u64::from(apic::count()));
        let time = tsc() - before;
        let tsc = before + time / 2;
        Some((time, Moment { tsc, count, pit }))
    };
    let mut best = reading()?;
    for _ in 0..8 {
        let next = reading()?;
        if next.0 < best.0 {
            best = next;
        }
    }
    Some(best.1)
}

/// What CPUID says of the rates (leaves 0x15 and 0x16), for machines without a
/// PIT.
fn from_cpuid() -> (u64, u64, u64) {
    let [denominator, numerator, crystal, _] = cpuid(0x15, 0).map(u64::from);
    let [base_mhz, ..] = cpuid(0x16, 0);
    let hz = match (denominator, crystal) {
        (1.., 1..) => crystal * numerator / denominator,
        _ => u64::from(base_mhz & 0xffff) * 1_000_000,
    };
    assert!(hz > 0, "neither a PIT nor CPUID tells the TSC's rate");
    (hz, crystal / 16, NANOSECONDS)
}

/// Where the boot CPU and one that comes up exchange readings: `ASK` from the new
/// one is replaced by the boot CPU's TSC, without its lowest bit.
static EXCHANGE: AtomicU64 = AtomicU64::new(0);
const ASK: u64 = 1;
const ROUNDS: usize = 64;

/// On the boot CPU: answers until the new CPU has seen enough.
pub fn lead(done: impl Fn() -> bool) {
    while !done() {
        if EXCHANGE.load(Ordering::Acquire) == ASK {
            EXCHANGE.store(tsc() & !1, Ordering::Release);
        }
        spin_loop();
    }
}

/// On the new CPU: finds how far its TSC is off the boot CPU's.
pub fn follow() {
    // The answer, or one tick more, was read between `before` and `after`. This
    // bounds the offset from both sides; a smaller difference than the time that
    // the exchange takes cannot be seen by any program either.
    let (mut least, mut most) = (i64::MIN, i64::MAX);
    for _ in 0..ROUNDS {
        let before = tsc();
        EXCHANGE.store(ASK, Ordering::Release);
        let answer = loop {
            match EXCHANGE.load(Ordering::Acquire) {
                ASK => spin_loop(),
                answer => break answer,
            }
        };
        let after = tsc();
        least = least.max(answer.wrapping_sub(after) as i64);
        most = most.min((answer | 1).wrapping_sub(before) as i64);
    }
    // An offset of 0 is right unless the readings contradict it.
    let offset = 0.clamp(least.min(most), most);
    if offset != 0 {
        log::warn!("{}: TSC is off by {offset} ticks, corrected", percpu::cpu());
    }
    percpu::this().tsc_offset.set(offset as u64);
}
