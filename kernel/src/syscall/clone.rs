//! Making processes and threads: fork(2), vfork(2), clone(2), clone3(2).

use super::not_yet;
use super::words::read_words;
use crate::errno::{Errno, SysResult};
use crate::memory::USER_END;
use crate::process::{self, Beginning, Capability, ForkRequest, Pid, Registers, Signal, Thread};
use core::sync::atomic::AtomicU64;
use linux_raw_sys::general as linux;

/// fork(2).
pub async fn fork(thread: &Thread, registers: &mut Registers) -> SysResult {
    let request = ForkRequest {
        exit_signal: Signal::CHLD.number(),
        ..ForkRequest::default()
    };
    made(process::fork(thread, registers, request).await)
}

/// vfork(2).
pub async fn vfork(thread: &Thread, registers: &mut Registers) -> SysResult {
    let request = ForkRequest {
        borrows_memory: true,
        waits: true,
        exit_signal: Signal::CHLD.number(),
        ..ForkRequest::default()
    };
    made(process::fork(thread, registers, request).await)
}

fn made(pid: Result<Pid, Errno>) -> SysResult {
    Ok(pid?.0 as usize)
}

/// clone(2).
pub async fn clone(
    thread: &Thread,
    registers: &mut Registers,
    flags: usize,
    stack: usize,
    parent_tid: usize,
    child_tid: usize,
    tls: usize,
) -> SysResult {
    // The upper half is left alone: only clone3 has flags there.
    let flags = u64::from(flags as u32);
    // The low byte is the signal that the parent gets at the end. There is no parent of a thread.
    let (flags, signal) = (flags & !0xff, flags & 0xff);
    let is_thread = flags & u64::from(linux::CLONE_THREAD) != 0;
    let arguments = CloneArguments {
        flags,
        exit_signal: if is_thread { 0 } else { signal },
        stack,
        parent_tid,
        // The same argument has two meanings.
        pidfd: parent_tid,
        child_tid,
        tls,
    };
    let both = linux::CLONE_PARENT_SETTID | linux::CLONE_DETACHED;
    if arguments.has(linux::CLONE_PIDFD) && arguments.has(both) {
        return Err(Errno::EINVAL);
    }
    arguments.make(thread, registers).await
}

/// clone3(2).
pub async fn clone3(
    thread: &Thread,
    registers: &mut Registers,
    address: usize,
    size: usize,
) -> SysResult {
    // CLONE_ARGS_SIZE_VER0; what a longer structure adds must be zero.
    const FIRST: usize = 64;
    const LARGEST: usize = 4096;
    if size < FIRST {
        return Err(Errno::EINVAL);
    }
    if size > LARGEST {
        return Err(Errno::E2BIG);
    }
    let space = thread.space();
    let words: [u64; FIRST / 8] = read_words(thread, address).await?;
    for at in (FIRST..size).step_by(8) {
        if space.read_word(address + at).await? != 0 {
            return Err(Errno::E2BIG);
        }
    }
    let [
        flags,
        pidfd,
        child_tid,
        parent_tid,
        exit_signal,
        stack,
        stack_size,
        tls,
    ] = words;
    let [pidfd, child_tid, parent_tid, stack, stack_size, tls] =
        [pidfd, child_tid, parent_tid, stack, stack_size, tls].map(|word| word as usize);
    if flags & (0xff | u64::from(linux::CLONE_DETACHED)) != 0 || (stack == 0) != (stack_size == 0) {
        return Err(Errno::EINVAL);
    }
    let stack = stack
        .checked_add(stack_size)
        .filter(|&top| top <= USER_END)
        .ok_or(Errno::EINVAL)?;
    let arguments = CloneArguments {
        flags,
        exit_signal,
        stack,
        parent_tid,
        pidfd,
        child_tid,
        tls,
    };
    arguments.make(thread, registers).await
}

/// What clone(2) and clone3(2) have in common.
struct CloneArguments {
    flags: u64,
    exit_signal: u64,
    stack: usize,
    parent_tid: usize,
    pidfd: usize,
    child_tid: usize,
    tls: usize,
}

/// unshare(2): what processes have in common here are their open files. The rest each has alone, so
/// that there is nothing to be done; of the memory and the handlers of several threads no copy can be
/// had on Linux either.
pub fn unshare(thread: &Thread, flags: usize) -> SysResult {
    let flags = flags as u64;
    let alone = linux::CLONE_THREAD | linux::CLONE_SIGHAND | linux::CLONE_VM;
    let known = alone | linux::CLONE_FILES | linux::CLONE_FS | linux::CLONE_SYSVSEM | NAMESPACES;
    if flags & !u64::from(known | linux::CLONE_NEWTIME) != 0 {
        return Err(Errno::EINVAL);
    }
    let process = thread.process();
    if flags & u64::from(alone) != 0 && process.thread_count() > 1 {
        return Err(Errno::EINVAL);
    }
    check_namespaces(thread, flags)?;
    if flags & u64::from(linux::CLONE_FILES | linux::CLONE_FS) != 0 && process.thread_count() > 1 {
        // Threads of a process have one table and one directory here.
        return Err(Errno::ENOSYS);
    }
    if flags & u64::from(linux::CLONE_FILES) != 0 {
        process.unshare_files()?;
    }
    Ok(0)
}

/// Other worlds for names, users, processes and so on (namespaces(7)).
const NAMESPACES: u32 = linux::CLONE_NEWNS
    | linux::CLONE_NEWCGROUP
    | linux::CLONE_NEWUTS
    | linux::CLONE_NEWIPC
    | linux::CLONE_NEWUSER
    | linux::CLONE_NEWPID
    | linux::CLONE_NEWNET;

