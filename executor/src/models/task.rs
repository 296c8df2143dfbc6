//! The task cell (rule E2), with a scheduler that is nothing but a list.

use super::{counting, explore};
use crate::facade::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::task::{
    Class, Header, JoinError, JoinHandle, PollOutcome, Runnable, Schedule, TaskSpec, allocate,
};
use core::future::Future;
use core::pin::{Pin, pin};
use core::ptr::NonNull;
use core::task::{Context, Poll, Waker};
use loom::sync::Mutex;
use loom::thread;
use std::collections::VecDeque;
use std::sync::Arc;

/// The scheduler of these models.
#[derive(Clone)]
struct List(Arc<Inner>);

struct Inner {
    ready: Mutex<VecDeque<Runnable>>,
    finished: AtomicUsize,
    /// Cells that have been freed: the task holds a clone of the scheduler.
    guard: Arc<()>,
}

impl List {
    fn new() -> Self {
        Self(Arc::new(Inner {
            ready: Mutex::new(VecDeque::new()),
            finished: AtomicUsize::new(0),
            guard: Arc::new(()),
        }))
    }

    fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        let about = TaskSpec {
            stats: None,
            class: Class::Interactive,
            last_cpu: 0,
        };
        let Ok(header) = allocate(future, self.clone(), about) else {
            panic!("no memory");
        };
        self.0
            .ready
            .lock()
            .unwrap()
            // SAFETY: a new task has one `Runnable` and one join handle.
            .push_back(unsafe { Runnable::new(header) });
        // SAFETY: as above.
        unsafe { JoinHandle::new(header) }
    }

    /// Runs one task, if there is one.
    fn run_one(&self) -> bool {
        let task = self.0.ready.lock().unwrap().pop_front();
        match task.map(|task| task.run(0)) {
            None => return false,
            Some(PollOutcome::Gone(_)) => {}
            Some(PollOutcome::Again(task, _)) => self.submit(task),
        }
        true
    }

    fn run_all(&self) {
        while self.run_one() {}
    }

    /// At the end of each model: all tasks have completed once, and been freed.
    fn assert_all_freed(self, tasks: usize) {
        self.run_all();
        assert_eq!(self.0.finished.load(Ordering::SeqCst), tasks);
        assert_eq!(Arc::strong_count(&self.0), 1, "a task was not freed");
        let _ = &self.0.guard;
    }
}

impl Schedule for List {
    fn submit(&self, task: Runnable) {
        self.0.ready.lock().unwrap().push_back(task);
    }

    unsafe fn finished(&self, _: NonNull<Header>) {
        self.0.finished.fetch_add(1, Ordering::SeqCst);
    }

    fn stamp(&self) -> u64 {
        0
    }
}

/// A flag that a task waits for, the simplest way there is.
struct Flag {
    set: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Flag {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            set: AtomicBool::new(false),
            waker: Mutex::new(None),
        })
    }

    /// Leaves the waker first and looks then, so that a wake-up is lost only if
    /// the cell loses it.
    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        *self.waker.lock().unwrap() = Some(context.waker().clone());
        if self.set.load(Ordering::Relaxed) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// The store is relaxed on purpose: that the next poll sees it is for the
    /// cell to see to.
    fn set(&self, by_ref: bool) {
        self.set.store(true, Ordering::Relaxed);
        let waker = self.waker.lock().unwrap().clone();
        match waker {
            Some(waker) if by_ref => waker.wake_by_ref(),
            Some(waker) => waker.wake(),
            None => {}
        }
        // A cycle: the task holds the flag, and the flag the task.
    }

    fn clear(&self) {
        drop(self.waker.lock().unwrap().take());
    }
}

/// Polls `handle` once.
fn poll_once<T>(handle: &mut JoinHandle<T>, waker: &Waker) -> Poll<Result<T, JoinError>> {
    Pin::new(handle).poll(&mut Context::from_waker(waker))
}

