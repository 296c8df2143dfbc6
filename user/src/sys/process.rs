//! Processes: fork, exec, exit, wait.

use core::arch::asm;
use core::ffi::{CStr, c_char};
use core::fmt;

use linux_raw_sys::general::{
    __NR_clone, __NR_execve, __NR_exit_group, __NR_fork, __NR_getpid, __NR_getppid, __NR_gettid,
    __NR_getuid, __NR_kill, __NR_sched_yield, __NR_setpgid, __NR_setsid, __NR_vfork, __NR_wait4,
    SIGCHLD, WNOHANG,
};

use super::raw::syscall;
use super::signal::Signal;
use super::{Errno, Result};
use crate::{heap, io};

/// A process number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Pid(pub i32);

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// In which process a fork returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Forked {
    Child,
    Parent(Pid),
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    Exited(u8),
    Killed(Signal),
}

impl Status {
    fn decode(word: i32) -> Self {
        match word & 0x7f {
            0 => Self::Exited((word >> 8) as u8),
            signal => Self::Killed(Signal(signal)),
        }
    }

    /// As a shell gives it: 128 + N for signal N.
    pub fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Killed(signal) => 128u8.wrapping_add(signal.0 as u8),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit status {code}"),
            Self::Killed(signal) => write!(f, "signal {} ({signal})", signal.0),
        }
    }
}

/// Forks. What was printed and not yet written is written first, so that it does not come
/// out twice. The child has the calling thread only, and this library's locks are free in it.
pub fn fork() -> Result<Forked> {
    let _locks = (io::hold(), heap::hold());
    syscall!(__NR_fork).map(forked)
}

/// Forks by `clone` with nothing but `SIGCHLD`.
pub fn clone_process() -> Result<Forked> {
    let _locks = (io::hold(), heap::hold());
    syscall!(__NR_clone, SIGCHLD).map(forked)
}

fn forked(result: usize) -> Forked {
    match result {
        0 => Forked::Child,
        pid => Forked::Parent(Pid(pid as i32)),
    }
}

/// Forks and runs `body` in the child, which exits with what it returns.
pub fn spawn(body: impl FnOnce() -> i32) -> Result<Pid> {
    match fork()? {
        Forked::Child => exit(body()),
        Forked::Parent(pid) => Ok(pid),
    }
}

/// Ends the process, all its threads. Writes out what was printed.
pub fn exit(status: i32) -> ! {
    io::flush();
    exit_now(status)
}

/// Ends the process and leaves alone what was printed.
pub fn exit_now(status: i32) -> ! {
    loop {
        // It does not return; the loop is there for the type.
        let _ = syscall!(__NR_exit_group, status);
    }
}

/// Waits for any child; an interrupted wait is repeated.
pub fn wait() -> Result<(Pid, Status)> {
    wait_for(Pid(-1))
}

