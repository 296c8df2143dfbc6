//! What the platform is told of polls and steals.
#![cfg(not(loom))]

use executor::{Executor, Platform, TaskId, yield_now};
use std::cell::Cell;
use std::sync::{Arc, Mutex};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Begins(TaskId, &'static str),
    Ends,
    Stole(usize, usize),
}

thread_local! {
    static CPU: Cell<usize> = const { Cell::new(0) };
}

/// Two CPUs on one thread; they are never idle.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<(usize, Told)>>>);

impl Notes {
    fn tell(&self, what: Told) {
        self.0.lock().unwrap().push((CPU.get(), what));
    }
}

// SAFETY: one thread plays both CPUs, one after the other.
unsafe impl Platform for Notes {
    fn cpu(&self) -> usize {
        CPU.get()
    }

    fn now(&self) -> u64 {
        0
    }

    fn set_timer(&self, _: Option<u64>) {}

    fn wake_cpu(&self, _: usize) {}

    fn idle(&self) {
        panic!("there is always something to do");
    }

    fn poll_begins(&self, task: TaskId, name: &'static str) {
        self.tell(Told::Begins(task, name));
    }

    fn poll_ends(&self) {
        self.tell(Told::Ends);
    }

    fn stole(&self, victim: usize, tasks: usize) {
        self.tell(Told::Stole(victim, tasks));
    }
}

#[test]
fn each_poll_and_each_steal_is_told() {
    let platform = Notes::default();
    let executor = Executor::new(platform.clone(), 2);
    CPU.set(0);
    let first = executor.spawn("first", yield_now());
    let second = executor.spawn("second", async {});
    let (one, two) = (first.id(), second.id());
    // The one that was spawned first lies where others find it.
    CPU.set(1);
    executor.block_on(async { first.await.unwrap() });
    CPU.set(0);
    executor.block_on(async { second.await.unwrap() });
    let told = std::mem::take(&mut *platform.0.lock().unwrap());
    let first = Told::Begins(one, "first");
    assert_eq!(
        told,
        [
            (1, Told::Stole(0, 1)),
            (1, first),
            (1, Told::Ends),
            (1, first),
            (1, Told::Ends),
            (0, Told::Begins(two, "second")),
            (0, Told::Ends),
        ]
    );
}
