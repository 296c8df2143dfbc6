//! What threads have of their own, and what only one of them does.

use alloc::ffi::CString;
use alloc::format;
use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use linux_raw_sys::general as linux;
use linux_raw_sys::prctl;

use user::sync::spin_until;
use user::sys::process::{self, Forked, Pid, Status};
use user::sys::signal::Signal;
use user::sys::thread::{self as bare, CpuSet};
use user::sys::{Errno, Result, file, raw, system};
use user::testing::child::{self, expect_status};
use user::testing::failure::expect_error;
use user::testing::{Case, Explain, Failure, Verdict, in_child};
use user::{cases, ensure, thread};

use crate::helper;

pub const CASES: &[Case] = cases![
    odd_requests => "thread-odd-requests",
    numbers_stay_taken => "thread-numbers-stay-taken",
    signals_find_them => "thread-signals-find-them",
    affinity => "thread-affinity",
    affinity_errors => "thread-affinity-errors",
    affinity_of_others => "thread-affinity-of-others",
    names => "thread-names",
    in_proc => "thread-in-proc",
    barrier_errors => "membarrier-errors",
    barrier_orders => "membarrier-orders",
    execve => "thread-execve",
    execve_against_exit => "thread-execve-against-exit",
    fork => "thread-fork",
    last_status_counts => "thread-last-status-counts",
    made_while_ending => "thread-made-while-ending",
    killed_anywhere => "thread-killed-anywhere",
];

fn call(number: u32, arguments: [usize; 3]) -> Result<usize> {
    let [a, b, c] = arguments;
    // SAFETY: the cases pass the addresses of what they own, or numbers.
    unsafe { raw::call(number, [a, b, c, 0, 0, 0]) }
}

fn odd_requests() -> Verdict {
    let (vm, fs, files) = (linux::CLONE_VM, linux::CLONE_FS, linux::CLONE_FILES);
    let (handlers, thread) = (linux::CLONE_SIGHAND, linux::CLONE_THREAD);
    for flags in [
        thread,
        thread | vm,
        thread | handlers,
        handlers,
        handlers | fs | files,
        fs | linux::CLONE_NEWNS,
    ] {
        let made = call(linux::__NR_clone, [flags as usize, 0, 0]);
        expect_error("clone with half of a thread", made, Errno::EINVAL)?;
    }
    // No parent is told of a thread's end.
    let flags = u64::from(vm | handlers | thread | fs | files);
    let arguments = [flags, 0, 0, 0, 17, 0, 0, 0];
    let made = call(linux::__NR_clone3, [arguments.as_ptr() as usize, 64, 0]);
    expect_error("clone3 of a thread with a signal", made, Errno::EINVAL)
}

/// The number of a thread belongs to no other thread while it lives, and not a process's.
fn numbers_stay_taken() -> Verdict {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let work = || spin_until(|| done.load(Ordering::Relaxed));
        let tid = scope.spawn(work).or_fail("a thread")?.tid();
        let verdict = (|| {
            for _ in 0..50 {
                let pid = process::spawn(|| 0).or_fail("fork")?;
                ensure!(pid != tid, "{pid} is a thread's number");
                expect_status(pid, Status::Exited(0))?;
            }
            expect_error("wait for a thread", process::wait_for(tid), Errno::ECHILD)
        })();
        done.store(true, Ordering::Relaxed);
        verdict
    })
}

fn signals_find_them() -> Verdict {
    let done = AtomicBool::new(false);
    let own = process::getpid();
    let send = |group: Pid, tid: Pid, signal: i32| {
        let numbers = [group.0, tid.0, signal].map(|number| number as usize);
        call(linux::__NR_tgkill, numbers)
    };
    let mut last = Pid(0);
    thread::scope(|scope| {
        let work = || spin_until(|| done.load(Ordering::Relaxed));
        let running = scope.spawn(work).or_fail("a thread")?;
        last = running.tid();
        let verdict = (|| {
            ensure!(send(own, last, 0) == Ok(0), "the thread is not found");
            ensure!(send(own, own, 0) == Ok(0), "the leader is not found");
            expect_error("a wrong group", send(last, last, 0), Errno::ESRCH)?;
            expect_error("a wrong group", send(Pid(1), last, 0), Errno::ESRCH)?;
            expect_error("no group", send(Pid(0), last, 0), Errno::EINVAL)?;
            expect_error("no thread", send(own, Pid(-1), 0), Errno::EINVAL)?;
            expect_error("no signal", send(own, last, 65), Errno::EINVAL)?;
            // A thread's number means its process to kill(2).
            let killed = call(linux::__NR_kill, [last.0 as usize, 0, 0]);
            ensure!(killed == Ok(0), "kill of a thread's number: {killed:?}");
            Ok(())
        })();
        done.store(true, Ordering::Relaxed);
        running.join();
        verdict
    })?;
    // Its number is free soon after its end has been told.
    spin_until(|| send(own, last, 0) == Err(Errno::ESRCH));
    Ok(())
}

