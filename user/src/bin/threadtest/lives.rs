//! Threads begin, wait for each other, and end.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use user::sync::{Barrier, Mutex, spin_until, wait_while, wake_all};
use user::sys::process::{self, Forked, Status};
use user::sys::signal::Signal;
use user::sys::{Errno, futex, system, thread as bare};
use user::testing::child::{self, expect_exit, expect_signal};
use user::testing::{Case, Explain, Verdict};
use user::{cases, ensure, print, thread};

pub const CASES: &[Case] = cases![
    results_come_back => "results-come-back",
    numbers => "numbers",
    a_thousand_lives => "a-thousand-lives",
    exclusion => "exclusion",
    barrier => "barrier",
    futex_answers => "futex-answers",
    ends_of_the_process => "ends-of-the-process",
    the_first_thread_ends_first => "first-thread-ends-first",
    killed_with_all_threads => "killed-with-all-threads",
    fork_while_others_print => "fork-while-others-print",
    each_on_its_cpu => "each-on-its-cpu",
];

const THREADS: usize = 8;

fn results_come_back() -> Verdict {
    let mut words = [0u64; THREADS];
    let sum = thread::scope(|scope| {
        let mut sum = 0;
        let mut running = words.each_mut().map(|_| None);
        for (number, (slot, word)) in running.iter_mut().zip(&mut words).enumerate() {
            let thread = scope.spawn(move || {
                *word = number as u64 + 1;
                *word * 2
            });
            *slot = Some(thread.or_fail("a thread")?);
        }
        for thread in running.into_iter().flatten() {
            sum += thread.join().unwrap_or(0);
        }
        Ok(sum)
    })?;
    ensure!(sum == 72, "the results' sum is {sum}");
    ensure!(words.iter().sum::<u64>() == 36, "the words are {words:?}");
    Ok(())
}

/// All threads are of one process, and have numbers of their own.
fn numbers() -> Verdict {
    let pid = process::getpid();
    ensure!(
        process::gettid() == pid,
        "the first thread has another number"
    );
    thread::scope(|scope| {
        let thread = scope.spawn(|| (process::getpid(), process::gettid()));
        let thread = thread.or_fail("a thread")?;
        let told = thread.tid();
        let seen = thread.join();
        ensure!(
            seen == Some((pid, told)) && told != pid,
            "process {pid}, thread {told}: the thread sees {seen:?}"
        );
        Ok(())
    })
}

fn a_thousand_lives() -> Verdict {
    let count = AtomicU64::new(0);
    for round in 0..125 {
        thread::scope(|scope| {
            for _ in 0..THREADS {
                let work = || count.fetch_add(1, Ordering::Relaxed);
                scope.spawn(work).or_fail("a thread")?;
            }
            Ok(())
        })?;
        let now = count.load(Ordering::Relaxed);
        ensure!(now == (round + 1) * THREADS as u64, "{now} threads ran");
    }
    Ok(())
}

fn exclusion() -> Verdict {
    const ROUNDS: u64 = 2000;
    let shared = Mutex::new((0u64, 0u64));
    let held = shared.lock();
    for attempt in ["first", "second"] {
        let entered = shared.try_lock().is_some();
        ensure!(!entered, "the {attempt} attempt gets at what is locked");
    }
    drop(held);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let work = || {
                for _ in 0..ROUNDS {
                    let mut pair = shared.lock();
                    pair.0 += 1;
                    pair.1 = pair.1.wrapping_add(pair.0);
                }
            };
            scope.spawn(work).or_fail("a thread")?;
        }
        Ok(())
    })?;
    let total = ROUNDS * THREADS as u64;
    let pair = *shared.lock();
    ensure!(
        pair == (total, total * (total + 1) / 2),
        "the pair is {pair:?}"
    );
    Ok(())
}

fn barrier() -> Verdict {
    const ROUNDS: u64 = 200;
    let barrier = Barrier::new();
    let count = AtomicU64::new(0);
    thread::scope(|scope| {
        let work = || {
            for round in 1..=ROUNDS {
                count.fetch_add(1, Ordering::Relaxed);
                barrier.wait(THREADS as u32);
                let seen = count.load(Ordering::Relaxed);
                ensure!(seen == round * THREADS as u64, "round {round}: {seen}");
                barrier.wait(THREADS as u32);
            }
            Ok(())
        };
        let mut running = [const { None }; THREADS];
        for slot in &mut running {
            *slot = Some(scope.spawn(work).or_fail("a thread")?);
        }
        let mut threads = running.into_iter().flatten();
        threads.try_for_each(|thread| thread.join().unwrap_or(Ok(())))
    })
}

