//! fork, exit, wait, kill.

use user::cases;
use user::ensure;
use user::random::Random;
use user::sys::Errno;
use user::sys::file;
use user::sys::process::{self, Forked, Pid, Status};
use user::sys::raw;
use user::sys::signal::Signal;
use user::sys::system;
use user::testing::child::{self, expect_exit, expect_status};
use user::testing::failure::expect_error;
use user::testing::{Case, Channel, Explain, Failure, Verdict, in_child};

use linux_raw_sys::general as numbers;

pub const CASES: &[Case] = cases![
    clears_its_number => "process-clears-its-number",
    odd_requests => "process-odd-requests",
    exit_status => "exit-status",
    wait_any => "wait-any",
    wait_in_reverse => "wait-in-reverse",
    wait_without_children => "wait-without-children",
    wait_for_a_stranger => "wait-for-a-stranger",
    wait_does_not_hang => "wait-does-not-hang",
    wait_blocks => "wait-blocks",
    zombie => "zombie",
    numbers_of_processes => "process-numbers",
    orphan => "orphan",
    generations => "generations",
    tree => "tree",
    many_forks => "many-forks",
    forks_at_the_same_time => "forks-at-the-same-time",
    clone_as_fork => "clone-as-fork",
    kill_child => "kill-child",
    kill_sleeper => "kill-sleeper",
    kill_reader => "kill-reader",
    kill_waiter => "kill-waiter",
    kill_errors => "kill-errors",
    kill_races_exit => "kill-races-exit",
    exit_closes_descriptors => "exit-closes-descriptors",
    preemption => "preemption",
    registers_survive => "registers-survive",
];

fn exit_status() -> Verdict {
    for code in [0, 1, 42, 127, 128, 255] {
        expect_exit(code, || i32::from(code))?;
    }
    // Only the low eight bits arrive.
    expect_exit(1, || 257)?;
    expect_exit(255, || -1)
}

fn wait_any() -> Verdict {
    const COUNT: u8 = 20;
    let mut pids = [Pid(0); COUNT as usize];
    for (code, pid) in (0..).zip(&mut pids) {
        *pid = process::spawn(|| code).or_fail("fork")?;
    }
    let mut seen = 0u32;
    for _ in 0..COUNT {
        let (pid, status) = process::wait().or_fail("wait")?;
        let code = pids.iter().position(|known| *known == pid);
        ensure!(code.is_some(), "{pid} is no child's number");
        let code = code.unwrap_or(0);
        ensure!(
            status == Status::Exited(code as u8),
            "child {code} ended with {status}"
        );
        ensure!(seen & 1 << code == 0, "child {code} ended twice");
        seen |= 1 << code;
    }
    wait_without_children()
}

fn wait_in_reverse() -> Verdict {
    let mut pids = [Pid(0); 10];
    for (code, pid) in (0..).zip(&mut pids) {
        *pid = process::spawn(|| code).or_fail("fork")?;
    }
    for (code, pid) in pids.into_iter().enumerate().rev() {
        expect_status(pid, Status::Exited(code as u8))?;
    }
    Ok(())
}

fn wait_without_children() -> Verdict {
    expect_error("wait", process::wait(), Errno::ECHILD)?;
    expect_error(
        "wait without waiting",
        process::try_wait(Pid(-1)),
        Errno::ECHILD,
    )
}

fn wait_for_a_stranger() -> Verdict {
    expect_error(
        "the parent",
        process::wait_for(process::getppid()),
        Errno::ECHILD,
    )?;
    expect_error(
        "oneself",
        process::wait_for(process::getpid()),
        Errno::ECHILD,
    )?;
    expect_error(
        "no process",
        process::wait_for(Pid(0x3fff_ffff)),
        Errno::ECHILD,
    )?;
    // A grandchild is not a child.
    let (number, done) = (Channel::new()?, Channel::new()?);
    let middle = child::start(|| {
        let pid = child::start(|| done.receive().map(drop))?;
        number.send(pid.0 as u64)?;
        child::finish(pid)
    })?;
    let grandchild = Pid(number.receive()? as i32);
    expect_error("a grandchild", process::wait_for(grandchild), Errno::ECHILD)?;
    done.send(0)?;
    child::finish(middle)
}