fn cpu() -> Result<usize> {
    let mut cpu = 0u32;
    call(linux::__NR_getcpu, [&raw mut cpu as usize, 0, 0])?;
    Ok(cpu as usize)
}

fn affinity() -> Verdict {
    let allowed = bare::allowed_cpus().or_fail("sched_getaffinity")?;
    for wanted in allowed.iter() {
        let only = CpuSet::EMPTY.with(wanted);
        bare::run_on(&only).or_fail("sched_setaffinity")?;
        for _ in 0..50 {
            let here = cpu().or_fail("getcpu")?;
            ensure!(here == wanted, "kept to CPU {wanted}, runs on {here}");
            process::sched_yield();
        }
        // What a thread makes goes where it may itself.
        let seen = thread::scope(|scope| {
            let look = || (bare::allowed_cpus(), cpu());
            scope
                .spawn(look)
                .or_fail("a thread")
                .map(|thread| thread.join())
        })?;
        ensure!(
            seen == Some((Ok(only), Ok(wanted))),
            "a thread sees {seen:?}"
        );
        in_child(|| {
            let seen = (bare::allowed_cpus(), cpu());
            ensure!(seen == (Ok(only), Ok(wanted)), "a child sees {seen:?}");
            Ok(())
        })?;
    }
    bare::run_on(&allowed).or_fail("sched_setaffinity")
}

fn affinity_errors() -> Verdict {
    let set = [0u64; 16];
    let place = set.as_ptr() as usize;
    let change = |tid: usize, size, place| call(linux::__NR_sched_setaffinity, [tid, size, place]);
    let read = |tid: usize, size, place| call(linux::__NR_sched_getaffinity, [tid, size, place]);
    expect_error("no CPU", change(0, 128, place), Errno::EINVAL)?;
    expect_error("no bytes", change(0, 0, place), Errno::EINVAL)?;
    expect_error("nothing there", change(0, 8, 4096), Errno::EFAULT)?;
    expect_error("no such thread", change(999_999, 128, place), Errno::ESRCH)?;
    expect_error("no such thread", read(999_999, 128, place), Errno::ESRCH)?;
    expect_error("half a word", read(0, 12, place), Errno::EINVAL)?;
    expect_error("nothing", read(0, 0, place), Errno::EINVAL)?;
    expect_error("nothing there", read(0, 128, 4096), Errno::EFAULT)
}

/// A thread in user mode goes where another sends it.
fn affinity_of_others() -> Verdict {
    let allowed = bare::allowed_cpus().or_fail("sched_getaffinity")?;
    let (done, here) = (AtomicBool::new(false), AtomicU32::new(u32::MAX));
    thread::scope(|scope| {
        let work = || {
            spin_until(|| {
                here.store(cpu().unwrap_or(0) as u32, Ordering::Relaxed);
                done.load(Ordering::Relaxed)
            });
        };
        let tid = scope.spawn(work).or_fail("a thread")?.tid();
        let verdict = allowed.iter().try_for_each(|wanted| {
            let mut set = [0u64; 16];
            if let Some(word) = set.get_mut(wanted / 64) {
                *word = 1 << (wanted % 64);
            }
            let arguments = [tid.0 as usize, size_of_val(&set), set.as_ptr() as usize];
            call(linux::__NR_sched_setaffinity, arguments).or_fail("sched_setaffinity")?;
            let end = system::now() + 20_000_000_000;
            while here.load(Ordering::Relaxed) != wanted as u32 {
                ensure!(
                    system::now() < end,
                    "the thread does not come to CPU {wanted}"
                );
                process::sched_yield();
            }
            Ok(())
        });
        done.store(true, Ordering::Relaxed);
        verdict
    })
}

