//! Threads, bare: the call that makes one, its end, and where it may run.
//!
//! [`crate::thread`] makes something safe of it.

use core::arch::asm;
use core::sync::atomic::AtomicU32;

use linux_raw_sys::general::{
    __NR_clone, __NR_exit, __NR_sched_getaffinity, __NR_sched_setaffinity, __NR_tgkill,
    CLONE_CHILD_CLEARTID, CLONE_FILES, CLONE_FS, CLONE_PARENT_SETTID, CLONE_SIGHAND, CLONE_SYSVSEM,
    CLONE_THREAD, CLONE_VM,
};

use super::process::{Pid, getpid};
use super::raw::syscall;
use super::signal::Signal;
use super::{Errno, Result};

/// What the C libraries ask for, but for thread-local data, of which these programs have none.
const FLAGS: u32 = CLONE_VM
    | CLONE_FS
    | CLONE_FILES
    | CLONE_SIGHAND
    | CLONE_THREAD
    | CLONE_SYSVSEM
    | CLONE_PARENT_SETTID
    | CLONE_CHILD_CLEARTID;

/// Starts a thread that calls `entry(argument)` on a stack that ends at `stack_top`. The kernel
/// stores the thread's number in `tid`, and clears and wakes it when the thread has ended.
///
/// # Safety
/// The memory below `stack_top`, as much as `entry` needs, and `tid` stay there and are left
/// alone until `tid` is zero. `stack_top` is aligned to 16 bytes.
pub unsafe fn start(
    stack_top: usize,
    entry: extern "C" fn(usize) -> !,
    argument: usize,
    tid: *const AtomicU32,
) -> Result<Pid> {
    let result: isize;
    // SAFETY: the parent sees a system call that clobbers rax, rcx and r11. The child has the same
    // registers but for the stack, of which it uses nothing that is the parent's, and it leaves
    // this function for `entry`, which does not return. The memory is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") __NR_clone as usize => result,
            in("rdi") FLAGS as usize,
            in("rsi") stack_top,
            in("rdx") tid,
            in("r10") tid,
            in("r8") 0usize,
            in("r12") entry,
            in("r13") argument,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    match result {
        ..0 => Err(Errno::new(-result as u16)),
        tid => Ok(Pid(tid as i32)),
    }
}

/// Ends this thread only. The last one's end is the end of the process.
pub fn exit(status: i32) -> ! {
    loop {
        // It does not return; the loop is there for the type.
        let _ = syscall!(__NR_exit, status);
    }
}

/// Sends a signal to one thread of this process.
pub fn kill(tid: Pid, signal: Signal) -> Result<()> {
    syscall!(__NR_tgkill, getpid().0, tid.0, signal.0).map(drop)
}

/// A set of CPUs, of the first 1024.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuSet([u64; 16]);

impl CpuSet {
    pub const EMPTY: Self = Self([0; 16]);

    /// The set with this CPU as well, if it is one of the first 1024.
    pub fn with(mut self, cpu: usize) -> Self {
        if let Some(word) = self.0.get_mut(cpu / 64) {
            *word |= 1 << (cpu % 64);
        }
        self
    }

    /// The first `count` of them.
    pub fn first(&self, count: usize) -> Self {
        self.iter().take(count).fold(Self::EMPTY, Self::with)
    }

    pub fn count(&self) -> usize {
        self.iter().count()
    }

    /// Their numbers, upwards.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        let words = self.0;
        (0..words.len() * 64).filter(move |cpu| {
            words
                .get(cpu / 64)
                .is_some_and(|w| w >> (cpu % 64) & 1 != 0)
        })
    }
}

/// The CPUs that this thread may run on.
pub fn allowed_cpus() -> Result<CpuSet> {
    let mut set = CpuSet::EMPTY;
    syscall!(
        __NR_sched_getaffinity,
        0,
        size_of_val(&set.0),
        set.0.as_mut_ptr()
    )?;
    Ok(set)
}

/// Lets this thread run on these CPUs only.
pub fn run_on(set: &CpuSet) -> Result<()> {
    syscall!(
        __NR_sched_setaffinity,
        0,
        size_of_val(&set.0),
        set.0.as_ptr()
    )
    .map(drop)
}

/// Lets this thread run on CPU number `index` of those that are allowed, counted around.
pub fn pin_to(index: usize) -> Result<()> {
    let allowed = allowed_cpus()?;
    let cpu = allowed.iter().nth(index % allowed.count().max(1));
    run_on(&CpuSet::EMPTY.with(cpu.unwrap_or(0)))
}
