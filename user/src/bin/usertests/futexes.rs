//! futex(2) beyond waiting and waking, and the locks of the dead.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use linux_raw_sys::general as linux;

use user::sys::memory::{self, PAGE, Protection, Sharing};
use user::sys::process;
use user::sys::signal::Signal;
use user::sys::{Errno, Result, raw, system};
use user::testing::failure::expect_error;
use user::testing::{Case, Explain, Failure, Verdict, child, in_child};
use user::{cases, ensure, thread};

pub const CASES: &[Case] = cases![
    wrong_arguments => "futex-wrong-arguments",
    bitsets => "futex-bitsets",
    requeue => "futex-requeue",
    requeue_if_unchanged => "futex-requeue-if-unchanged",
    wake_and_change => "futex-wake-and-change",
    timeouts => "futex-timeouts",
    between_processes => "futex-between-processes",
    private_is_apart => "futex-private-is-apart",
    killed_waiters => "futex-killed-waiters",
    locks_of_the_dead => "futex-locks-of-the-dead",
    lock_that_was_pending => "futex-lock-that-was-pending",
    damaged_lists => "futex-damaged-lists",
];

const PRIVATE: u32 = linux::FUTEX_PRIVATE_FLAG;
const ALL: u32 = i32::MAX as u32;

/// The call, with all that it takes.
fn futex(
    word: &AtomicU32,
    operation: u32,
    value: u32,
    fourth: usize,
    second: Option<&AtomicU32>,
    third: u32,
) -> Result<usize> {
    let second = second.map_or(0, |word| word.as_ptr() as usize);
    bare(
        word.as_ptr() as usize,
        operation,
        value,
        [fourth, second, third as usize],
    )
}

fn bare(address: usize, operation: u32, value: u32, rest: [usize; 3]) -> Result<usize> {
    let [fourth, second, third] = rest;
    let arguments = [
        address,
        operation as usize,
        value as usize,
        fourth,
        second,
        third,
    ];
    // SAFETY: a futex call changes no memory but a word that it was given, which is an atomic.
    unsafe { raw::call(linux::__NR_futex, arguments) }
}

fn wait(word: &AtomicU32, bits: u32) -> Result<usize> {
    futex(word, linux::FUTEX_WAIT_BITSET, 0, 0, None, bits)
}

fn wake(word: &AtomicU32, count: u32, bits: u32) -> Result<usize> {
    futex(word, linux::FUTEX_WAKE_BITSET, count, 0, None, bits)
}

/// Wakes until that many have been woken in all: the others may be on their way to sleep.
fn wake_in_all(word: &AtomicU32, count: usize, bits: u32) -> Verdict {
    let mut woken = 0;
    while woken < count {
        woken += wake(word, (count - woken) as u32, bits).or_fail("wake")?;
        process::sched_yield();
    }
    Ok(())
}

fn wrong_arguments() -> Verdict {
    let word = AtomicU32::new(0);
    let at = word.as_ptr() as usize;
    let none = [0, 0, ALL as usize];
    for operation in [
        linux::FUTEX_WAIT,
        linux::FUTEX_WAKE,
        linux::FUTEX_WAKE | PRIVATE,
    ] {
        expect_error(
            "odd address",
            bare(at + 1, operation, 0, none),
            Errno::EINVAL,
        )?;
    }
    expect_error(
        "beyond the end",
        bare(1 << 47, linux::FUTEX_WAKE, 1, none),
        Errno::EFAULT,
    )?;
    expect_error(
        "nothing there",
        bare(4096, linux::FUTEX_WAIT, 0, none),
        Errno::EFAULT,
    )?;
    expect_error(
        "nothing there",
        bare(4096, linux::FUTEX_WAKE, 1, none),
        Errno::EFAULT,
    )?;
    expect_error("no bits", wait(&word, 0), Errno::EINVAL)?;
    expect_error("no bits", wake(&word, 1, 0), Errno::EINVAL)?;
    expect_error(
        "value",
        futex(&word, linux::FUTEX_WAIT, 1, 0, None, 0),
        Errno::EAGAIN,
    )?;
    let time = linux::__kernel_timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000_000,
    };
    let time = &raw const time as usize;
    expect_error(
        "time",
        futex(&word, linux::FUTEX_WAIT, 1, time, None, 0),
        Errno::EINVAL,
    )?;
    let clock = linux::FUTEX_WAIT | linux::FUTEX_CLOCK_REALTIME;
    expect_error("clock", futex(&word, clock, 1, 0, None, 0), Errno::ENOSYS)?;
    expect_error("number", futex(&word, 99, 1, 0, None, 0), Errno::ENOSYS)?;
    let negative = futex(&word, linux::FUTEX_REQUEUE, u32::MAX, 0, Some(&word), 0);
    expect_error("negative", negative, Errno::EINVAL)?;
    // No waiter: none is woken. What is not mapped matters only where it can be shared.
    ensure!(wake(&word, 1, 1) == Ok(0), "a waiter was woken");
    let elsewhere = bare(4096, linux::FUTEX_WAKE | PRIVATE, 1, none);
    ensure!(
        elsewhere == Ok(0),
        "a private wake looked at the page: {elsewhere:?}"
    );
    Ok(())
}