fn set_name(name: &CStr) -> Verdict {
    let arguments = [prctl::PR_SET_NAME as usize, name.as_ptr() as usize, 0];
    call(linux::__NR_prctl, arguments)
        .or_fail("PR_SET_NAME")
        .map(drop)
}

fn name_is(expected: &[u8]) -> Verdict {
    let mut name = [0xffu8; 16];
    let arguments = [prctl::PR_GET_NAME as usize, name.as_mut_ptr() as usize, 0];
    call(linux::__NR_prctl, arguments).or_fail("PR_GET_NAME")?;
    ensure!(name.starts_with(expected), "the name is {name:?}");
    ensure!(
        name[expected.len()..].iter().all(|&byte| byte == 0),
        "{name:?} has no end"
    );
    Ok(())
}

fn names() -> Verdict {
    set_name(c"first")?;
    thread::scope(|scope| {
        let other = || {
            name_is(b"first")?;
            set_name(c"a name that is too long")?;
            name_is(b"a name that is ")
        };
        let thread = scope.spawn(other).or_fail("a thread")?;
        thread.join().unwrap_or(Ok(()))
    })?;
    name_is(b"first")?;
    in_child(|| name_is(b"first"))?;
    let bad = call(linux::__NR_prctl, [prctl::PR_SET_NAME as usize, 4096, 0]);
    expect_error("a bad name", bad, Errno::EFAULT)
}

/// The text of a file about this process or a thread of it.
fn text<'a>(path: &str, buffer: &'a mut [u8]) -> core::result::Result<&'a str, Failure> {
    let path = CString::new(path).unwrap_or_default();
    let fd = file::open(&path, file::O_RDONLY, 0).or_fail("open in /proc")?;
    let count = file::read_full(fd, buffer).or_fail("read in /proc");
    file::close(fd).or_fail("close")?;
    let bytes = buffer.get(..count?).unwrap_or_default();
    Ok(core::str::from_utf8(bytes).unwrap_or(""))
}

fn in_proc() -> Verdict {
    let (named, done) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let work = || {
            let verdict = set_name(c"worker");
            named.store(true, Ordering::Release);
            spin_until(|| done.load(Ordering::Relaxed));
            verdict.and_then(|()| itself_in_proc("worker\n"))
        };
        let worker = scope.spawn(work).or_fail("a thread")?;
        spin_until(|| named.load(Ordering::Acquire));
        let verdict = worker_in_proc(worker.tid());
        done.store(true, Ordering::Relaxed);
        verdict.and(worker.join().unwrap_or(Ok(())))
    })
}

/// Where the links to the caller lead the calling thread.
fn itself_in_proc(name: &str) -> Verdict {
    let mut buffer = [0; 256];
    let (pid, tid) = (process::getpid(), process::gettid());
    for (path, target) in [
        (c"/proc/self", format!("{pid}")),
        (c"/proc/thread-self", format!("{pid}/task/{tid}")),
    ] {
        let arguments = [
            path.as_ptr() as usize,
            buffer.as_mut_ptr() as usize,
            buffer.len(),
        ];
        let length = call(linux::__NR_readlink, arguments).or_fail("readlink")?;
        let found = buffer.get(..length).unwrap_or_default();
        ensure!(found == target.as_bytes(), "{path:?} is not {target}");
    }
    let comm = text("/proc/thread-self/comm", &mut buffer)?;
    ensure!(comm == name, "the thread that asks is called {comm}");
    Ok(())
}

fn worker_in_proc(tid: Pid) -> Verdict {
    let mut buffer = [0; 4096];
    let pid = process::getpid();
    let status = text("/proc/self/status", &mut buffer)?;
    ensure!(status.contains("\nThreads:\t2\n"), "not two threads");
    let comm = text(&format!("/proc/self/task/{tid}/comm"), &mut buffer)?;
    ensure!(comm == "worker\n", "the thread is called {comm}");
    let stat = text(&format!("/proc/self/task/{tid}/stat"), &mut buffer)?;
    ensure!(
        stat.starts_with(&format!("{tid} (worker) ")),
        "its stat is {stat}"
    );
    let status = text(&format!("/proc/self/task/{tid}/status"), &mut buffer)?;
    for line in [format!("\nTgid:\t{pid}\n"), format!("\nPid:\t{tid}\n")] {
        ensure!(status.contains(&line), "there is no {line:?}");
    }
    let other = text("/proc/self/task/1/comm", &mut buffer);
    ensure!(
        pid == Pid(1) || other.is_err(),
        "another's thread is listed"
    );
    Ok(())
}

