//! The life of one process of the storm.

use user::eprintln;
use user::random::Random;
use user::sys::process::{self, Pid, Status};
use user::sys::signal::Signal;
use user::sys::{Errno, system};

use crate::counters::{Counters, count};
use crate::memory::Memory;
use crate::threads;

pub struct Storm<'a> {
    pub counters: &'a Counters,
    /// How many generations a tree has below its forker.
    pub depth: u64,
}

/// One of so many children is killed half-way.
const ONE_IN_KILLED: u64 = 8;
/// How many children a process has at most at once.
const MOST_CHILDREN: usize = 3;

/// How many threads one that is killed has at most.
const THREADS_OF_VICTIMS: usize = 2;

#[derive(Clone, Copy)]
struct Child {
    pid: Pid,
    /// It never ends by itself.
    victim: bool,
}

/// Looks, writes, has children, and looks again. Says whether all was well here and below.
pub fn live(storm: &Storm<'_>, memory: &mut Memory<'_>, random: &mut Random, depth: u64) -> bool {
    let mut well = memory.check(storm.counters, "at the start");
    memory.write_some(random);
    if depth > 0 {
        well &= raise(storm, memory, random, depth - 1);
    }
    pause(random);
    well & memory.check(storm.counters, "at the end")
}

/// Has some children, which live at the same time as their parent goes on writing.
fn raise(storm: &Storm<'_>, memory: &mut Memory<'_>, random: &mut Random, depth: u64) -> bool {
    let mut children = [None; MOST_CHILDREN];
    let count = 1 + random.below(MOST_CHILDREN as u64) as usize;
    let mut well = true;
    for slot in children.iter_mut().take(count) {
        let victim = random.below(ONE_IN_KILLED) == 0;
        match bear(storm, memory, random, depth, victim) {
            Ok(pid) => *slot = Some(Child { pid, victim }),
            Err(errno) => well &= excuse(storm, errno),
        }
    }
    memory.write_some(random);
    well &= memory.check(storm.counters, "with its children");
    // They are waited for in another order than they were made.
    children.swap(0, random.below(count as u64) as usize);
    for child in children.into_iter().flatten() {
        well &= part(storm, random, child);
    }
    well
}

/// Makes one child.
fn bear(
    storm: &Storm<'_>,
    memory: &mut Memory<'_>,
    random: &mut Random,
    depth: u64,
    victim: bool,
) -> Result<Pid, Errno> {
    let seed = random.draw();
    let pid = process::spawn(|| {
        let mut random = Random::new(seed);
        if !memory.words.freeze(storm.counters) {
            return 1;
        }
        if victim {
            suffer(storm, memory, &mut random)
        }
        i32::from(!live(storm, memory, &mut random, depth))
    })?;
    count(&storm.counters.forks);
    Ok(pid)
}

/// A fork that fails for want of memory or processes is no fault.
fn excuse(storm: &Storm<'_>, errno: Errno) -> bool {
    if matches!(errno, Errno::EAGAIN | Errno::ENOMEM) {
        count(&storm.counters.refused);
        system::sleep_ms(1);
        return true;
    }
    eprintln!("process {}: fork: {errno:?}", process::getpid());
    count(&storm.counters.crashes);
    false
}

/// Waits for one child, after killing it when it is a victim.
fn part(storm: &Storm<'_>, random: &mut Random, child: Child) -> bool {
    let mut expected = Status::Exited(0);
    if child.victim {
        pause(random);
        expected = Status::Killed(Signal::SIGKILL);
        if let Err(errno) = process::kill(child.pid, Signal::SIGKILL) {
            eprintln!(
                "process {}: kill {}: {errno:?}",
                process::getpid(),
                child.pid
            );
            count(&storm.counters.crashes);
            return false;
        }
        count(&storm.counters.killed);
    }
    match process::wait_for(child.pid) {
        Ok((_, status)) if status == expected => true,
        // It saw a mismatch, which it has counted.
        Ok((_, Status::Exited(1))) => false,
        Ok((_, status)) => {
            eprintln!("process {} ended with {status}, not {expected}", child.pid);
            count(&storm.counters.crashes);
            false
        }
        Err(errno) => {
            eprintln!(
                "process {}: wait for {}: {errno:?}",
                process::getpid(),
                child.pid
            );
            count(&storm.counters.crashes);
            false
        }
    }
}

/// The life of a process that will be killed: writes, and has a child now and then, until then, with some
/// threads of its own where its forker has any. A mismatch does not reach its parent's status,
/// only the counters.
fn suffer(storm: &Storm<'_>, memory: &mut Memory<'_>, random: &mut Random) -> ! {
    let threads = memory.words.threads().min(THREADS_OF_VICTIMS);
    if threads > 0 {
        let area = memory.words.thaw();
        let suffering = || suffer_alone(storm, memory, random);
        // Where there is no memory for threads it goes on without.
        let _ = threads::beside(area, threads, storm.counters, suffering);
    }
    suffer_alone(storm, memory, random)
}

fn suffer_alone(storm: &Storm<'_>, memory: &mut Memory<'_>, random: &mut Random) -> ! {
    loop {
        memory.check(storm.counters, "before it is killed");
        memory.write_some(random);
        if random.below(4) == 0 {
            match bear(storm, memory, random, 0, false) {
                Ok(pid) => {
                    part(storm, random, Child { pid, victim: false });
                }
                Err(errno) => {
                    excuse(storm, errno);
                }
            }
        }
    }
}

/// Lets others run for a moment, now this way and now that.
fn pause(random: &mut Random) {
    match random.below(8) {
        0 => system::sleep_ms(random.below(3)),
        1..4 => process::sched_yield(),
        _ => {
            for _ in 0..random.below(2000) {
                core::hint::spin_loop();
            }
        }
    }
}