fn wake_against_poll(by_ref: bool) {
    explore(None, move || {
        let list = List::new();
        let flag = Flag::new();
        let handle = {
            let flag = flag.clone();
            list.spawn(core::future::poll_fn(move |context| flag.poll(context)))
        };
        let waker = {
            let flag = flag.clone();
            thread::spawn(move || flag.set(by_ref))
        };
        list.run_all();
        waker.join().unwrap();
        list.run_all();
        assert!(handle.is_finished(), "a wake-up was lost");
        drop(handle);
        flag.clear();
        list.assert_all_freed(1);
    });
}

/// A wake-up that comes while the task is polled is followed by another poll,
/// which sees what was done before the wake-up.
///
/// Fault: `StateWord::pending` returns `Idle` always.
#[test]
fn a_wake_during_a_poll_is_followed_by_a_poll() {
    wake_against_poll(true);
}

/// As above, by a waker that is used up.
///
/// Fault: in `StateWord::wake_owned`, `submit` also looks at `RUNNING` the wrong
/// way: `let submit = old & (SCHEDULED | COMPLETE) == 0` (polled twice at
/// once: the assertion in `StateWord::start`).
#[test]
fn an_owned_wake_during_a_poll_is_followed_by_a_poll() {
    wake_against_poll(false);
}

