//! The seeded scheduler of the simulated machine.
//!
//! Each CPU is a coroutine with a stack of its own, all on one thread of the host. At a
//! [scheduling point](crate::arch::scheduling_point) the CPU may have to stop while others
//! go on: which, when, and what the caches forget and learn meanwhile follows from the
//! seed, so a run repeats itself exactly.
//!
//! Points are at each access to a table, each question which CPU this is (the memory
//! system asks that around all of its atomic steps), each flush, load of CR3 and
//! IPI. No spin lock is held across any of these but a CPU's own slot in `active_cpus.rs`, so
//! no CPU ever spins for one that is stopped.

use super::processor::{Advanced, Walk};
use super::random::Random;
use super::state::{Cpu, State, is_held, with};
use super::stores::Seen;
use crate::arch::frame::Frame;
use crate::arch::interface::Access;
use core::cell::{Cell, RefCell};
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

type Processor = Coroutine<(), (), ()>;

/// Kernel code without optimization has large frames.
const STACK: usize = 512 << 10;

thread_local! {
    /// Stacks of CPUs that have come to their end, for the next run.
    static STACKS: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
    /// What the panic said that ended a CPU.
    static LAST_WORDS: RefCell<String> = const { RefCell::new(String::new()) };
    /// A run is on its way: a panic is a result, and is told as such.
    static RUNS: Cell<bool> = const { Cell::new(false) };
}

/// Has panics in a run kept for its outcome instead of printed.
fn keep_last_words() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if RUNS.get() {
                LAST_WORDS.set(panic.to_string().replace('\n', " "));
            } else {
                print(panic);
            }
        }));
    });
    RUNS.set(true);
}

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
    /// An IPI arrives at one in so many places where it could.
    lateness: usize,
    /// A store reaches memory at one in so many places where it could.
    idleness: usize,
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
    keep_last_words();
    let mut random = Random::new(seed);
    let running = Running {
        stretch: [1, 1, 2, 4, 16, 64][random.below(6)],
        lateness: [2, 8, 64, 256][random.below(4)],
        idleness: [1, 1, 4, 32][random.below(4)],
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
            && let Some(ended) = processors[cpu].take()
        {
            STACKS.with_borrow_mut(|stacks| stacks.push(ended.into_stack()));
        }
    }
    for mut processor in processors.into_iter().flatten() {
        // Not unwound: what it is in the middle of would be done by halves.
        //
        // SAFETY: what is on its stack is left as it is, with the machine, which is of no use any
        // more; nothing reads it again.
        unsafe { processor.force_reset() };
        STACKS.with_borrow_mut(|stacks| stacks.push(processor.into_stack()));
    }
    RUNS.set(false);
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
    let stack = STACKS.with_borrow_mut(Vec::pop);
    let stack = stack.unwrap_or_else(|| DefaultStack::new(STACK).expect("memory for a stack"));
    Coroutine::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| {
        with(|state| state.schedule.yielders.borrow_mut()[cpu] = yielder);
        if catch_unwind(AssertUnwindSafe(body)).is_err() {
            report(LAST_WORDS.take());
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

/// Speculative walks of one CPU at a time.
const WALKERS: usize = 2;

/// What a CPU is about to do at a point.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Point {
    /// Something that others may see, or that sees what others did.
    Step,
    /// To look at an entry of a table. A CPU that goes through whole tables does so hundreds of
    /// times on end, and would be there nearly always when others do something; from
    /// [`SCAN`] entries on it stops less often.
    Entry,
    /// Nothing, until others have done something.
    Pause,
}

/// Entries after which a CPU goes through a whole table.
const SCAN: usize = 24;
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
    // A CPU that unwinds is about to end, and must not be stopped half-way.
    if std::thread::panicking() {
        return;
    }
    let (stop, seen) = with(|state| state.schedule.step(state, point));
    if let Some(seen) = seen {
        seen();
    }
    if let Some(yielder) = stop {
        // SAFETY: it was given to the coroutine that runs now, which is on this CPU's stack, and
        // lives until that ends.
        unsafe { (*yielder).suspend(()) };
    }
}