const REGISTER: usize = linux::membarrier_cmd::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED as usize;
const PRIVATE: usize = linux::membarrier_cmd::MEMBARRIER_CMD_PRIVATE_EXPEDITED as usize;
const GLOBAL: usize = linux::membarrier_cmd::MEMBARRIER_CMD_GLOBAL as usize;

fn membarrier(command: usize, flags: usize) -> Result<usize> {
    call(linux::__NR_membarrier, [command, flags, 0])
}

fn barrier_errors() -> Verdict {
    in_child(|| {
        let all = membarrier(0, 0).or_fail("what there is")?;
        let expected = REGISTER | PRIVATE | GLOBAL;
        ensure!(all & expected == expected, "there is only {all:#x}");
        expect_error("flags", membarrier(0, 1 << 5), Errno::EINVAL)?;
        expect_error("no such command", membarrier(1 << 20, 0), Errno::EINVAL)?;
        expect_error("not registered", membarrier(PRIVATE, 0), Errno::EPERM)?;
        ensure!(membarrier(REGISTER, 0) == Ok(0), "no registration");
        ensure!(membarrier(PRIVATE, 0) == Ok(0), "no barrier");
        // A child goes on with it.
        in_child(|| {
            ensure!(membarrier(PRIVATE, 0) == Ok(0), "no barrier in a child");
            Ok(())
        })?;
        ensure!(membarrier(GLOBAL, 0) == Ok(0), "no global barrier");
        Ok(())
    })
}

/// Store, look at the other's: not both see nothing, though only one has a barrier, which is
/// for both (membarrier(2), the example).
fn barrier_orders() -> Verdict {
    const ROUNDS: u64 = 2000;
    // The two threads may have to share a processor, whatever the machine says.
    const ENOUGH: u64 = 2_000_000_000;
    membarrier(REGISTER, 0).or_fail("register")?;
    let round = AtomicU64::new(0);
    let words = [AtomicU64::new(0), AtomicU64::new(0)];
    let seen = AtomicU64::new(0);
    thread::scope(|scope| {
        let fast = || {
            for now in 1..=ROUNDS {
                spin_until(|| round.load(Ordering::Acquire) >= now);
                if round.load(Ordering::Acquire) == u64::MAX {
                    break;
                }
                words[0].store(now, Ordering::Relaxed);
                // The compiler keeps the order; the processor need not.
                core::sync::atomic::compiler_fence(Ordering::SeqCst);
                let other = words[1].load(Ordering::Relaxed);
                seen.store(now << 1 | u64::from(other == now), Ordering::Release);
            }
        };
        scope.spawn(fast).or_fail("a thread")?;
        let mut verdict = Ok(());
        let end = system::now() + ENOUGH;
        for now in 1..=ROUNDS {
            if system::now() > end {
                round.store(u64::MAX, Ordering::Release);
                break;
            }
            round.store(now, Ordering::Release);
            words[1].store(now, Ordering::Relaxed);
            let passed = membarrier(PRIVATE, 0);
            let other = words[0].load(Ordering::Relaxed) == now;
            spin_until(|| seen.load(Ordering::Acquire) >> 1 == now);
            let seen = seen.load(Ordering::Acquire) & 1 == 1;
            if verdict.is_ok() {
                verdict = (|| {
                    passed.or_fail("membarrier")?;
                    ensure!(seen || other, "round {now}: neither saw the other");
                    Ok(())
                })();
            }
        }
        verdict
    })
}