fn bitsets() -> Verdict {
    let word = AtomicU32::new(0);
    let order = AtomicU64::new(0);
    thread::scope(|scope| {
        for bit in 1..=3 {
            let (word, order) = (&word, &order);
            let work = move || {
                let slept = wait(word, 1 << bit);
                order.fetch_or(bit, Ordering::SeqCst);
                slept
            };
            scope.spawn(work).or_fail("a thread")?;
        }
        ensure!(wake(&word, ALL, 1 << 9) == Ok(0), "woken by another's bit");
        for bits in [1u32 << 2, 1 << 3 | 1 << 1] {
            wake_in_all(&word, bits.count_ones() as usize, bits)?;
        }
        Ok(())
    })?;
    ensure!(order.load(Ordering::SeqCst) == 3, "not all came back");
    Ok(())
}

/// Threads that sleep at a word, until they have been woken. `body` is called with the number
/// of those that are awake again.
fn sleepers(count: usize, word: &AtomicU32, body: impl FnOnce(&AtomicU64) -> Verdict) -> Verdict {
    let awake = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..count {
            let work = || {
                // One that comes after the end of the case need not sleep.
                let _ = wait(word, ALL);
                awake.fetch_add(1, Ordering::SeqCst);
            };
            scope.spawn(work).or_fail("a thread")?;
        }
        let verdict = body(&awake);
        word.store(1, Ordering::SeqCst);
        while awake.load(Ordering::SeqCst) < count as u64 {
            wake(word, ALL, ALL).or_fail("wake")?;
            process::sched_yield();
        }
        verdict
    })
}

fn requeue() -> Verdict {
    let (from, to) = (AtomicU32::new(0), AtomicU32::new(0));
    sleepers(4, &from, |awake| {
        // One is woken, two are moved, as they come.
        let mut done = 0;
        while done < 3 {
            let wakes = u32::from(done == 0);
            let moves = 3 - done - wakes as usize;
            let count = futex(&from, linux::FUTEX_REQUEUE, wakes, moves, Some(&to), 0);
            done += count.or_fail("requeue")?;
            process::sched_yield();
        }
        while awake.load(Ordering::SeqCst) < 1 {
            process::sched_yield();
        }
        ensure!(
            awake.load(Ordering::SeqCst) == 1,
            "a moved waiter was woken"
        );
        let woken = wake(&to, ALL, ALL).or_fail("wake")?;
        ensure!(woken == 2, "{woken} waited for the second word");
        Ok(())
    })
}

fn requeue_if_unchanged() -> Verdict {
    let (from, to) = (AtomicU32::new(0), AtomicU32::new(0));
    let operation = linux::FUTEX_CMP_REQUEUE;
    sleepers(2, &from, |_| {
        let wrong = futex(&from, operation, 1, 1, Some(&to), 7);
        expect_error("another value", wrong, Errno::EAGAIN)?;
        let mut moved = 0;
        while moved < 2 {
            let count = futex(&from, operation, 0, 2, Some(&to), 0);
            moved += count.or_fail("requeue")?;
            process::sched_yield();
        }
        ensure!(wake(&from, ALL, ALL) == Ok(0), "a waiter has stayed");
        ensure!(wake(&to, ALL, ALL) == Ok(2), "not all have come");
        Ok(())
    })
}