fn wait_does_not_hang() -> Verdict {
    let go = Channel::new()?;
    let pid = child::start(|| go.receive().map(drop))?;
    for _ in 0..5 {
        let state = process::try_wait(pid).or_fail("wait")?;
        ensure!(state.is_none(), "a running child has ended: {state:?}");
    }
    go.send(0)?;
    loop {
        match process::try_wait(pid).or_fail("wait")? {
            None => system::sleep_ms(1),
            Some((_, status)) => {
                ensure!(status == Status::Exited(0), "it ended with {status}");
                return Ok(());
            }
        }
    }
}

fn wait_blocks() -> Verdict {
    let start = system::now();
    expect_exit(3, || {
        system::sleep_ms(30);
        3
    })?;
    let took = system::now() - start;
    ensure!(took >= 30_000_000, "the wait was over after {took} ns");
    Ok(())
}

/// An ended child keeps its number until it was waited for, and then no more.
fn zombie() -> Verdict {
    let pid = process::spawn(|| 9).or_fail("fork")?;
    system::sleep_ms(20);
    process::kill(pid, Signal(0)).or_fail("a zombie has a number")?;
    expect_status(pid, Status::Exited(9))?;
    expect_error("kill", process::kill(pid, Signal(0)), Errno::ESRCH)
}

fn numbers_of_processes() -> Verdict {
    let me = process::getpid();
    ensure!(
        me == process::gettid(),
        "process {me}, thread {}",
        process::gettid()
    );
    in_child(|| {
        ensure!(
            process::getppid() == me,
            "the parent is {}, not {me}",
            process::getppid()
        );
        ensure!(process::getpid() != me, "the child has its parent's number");
        ensure!(
            process::getpid() == process::gettid(),
            "the child's thread has another number"
        );
        Ok(())
    })?;
    ensure!(process::getpid() == me, "my number has changed");
    Ok(())
}

/// When its parent ends, a process gets another one, and goes on.
fn orphan() -> Verdict {
    let result = Channel::new()?;
    let middle = match process::fork().or_fail("fork")? {
        Forked::Parent(pid) => pid,
        Forked::Child => {
            let middle = process::getpid();
            let forked = process::spawn(|| {
                while process::getppid() == middle {
                    system::sleep_ms(1);
                }
                i32::from(result.send(process::getppid().0 as u64).is_err())
            });
            process::exit(i32::from(forked.is_err()))
        }
    };
    child::finish(middle)?;
    let parent = Pid(result.receive()? as i32);
    ensure!(
        parent != middle && parent != process::getpid(),
        "its new parent is {parent}"
    );
    Ok(())
}

fn generations() -> Verdict {
    fn below(levels: u8) -> Result<u8, Failure> {
        if levels == 0 {
            return Ok(0);
        }
        let pid = process::spawn(|| below(levels - 1).map_or(255, |count| i32::from(count) + 1))
            .or_fail("fork")?;
        match process::wait_for(pid).or_fail("wait")? {
            (_, Status::Exited(count)) => Ok(count),
            (_, status) => Err(Failure::new(format_args!("level {levels}: {status}"))),
        }
    }
    let count = below(50)?;
    ensure!(count == 50, "counted {count} generations of 50");
    Ok(())
}

fn tree() -> Verdict {
    /// How many leaves.
    fn grow(depth: u8) -> i32 {
        if depth == 0 {
            return 1;
        }
        let mut leaves = 0;
        for _ in 0..2 {
            if process::spawn(|| grow(depth - 1)).is_err() {
                return 255;
            }
        }
        for _ in 0..2 {
            match process::wait() {
                Ok((_, Status::Exited(count))) => leaves += i32::from(count),
                _ => return 255,
            }
        }
        leaves
    }
    expect_exit(64, || grow(6))
}

fn many_forks() -> Verdict {
    (0..500).try_for_each(|number| expect_exit(number as u8, || number))
}

fn forks_at_the_same_time() -> Verdict {
    let mut pids = [Pid(0); 8];
    for pid in &mut pids {
        *pid = child::start(|| {
            (0..40).try_for_each(|number| expect_exit(number, || i32::from(number)))
        })?;
    }
    pids.into_iter().try_for_each(child::finish)
}

fn clone_as_fork() -> Verdict {
    let pid = match process::clone_process().or_fail("clone")? {
        Forked::Child => process::exit(6),
        Forked::Parent(pid) => pid,
    };
    expect_status(pid, Status::Exited(6))
}

fn kill_child() -> Verdict {
    for signal in [
        Signal::SIGTERM,
        Signal::SIGKILL,
        Signal::SIGHUP,
        Signal::SIGUSR1,
        Signal::SIGALRM,
    ] {
        let pid = process::spawn(|| {
            loop {
                core::hint::spin_loop();
            }
        })
        .or_fail("fork")?;
        process::kill(pid, signal).or_fail("kill")?;
        expect_status(pid, Status::Killed(signal))?;
    }
    Ok(())
}

