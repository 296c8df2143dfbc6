//! The seeded scheduler of the simulated machine.
//!
//! Each CPU is a coroutine with a stack of its own, all on one thread of the host. At a
//! [scheduling point](crate::arch::scheduling_point) the CPU may have to stop while others
//! go on: which, when, and what the caches forget and learn meanwhile follows from the
//! seed, so a run repeats itself exactly.
//!
//! Points are at each access to a table, each question which CPU this is (the memory
//! system asks that around all of its atomic steps), each flush, load of CR3 and
//! kick. No spin lock is held across any of these but a CPU's own slot in `active.rs`, so
//! nobody ever spins for a CPU that is stopped.

use super::random::Random;
use super::{Cpu, State, processor, with};
use crate::arch::Access;
use crate::memory::holders;
use core::cell::{Cell, RefCell};
use core::mem;
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::panic::{AssertUnwindSafe, catch_unwind};

type Processor = Coroutine<(), (), ()>;

/// Kernel code without optimization has large frames.
const STACK: usize = 512 << 10;

/// What of the machine belongs to the scheduler.
#[derive(Default)]
pub(super) struct Schedule {
    running: RefCell<Option<Running>>,
    /// How each CPU stops, by number; null while it has not started.
    yielders: RefCell<Vec<*const Yielder<(), ()>>>,
    /// How many tables' entries each CPU has looked at since it did something else.
    scanned: RefCell<Vec<usize>>,
    steps: Cell<u64>,
    broken: RefCell<Option<String>>,
}

struct Running {
    random: Random,
    /// A CPU goes on for this many points on average.
    stretch: usize,
    /// How likely each CPU is chosen; changes now and then, so that one may be stopped
    /// for long.
    weights: Vec<usize>,
    /// Addresses for which the CPUs may fill their caches.
    addresses: Vec<usize>,
    /// A kick arrives at one in so many places where it could.
    lateness: usize,
    steps_left: u64,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Scheduling points passed.
    pub steps: u64,
    /// What was found to be wrong, if anything.
    pub broken: Option<String>,
}

/// Runs one function per CPU to their ends, or until something is broken or `limit`
/// points have passed, which is an error as well.
///
/// `addresses` are those for which the CPUs fill their caches without being asked.
///
/// After an error the machine is of no use any more: CPUs stand where they stood.
pub fn run(seed: u64, addresses: Vec<usize>, limit: u64, cpus: Vec<Box<dyn FnOnce()>>) -> Outcome {
    let mut random = Random::new(seed);
    let running = Running {
        stretch: [1, 1, 2, 4, 16, 64][random.below(6)],
        lateness: [2, 8, 64, 256][random.below(4)],
        random,
        weights: vec![1; cpus.len()],
        addresses,
        steps_left: limit,
    };
    with(|state| {
        *state.schedule.running.borrow_mut() = Some(running);
        *state.schedule.yielders.borrow_mut() = vec![core::ptr::null(); cpus.len()];
        *state.schedule.scanned.borrow_mut() = vec![0; cpus.len()];
    });
    let mut processors: Vec<Option<Processor>> = cpus
        .into_iter()
        .enumerate()
        .map(|(cpu, body)| Some(processor(cpu, body)))
        .collect();
    while processors.iter().any(Option::is_some) && !is_broken() {
        let cpu = with(|state| state.schedule.choose_cpu(&processors));
        with(|state| state.here.set(cpu));
        if let Some(coroutine) = &mut processors[cpu]
            && let CoroutineResult::Return(()) = coroutine.resume(())
        {
            processors[cpu] = None;
        }
    }
    // Not unwound: what they are in the middle of would be done by halves.
    processors.into_iter().for_each(mem::forget);
    with(|state| {
        state.here.set(0);
        *state.schedule.running.borrow_mut() = None;
        Outcome {
            steps: state.schedule.steps.get(),
            broken: state.schedule.broken.take(),
        }
    })
}

fn processor(cpu: usize, body: Box<dyn FnOnce()>) -> Processor {
    let stack = DefaultStack::new(STACK).expect("memory for a stack");
    Coroutine::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| {
        with(|state| state.schedule.yielders.borrow_mut()[cpu] = yielder);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            report(format!("panic: {}", text.unwrap_or_default()));
        }
    })
}

/// Ends the run: something is wrong. The first report counts.
pub fn report(what: String) {
    with(|state| {
        let cpu = state.here.get();
        let at = state.schedule.steps.get();
        state
            .schedule
            .broken
            .borrow_mut()
            .get_or_insert(format!("cpu{cpu}, step {at}: {what}"))
            .clone()
    });
}

fn is_broken() -> bool {
    with(|state| state.schedule.broken.borrow().is_some())
}

/// Scheduling points passed so far.
pub fn steps() -> u64 {
    with(|state| state.schedule.steps.get())
}

/// A number below `n` that follows from the seed; for the workload.
pub fn random(n: usize) -> usize {
    with(|state| {
        let mut running = state.schedule.running.borrow_mut();
        running
            .as_mut()
            .map_or(0, |running| running.random.below(n))
    })
}

