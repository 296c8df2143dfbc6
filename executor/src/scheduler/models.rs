//! Access to the queues, and tasks to put into them, for the models.

pub(crate) use super::current::Current;
pub(crate) use super::fair_queue::FairQueue;
pub(crate) use super::injector::{Injector, Taken};
pub(crate) use super::parking::{Parking, Unparked};
pub(crate) use super::ring::Ring;
pub(crate) use super::task_list::TaskList;

use crate::facade::atomic::{AtomicUsize, Ordering};
use crate::task::{Class, Header, JoinHandle, Runnable, Schedule, TaskId, TaskSpec, allocate};
use core::ptr::NonNull;
use std::sync::Arc;
use std::vec::Vec;

/// Runs nothing.
struct Nothing;

impl Schedule for Nothing {
    fn submit(&self, _: Runnable) {}
    unsafe fn finished(&self, _: NonNull<Header>) {}
    fn stamp(&self) -> u64 {
        0
    }
}

/// A task that counts how often it is taken out of a queue: it is run then, and
/// a task that is run twice is a failed assertion by itself.
pub(crate) struct Token {
    header: NonNull<Header>,
    taken: Arc<AtomicUsize>,
    _handle: JoinHandle<()>,
}

impl Token {
    pub(crate) fn many(count: usize) -> Vec<Self> {
        (0..count)
            .map(|number| {
                let taken = Arc::new(AtomicUsize::new(0));
                let inner = taken.clone();
                let future = async move {
                    inner.fetch_add(1, Ordering::SeqCst);
                };
                let about = TaskSpec {
                    stats: Some((TaskId(number as u64), "token")),
                    class: Class::Interactive,
                    last_cpu: 0,
                };
                let Ok(header) = allocate(future, Nothing, about) else {
                    panic!("no memory");
                };
                Self {
                    header,
                    taken,
                    // SAFETY: the one join handle of a new task.
                    _handle: unsafe { JoinHandle::new(header) },
                }
            })
            .collect()
    }

    pub(crate) fn header(&self) -> NonNull<Header> {
        self.header
    }

    /// To be called once.
    pub(crate) fn runnable(&self) -> Runnable {
        // SAFETY: the one `Runnable` of a new task.
        unsafe { Runnable::new(self.header) }
    }

    /// Runs a task that came out of a queue, and returns its number.
    pub(crate) fn take(task: Runnable) -> u64 {
        let number = task.id().get();
        let _ = task.run(0);
        number
    }

    pub(crate) fn assert_each_once(tokens: &[Self]) {
        for token in tokens {
            assert_eq!(token.taken.load(Ordering::SeqCst), 1);
        }
    }
}