fn kill_sleeper() -> Verdict {
    let started = Channel::new()?;
    let pid = child::start(|| {
        started.send(0)?;
        system::sleep(3_600_000_000_000).or_fail("sleep")
    })?;
    started.receive()?;
    system::sleep_ms(5);
    process::kill(pid, Signal::SIGTERM).or_fail("kill")?;
    expect_status(pid, Status::Killed(Signal::SIGTERM))
}

fn kill_reader() -> Verdict {
    let (started, silent) = (Channel::new()?, Channel::new()?);
    let pid = child::start(|| {
        started.send(0)?;
        silent.receive().map(drop)
    })?;
    started.receive()?;
    system::sleep_ms(5);
    process::kill(pid, Signal::SIGKILL).or_fail("kill")?;
    expect_status(pid, Status::Killed(Signal::SIGKILL))
}

/// Killed while it waits for a child of its own, which goes on.
fn kill_waiter() -> Verdict {
    let (started, go, done) = (Channel::new()?, Channel::new()?, Channel::new()?);
    let pid = child::start(|| {
        let pid = child::start(|| {
            started.send(0)?;
            go.receive()?;
            done.send(5)
        })?;
        child::finish(pid)
    })?;
    started.receive()?;
    process::kill(pid, Signal::SIGKILL).or_fail("kill")?;
    expect_status(pid, Status::Killed(Signal::SIGKILL))?;
    go.send(0)?;
    ensure!(done.receive()? == 5, "the orphan sent something else");
    Ok(())
}

fn kill_errors() -> Verdict {
    expect_error(
        "no process",
        process::kill(Pid(0x3fff_ffff), Signal::SIGTERM),
        Errno::ESRCH,
    )?;
    expect_error(
        "signal 65",
        process::kill(process::getpid(), Signal(65)),
        Errno::EINVAL,
    )?;
    expect_error(
        "signal -1",
        process::kill(process::getpid(), Signal(-1)),
        Errno::EINVAL,
    )?;
    process::kill(process::getpid(), Signal(0)).or_fail("signal 0 to oneself")
}

/// A kill that comes as the child ends by itself: it is one or the other, and one wait sees it.
fn kill_races_exit() -> Verdict {
    let mut random = Random::new(5);
    for _ in 0..200 {
        let spins = random.below(3000);
        let pid = process::spawn(|| {
            (0..1500).for_each(|_| core::hint::spin_loop());
            7
        })
        .or_fail("fork")?;
        (0..spins).for_each(|_| core::hint::spin_loop());
        process::kill(pid, Signal::SIGKILL).or_fail("kill")?;
        let (_, status) = process::wait_for(pid).or_fail("wait")?;
        let known = [Status::Exited(7), Status::Killed(Signal::SIGKILL)];
        ensure!(known.contains(&status), "the child ended with {status}");
    }
    Ok(())
}

/// However a process ends, the reader of its pipe sees the end.
fn exit_closes_descriptors() -> Verdict {
    let ends: [fn() -> i32; 3] = [
        || 0,
        || {
            // A kill of oneself does not return.
            let _ = process::kill(process::getpid(), Signal::SIGKILL);
            1
        },
        || {
            // SAFETY: it ends the process.
            unsafe { core::arch::asm!("ud2") };
            1
        },
    ];
    for end in ends {
        let pipe = file::pipe().or_fail("pipe")?;
        let pid = process::spawn(end).or_fail("fork")?;
        file::close(pipe.write).or_fail("close")?;
        let count = file::read(pipe.read, &mut [0]).or_fail("read")?;
        file::close(pipe.read).or_fail("close")?;
        ensure!(count == 0, "the pipe gave {count} bytes");
        process::wait_for(pid).or_fail("wait")?;
    }
    Ok(())
}

/// Processes that never give the CPU away do not keep it from others (rule E4).
fn preemption() -> Verdict {
    let mut pids = [Pid(0); 20];
    for pid in &mut pids {
        *pid = process::spawn(|| {
            loop {
                core::hint::spin_loop();
            }
        })
        .or_fail("fork")?;
    }
    let verdict = expect_exit(4, || 4);
    for pid in pids {
        process::kill(pid, Signal::SIGKILL).or_fail("kill")?;
        expect_status(pid, Status::Killed(Signal::SIGKILL))?;
    }
    verdict
}

