//! The simulated kernel around the memory system: threads as tasks, and on each CPU a
//! loop that polls them, as the executor does.
//!
//! The order is left to the scheduler's seed: which task a CPU takes, when it looks after
//! its requests, when it idles (and leaves its address space), which CPU reclaims.

use super::model::{File, Identity, Model};
use super::plan::{FILES, Plan};
use crate::arch;
use crate::memory::AddressSpace;
use crate::memory::reclaim::reclaimer;
use crate::memory::space::current;
use crate::memory::tlb::shootdown;
use crate::testing::sim::{self, schedule, stores};
use alloc::sync::Arc;
use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll};
use futures_util::FutureExt;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Wake, Waker};

/// A process: an address space, and what its threads must see there.
pub struct Process {
    pub space: Arc<AddressSpace>,
    pub model: Rc<RefCell<Model>>,
    /// All its threads end when they are polled next, wherever they wait.
    pub ending: Cell<bool>,
}

impl Process {
    pub fn new(space: Arc<AddressSpace>, model: Rc<RefCell<Model>>) -> Rc<Process> {
        Rc::new(Process {
            space,
            model,
            ending: Cell::new(false),
        })
    }
}

struct Task {
    process: Rc<Process>,
    future: Pin<Box<dyn Future<Output = ()>>>,
    flag: Arc<Flag>,
}

/// Set when the task has to be polled.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A store that is in some CPU's store buffer.
pub struct Pending {
    pub what: Identity,
    pub value: u64,
}

/// All tasks, and what the threads share apart from memory.
pub struct World {
    pub plan: Plan,
    pub files: Vec<Rc<File>>,
    tasks: RefCell<Vec<Task>>,
    /// Tasks that are not over yet, those included that are being polled.
    alive: Cell<usize>,
    pub operations_done: Cell<usize>,
    next_value: Cell<u64>,
    /// What is in the store buffers, as the model sees it, for each CPU.
    pub pending: RefCell<Vec<VecDeque<Pending>>>,
    /// What has happened, if it is to be told.
    story: Option<RefCell<Vec<String>>>,
}

/// The most threads at a time.
const THREADS: usize = 12;

impl World {
    pub fn new(plan: Plan, tells: bool) -> Rc<World> {
        Rc::new(World {
            files: (0..FILES).map(|_| File::new()).collect(),
            tasks: RefCell::default(),
            alive: Cell::new(0),
            operations_done: Cell::new(0),
            next_value: Cell::new(0x1000),
            pending: RefCell::new((0..plan.cpus).map(|_| VecDeque::new()).collect()),
            story: tells.then(RefCell::default),
            plan,
        })
    }

    /// A value that no thread has written yet.
    pub fn fresh_value(&self) -> u64 {
        self.next_value.set(self.next_value.get() + 1);
        self.next_value.get()
    }

    /// Notes what has happened now.
    pub fn tell(&self, what: impl FnOnce() -> String) {
        if let Some(story) = &self.story {
            let cpu = sim::here();
            let step = schedule::steps();
            let line = format!("{step:>8} cpu{cpu} {}", what());
            story.borrow_mut().push(line);
        }
    }

    /// What has happened, line by line.
    pub fn story(&self) -> Vec<String> {
        self.story
            .as_ref()
            .map_or_else(Vec::new, |story| story.take())
    }

    /// Whether one more thread may start.
    pub fn has_room(&self) -> bool {
        self.alive.get() < THREADS
    }

    /// Adds a thread of the process, which is in its address space whenever it is polled.
    pub fn spawn(&self, process: Rc<Process>, life: impl Future<Output = ()> + 'static) {
        let mut life = Some(Box::pin(life));
        let future = {
            let process = process.clone();
            poll_fn(move |context| {
                current::activate(&process.space);
                if process.ending.get() {
                    // In the middle of whatever it waits for.
                    life = None;
                }
                match &mut life {
                    Some(life) => life.as_mut().poll(context),
                    None => Poll::Ready(()),
                }
            })
        };
        self.alive.set(self.alive.get() + 1);
        self.tasks.borrow_mut().push(Task {
            process,
            future: Box::pin(future),
            flag: Arc::new(Flag(AtomicBool::new(true))),
        });
    }

