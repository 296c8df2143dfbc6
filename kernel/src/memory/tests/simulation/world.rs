//! The simulated kernel around the memory system: threads as tasks, and on each CPU a
//! loop that polls them, as the executor does.
//!
//! The order is left to the scheduler's seed: which task a CPU takes, when it looks after
//! its requests, when it idles (and leaves its address space), who reclaims.

use super::super::super::{AddressSpace, active, reclaim, shootdown};
use super::model::Model;
use crate::arch;
use crate::arch::sim::{self, schedule};
use alloc::sync::Arc;
use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll};
use std::rc::Rc;
use std::task::{Wake, Waker};

/// A process: an address space, and what its threads must see there.
pub struct Process {
    pub space: Arc<AddressSpace>,
    pub model: Rc<RefCell<Model>>,
}

struct Task {
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

/// All tasks, and what the threads share apart from memory.
pub struct World {
    tasks: RefCell<Vec<Task>>,
    /// Tasks that are not over yet, those included that are being polled.
    pub alive: Cell<usize>,
    /// Operations that the threads may still do.
    pub operations_left: Cell<usize>,
    pub operations_done: Cell<usize>,
    next_value: Cell<u64>,
    /// Of 100 new tasks so many are threads of a process that is there, the others are
    /// children.
    pub threads: usize,
    /// Operations after which a child ends: few, and one process with many threads shares
    /// its memory again and again.
    pub childhood: usize,
}

impl World {
    pub fn new(operations: usize, threads: usize, childhood: usize) -> Rc<World> {
        Rc::new(World {
            tasks: RefCell::default(),
            alive: Cell::new(0),
            operations_left: Cell::new(operations),
            operations_done: Cell::new(0),
            next_value: Cell::new(0x1000),
            threads,
            childhood,
        })
    }

    /// A value that nobody has written yet.
    pub fn fresh_value(&self) -> u64 {
        self.next_value.set(self.next_value.get() + 1);
        self.next_value.get()
    }

    /// Says whether there is something left to do, and takes one off.
    pub fn take_operation(&self) -> bool {
        let left = self.operations_left.get();
        self.operations_left.set(left.saturating_sub(1));
        self.operations_done
            .set(self.operations_done.get() + usize::from(left != 0));
        left != 0
    }

    /// Adds a thread of the process, which is in its address space whenever it is polled.
    pub fn spawn(&self, process: Rc<Process>, life: impl Future<Output = ()> + 'static) {
        let mut life = Box::pin(life);
        let future = poll_fn(move |context| {
            active::activate(&process.space);
            life.as_mut().poll(context)
        });
        self.alive.set(self.alive.get() + 1);
        self.tasks.borrow_mut().push(Task {
            future: Box::pin(future),
            flag: Arc::new(Flag(AtomicBool::new(true))),
        });
    }

    /// Takes some task that wants to be polled.
    fn take_ready(&self) -> Option<Task> {
        let mut tasks = self.tasks.borrow_mut();
        let ready: Vec<usize> = (0..tasks.len())
            .filter(|&n| tasks[n].flag.0.load(Ordering::SeqCst))
            .collect();
        let n = *ready.get(schedule::random(ready.len().max(1)))?;
        Some(tasks.swap_remove(n))
    }

    /// What a CPU does from start to end.
    pub fn run_cpu(&self) {
        while self.alive.get() != 0 {
            // What the executor does between two polls.
            shootdown::serve();
            if schedule::random(4) == 0 {
                reclaim::help(1 + schedule::random(8));
            }
            let Some(mut task) = self.take_ready() else {
                // A CPU that halts leaves its address space first (rule M6).
                if schedule::random(4) == 0 {
                    active::leave();
                }
                schedule::pause();
                continue;
            };
            task.flag.0.store(false, Ordering::SeqCst);
            let waker = Waker::from(task.flag.clone());
            match task.future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(()) => {
                    drop(task);
                    self.alive.set(self.alive.get() - 1);
                }
                Poll::Pending => self.tasks.borrow_mut().push(task),
            }
            schedule::pause();
        }
        active::leave();
        shootdown::serve();
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

/// What a CPU does between two instructions of a program: others go on, and an interrupt
/// may arrive, for a request or at the end of the time slice.
pub async fn between_instructions() {
    schedule::point();
    let slice_over = schedule::random(60) == 0;
    if sim::interrupt_arrives(arch::cpu().0) || slice_over {
        shootdown::serve();
        yield_once().await;
    }
}
