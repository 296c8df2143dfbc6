//! Where threads run, and barriers among them.

use super::threads::named;
use super::{not_yet, priority};
use crate::arch;
use crate::errno::{Errno, SysResult};
use crate::process::Thread;
use crate::sched;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::AtomicU64;
use linux_raw_sys::general as linux;

/// sched_yield(2).
pub async fn sched_yield() -> SysResult {
    sched::executor().give_turn();
    executor::yield_now().await;
    Ok(0)
}

/// How long a thread is given to move before the next look, in nanoseconds.
const MOVE: u64 = 20_000;
/// Bytes of a set of CPUs, as Linux has it for up to 64.
const SET_SIZE: usize = size_of::<u64>();

/// sched_setaffinity(2). CPUs that are not there are left out.
pub async fn sched_setaffinity(
    thread: &Thread,
    tid: usize,
    size: usize,
    address: usize,
) -> SysResult {
    let size = (size as u32 as usize).min(SET_SIZE);
    let mut set = [0; SET_SIZE];
    thread.space().read_bytes(address, &mut set[..size]).await?;
    let other = named(thread, tid)?;
    let cpus = u64::from_le_bytes(set) & sched::all_cpus();
    if cpus == 0 {
        return Err(Errno::EINVAL);
    }
    let may = Arc::ptr_eq(other.process(), thread.process())
        || priority::may_change(thread, other.process());
    if !may {
        return Err(Errno::EPERM);
    }
    other.set_affinity(cpus);
    if Arc::ptr_eq(&other, thread.tcb()) {
        // The next poll is where it may be.
        executor::yield_now().await;
    }
    // Another thread leaves user mode by an interrupt, or the kernel at its next yield (rule E4).
    while other.runs_outside(cpus) {
        sched::executor().sleep(MOVE).await;
    }
    Ok(0)
}

/// sched_getaffinity(2). Returns the bytes of the set.
pub async fn sched_getaffinity(
    thread: &Thread,
    tid: usize,
    size: usize,
    address: usize,
) -> SysResult {
    let size = size as u32 as usize;
    if size < SET_SIZE || !size.is_multiple_of(SET_SIZE) {
        return Err(Errno::EINVAL);
    }
    let set = named(thread, tid)?.affinity().to_le_bytes();
    thread.space().write_bytes(address, &set).await?;
    Ok(SET_SIZE)
}

/// getcpu(2): there is one NUMA node.
pub async fn getcpu(thread: &Thread, cpu: usize, node: usize) -> SysResult {
    let here = arch::cpu().0 as u32;
    for (address, value) in [(cpu, here), (node, 0)] {
        if address != 0 {
            let value = value.to_le_bytes();
            thread.space().write_bytes(address, &value).await?;
        }
    }
    Ok(0)
}

const GLOBAL: u32 = linux::membarrier_cmd::MEMBARRIER_CMD_GLOBAL as u32;
const PRIVATE: u32 = linux::membarrier_cmd::MEMBARRIER_CMD_PRIVATE_EXPEDITED as u32;
const REGISTER: u32 = linux::membarrier_cmd::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED as u32;

/// membarrier(2).
pub async fn membarrier(thread: &Thread, command: usize, flags: usize) -> SysResult {
    static OTHERS: AtomicU64 = AtomicU64::new(0);
    if flags as u32 != 0 {
        return Err(Errno::EINVAL);
    }
    match command as u32 {
        0 => return Ok((GLOBAL | PRIVATE | REGISTER) as usize),
        GLOBAL => everywhere().await?,
        PRIVATE if !thread.process().may_use_barriers() => return Err(Errno::EPERM),
        PRIVATE => thread.space().barrier().await,
        REGISTER => thread.process().allow_barriers(),
        _ => {
            not_yet(&OTHERS, "membarrier with other commands");
            return Err(Errno::EINVAL);
        }
    }
    Ok(0)
}

/// Returns when each CPU has come through its scheduler, and so through a barrier.
async fn everywhere() -> Result<(), Errno> {
    let executor = sched::executor();
    let mut tasks = Vec::new();
    tasks
        .try_reserve_exact(arch::cpu_count())
        .map_err(|_| Errno::ENOMEM)?;
    for cpu in 0..arch::cpu_count() {
        let task = executor.task("barrier").on(cpu).try_spawn(async {});
        tasks.push(task.map_err(|_| Errno::ENOMEM)?);
    }
    for task in tasks {
        // It cannot fail: it is never aborted.
        let _ = task.await;
    }
    Ok(())
}
