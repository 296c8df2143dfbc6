//! Policies and priorities of threads: getpriority(2), sched_setscheduler(2), sched_setattr(2) and
//! their kin.

use super::threads::named;
use super::words::write_words;
use crate::errno::{Errno, SysResult};
use crate::process::{self, Capability, Pid, Policy, Priority, Process, Tcb, Thread};
use crate::sched;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use executor::Share;
use linux_raw_sys::general as linux;

/// Nice values (setpriority(2)).
const NICE: (i32, i32) = (-20, 19);
/// A flag in the number of a policy.
const RESET_ON_FORK: u32 = linux::SCHED_RESET_ON_FORK;

/// Whether the caller may do what takes `CAP_SYS_NICE`.
fn is_privileged(thread: &Thread) -> bool {
    thread
        .process()
        .with_credentials(|who| who.has(Capability::SysNice))
}

fn soft_limit(process: &Process, number: u32) -> u64 {
    process.limit(number as usize).map_or(0, |limit| limit.soft)
}

/// Whether the limit of its process lets a thread have this nice value (`RLIMIT_NICE`).
fn may_have_nice(other: &Tcb, nice: i32) -> bool {
    (20 - nice) as u64 <= soft_limit(other.process(), linux::RLIMIT_NICE)
}

/// Whether the caller's effective user is a real or the effective one of another process.
fn is_owner(thread: &Thread, other: &Process) -> bool {
    let effective = thread.process().with_credentials(|who| who.uid.effective);
    other.with_credentials(|who| [who.uid.real, who.uid.effective].contains(&effective))
}

/// Whether the caller may change how the threads of another process are scheduled.
pub(super) fn may_change(thread: &Thread, other: &Process) -> bool {
    is_owner(thread, other) || is_privileged(thread)
}

/// Which processes getpriority(2) and setpriority(2) are for.
enum Chosen {
    Thread(Arc<Tcb>),
    Group(u32),
    User(u32),
}

impl Chosen {
    fn new(thread: &Thread, which: usize, number: usize) -> Result<Chosen, Errno> {
        let number = number as u32;
        let process = thread.process();
        match which as u32 {
            linux::PRIO_PROCESS => Ok(Chosen::Thread(named(thread, number as usize)?)),
            linux::PRIO_PGRP if number == 0 => {
                Ok(Chosen::Group(process.group.load(Ordering::Relaxed)))
            }
            linux::PRIO_PGRP => Ok(Chosen::Group(number)),
            linux::PRIO_USER if number == 0 => {
                Ok(Chosen::User(process.with_credentials(|who| who.uid.real)))
            }
            linux::PRIO_USER => Ok(Chosen::User(number)),
            _ => Err(Errno::EINVAL),
        }
    }

    fn includes(&self, process: &Process) -> bool {
        match *self {
            Chosen::Thread(_) => false,
            Chosen::Group(group) => process.group.load(Ordering::Relaxed) == group,
            Chosen::User(user) => process.with_credentials(|who| who.uid.real == user),
        }
    }

    /// Visits each thread, one after the other, with yields in between.
    async fn visit(&self, mut visit: impl FnMut(&Arc<Tcb>)) {
        if let Chosen::Thread(thread) = self {
            return visit(thread);
        }
        let mut after = Pid(0);
        while let Some(process) = process::next(after) {
            after = process.pid;
            if self.includes(&process) {
                let mut last = Pid(0);
                while let Some(tid) = process::next_thread_of(&process, last) {
                    last = tid;
                    if let Some((_, Some(thread))) = process::find_thread(tid) {
                        visit(&thread);
                    }
                    executor::spend_budget().await;
                }
            }
            executor::spend_budget().await;
        }
    }
}

/// getpriority(2): 20 less the nice value, so that no result is an error.
pub async fn getpriority(thread: &Thread, which: usize, number: usize) -> SysResult {
    let mut highest = None;
    let chosen = Chosen::new(thread, which, number)?;
    chosen
        .visit(|other| {
            let value = (20 - i32::from(other.priority().nice)) as usize;
            highest = highest.max(Some(value));
        })
        .await;
    highest.ok_or(Errno::ESRCH)
}

/// setpriority(2).
pub async fn setpriority(thread: &Thread, which: usize, number: usize, value: usize) -> SysResult {
    let nice = (value as i32).clamp(NICE.0, NICE.1);
    let privileged = is_privileged(thread);
    let mut result = Err(Errno::ESRCH);
    let chosen = Chosen::new(thread, which, number)?;
    chosen
        .visit(|other| {
            let old = other.priority();
            if !privileged && !is_owner(thread, other.process()) {
                result = Err(Errno::EPERM);
            } else if nice < old.nice.into() && !privileged && !may_have_nice(other, nice) {
                result = Err(Errno::EACCES);
            } else {
                other.set_priority(Priority {
                    nice: nice as i8,
                    ..old
                });
                if result == Err(Errno::ESRCH) {
                    result = Ok(0);
                }
            }
        })
        .await;
    result
}