/// `FUTEX_OP(operation, operand, comparison, compared with)` of futex(2).
fn encoded(operation: u32, operand: u32, comparison: u32, with: u32) -> u32 {
    operation << 28 | comparison << 24 | (operand & 0xfff) << 12 | with & 0xfff
}

fn wake_and_change() -> Verdict {
    let (first, second) = (AtomicU32::new(0), AtomicU32::new(5));
    let minus_one = 0xfff;
    let steps = [
        (
            encoded(linux::FUTEX_OP_ADD, 3, linux::FUTEX_OP_CMP_EQ, 5),
            8,
        ),
        (
            encoded(linux::FUTEX_OP_SET, minus_one, linux::FUTEX_OP_CMP_LT, 5),
            u32::MAX,
        ),
        (
            encoded(linux::FUTEX_OP_ANDN, 1, linux::FUTEX_OP_CMP_LT, 0),
            u32::MAX - 1,
        ),
        (
            encoded(linux::FUTEX_OP_XOR, minus_one, linux::FUTEX_OP_CMP_GE, 0),
            1,
        ),
        (
            encoded(linux::FUTEX_OP_OR | 8, 4, linux::FUTEX_OP_CMP_NE, 1),
            17,
        ),
    ];
    for (change, expected) in steps {
        let count = futex(&first, linux::FUTEX_WAKE_OP, 1, 1, Some(&second), change);
        ensure!(count == Ok(0), "woke {count:?}");
        let now = second.load(Ordering::SeqCst);
        ensure!(
            now == expected,
            "{change:#x} made {now:#x}, not {expected:#x}"
        );
    }
    // The second word's waiters only if the comparison holds for the value before.
    sleepers(1, &first, |awake| {
        let second = AtomicU32::new(0);
        let never = encoded(linux::FUTEX_OP_ADD, 0, linux::FUTEX_OP_CMP_GT, 0);
        let always = encoded(linux::FUTEX_OP_ADD, 0, linux::FUTEX_OP_CMP_EQ, 0);
        let other = AtomicU32::new(0);
        for _ in 0..100 {
            let count = futex(&other, linux::FUTEX_WAKE_OP, 1, 1, Some(&second), never);
            ensure!(count == Ok(0), "woke {count:?}");
        }
        ensure!(awake.load(Ordering::SeqCst) == 0, "woken for nothing");
        loop {
            let count = futex(&other, linux::FUTEX_WAKE_OP, 1, 1, Some(&first), always);
            if count.or_fail("wake-op")? == 1 {
                return Ok(());
            }
            process::sched_yield();
        }
    })
}

fn timeouts() -> Verdict {
    const SHORT: u64 = 30_000_000;
    let word = AtomicU32::new(0);
    let absolute = linux::FUTEX_WAIT_BITSET;
    let real = absolute | linux::FUTEX_CLOCK_REALTIME;
    let clocks = [
        (linux::FUTEX_WAIT, None),
        (absolute, Some(linux::CLOCK_MONOTONIC)),
        (real, Some(linux::CLOCK_REALTIME)),
    ];
    for (operation, clock) in clocks {
        let begin = system::now();
        let start = clock.map_or(Ok(0), system::clock).or_fail("clock")?;
        let nanoseconds = start + SHORT;
        let time = linux::__kernel_timespec {
            tv_sec: (nanoseconds / 1_000_000_000) as i64,
            tv_nsec: (nanoseconds % 1_000_000_000) as i64,
        };
        let slept = futex(&word, operation, 0, &raw const time as usize, None, ALL);
        expect_error("a wait without a wake", slept, Errno::ETIMEDOUT)?;
        let taken = system::now() - begin;
        ensure!(taken >= SHORT, "it took {taken} ns, less than {SHORT}");
    }
    // A moment that is over.
    let time = linux::__kernel_timespec {
        tv_sec: 0,
        tv_nsec: 1,
    };
    let slept = futex(&word, absolute, 0, &raw const time as usize, None, ALL);
    expect_error("a wait until long ago", slept, Errno::ETIMEDOUT)
}

