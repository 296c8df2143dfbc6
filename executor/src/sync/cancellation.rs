//! Telling a tree of tasks to end.

use super::wait_queue::WaitQueue;
use crate::facade::Lock;
use crate::facade::atomic::{AtomicBool, Ordering};
use crate::task::Label;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;

static LABEL: Label = Label("cancellation");

/// A request to end that is made once and seen by all holders of the token, and
/// by the tokens made from it.
///
/// ```
/// # let runtime = executor::host::Runtime::new(2);
/// # let executor = runtime.executor();
/// use executor::sync::CancellationToken;
/// let token = CancellationToken::new();
/// let child = token.child();
/// let task = executor.spawn("task", async move { child.cancelled().await });
/// token.cancel();
/// runtime.block_on(task).unwrap();
/// ```
#[derive(Clone)]
pub struct CancellationToken {
    node: Arc<Node>,
}

struct Node {
    cancelled: AtomicBool,
    waiting: WaitQueue,
    children: Lock<Vec<Weak<Node>>>,
}

impl Node {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            cancelled: AtomicBool::new(false),
            waiting: WaitQueue::labelled(&LABEL),
            children: Lock::new(Vec::new()),
        })
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }
}

impl CancellationToken {
    /// A token that is not cancelled.
    pub fn new() -> Self {
        Self { node: Node::new() }
    }

    /// A token that is cancelled with this one, and may be cancelled alone.
    pub fn child(&self) -> Self {
        let child = Node::new();
        let mut live = Vec::new();
        loop {
            // Memory is found first: nothing is allocated or freed with the
            // lock held.
            let missing = self.node.children.with(|children| {
                if self.node.is_cancelled() {
                    child.cancelled.store(true, Ordering::Release);
                    return 0;
                }
                if children.len() < children.capacity() {
                    children.push(Arc::downgrade(&child));
                    return 0;
                }
                let count = children
                    .iter()
                    .filter(|child| child.strong_count() != 0)
                    .count();
                if live.capacity() < 2 * count + 4 {
                    return 2 * count + 4;
                }
                live.extend(
                    children
                        .iter()
                        .filter(|child| child.strong_count() != 0)
                        .cloned(),
                );
                live.push(Arc::downgrade(&child));
                core::mem::swap(children, &mut live);
                0
            });
            if missing == 0 {
                return Self { node: child };
            }
            live.reserve_exact(missing);
        }
    }

    /// Makes the request.
    pub fn cancel(&self) {
        let mut nodes = Vec::from([Arc::clone(&self.node)]);
        while let Some(node) = nodes.pop() {
            // The flag under the lock: no child is added after the list is
            // taken.
            let children = node.children.with(|children| {
                node.cancelled.store(true, Ordering::Release);
                core::mem::take(children)
            });
            node.waiting.wake_all();
            nodes.extend(children.iter().filter_map(Weak::upgrade));
        }
    }

    /// Has the request been made?
    pub fn is_cancelled(&self) -> bool {
        self.node.is_cancelled()
    }

    /// Waits for the request. Cancellation-safe.
    pub fn cancelled(&self) -> impl Future<Output = ()> + '_ {
        self.node
            .waiting
            .wait_until(|| self.node.is_cancelled().then_some(()))
    }
}

impl Default for CancellationToken {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancellationToken")
            .field("cancelled", &self.is_cancelled())
            .finish()
    }
}