/// The thread with this number, which is not negative.
fn numbered(thread: &Thread, tid: usize) -> Result<Arc<Tcb>, Errno> {
    match tid as i32 {
        ..0 => Err(Errno::EINVAL),
        _ => named(thread, tid),
    }
}

/// Gives a thread another priority, if the caller may (sched(7), "Privileges and resource limits").
fn change(thread: &Thread, other: &Tcb, new: Priority) -> SysResult {
    let highest = match new.policy.is_real_time() {
        true => 1..=process::HIGHEST_PRIORITY,
        false => 0..=0,
    };
    if !highest.contains(&new.real_time) {
        return Err(Errno::EINVAL);
    }
    let old = other.priority();
    let may_have_old = || may_have_nice(other, old.nice.into());
    let is_allowed = if new.policy.is_real_time() {
        let most = soft_limit(other.process(), linux::RLIMIT_RTPRIO);
        (new.policy == old.policy || most > 0)
            && (new.real_time <= old.real_time || u64::from(new.real_time) <= most)
    } else {
        (new.nice >= old.nice || may_have_nice(other, new.nice.into()))
            && (old.policy != Policy::Idle || new.policy == Policy::Idle || may_have_old())
    };
    let is_allowed = is_allowed
        && is_owner(thread, other.process())
        && (!old.resets_on_fork || new.resets_on_fork);
    if !is_allowed && !is_privileged(thread) {
        return Err(Errno::EPERM);
    }
    other.set_priority(new);
    Ok(0)
}

async fn read_int(thread: &Thread, address: usize) -> Result<u32, Errno> {
    let mut bytes = [0; 4];
    thread.space().read_bytes(address, &mut bytes).await?;
    Ok(u32::from_ne_bytes(bytes))
}

/// A priority of the ABI; what is out of all ranges stays so.
fn real_time(value: u32) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

