//! The executor on this machine, and the time slice of user threads (rules E3, E4).
//!
//! The hardware timer of a CPU serves two: the executor's own timers, and the slice of a
//! thread in user mode. It is armed for the earlier of the two when user mode is entered
//! or the CPU halts, and only if it is not armed already for an earlier moment: a thread
//! that comes and goes within its slice costs nothing, and at worst an interrupt finds
//! nothing to do. Each interrupt may have been the timer's, and it may come a little
//! early, so after each the timer counts as not armed.

use super::haltpoll::HaltPoll;
use super::ipi;
use crate::arch::{self, CpuId, PerMachine};
use crate::trace::{self, Kind};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use crossbeam_utils::CachePadded;
use executor::{Executor, Platform, TaskId};

/// How long a thread may stay in user mode while others wait for its CPU.
pub const SLICE: u64 = 10_000_000;
/// How long one poll may take before it is told. A thread in user mode ends its poll with its slice.
const PATIENCE: u64 = 2_000_000_000;
/// No timer.
const NEVER: u64 = u64::MAX;

/// What the layers above do when a CPU changes from one task to another.
pub struct Hooks {
    /// Between two polls, at each of them: serves other CPUs' requests.
    pub between_polls: fn(),
    /// Before a CPU halts: it leaves its address space, and is not interrupted for it (rule M6).
    pub leave_space: fn(),
}

/// The machine as the executor sees it.
pub struct Machine {
    cpus: Vec<CachePadded<Cpu>>,
    hooks: Hooks,
}

/// What each CPU has.
struct Cpu {
    timer: Timer,
    halt_poll: HaltPoll,
}

/// One CPU's timer. Relaxed throughout: but for the last field only that CPU uses it.
struct Timer {
    /// What the hardware is armed for.
    armed: AtomicU64,
    /// What the executor wants to be woken for.
    wanted: AtomicU64,
    /// When the slice of the thread that runs is over.
    slice_end: AtomicU64,
    /// The start of the poll that the watchdog has told of last. Any CPU may.
    told: AtomicU64,
}

static EXECUTOR: PerMachine<Executor<Machine>> = PerMachine::new();

/// Makes the executor. Called once, when there is a heap.
pub fn init(hooks: Hooks) {
    let timer = || Timer {
        armed: AtomicU64::new(NEVER),
        wanted: AtomicU64::new(NEVER),
        slice_end: AtomicU64::new(0),
        told: AtomicU64::new(NEVER),
    };
    let cpu = |_| {
        CachePadded::new(Cpu {
            timer: timer(),
            halt_poll: HaltPoll::new(),
        })
    };
    let cpus = (0..arch::cpu_count()).map(cpu).collect();
    EXECUTOR.init(Executor::fair(Machine { cpus, hooks }, arch::cpu_count()));
}

/// The executor.
pub fn executor() -> &'static Executor<Machine> {
    EXECUTOR.get()
}

/// The set of all CPUs, a bit each.
pub fn all_cpus() -> u64 {
    u64::MAX >> (u64::BITS as usize - arch::cpu_count())
}

/// To be called by a task that is about to enter user mode, at the start of its poll, which
/// was at `now`.
pub fn begin_slice(now: u64) {
    let executor = executor();
    let timer = &executor.platform().here().timer;
    timer.slice_end.store(now + SLICE, Ordering::Relaxed);
    timer.arm_by(now + SLICE);
    executor.share_work();
}

/// To be called after an interrupt that came in user mode. Says whether the thread may go on there:
/// its slice is not over, and nothing else is to be done here. A request of another CPU, which has
/// been served, is no reason to end a poll: meanwhile an idle CPU would take the thread away.
#[must_use]
pub fn may_go_on() -> bool {
    let executor = executor();
    let timer = &executor.platform().here().timer;
    let now = arch::clock();
    let slice_end = timer.slice_end.load(Ordering::Relaxed);
    let is_due = timer.disarm(now);
    let may = !is_due && now < slice_end && !executor.contended();
    if may {
        timer.arm_by(slice_end);
    }
    may
}

/// The CPUs but this one.
fn others() -> impl Iterator<Item = usize> {
    (0..arch::cpu_count()).filter(|&cpu| cpu != arch::cpu().0)
}

/// Says it when a CPU has been in one poll for too long: a task that does not yield in the kernel (rule
/// E4). Each poll is told once.
fn watch(cpu: usize) {
    let Some(task) = executor().running_since(cpu) else {
        return;
    };
    let told = &executor().platform().cpus[cpu].timer.told;
    // Relaxed: at worst two CPUs tell it both.
    if arch::clock().saturating_sub(task.since) > PATIENCE
        && told.swap(task.since, Ordering::Relaxed) != task.since
    {
        log::warn!(
            "cpu{cpu}: task {:?} ({}) has not yielded for 2 s",
            task.id,
            task.name
        );
    }
}

