//! Many threads at once, and processes that share their memory without being threads.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};

use linux_raw_sys::general as linux;

use user::sync::{spin_until, wait_while, wake_all};
use user::sys::process::{self, Pid, Status};
use user::sys::signal::Signal;
use user::sys::{Errno, Result};
use user::testing::child::{self, expect_status};
use user::testing::{Case, Explain, Verdict, in_child};
use user::{cases, ensure, thread};

pub const CASES: &[Case] = cases![
    crowd => "thread-crowd",
    killed_crowd => "thread-killed-crowd",
    shared_memory => "clone-shared-memory",
    vfork_stops_one => "vfork-stops-one-thread",
];

/// As many threads are made, if there is room for them.
const CROWD: usize = 1500;

/// Makes a crowd that waits for the word, and calls `then` with their number.
fn gather(word: &AtomicU32, then: impl FnOnce(usize) -> Verdict) -> Verdict {
    let arrived = AtomicU32::new(0);
    thread::scope(|scope| {
        let mut made = 0;
        let mut refused = None;
        while made < CROWD && refused.is_none() {
            let work = || {
                arrived.fetch_add(1, Ordering::Relaxed);
                wait_while(word, 0);
            };
            match scope.spawn(work) {
                Ok(_) => made += 1,
                Err(errno) => refused = Some(errno),
            }
        }
        spin_until(|| arrived.load(Ordering::Relaxed) as usize == made);
        let verdict = match refused {
            None | Some(Errno::EAGAIN | Errno::ENOMEM) => then(made),
            Some(errno) => Err(errno).or_fail("a thread"),
        };
        word.store(1, Ordering::SeqCst);
        wake_all(word);
        verdict
    })
}

fn crowd() -> Verdict {
    for _ in 0..2 {
        gather(&AtomicU32::new(0), |made| {
            ensure!(made >= 300, "there is room for {made} threads only");
            Ok(())
        })?;
    }
    Ok(())
}

/// All of them wait at one place, and are killed there; or leave it together.
fn killed_crowd() -> Verdict {
    let pid = process::spawn(|| {
        let end = |_| {
            // It does not come back.
            let _ = process::kill(process::getpid(), Signal::SIGKILL);
            Ok(())
        };
        i32::from(gather(&AtomicU32::new(0), end).is_err())
    })
    .or_fail("fork")?;
    expect_status(pid, Status::Killed(Signal::SIGKILL))?;
    in_child(|| gather(&AtomicU32::new(0), |_| process::exit_now(0)))
}

/// Makes a process in this one's memory. It says that it has begun, waits for `go`, and ends.
fn sharing_child(flags: u32, began: &AtomicU32, go: &AtomicU32, tid: &AtomicU32) -> Result<Pid> {
    let flags = flags | linux::CLONE_VM | linux::CLONE_CHILD_CLEARTID | linux::SIGCHLD;
    let result: isize;
    // SAFETY: the child has this one's stack pointer and does not use it; the words that it
    // changes are atomics, which the caller keeps until it has ended.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 3f",
            "lock inc dword ptr [r12]",
            "2:",
            "pause",
            "cmp dword ptr [r13], 0",
            "je 2b",
            "mov eax, {exit}",
            "xor edi, edi",
            "syscall",
            "3:",
            exit = const linux::__NR_exit,
            inlateout("rax") linux::__NR_clone as isize => result,
            in("rdi") flags as usize,
            in("rsi") 0,
            in("rdx") 0,
            in("r10") tid.as_ptr(),
            in("r8") 0,
            in("r12") began.as_ptr(),
            in("r13") go.as_ptr(),
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    match result {
        ..0 => Err(Errno::new(-result as u16)),
        pid => Ok(Pid(pid as i32)),
    }
}

/// A process of its own, in the same memory, which is not waited for at first.
fn shared_memory() -> Verdict {
    let [began, go, tid] = [0, 0, 7].map(AtomicU32::new);
    let pid = sharing_child(0, &began, &go, &tid).or_fail("clone")?;
    spin_until(|| began.load(Ordering::SeqCst) == 1);
    ensure!(process::try_wait(pid) == Ok(None), "it has ended already");
    go.store(1, Ordering::SeqCst);
    // Its end is told as a thread's.
    wait_while(&tid, 7);
    ensure!(tid.load(Ordering::SeqCst) == 0, "the number is not cleared");
    child::finish(pid)
}

/// Only the thread that calls vfork(2) waits for the child.
fn vfork_stops_one() -> Verdict {
    let [began, go, tid] = [0, 0, 7].map(AtomicU32::new);
    let ended = thread::scope(|scope| {
        let release = || {
            spin_until(|| began.load(Ordering::SeqCst) == 1);
            go.store(1, Ordering::SeqCst);
        };
        scope.spawn(release).or_fail("a thread")?;
        let pid = sharing_child(linux::CLONE_VFORK, &began, &go, &tid).or_fail("clone")?;
        // The child is gone when the call returns.
        Ok((pid, tid.load(Ordering::SeqCst)))
    });
    let (pid, tid) = ended?;
    ensure!(tid == 0, "the caller did not wait");
    child::finish(pid)
}
