//! A set of tasks that are waited for as they finish.

use crate::platform::Platform;
use crate::scheduler::Executor;
use crate::task::{JoinError, JoinHandle};
use core::fmt;
use core::future::Future;
use core::task::{Context, Poll};
use futures_util::stream::{FuturesUnordered, StreamExt};

/// Tasks that belong together. Dropping the set aborts those that are left.
///
/// ```
/// # let runtime = executor::host::Runtime::new(2);
/// # let executor = runtime.executor();
/// let mut set = executor::JoinSet::new();
/// for i in 0..10 {
///     set.spawn(executor, "square", async move { i * i });
/// }
/// let mut sum = 0;
/// runtime.block_on(async {
///     while let Some(square) = set.join_next().await {
///         sum += square.unwrap();
///     }
/// });
/// assert_eq!(sum, 285);
/// ```
pub struct JoinSet<T> {
    tasks: FuturesUnordered<JoinHandle<T>>,
}

impl<T: Send + 'static> JoinSet<T> {
    /// An empty set.
    pub fn new() -> Self {
        Self {
            tasks: FuturesUnordered::new(),
        }
    }

    /// Starts a task in the set.
    pub fn spawn<P, F>(&mut self, executor: &Executor<P>, name: &'static str, future: F)
    where
        P: Platform,
        F: Future<Output = T> + Send + 'static,
    {
        self.insert(executor.spawn(name, future));
    }

    /// Adds a task that was started otherwise.
    pub fn insert(&mut self, task: JoinHandle<T>) {
        self.tasks.push(task);
    }

    /// Waits for the next task to finish. `None`: the set is empty.
    ///
    /// Cancellation-safe: no task is taken out of the set without being
    /// returned.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.tasks.next().await
    }

    /// As [`join_next`](Self::join_next), for use in a hand-written future.
    pub fn poll_join_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<T, JoinError>>> {
        self.tasks.poll_next_unpin(context)
    }

    /// Asks all tasks to end; they stay in the set until they have.
    pub fn abort_all(&self) {
        for task in &self.tasks {
            task.abort();
        }
    }

    /// Lets all tasks run on by themselves.
    pub fn detach_all(&mut self) {
        self.tasks = FuturesUnordered::new();
    }

    /// Aborts all tasks and waits until they have ended.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// How many tasks have not been joined.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}

impl<T: Send + 'static> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet")
            .field("len", &self.tasks.len())
            .finish()
    }
}