/// Two wake-ups of a task that waits queue it once.
///
/// Fault: `StateWord::wake` looks at the state first and sets the bit then:
/// `let old = self.word.load(..); self.word.fetch_or(SCHEDULED, ..);`.
#[test]
fn two_wakes_queue_a_task_once() {
    explore(None, || {
        let list = List::new();
        let flag = Flag::new();
        let handle = {
            let flag = flag.clone();
            list.spawn(core::future::poll_fn(move |context| flag.poll(context)))
        };
        list.run_all();
        let threads = [true, false].map(|by_ref| {
            let flag = flag.clone();
            thread::spawn(move || flag.set(by_ref))
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(list.0.ready.lock().unwrap().len(), 1);
        list.run_all();
        assert!(handle.is_finished());
        drop(handle);
        flag.clear();
        list.assert_all_freed(1);
    });
}

/// A wake-up of a task that completes this moment leads to no further poll, and
/// the last reference frees the task, on whatever CPU.
///
/// Fault: `StateWord::wake` does not look at `COMPLETE`:
/// `if old & (SCHEDULED | RUNNING) == 0` (polled after its end).
#[test]
fn a_wake_against_completion_polls_no_more() {
    explore(None, || {
        let list = List::new();
        let slot = Arc::new(Mutex::new(None::<Waker>));
        let handle = {
            let slot = slot.clone();
            list.spawn(core::future::poll_fn(move |context| {
                *slot.lock().unwrap() = Some(context.waker().clone());
                Poll::Ready(())
            }))
        };
        drop(handle);
        let waker = thread::spawn(move || {
            let waker = slot.lock().unwrap().take();
            if let Some(waker) = waker {
                waker.wake_by_ref();
                waker.wake();
            }
        });
        list.run_all();
        waker.join().unwrap();
        list.assert_all_freed(1);
    });
}

/// A task that is aborted while it is polled, or before, or after, is dropped
/// once, and its handle says what has become of it.
///
/// Fault: `StateWord::cancel` sets `CANCELLED` without `SCHEDULED` (it waits for
/// ever).
#[test]
fn an_abort_against_a_poll_ends_the_task() {
    explore(None, || {
        struct Dropped(Arc<AtomicUsize>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let list = List::new();
        let drops = Arc::new(AtomicUsize::new(0));
        let dropped = Dropped(drops.clone());
        let mut handle = list.spawn(async move {
            let _dropped = dropped;
            core::future::pending::<()>().await;
        });
        let abort = handle.abort_handle();
        let aborter = thread::spawn(move || abort.abort());
        list.run_all();
        aborter.join().unwrap();
        list.run_all();
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        let (_, waker) = counting();
        assert!(matches!(
            poll_once(&mut handle, &waker),
            Poll::Ready(Err(JoinError::Cancelled))
        ));
        drop(handle);
        list.assert_all_freed(1);
    });
}

/// A task that waits for one that completes at the same time gets the output or is woken,
/// even if it changes its waker meanwhile.
///
/// Fault: `JoinHandle::enrol` returns `JoinField::Changed` whatever
/// `lend_join_waker` says.
#[test]
fn a_join_against_completion_is_woken() {
    explore(None, || {
        let list = List::new();
        let mut handle = list.spawn(async { 7 });
        let joiner = thread::spawn(move || {
            let ((_, first), (second_count, second)) = (counting(), counting());
            for waker in [&first, &second] {
                if let Poll::Ready(output) = poll_once(&mut handle, waker) {
                    assert_eq!(output.unwrap(), 7);
                    return None;
                }
            }
            Some((handle, second_count, second))
        });
        list.run_all();
        if let Some((mut handle, count, waker)) = joiner.join().unwrap() {
            assert_eq!(count.get(), 1, "the joiner was not woken");
            assert!(matches!(poll_once(&mut handle, &waker), Poll::Ready(Ok(7))));
        }
        list.assert_all_freed(1);
    });
}

/// A task that waits for another one by its own waker, which needs no box, is
/// woken, and both are freed.
///
/// Fault: `Joiner::take` gives a waker for a box only.
#[test]
fn a_task_that_joins_is_woken() {
    explore(None, || {
        let list = List::new();
        let joined = list.spawn(async { 7 });
        let joiner = list.spawn(joined);
        let other = {
            let list = list.clone();
            thread::spawn(move || list.run_all())
        };
        list.run_all();
        other.join().unwrap();
        list.run_all();
        assert!(joiner.is_finished(), "the joiner was not woken");
        drop(joiner);
        list.assert_all_freed(2);
    });
}

/// An output is dropped once, when the handle goes while the task completes.
///
/// Fault: `StateWord::detach` says `DropWaker` whatever the state is (the output
/// is never dropped).
#[test]
fn a_detach_against_completion_drops_the_output_once() {
    explore(None, || {
        struct Output(Arc<AtomicUsize>);
        impl Drop for Output {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let list = List::new();
        let drops = Arc::new(AtomicUsize::new(0));
        let output = Output(drops.clone());
        let keep = Arc::new(Mutex::new(None::<Waker>));
        let mut handle = {
            let keep = keep.clone();
            let mut output = Some(output);
            list.spawn(core::future::poll_fn(move |context| {
                // A waker keeps the cell alive beyond the model's check.
                *keep.lock().unwrap() = Some(context.waker().clone());
                Poll::Ready(output.take())
            }))
        };
        let (_, waker) = counting();
        assert!(poll_once(&mut handle, &waker).is_pending());
        let dropper = thread::spawn(move || drop(handle));
        list.run_all();
        dropper.join().unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        drop(keep.lock().unwrap().take());
        list.assert_all_freed(1);
    });
}

/// The future is dropped before the output is announced: what it held is free
/// when the joiner goes on.
///
/// Fault: `Cell::finish` writes the output over the future without dropping it:
/// `let dropped = Ok(())`.
#[test]
fn a_joiner_finds_the_future_dropped() {
    explore(None, || {
        let list = List::new();
        let held = Arc::new(());
        let inside = held.clone();
        // Held by the future itself, not by a variable of its body.
        let mut handle = list.spawn(core::future::poll_fn(move |_| {
            let _ = &inside;
            Poll::Ready(())
        }));
        let joiner = thread::spawn(move || {
            let (_, waker) = counting();
            let mut polled = pin!(&mut handle);
            if polled
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
            {
                assert_eq!(Arc::strong_count(&held), 1);
            }
        });
        list.run_all();
        joiner.join().unwrap();
        list.assert_all_freed(1);
    });
}