/// Threads of all kinds beside `body`, which ends the process or replaces it.
fn in_company(body: impl FnOnce() + Send) -> Verdict {
    let word = AtomicU32::new(0);
    let pipe = file::pipe().or_fail("pipe")?;
    thread::scope(|scope| {
        for _ in 0..3 {
            let spin = || loop {
                core::hint::spin_loop();
            };
            scope.spawn(spin).or_fail("a thread")?;
        }
        let sleep = || loop {
            let _ = user::sys::futex::wait(&word, 0);
        };
        scope.spawn(sleep).or_fail("a thread")?;
        let read = || file::read(pipe.read, &mut [0]).map(drop);
        scope.spawn(read).or_fail("a thread")?;
        let nap = || system::sleep_ms(1_000_000);
        scope.spawn(nap).or_fail("a thread")?;
        scope.spawn(body).or_fail("a thread")?;
        Ok(())
    })
}

fn execve() -> Verdict {
    for _ in 0..5 {
        in_child(|| {
            // The helper looks whether its number is the process's.
            let pid = process::getpid();
            let digits = CString::new(format!("{pid}")).unwrap_or_default();
            in_company(|| {
                helper::become_helper(&[c"pid", &digits]);
            })
        })?;
    }
    Ok(())
}

/// An execve that meets an exit_group: one of them wins, and the process ends.
fn execve_against_exit() -> Verdict {
    for _ in 0..20 {
        let pid = process::spawn(|| {
            let verdict = thread::scope(|scope| {
                for _ in 0..2 {
                    let execute = || {
                        helper::become_helper(&[c"nothing"]);
                    };
                    scope.spawn(execute).or_fail("a thread")?;
                }
                scope
                    .spawn(|| process::exit_now(7))
                    .or_fail("a thread")
                    .map(drop)
            });
            i32::from(verdict.is_err())
        })
        .or_fail("fork")?;
        let (_, status) = process::wait_for(pid).or_fail("wait")?;
        ensure!(
            status == Status::Exited(7) || status == Status::Exited(0),
            "it ended with {status}"
        );
    }
    Ok(())
}

fn fork() -> Verdict {
    for _ in 0..10 {
        thread::scope(|scope| {
            let work = || match process::fork().or_fail("fork")? {
                Forked::Child => {
                    let alone = process::getpid() == process::gettid();
                    process::exit_now(if alone { 0 } else { 1 })
                }
                Forked::Parent(pid) => child::finish(pid),
            };
            let running = [(); 4].map(|()| scope.spawn(work));
            for thread in running {
                thread.or_fail("a thread")?.join().unwrap_or(Ok(()))?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// All threads leave by exit(2), the first one first: the last one's status counts.
fn last_status_counts() -> Verdict {
    let pid = process::spawn(|| {
        let started = thread::scope(|scope| {
            let late = || {
                system::sleep_ms(20);
                bare::exit(9)
            };
            let started = scope.spawn::<_, ()>(late).map(drop);
            if started.is_ok() {
                bare::exit(4);
            }
            started
        });
        i32::from(started.is_err())
    })
    .or_fail("fork")?;
    // A leader that has left is no zombie to its parent as long as others are there.
    ensure!(process::try_wait(pid) == Ok(None), "it has ended too early");
    expect_status(pid, Status::Exited(9))
}

/// Threads that make threads while the process ends: none is left.
fn made_while_ending() -> Verdict {
    for round in 0..20u64 {
        let pid = process::spawn(|| {
            thread::scope(|scope| {
                for _ in 0..4 {
                    let work = || {
                        loop {
                            thread::scope(|scope| scope.spawn(|| ()).map(drop)).ok();
                        }
                    };
                    if scope.spawn::<_, ()>(work).is_err() {
                        process::exit_now(1);
                    }
                }
                system::sleep_ms(round % 5);
                process::exit_now(3)
            })
        })
        .or_fail("fork")?;
        expect_status(pid, Status::Exited(3))?;
    }
    Ok(())
}

fn killed_anywhere() -> Verdict {
    for round in 0..10 {
        let pid = process::spawn(|| {
            let fork_and_wait = || loop {
                if let Ok(pid) = process::spawn(|| 0) {
                    let _ = process::wait_for(pid);
                }
            };
            i32::from(in_company(fork_and_wait).is_err())
        })
        .or_fail("fork")?;
        system::sleep_ms(5 + round);
        process::kill(pid, Signal::SIGKILL).or_fail("kill")?;
        expect_status(pid, Status::Killed(Signal::SIGKILL))?;
    }
    Ok(())
}