/// Words in memory that a fork shares.
fn shared_words() -> core::result::Result<&'static [AtomicU32; 64], Failure> {
    let start = memory::map(PAGE, Protection::READ_WRITE, Sharing::Shared).or_fail("mmap")?;
    // SAFETY: fresh zeroed memory that stays; atomics may be shared.
    Ok(unsafe { &*(start as *const [AtomicU32; 64]) })
}

fn between_processes() -> Verdict {
    let [word, ..] = shared_words()?;
    let child = child::start(|| wait(word, ALL).or_fail("wait").map(drop))?;
    // A private wake means another word.
    for _ in 0..100 {
        let count = futex(word, linux::FUTEX_WAKE | PRIVATE, ALL, 0, None, 0);
        ensure!(count == Ok(0), "a private wake woke {count:?}");
    }
    wake_in_all(word, 1, ALL)?;
    child::finish(child)?;
    // In private memory the same address is another word after a fork.
    let own = AtomicU32::new(0);
    let child = child::start(|| {
        let time = linux::__kernel_timespec {
            tv_sec: 0,
            tv_nsec: 50_000_000,
        };
        let slept = futex(
            &own,
            linux::FUTEX_WAIT,
            0,
            &raw const time as usize,
            None,
            0,
        );
        expect_error("a wait in private memory", slept, Errno::ETIMEDOUT)
    })?;
    for _ in 0..100 {
        ensure!(
            wake(&own, ALL, ALL) == Ok(0),
            "a process woke another's word"
        );
        process::sched_yield();
    }
    child::finish(child)
}

fn private_is_apart() -> Verdict {
    let word = AtomicU32::new(0);
    thread::scope(|scope| {
        let sleeper = || futex(&word, linux::FUTEX_WAIT | PRIVATE, 0, 0, None, 0);
        let thread = scope.spawn(sleeper).or_fail("a thread")?;
        for _ in 0..100 {
            ensure!(
                wake(&word, ALL, ALL) == Ok(0),
                "a shared wake woke a private wait"
            );
            process::sched_yield();
        }
        while futex(&word, linux::FUTEX_WAKE | PRIVATE, 1, 0, None, 0).or_fail("wake")? == 0 {
            process::sched_yield();
        }
        ensure!(thread.join() == Some(Ok(0)), "the wait failed");
        Ok(())
    })
}

/// Waiters that are killed leave the queue, and no wake-up is lost to them.
fn killed_waiters() -> Verdict {
    for _ in 0..20 {
        let [word, ready, ..] = shared_words()?;
        let sleep = || {
            ready.fetch_add(1, Ordering::SeqCst);
            wait(word, ALL).or_fail("wait").map(drop)
        };
        let victim = child::start(sleep)?;
        let survivor = child::start(sleep)?;
        while ready.load(Ordering::SeqCst) < 2 {
            process::sched_yield();
        }
        process::kill(victim, Signal::SIGKILL).or_fail("kill")?;
        child::expect_status(victim, process::Status::Killed(Signal::SIGKILL))?;
        wake_in_all(word, 1, ALL)?;
        child::finish(survivor)?;
        ensure!(wake(word, ALL, ALL) == Ok(0), "a dead process waits");
    }
    Ok(())
}

/// `struct robust_list_head` with two locks; the words of the locks are behind their links.
#[repr(C)]
struct Locks {
    first: usize,
    offset: isize,
    pending: usize,
    entries: [(usize, AtomicU32); 2],
}

impl Locks {
    /// In memory that a fork shares, with an empty list.
    fn new() -> core::result::Result<*mut Locks, Failure> {
        let start = memory::map(PAGE, Protection::READ_WRITE, Sharing::Shared).or_fail("mmap")?;
        let locks = start as *mut Locks;
        // SAFETY: fresh memory, large enough.
        unsafe {
            (*locks).first = start;
            (*locks).offset = size_of::<usize>() as isize;
        }
        Ok(locks)
    }
}

/// Tells the kernel of a list.
fn announce(head: usize) -> Verdict {
    let arguments = [head, 24, 0, 0, 0, 0];
    // SAFETY: the kernel writes there only when this process ends.
    let announced = unsafe { raw::call(linux::__NR_set_robust_list, arguments) };
    announced.or_fail("set_robust_list").map(drop)
}

