//! Waiting for a future outside all tasks, for start-up.

use super::shared::Shared;
use crate::facade::atomic::{AtomicBool, Ordering};
use crate::platform::Platform;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

/// Wakes the CPU that blocks.
struct Signal<P: Platform> {
    shared: Arc<Shared<P>>,
    cpu: usize,
    woken: AtomicBool,
}

impl<P: Platform> Wake for Signal<P> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: the next poll sees what was done before. The fence in
        // `wake_if_parked` comes between this and the look whether the CPU is parked.
        self.woken.store(true, Ordering::Release);
        // A CPU that wakes itself is not halted, or in the interrupt that ends
        // its halt.
        if self.shared.platform.cpu() != self.cpu {
            self.shared.wake_if_parked(self.cpu);
        }
    }
}

impl<P: Platform> Shared<P> {
    /// Runs this CPU's worker until `future` is ready.
    pub(super) fn block_on<F: Future>(self: &Arc<Self>, future: F) -> F::Output {
        let Some((cpu, worker)) = self.here() else {
            panic!("`block_on` was called outside all CPUs of the executor");
        };
        let signal = Arc::new(Signal {
            shared: Arc::clone(self),
            cpu,
            woken: AtomicBool::new(true),
        });
        let waker = Waker::from(Arc::clone(&signal));
        let mut context = Context::from_waker(&waker);
        let mut future = pin!(future);
        let mut now = self.platform.stamp();
        loop {
            if signal.woken.swap(false, Ordering::Acquire)
                && let Poll::Ready(output) = future.as_mut().poll(&mut context)
            {
                return output;
            }
            now = self.step(cpu, worker, now, &|| signal.woken.load(Ordering::Relaxed));
        }
    }
}