/// There is one of each, as on a Linux that was built without them (`EINVAL`); most need a right first.
fn check_namespaces(thread: &Thread, flags: u64) -> Result<(), Errno> {
    let namespaces = flags & u64::from(NAMESPACES | linux::CLONE_NEWTIME);
    if namespaces == 0 {
        return Ok(());
    }
    let process = thread.process();
    let is_admin = process.with_credentials(|own| own.has(Capability::SysAdmin));
    match is_admin || namespaces & u64::from(linux::CLONE_NEWUSER) != 0 {
        true => Err(Errno::EINVAL),
        false => Err(Errno::EPERM),
    }
}

/// The child has no signal handlers.
const CLONE_CLEAR_SIGHAND: u64 = 1 << 32;

/// What the threads of a process have in common here, and the one of these without which the
/// others would be no thread on Linux either.
const SHARED: u32 = linux::CLONE_VM
    | linux::CLONE_FS
    | linux::CLONE_FILES
    | linux::CLONE_SIGHAND
    | linux::CLONE_THREAD;

/// What says nothing here: there are no System V semaphores, no tracing, no priorities of
/// disks, and `CLONE_DETACHED` means nothing on Linux either.
const IGNORED: u32 =
    linux::CLONE_SYSVSEM | linux::CLONE_UNTRACED | linux::CLONE_IO | linux::CLONE_DETACHED;

/// What a process may have.
const PROCESS: u32 = linux::CLONE_VM
    | linux::CLONE_VFORK
    | linux::CLONE_FILES
    | linux::CLONE_PARENT
    | linux::CLONE_PIDFD;

/// What each may have.
const ALWAYS: u32 = IGNORED
    | linux::CLONE_SETTLS
    | linux::CLONE_PARENT_SETTID
    | linux::CLONE_CHILD_SETTID
    | linux::CLONE_CHILD_CLEARTID;

impl CloneArguments {
    fn has(&self, flag: u32) -> bool {
        self.flags & u64::from(flag) != 0
    }

    /// Makes the thread or the process.
    async fn make(&self, thread: &Thread, registers: &mut Registers) -> SysResult {
        self.check(thread)?;
        let beginning = self.beginning();
        if self.has(linux::CLONE_THREAD) {
            return made(process::add_thread(thread, registers, &beginning).await);
        }
        let request = ForkRequest {
            borrows_memory: self.has(linux::CLONE_VM),
            waits: self.has(linux::CLONE_VFORK),
            exit_signal: self.exit_signal as u32,
            clears_handlers: self.flags & CLONE_CLEAR_SIGHAND != 0,
            shares_files: self.has(linux::CLONE_FILES),
            beside_maker: self.has(linux::CLONE_PARENT),
            pidfd: self.has(linux::CLONE_PIDFD).then_some(self.pidfd),
            beginning,
        };
        made(process::fork(thread, registers, request).await)
    }

    /// Refuses what Linux refuses (clone(2), ERRORS), and what is not there yet.
    fn check(&self, thread: &Thread) -> Result<(), Errno> {
        static OTHERS: AtomicU64 = AtomicU64::new(0);
        let needs = |flag, other| self.has(flag) && !self.has(other);
        let clears = self.flags & CLONE_CLEAR_SIGHAND != 0;
        if needs(linux::CLONE_THREAD, linux::CLONE_SIGHAND)
            || needs(linux::CLONE_SIGHAND, linux::CLONE_VM)
            || (clears && self.has(linux::CLONE_SIGHAND))
            || (self.has(linux::CLONE_FS) && self.has(linux::CLONE_NEWNS | linux::CLONE_NEWUSER))
        {
            return Err(Errno::EINVAL);
        }
        if self.has(linux::CLONE_PARENT) && thread.process().pid == Pid::INIT
            || self.has(linux::CLONE_PIDFD) && self.has(linux::CLONE_THREAD)
        {
            return Err(Errno::EINVAL);
        }
        check_namespaces(thread, self.flags)?;
        let is_thread = self.has(linux::CLONE_THREAD);
        let known_signal = match self.exit_signal {
            0 => true,
            signal => !is_thread && Signal::new(signal as usize).is_some(),
        };
        if !known_signal {
            return Err(Errno::EINVAL);
        }
        let (known, needed) = if is_thread {
            (SHARED, SHARED)
        } else {
            (PROCESS, 0)
        };
        let known = u64::from(known | ALWAYS) | CLONE_CLEAR_SIGHAND;
        if self.flags & !known != 0 || self.flags as u32 & needed != needed {
            return Err(not_yet(
                &OTHERS,
                "clone with flags other than those of fork, vfork, posix_spawn and threads",
            ));
        }
        if self.has(linux::CLONE_SETTLS) && self.tls >= USER_END {
            return Err(Errno::EPERM);
        }
        Ok(())
    }

    fn beginning(&self) -> Beginning {
        let given = |flag, value| self.has(flag).then_some(value);
        Beginning {
            stack: (self.stack != 0).then_some(self.stack),
            tls: given(linux::CLONE_SETTLS, self.tls),
            parent_tid: given(linux::CLONE_PARENT_SETTID, self.parent_tid),
            child_tid: given(linux::CLONE_CHILD_SETTID, self.child_tid),
            clear_tid: given(linux::CLONE_CHILD_CLEARTID, self.child_tid),
        }
    }
}
