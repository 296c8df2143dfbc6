//! Letting the others go first.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

/// Puts the task at the end of its CPU's queue.
///
/// ```
/// # let runtime = executor::host::Runtime::new(1);
/// runtime.block_on(async {
///     executor::yield_now().await;
/// });
/// ```
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future of [`yield_now`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        // A task that is woken while it runs goes to the end of the queue.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Takes one operation off the task's budget, and yields when that is used up.
///
/// All primitives of this crate do so when they do not have to wait; a loop
/// without any of them may call this.
///
/// ```
/// # let runtime = executor::host::Runtime::new(1);
/// # runtime.block_on(async {
/// for _ in 0..1_000 {
///     executor::spend_budget().await;
/// }
/// # });
/// ```
pub async fn spend_budget() {
    core::future::poll_fn(|context| crate::task::coop::spend(context)).await;
}