fn locks_of_the_dead() -> Verdict {
    let locks = Locks::new()?;
    // SAFETY: shared memory that stays. The fields that are no atomics are written by the child
    // and not read here.
    let words = unsafe { [&(*locks).entries[0].1, &(*locks).entries[1].1] };
    let child = child::start(|| {
        let own = process::gettid().0 as u32;
        // SAFETY: as above; no other code writes these.
        unsafe {
            let places = [0, 1].map(|index| &raw const (*locks).entries[index] as usize);
            (*locks).first = places[0];
            (*locks).entries[0].0 = places[1];
            (*locks).entries[1].0 = locks as usize;
        }
        // One is its own and waited for, the other is another thread's.
        words[0].store(own | linux::FUTEX_WAITERS, Ordering::SeqCst);
        words[1].store(own + 1, Ordering::SeqCst);
        announce(locks as usize)?;
        // Until the parent waits for the first.
        while words[1].load(Ordering::SeqCst) == own + 1 {
            process::sched_yield();
        }
        system::sleep_ms(20);
        Ok(())
    })?;
    while words[1].load(Ordering::SeqCst) == 0 {
        process::sched_yield();
    }
    let held = words[0].load(Ordering::SeqCst);
    words[1].fetch_add(1, Ordering::SeqCst);
    let slept = futex(words[0], linux::FUTEX_WAIT, held, 0, None, 0);
    ensure!(
        slept == Ok(0) || slept == Err(Errno::EAGAIN),
        "the wait: {slept:?}"
    );
    child::finish(child)?;
    let now = words[0].load(Ordering::SeqCst);
    let expected = linux::FUTEX_OWNER_DIED | linux::FUTEX_WAITERS;
    ensure!(now == expected, "the lock is {now:#x}");
    let other = words[1].load(Ordering::SeqCst);
    ensure!(
        other & linux::FUTEX_OWNER_DIED == 0,
        "another's lock is {other:#x}"
    );
    Ok(())
}

/// A thread that dies between its last store to the lock and its wake-up is made up for.
fn lock_that_was_pending() -> Verdict {
    let locks = Locks::new()?;
    // SAFETY: as in `locks_of_the_dead`.
    let word = unsafe { &(*locks).entries[0].1 };
    let sleeper = child::start(|| wait(word, ALL).or_fail("wait").map(drop))?;
    system::sleep_ms(20);
    let mut dead = 0;
    while process::try_wait(sleeper).or_fail("wait")?.is_none() {
        in_child(|| {
            // SAFETY: as above.
            unsafe { (*locks).pending = &raw const (*locks).entries[0] as usize };
            announce(locks as usize)
        })?;
        dead += 1;
        ensure!(dead < 1000, "no waiter was woken");
        system::sleep_ms(1);
    }
    ensure!(
        word.load(Ordering::SeqCst) == 0,
        "the free lock has changed"
    );
    Ok(())
}

/// Whatever the list is, the end comes.
fn damaged_lists() -> Verdict {
    let odd = |change: fn(*mut Locks)| {
        let locks = Locks::new()?;
        change(locks);
        in_child(|| announce(locks as usize))
    };
    // SAFETY: all write fields of a structure that no other code uses.
    unsafe {
        odd(|locks| (*locks).first = 0)?;
        odd(|locks| (*locks).first = 1 << 60)?;
        odd(|locks| (*locks).first = locks as usize + 3)?;
        // An entry that is its own successor.
        odd(|locks| {
            let entry = &raw const (*locks).entries[0] as usize;
            (*locks).first = entry;
            (*locks).entries[0].0 = entry;
        })?;
        odd(|locks| (*locks).offset = isize::MIN)?;
        odd(|locks| (*locks).pending = usize::MAX)?;
    }
    in_child(|| announce(0x1000))?;
    in_child(|| announce(usize::MAX - 7))?;
    let wrong = [0, 23, 0, 0, 0, 0];
    // SAFETY: nothing is announced.
    let wrong = unsafe { raw::call(linux::__NR_set_robust_list, wrong) };
    expect_error("another size", wrong, Errno::EINVAL)
}