fn futex_answers() -> Verdict {
    let word = AtomicU32::new(1);
    let result = futex::wait(&word, 2);
    ensure!(result == Err(Errno::EAGAIN), "another value: {result:?}");
    let start = system::now();
    let result = futex::wait_for(&word, 1, 20_000_000);
    ensure!(result == Err(Errno::ETIMEDOUT), "a wait: {result:?}");
    let took = system::now() - start;
    ensure!(took >= 20_000_000, "it waited {took} ns");
    let result = futex::wake(&word, 1);
    ensure!(result == Ok(0), "no waiter to wake: {result:?}");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait_while(&word, 1)).or_fail("a thread")?;
        system::sleep_ms(5);
        word.store(2, Ordering::Release);
        wake_all(&word);
        ensure!(waiter.join().is_some(), "the waiter gave no result");
        Ok(())
    })
}

/// `exit_group` from any thread ends all; `exit` only the one.
fn ends_of_the_process() -> Verdict {
    expect_exit(5, || {
        let _ = thread::scope(|scope| {
            scope.spawn(|| process::exit(5))?;
            scope.spawn(|| system::sleep_ms(1_000_000))?.join();
            Ok::<(), Errno>(())
        });
        6
    })?;
    expect_exit(7, || {
        let ended = thread::scope(|scope| {
            let thread = scope.spawn(|| bare::exit(3)).ok()?;
            Some(thread.join().is_none())
        });
        if ended == Some(true) { 7 } else { 8 }
    })
}

fn the_first_thread_ends_first() -> Verdict {
    let pid = process::spawn(|| {
        thread::scope(|scope| {
            let first = process::getpid();
            let work = move || {
                system::sleep_ms(20);
                process::exit(if process::getpid() == first { 9 } else { 10 })
            };
            match scope.spawn(work) {
                Ok(_) => bare::exit(1),
                Err(_) => 11,
            }
        })
    })
    .or_fail("fork")?;
    child::expect_status(pid, Status::Exited(9))
}

/// A signal that ends the process ends all threads, whichever it hits and whatever they do.
fn killed_with_all_threads() -> Verdict {
    for _ in 0..20 {
        expect_signal(Signal::SIGKILL, || {
            let ready = AtomicU32::new(0);
            let _ = thread::scope(|scope| {
                for number in 0..THREADS {
                    let ready = &ready;
                    scope.spawn(move || {
                        ready.fetch_add(1, Ordering::Relaxed);
                        match number % 3 {
                            0 => spin_until(|| false),
                            1 => system::sleep_ms(1_000_000),
                            _ => wait_while(&AtomicU32::new(0), 0),
                        }
                    })?;
                }
                spin_until(|| ready.load(Ordering::Relaxed) == THREADS as u32);
                process::kill(process::getpid(), Signal::SIGKILL)
            });
        })?;
    }
    expect_signal(Signal::SIGSEGV, || {
        let _ = thread::scope(|scope| {
            // SAFETY: it ends the process.
            scope.spawn(|| unsafe { (0x1008 as *mut u64).write_volatile(1) })?;
            scope.spawn(|| system::sleep_ms(1_000_000))?.join();
            Ok::<(), Errno>(())
        });
    })
}

/// The child of a process with threads finds the locks of this library free.
fn fork_while_others_print() -> Verdict {
    let stop = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            let work = || {
                spin_until(|| {
                    print!("");
                    drop(alloc::vec![1u8; 100]);
                    stop.load(Ordering::Relaxed) != 0
                });
            };
            scope.spawn(work).or_fail("a thread")?;
        }
        let mut verdict = Ok(());
        for _ in 0..50 {
            verdict = match process::fork().or_fail("fork") {
                Ok(Forked::Child) => {
                    print!("");
                    drop(alloc::vec![2u8; 100]);
                    process::exit(0)
                }
                Ok(Forked::Parent(pid)) => child::finish(pid),
                Err(failure) => Err(failure),
            };
            if verdict.is_err() {
                break;
            }
        }
        stop.store(1, Ordering::Relaxed);
        verdict
    })
}

fn each_on_its_cpu() -> Verdict {
    let before = bare::allowed_cpus().or_fail("sched_getaffinity")?;
    thread::scope(|scope| {
        for index in 0..before.count() {
            let work = move || bare::pin_to(index).and_then(|()| bare::allowed_cpus());
            let thread = scope.spawn(work).or_fail("a thread")?;
            let set = thread.join().unwrap_or(Err(Errno::ESRCH));
            let set = set.or_fail("sched_setaffinity")?;
            ensure!(
                set.iter().eq(before.iter().skip(index).take(1)),
                "CPU {index} became {set:?}"
            );
        }
        Ok(())
    })?;
    let after = bare::allowed_cpus().or_fail("sched_getaffinity")?;
    ensure!(after == before, "the first thread's CPUs became {after:?}");
    let result = bare::run_on(&bare::CpuSet::EMPTY);
    ensure!(result == Err(Errno::EINVAL), "on no CPU: {result:?}");
    Ok(())
}