/// What a CPU is about to do at a point.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Point {
    /// Something that others may see, or that sees what others did.
    Step,
    /// To look at an entry of a table. Who goes through whole tables does so hundreds of
    /// times on end, and would be there nearly always when others do something; from
    /// [`SCAN`] entries on it stops less often.
    Entry,
    /// Nothing, until others have done something.
    Pause,
}

/// Entries after which a CPU goes through a whole table.
const SCAN: usize = 12;
/// How often it stops then: once in so many entries.
const SCAN_STRETCH: usize = 64;

/// A point at which another CPU may go on.
pub fn point() {
    pass(Point::Step);
}

/// A point before an access to a table.
pub(super) fn point_at_entry() {
    pass(Point::Entry);
}

/// A point at which another CPU goes on, if the seed does not choose this one again.
pub fn pause() {
    pass(Point::Pause);
}

fn pass(point: Point) {
    // Who unwinds is about to end, and must not be stopped half-way.
    if std::thread::panicking() {
        return;
    }
    let stop = with(|state| state.schedule.step(state, point));
    if let Some(yielder) = stop {
        // SAFETY: it was given to the coroutine that runs now, which is on this CPU's stack, and
        // lives until that ends.
        unsafe { (*yielder).suspend(()) };
    }
}

impl Schedule {
    /// Counts a step of this CPU, plays with the caches, and says how to stop, if the CPU
    /// has to.
    fn step(&self, state: &State, point: Point) -> Option<*const Yielder<(), ()>> {
        let mut running = self.running.borrow_mut();
        let running = running.as_mut()?;
        let mut scanned = self.scanned.borrow_mut();
        let scanned = &mut scanned[state.here.get()];
        *scanned = if point == Point::Entry {
            *scanned + 1
        } else {
            0
        };
        if *scanned > SCAN && !running.random.one_in(SCAN_STRETCH) {
            return None;
        }
        self.steps.set(self.steps.get() + 1);
        running.steps_left = running.steps_left.saturating_sub(1);
        if running.steps_left == 0 {
            self.break_off("no end in sight".into());
        }
        self.play(state, running);
        let stop =
            point == Point::Pause || running.random.one_in(running.stretch) || self.is_broken();
        let yielder = self.yielders.borrow()[state.here.get()];
        Some(yielder).filter(|yielder| stop && !yielder.is_null())
    }

    /// What the caches of any CPU may do at any time.
    fn play(&self, state: &State, running: &mut Running) {
        let random = &mut running.random;
        if !random.one_in(4) {
            return;
        }
        let mut cpus = state.cpus.borrow_mut();
        let number = random.below(cpus.len());
        // The first few are those that the programs use most.
        let some = [4, running.addresses.len()][random.below(2)];
        let address = running.addresses.get(random.below(some.max(1)));
        match random.below(8) {
            0 => cpus[number].caches.forget_any(random),
            1 => self.check(number, &cpus[number]),
            _ => {
                if let Some(&address) = address {
                    self.speculate(number, &mut cpus[number], address, random);
                }
            }
        }
    }

    /// Fills the caches for an address that nobody has asked for. A translation that is
    /// there stays.
    fn speculate(&self, number: usize, cpu: &mut Cpu, address: usize, random: &mut Random) {
        if cpu.caches.page(address).is_none() {
            let _ = processor::walk(&mut |n| random.below(n), cpu, address, Access::Read);
        } else if random.one_in(4) {
            self.check(number, cpu);
        }
    }

    /// Rule M2, seen from the machine: whatever a CPU may still use is held by somebody.
    fn check(&self, number: usize, cpu: &Cpu) {
        for frame in cpu.caches.frames() {
            if holders(frame) == 0 {
                self.break_off(format!(
                    "M2: {frame:?} is free, and cpu{number} can still use it"
                ));
            }
        }
    }

    fn break_off(&self, what: String) {
        let at = self.steps.get();
        self.broken
            .borrow_mut()
            .get_or_insert(format!("step {at}: {what}"));
    }

    fn is_broken(&self) -> bool {
        self.broken.borrow().is_some()
    }

    /// A choice for a walk: by the seed, or the last when there is none.
    pub(super) fn choose(&self, n: usize) -> usize {
        match &mut *self.running.borrow_mut() {
            Some(running) => running.random.below(n),
            None => n - 1,
        }
    }

    /// Whether a kick arrives now that may arrive now.
    pub(super) fn kick_arrives(&self) -> bool {
        match &mut *self.running.borrow_mut() {
            Some(running) => running.random.one_in(running.lateness),
            None => true,
        }
    }

    fn choose_cpu(&self, processors: &[Option<Processor>]) -> usize {
        let mut running = self.running.borrow_mut();
        let running = running.as_mut().expect("called by a run only");
        if running.random.one_in(200) {
            for weight in &mut running.weights {
                *weight = 1 << running.random.below(6);
            }
        }
        let weight = |(cpu, slot): (usize, &Option<Processor>)| {
            slot.as_ref().map_or(0, |_| running.weights[cpu])
        };
        let total: usize = processors.iter().enumerate().map(weight).sum();
        let mut at = running.random.below(total);
        for (cpu, slot) in processors.iter().enumerate() {
            let weight = if slot.is_some() {
                running.weights[cpu]
            } else {
                0
            };
            if at < weight {
                return cpu;
            }
            at -= weight;
        }
        unreachable!("the weights add up to the total")
    }
}