impl Schedule {
    /// Counts a step of this CPU, plays with all of them, and says how to stop, if this one
    /// has to, and whom to tell of a store.
    fn step(&self, state: &State, point: Point) -> (Option<*const Yielder<(), ()>>, Option<Seen>) {
        let mut running = self.running.borrow_mut();
        let Some(running) = running.as_mut() else {
            return (None, None);
        };
        let mut scanned = self.scanned.borrow_mut();
        let scanned = &mut scanned[state.here.get()];
        *scanned = if point == Point::Entry {
            *scanned + 1
        } else {
            0
        };
        if *scanned > SCAN && !running.random.one_in(SCAN_STRETCH) {
            return (None, None);
        }
        self.steps.set(self.steps.get() + 1);
        running.steps_left = running.steps_left.saturating_sub(1);
        if running.steps_left == 0 {
            self.break_off("no end in sight".into());
        }
        let seen = self.play(state, running);
        let stop =
            point == Point::Pause || running.random.one_in(running.stretch) || self.is_broken();
        let yielder = self.yielders.borrow()[state.here.get()];
        let yielder = Some(yielder).filter(|yielder| stop && !yielder.is_null());
        (yielder, seen)
    }

    /// What any CPU may do at any time: its caches forget, its walkers go on, a store
    /// reaches memory. Gives whom to tell of the latter.
    fn play(&self, state: &State, running: &mut Running) -> Option<Seen> {
        let random = &mut running.random;
        if !random.one_in(3) {
            return None;
        }
        let mut cpus = state.cpus.borrow_mut();
        let number = random.below(cpus.len());
        let cpu = &mut cpus[number];
        match random.below(16) {
            0 => cpu.caches.forget_any(random),
            1 => self.check(number, cpu),
            2..6 => {
                if !random.one_in(running.idleness) {
                    return None;
                }
                let (seen, lost) = cpu.stores.drain_one()?;
                if let Some(frame) = lost {
                    self.break_off(format!(
                        "M2: cpu{number} stores to {frame:?}, which is free"
                    ));
                }
                return Some(seen);
            }
            _ => {
                // The first few are those that the programs use most.
                let some = [4, running.addresses.len()][random.below(2)];
                let address = running.addresses.get(random.below(some.max(1)));
                self.speculate(number, cpu, address.copied(), random);
            }
        }
        None
    }

    /// Speculative walks for an address: one begins, or some go on by some steps. There may be a
    /// translation of the address already.
    fn speculate(&self, number: usize, cpu: &mut Cpu, address: Option<usize>, random: &mut Random) {
        if cpu.walks.len() < WALKERS && random.one_in(4) {
            let known = |address| !cpu.caches.page(cpu.pcid, address).is_empty();
            let address = address.filter(|&address| !known(address) || random.one_in(4));
            let walk = address.and_then(|address| {
                Walk::begin(&mut |n| random.below(n), cpu, address, Access::Read)
            });
            cpu.walks.extend(walk);
        }
        // Mostly several steps, so that many walks end soon.
        while !cpu.walks.is_empty() && !random.one_in(6) {
            let mut walk = cpu.walks.swap_remove(random.below(cpu.walks.len()));
            match walk.advance(&mut |n| random.below(n), cpu) {
                Advanced::On => cpu.walks.push(walk),
                Advanced::Astray(table) => self.can_use(number, table),
                Advanced::Missing | Advanced::Found(_) => {}
            }
        }
    }

    /// Rule M2, seen from the machine: whatever a CPU may still use has a holder.
    fn check(&self, number: usize, cpu: &Cpu) {
        let walked = cpu.walks.iter().map(Walk::table);
        for frame in cpu.caches.frames(cpu.pcid).chain(walked) {
            if !is_held(frame) {
                self.can_use(number, frame);
            }
        }
    }

    fn can_use(&self, number: usize, frame: Frame) {
        self.break_off(format!(
            "M2: {frame:?} is free, and cpu{number} can still use it"
        ));
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

    /// Whether an IPI arrives now that may arrive now.
    pub(super) fn ipi_arrives(&self) -> bool {
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