impl Machine {
    fn here(&self) -> &Cpu {
        &self.cpus[arch::cpu().0]
    }
}

impl Timer {
    /// After an interrupt: the hardware counts as not armed. An expired deadline counts as
    /// delivered; kept, it would end every slice at its start until the CPU halts. The executor
    /// looks at its timers before each poll without being reminded. Says whether there was one.
    fn disarm(&self, now: u64) -> bool {
        self.armed.store(NEVER, Ordering::Relaxed);
        let is_due = self.wanted.load(Ordering::Relaxed) <= now;
        if is_due {
            self.wanted.store(NEVER, Ordering::Relaxed);
        }
        is_due
    }

    /// Makes sure that the hardware goes off at `deadline` or when the executor wants it,
    /// whichever comes first.
    fn arm_by(&self, deadline: u64) {
        let deadline = deadline.min(self.wanted.load(Ordering::Relaxed));
        if deadline < self.armed.load(Ordering::Relaxed) {
            self.armed.store(deadline, Ordering::Relaxed);
            arch::set_timer(Some(deadline));
        }
    }
}

// SAFETY: `cpu` names the CPU that it runs on, below `cpu_count`; the kernel is not
// interrupted but in user mode and in `idle`.
unsafe impl Platform for Machine {
    fn cpu(&self) -> usize {
        arch::cpu().0
    }

    fn now(&self) -> u64 {
        arch::clock()
    }

    fn set_timer(&self, deadline: Option<u64>) {
        // The hardware follows when it matters: in `idle` and `begin_slice`.
        self.here()
            .timer
            .wanted
            .store(deadline.unwrap_or(NEVER), Ordering::Relaxed);
    }

    fn wake_cpu(&self, cpu: usize) {
        trace::event(Kind::ReschedIpi, [cpu as u64]);
        ipi::wake_cpu(CpuId(cpu));
    }

    fn preempt(&self, cpu: usize) {
        if cpu == arch::cpu().0 {
            // The thread that is polled here goes on in the kernel, and gives way as soon as it
            // enters user mode.
            let timer = &self.here().timer;
            let now = arch::clock();
            timer.slice_end.store(now, Ordering::Relaxed);
            timer.arm_by(now);
        } else {
            // Ends user mode there: `may_go_on` finds that another task is ready.
            trace::event(Kind::ReschedIpi, [cpu as u64]);
            ipi::wake_cpu(CpuId(cpu));
        }
    }

    fn idle(&self) {
        let Cpu { timer, halt_poll } = self.here();
        let begin = arch::clock();
        if halt_poll.is_due() {
            let end = halt_poll
                .end(begin)
                .min(timer.wanted.load(Ordering::Relaxed));
            trace::event(Kind::IdleBegin, [0]);
            let woken = ipi::poll_until(end);
            trace::event(Kind::IdleEnd, []);
            halt_poll.was_kept(woken);
            if woken {
                return;
            }
            // Rule M6, as in `before_idle`. To leave may drop something that wakes a task here.
            (self.hooks.leave_space)();
            if executor().contended() {
                return;
            }
        }
        // A CPU that halts while others work looks after them now and then (rule E4). When all
        // halt there is nothing to look after, and no timer.
        let watches = others().any(|cpu| executor().running_since(cpu).is_some());
        let look = if watches {
            arch::clock() + PATIENCE
        } else {
            NEVER
        };
        timer.arm_by(look);
        trace::event(Kind::IdleBegin, [1]);
        arch::idle();
        trace::event(Kind::IdleEnd, []);
        let end = arch::clock();
        timer.disarm(end);
        halt_poll.note_halt(end - begin);
        if watches {
            others().for_each(watch);
        }
    }

    fn between_polls(&self) {
        (self.hooks.between_polls)();
    }

    fn before_idle(&self) {
        // Rule M6: a CPU that halts is not woken for a shootdown. One that polls first may soon go
        // on in the same address space.
        if !self.here().halt_poll.consider() {
            (self.hooks.leave_space)();
        }
    }

    fn poll_begins(&self, task: TaskId, name: &'static str) {
        if trace::is_on() {
            let [first, second] = trace::name(name.as_bytes());
            trace::event(Kind::PollBegin, [task.get(), first, second]);
        }
    }

    fn poll_ends(&self) {
        trace::event(Kind::PollEnd, []);
    }

    fn stole(&self, victim: usize, tasks: usize) {
        trace::event(Kind::Steal, [victim as u64, tasks as u64]);
    }
}