/// sched_setscheduler(2).
pub async fn sched_setscheduler(
    thread: &Thread,
    tid: usize,
    policy: usize,
    param: usize,
) -> SysResult {
    if (policy as i32) < 0 || param == 0 || (tid as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let value = read_int(thread, param).await?;
    let other = named(thread, tid)?;
    let policy = policy as u32;
    let new = Priority {
        policy: Policy::new(policy & !RESET_ON_FORK).ok_or(Errno::EINVAL)?,
        real_time: real_time(value),
        resets_on_fork: policy & RESET_ON_FORK != 0,
        ..other.priority()
    };
    change(thread, &other, new)
}

/// sched_getscheduler(2).
pub fn sched_getscheduler(thread: &Thread, tid: usize) -> SysResult {
    let priority = numbered(thread, tid)?.priority();
    let flag = if priority.resets_on_fork {
        RESET_ON_FORK
    } else {
        0
    };
    Ok((priority.policy as u32 | flag) as usize)
}

/// sched_setparam(2).
pub async fn sched_setparam(thread: &Thread, tid: usize, param: usize) -> SysResult {
    if param == 0 || (tid as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let value = read_int(thread, param).await?;
    let other = named(thread, tid)?;
    let new = Priority {
        real_time: real_time(value),
        ..other.priority()
    };
    change(thread, &other, new)
}

/// sched_getparam(2).
pub async fn sched_getparam(thread: &Thread, tid: usize, param: usize) -> SysResult {
    if param == 0 {
        return Err(Errno::EINVAL);
    }
    let value = u32::from(numbered(thread, tid)?.priority().real_time);
    let value = value.to_ne_bytes();
    thread.space().write_bytes(param, &value).await?;
    Ok(0)
}

/// `struct sched_attr`, as far as it is known here: with the bounds of utilization.
const ATTR_SIZE: usize = 56;
/// Without them.
const ATTR_FIRST_SIZE: usize = 48;
const ATTR_LARGEST_SIZE: usize = 4096;

/// The flags of that structure (include/uapi/linux/sched.h).
const KEEP_POLICY: u64 = linux::SCHED_FLAG_KEEP_POLICY as u64;
const KEEP_PARAMS: u64 = linux::SCHED_FLAG_KEEP_PARAMS as u64;
const ATTR_RESET_ON_FORK: u64 = linux::SCHED_FLAG_RESET_ON_FORK as u64;
/// For `SCHED_DEADLINE`, which is not there.
const OF_DEADLINE: u64 = 0x6;
/// Bounds of utilization, as on a Linux without them.
const OF_UTILIZATION: u64 = 0x60;

/// sched_setattr(2).
pub async fn sched_setattr(thread: &Thread, tid: usize, attr: usize, flags: usize) -> SysResult {
    if attr == 0 || (tid as i32) < 0 || flags as u32 != 0 {
        return Err(Errno::EINVAL);
    }
    let bytes = read_attr(thread, attr).await?;
    let word = |at: usize| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|byte| bytes[at + byte]);
        u32::from_ne_bytes([a, b, c, d])
    };
    let (policy, nice, priority) = (word(4), word(16), word(20));
    let flags = u64::from(word(8)) | u64::from(word(12)) << 32;
    if (policy as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let other = named(thread, tid)?;
    let old = other.priority();
    let keeps = flags & KEEP_PARAMS != 0;
    let policy = match flags & KEEP_POLICY != 0 {
        true => old.policy,
        false => Policy::new(policy).ok_or(Errno::EINVAL)?,
    };
    if flags & !(ATTR_RESET_ON_FORK | OF_DEADLINE | KEEP_POLICY | KEEP_PARAMS | OF_UTILIZATION) != 0
    {
        return Err(Errno::EINVAL);
    }
    if flags & OF_UTILIZATION != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    let nice = (nice as i32).clamp(NICE.0, NICE.1) as i8;
    let new = Priority {
        policy,
        // A real-time thread keeps its nice value for later.
        nice: if keeps || policy.is_real_time() {
            old.nice
        } else {
            nice
        },
        real_time: if keeps {
            old.real_time
        } else {
            real_time(priority)
        },
        resets_on_fork: flags & ATTR_RESET_ON_FORK != 0,
    };
    change(thread, &other, new)
}

/// The structure that a program gives, which says its own size. What it has beyond is 0, or the
/// program gets the size that is known.
async fn read_attr(thread: &Thread, address: usize) -> Result<[u8; ATTR_SIZE], Errno> {
    let space = thread.space();
    let size = match read_int(thread, address).await? as usize {
        0 => ATTR_FIRST_SIZE,
        size => size,
    };
    let mut is_known = (ATTR_FIRST_SIZE..=ATTR_LARGEST_SIZE).contains(&size);
    let mut bytes = [0; ATTR_SIZE];
    if is_known {
        space
            .read_bytes(address, &mut bytes[..size.min(ATTR_SIZE)])
            .await?;
        for at in ATTR_SIZE..size {
            let mut byte = [0];
            space
                .read_bytes(address.wrapping_add(at), &mut byte)
                .await?;
            is_known &= byte == [0];
        }
    }
    if is_known {
        return Ok(bytes);
    }
    let known = (ATTR_SIZE as u32).to_ne_bytes();
    space.write_bytes(address, &known).await?;
    Err(Errno::E2BIG)
}

/// sched_getattr(2).
pub async fn sched_getattr(
    thread: &Thread,
    tid: usize,
    attr: usize,
    size: usize,
    flags: usize,
) -> SysResult {
    let size = size as u32 as usize;
    if attr == 0 || !(ATTR_FIRST_SIZE..=ATTR_LARGEST_SIZE).contains(&size) || flags as u32 != 0 {
        return Err(Errno::EINVAL);
    }
    let priority = numbered(thread, tid)?.priority();
    let size = size.min(ATTR_SIZE);
    let mut bytes = [0; ATTR_SIZE];
    let mut put = |at: usize, value: u32| {
        bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    };
    put(0, size as u32);
    put(4, priority.policy as u32);
    put(8, priority.resets_on_fork.into());
    match priority.policy.is_real_time() {
        true => put(20, priority.real_time.into()),
        false => put(16, i32::from(priority.nice) as u32),
    }
    thread.space().write_bytes(attr, &bytes[..size]).await?;
    Ok(0)
}

/// The lowest and the highest priority of a policy.
fn range(policy: usize) -> Result<(u8, u8), Errno> {
    match policy as u32 {
        linux::SCHED_DEADLINE => Ok((0, 0)),
        policy => match Policy::new(policy).ok_or(Errno::EINVAL)? {
            policy if policy.is_real_time() => Ok((1, process::HIGHEST_PRIORITY)),
            _ => Ok((0, 0)),
        },
    }
}

/// sched_get_priority_min(2).
pub fn sched_get_priority_min(policy: usize) -> SysResult {
    Ok(range(policy)?.0.into())
}

/// sched_get_priority_max(2).
pub fn sched_get_priority_max(policy: usize) -> SysResult {
    Ok(range(policy)?.1.into())
}

/// sched_rr_get_interval(2): how long the thread may go on while others of its kind wait.
pub async fn sched_rr_get_interval(thread: &Thread, tid: usize, address: usize) -> SysResult {
    let interval = match numbered(thread, tid)?.priority().policy {
        Policy::Fifo => 0,
        Policy::RoundRobin => Share::TURN,
        Policy::Other | Policy::Batch | Policy::Idle => sched::SLICE,
    };
    write_words(thread, address, [0, interval]).await
}