/// Waits for this child; an interrupted wait is repeated.
pub fn wait_for(pid: Pid) -> Result<(Pid, Status)> {
    let mut word = 0i32;
    loop {
        match syscall!(__NR_wait4, pid.0, &raw mut word, 0, 0) {
            Ok(ended) => return Ok((Pid(ended as i32), Status::decode(word))),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Looks whether that child (`Pid(-1)`: any) has ended.
pub fn try_wait(pid: Pid) -> Result<Option<(Pid, Status)>> {
    let mut word = 0i32;
    match syscall!(__NR_wait4, pid.0, &raw mut word, WNOHANG, 0)? {
        0 => Ok(None),
        ended => Ok(Some((Pid(ended as i32), Status::decode(word)))),
    }
}

/// A list of C strings with its end mark, as `execve` takes it.
#[derive(Clone, Copy)]
pub struct StringList<'a>(&'a [*const c_char]);

impl<'a> StringList<'a> {
    /// # Safety
    /// Every pointer but the last points to a C string that outlives `'a`; the last is null.
    pub const unsafe fn new(pointers: &'a [*const c_char]) -> Self {
        Self(pointers)
    }

    pub(crate) fn as_ptr(self) -> *const *const c_char {
        self.0.as_ptr()
    }
}

/// Replaces the program. Returns only to say why it could not.
pub fn execve(path: &CStr, arguments: StringList<'_>, environment: StringList<'_>) -> Errno {
    io::flush();
    match syscall!(
        __NR_execve,
        path.as_ptr(),
        arguments.as_ptr(),
        environment.as_ptr()
    ) {
        Err(errno) => errno,
        // A success does not return.
        Ok(_) => Errno::ENOEXEC,
    }
}

/// [`execve`] with few arguments and no environment.
pub fn execute(path: &CStr, arguments: &[&CStr]) -> Errno {
    let mut pointers = [core::ptr::null(); 16];
    if arguments.len() >= pointers.len() {
        return Errno::E2BIG;
    }
    for (pointer, argument) in pointers.iter_mut().zip(arguments) {
        *pointer = argument.as_ptr();
    }
    // SAFETY: the pointers are those of `arguments`, and the array is longer, so nulls follow.
    let arguments = unsafe { StringList::new(&pointers) };
    // SAFETY: an empty list.
    let environment = unsafe { StringList::new(&[core::ptr::null()]) };
    execve(path, arguments, environment)
}

/// Starts a program in a child by `vfork`: the child runs on this program's own stack until it has
/// become the other one, and this program waits meanwhile. A child that cannot ends with 127.
pub fn vfork_execve(
    path: &CStr,
    arguments: StringList<'_>,
    environment: StringList<'_>,
) -> Result<Pid> {
    let result: isize;
    // SAFETY: between the two returns of vfork nothing is done but system calls, and nothing is
    // written to the stack that parent and child share. The pointers are of borrowed C strings
    // and of lists of them.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov eax, {execve}",
            "syscall",
            "mov edi, 127",
            "mov eax, {exit_group}",
            "syscall",
            "ud2",
            "2:",
            execve = const __NR_execve,
            exit_group = const __NR_exit_group,
            inlateout("rax") __NR_vfork as usize => result,
            in("rdi") path.as_ptr(),
            in("rsi") arguments.as_ptr(),
            in("rdx") environment.as_ptr(),
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    match u16::try_from(-result) {
        Ok(errno) if errno > 0 => Err(Errno::new(errno)),
        _ => Ok(Pid(result as i32)),
    }
}

pub fn kill(pid: Pid, signal: Signal) -> Result<()> {
    syscall!(__NR_kill, pid.0, signal.0).map(drop)
}

pub fn getpid() -> Pid {
    number(__NR_getpid)
}

pub fn getppid() -> Pid {
    number(__NR_getppid)
}

pub fn gettid() -> Pid {
    number(__NR_gettid)
}

/// For the calls that cannot fail; zero is no process's number.
fn number(call: u32) -> Pid {
    Pid(syscall!(call).unwrap_or(0) as i32)
}

/// Makes the process the leader of a process group of its own.
pub fn lead_group() -> Result<()> {
    syscall!(__NR_setpgid, 0, 0).map(drop)
}

/// Begins a session, without a terminal, whose leader is the caller.
pub fn setsid() -> Result<()> {
    syscall!(__NR_setsid).map(drop)
}

pub fn sched_yield() {
    // It cannot fail (man 2 sched_yield).
    let _ = syscall!(__NR_sched_yield);
}

/// Waits for a child and has the kernel store the status at that address, which may be bad.
pub fn wait_into(pid: Pid, status: usize) -> Result<Pid> {
    syscall!(__NR_wait4, pid.0, status, 0, 0).map(|ended| Pid(ended as i32))
}

pub fn getuid() -> u32 {
    // It cannot fail (man 2 getuid).
    syscall!(__NR_getuid).unwrap_or(0) as u32
}