/// What a program holds in registers is there after a fork and in both, and after interrupts.
fn registers_survive() -> Verdict {
    fn spin(mark: u64) -> bool {
        let (mut rbx, mut r12, mut r13, mut r14, mut r15) =
            (mark, !mark, mark ^ 3, mark ^ 4, mark ^ 5);
        let (mut rax, mut rcx, mut rdx, mut rsi, mut rdi) =
            (2_000_000, mark ^ 6, mark ^ 7, mark ^ 8, mark ^ 9);
        let (mut r8, mut r9, mut r10, mut r11) = (mark ^ 10, mark ^ 11, mark ^ 12, mark ^ 13);
        // SAFETY: it counts a register down; rbx, which asm may not name, is put in its place by
        // an exchange before and after.
        unsafe {
            core::arch::asm!(
                "xchg rbx, {b}",
                "2:",
                "dec rax",
                "jnz 2b",
                "xchg rbx, {b}",
                b = inout(reg) rbx,
                inout("rax") rax,
                inout("rcx") rcx,
                inout("rdx") rdx,
                inout("rsi") rsi,
                inout("rdi") rdi,
                inout("r8") r8,
                inout("r9") r9,
                inout("r10") r10,
                inout("r11") r11,
                inout("r12") r12,
                inout("r13") r13,
                inout("r14") r14,
                inout("r15") r15,
            );
        }
        rax == 0
            && rbx == mark
            && [r13, r14, r15] == [mark ^ 3, mark ^ 4, mark ^ 5]
            && r12 == !mark
            && [rcx, rdx, rsi, rdi] == [mark ^ 6, mark ^ 7, mark ^ 8, mark ^ 9]
            && [r8, r9, r10, r11] == [mark ^ 10, mark ^ 11, mark ^ 12, mark ^ 13]
    }
    let mut pids = [Pid(0); 6];
    for (number, pid) in (1..).zip(&mut pids) {
        *pid = child::start(|| {
            let mut random = Random::new(number);
            for _ in 0..8 {
                ensure!(spin(random.draw()), "a register has changed");
            }
            Ok(())
        })?;
    }
    pids.into_iter().try_for_each(child::finish)
}

/// A child that shares its parent's memory writes a zero there when it goes.
fn clears_its_number() -> Verdict {
    let mut word = 7u32;
    let flags = numbers::CLONE_VM | numbers::CLONE_VFORK | numbers::CLONE_CHILD_CLEARTID;
    let flags = flags | numbers::SIGCHLD;
    let result: isize;
    // SAFETY: the child ends without a look at the stack, while the parent waits.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov eax, {exit}",
            "xor edi, edi",
            "syscall",
            "2:",
            exit = const numbers::__NR_exit,
            inlateout("rax") numbers::__NR_clone as isize => result,
            in("rdi") flags as usize,
            in("rsi") 0,
            in("rdx") 0,
            in("r10") &raw mut word,
            in("r8") 0,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    ensure!(result > 0, "clone gave {result}");
    ensure!(word == 0, "the number is still {word}");
    child::finish(Pid(result as i32))
}

/// A call that is given no pointers that are used.
fn call(number: u32, arguments: [usize; 5]) -> user::sys::Result<usize> {
    let [a, b, c, d, e] = arguments;
    // SAFETY: by the head of this function; a child runs on a copy of the memory.
    unsafe { raw::call(number, [a, b, c, d, e, 0]) }
}

/// Bits that mean nothing to clone, and requests that there is no answer to.
fn odd_requests() -> Verdict {
    // clone knows no flag above the lower half.
    let flags = numbers::SIGCHLD as usize | 1 << 40;
    match call(numbers::__NR_clone, [flags, 0, 0, 0, 0]).or_fail("clone")? {
        0 => process::exit_now(0),
        pid => child::finish(Pid(pid as i32))?,
    }
    let flags = (numbers::SIGCHLD | numbers::CLONE_SETTLS) as usize;
    let result = call(numbers::__NR_clone, [flags, 0, 0, 0, 1 << 63]);
    expect_error("clone with a pointer out of reach", result, Errno::EPERM)?;
    let pid = child::start(|| Ok(()))?;
    let options = (numbers::__WCLONE | numbers::WNOHANG) as usize;
    let result = call(numbers::__NR_wait4, [pid.0 as usize, 0, options, 0, 0]);
    expect_error("wait for another kind of child", result, Errno::ECHILD)?;
    child::finish(pid)
}