    /// Ends all threads of the process.
    pub fn end(&self, process: &Rc<Process>) {
        process.ending.set(true);
        for task in &*self.tasks.borrow() {
            if Rc::ptr_eq(&task.process, process) {
                task.flag.0.store(true, Ordering::SeqCst);
            }
        }
    }

    /// Takes some task that wants to be polled.
    fn take_ready(&self) -> Option<Task> {
        let mut tasks = self.tasks.borrow_mut();
        let is_ready = |task: &Task| task.flag.0.load(Ordering::SeqCst);
        let ready = tasks.iter().filter(|task| is_ready(task)).count();
        let nth = schedule::random(ready.max(1));
        let n = (0..tasks.len()).filter(|&n| is_ready(&tasks[n])).nth(nth)?;
        Some(tasks.swap_remove(n))
    }

    /// What a CPU does from start to end.
    pub fn run_cpu(&self) {
        while self.alive.get() != 0 {
            // What the executor does between two polls, or what an interrupt does in user mode.
            if schedule::random(2) == 0 {
                current::serve_between_polls();
            } else {
                shootdown::serve();
            }
            if schedule::random(4) == 0 {
                reclaimer::reclaim_here(1 + schedule::random(8));
            }
            let Some(mut task) = self.take_ready() else {
                // A CPU that halts leaves its address space first (rule M6).
                if schedule::random(4) == 0 {
                    current::leave();
                }
                schedule::pause();
                continue;
            };
            task.flag.0.store(false, Ordering::SeqCst);
            let waker = Waker::from(task.flag.clone());
            let outcome = task.future.as_mut().poll(&mut Context::from_waker(&waker));
            stores::drain();
            match outcome {
                Poll::Ready(()) => {
                    drop(task);
                    self.alive.set(self.alive.get() - 1);
                }
                Poll::Pending => {
                    if task.process.ending.get() {
                        task.flag.0.store(true, Ordering::SeqCst);
                    }
                    self.tasks.borrow_mut().push(task);
                }
            }
            schedule::pause();
        }
        current::leave();
        shootdown::serve();
    }
}

/// Enters the kernel for a call that may wait, while this CPU serves the others.
pub fn drive<T>(future: impl Future<Output = T>) -> T {
    stores::drain();
    let mut future = pin!(future);
    loop {
        if let Some(result) = future.as_mut().now_or_never() {
            return result;
        }
        shootdown::serve();
        schedule::pause();
    }
}

/// Lets the CPU do something else first.
pub async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Drops the future when it has had to wait more than so many times; then there is no
/// result.
pub async fn within<T>(waits: Option<u8>, future: impl Future<Output = T>) -> Option<T> {
    let mut future = Box::pin(future);
    let mut left = waits;
    poll_fn(|context| match (future.as_mut().poll(context), &mut left) {
        (Poll::Ready(value), _) => Poll::Ready(Some(value)),
        (Poll::Pending, Some(0)) => Poll::Ready(None),
        (Poll::Pending, left) => {
            *left = left.map(|left| left - 1);
            Poll::Pending
        }
    })
    .await
}

/// What a CPU does between two instructions of a program: others go on, and an interrupt
/// may arrive, for a request or at the end of the time slice.
pub async fn between_instructions() {
    schedule::point();
    let slice_over = schedule::random(60) == 0;
    if sim::interrupt_arrives(sim::here()) || slice_over {
        stores::drain();
        shootdown::serve();
        yield_once().await;
    }
}

/// Whether this CPU has been asked for something and has not looked yet.
pub fn is_asked() -> bool {
    shootdown::has_requests(arch::cpu().0)
}
