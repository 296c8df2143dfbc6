//! CPUs that are host threads (feature `std`): for tests, examples and
//! benchmarks.

use crate::{Executor, Platform};
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll};
use std::boxed::Box;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Wake, Waker};
use std::thread::{self, JoinHandle as ThreadHandle, Thread};
use std::time::{Duration, Instant};
use std::vec::Vec;

/// The numbers of the platforms of this process, so that a worker thread of
/// one executor is no CPU of another.
static PLATFORMS: AtomicU64 = AtomicU64::new(1);

std::thread_local! {
    /// Which CPU of which platform this thread is. Platform 0 is none.
    static SELF: Cell<(u64, usize)> = const { Cell::new((0, usize::MAX)) };
}

/// Panics if this thread holds a spin lock of this crate (rule E1), in a debug build: to be
/// called by a test's global allocator, for instance. `what` is being done.
pub fn assert_no_lock_held(what: &str) {
    crate::facade::held::assert_none(what);
}

/// A [`Platform`] whose CPUs are threads.
#[derive(Debug)]
pub struct Host {
    number: u64,
    start: Instant,
    timed: bool,
    cpus: Box<[Cpu]>,
}

#[derive(Debug, Default)]
struct Cpu {
    thread: OnceLock<Thread>,
    /// What the thread's "hardware" timer is armed for; `u64::MAX` if it is
    /// off. Only the thread itself uses it.
    deadline: AtomicU64,
}

impl Host {
    fn new(cpus: usize, timed: bool) -> Self {
        Self {
            number: PLATFORMS.fetch_add(1, Ordering::Relaxed),
            start: Instant::now(),
            timed,
            cpus: (0..cpus)
                .map(|_| Cpu {
                    thread: OnceLock::new(),
                    deadline: AtomicU64::new(u64::MAX),
                })
                .collect(),
        }
    }

    /// Makes this thread the given CPU, for good.
    fn enter(&self, cpu: usize) {
        let first = self
            .cpus
            .get(cpu)
            .is_some_and(|cpu| cpu.thread.set(thread::current()).is_ok());
        assert!(first, "CPU {cpu} does not exist or has a thread already");
        SELF.set((self.number, cpu));
    }

    fn own(&self) -> Option<&Cpu> {
        self.cpus.get(self.cpu())
    }
}

// SAFETY: a thread becomes a CPU in `enter`, once, and a CPU gets one thread.
// There are no interrupts.
unsafe impl Platform for Host {
    #[inline]
    fn cpu(&self) -> usize {
        match SELF.get() {
            (number, cpu) if number == self.number => cpu,
            _ => usize::MAX,
        }
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn stamp(&self) -> u64 {
        if self.timed { self.now() } else { 0 }
    }

    fn set_timer(&self, deadline: Option<u64>) {
        if let Some(cpu) = self.own() {
            cpu.deadline
                .store(deadline.unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    fn wake_cpu(&self, cpu: usize) {
        if let Some(thread) = self.cpus.get(cpu).and_then(|cpu| cpu.thread.get()) {
            thread.unpark();
        }
    }

    fn idle(&self) {
        // A wake-up that came before is a token that ends the park at once.
        match self.own().map(|cpu| cpu.deadline.load(Ordering::Relaxed)) {
            None | Some(u64::MAX) => thread::park(),
            Some(deadline) => {
                let left = deadline.saturating_sub(self.now());
                if left != 0 {
                    thread::park_timeout(Duration::from_nanos(left));
                }
            }
        }
    }
}

/// An executor with its threads. Dropping it shuts the executor down and waits
/// for the threads.
#[derive(Debug)]
pub struct Runtime {
    executor: Arc<Executor<Host>>,
    threads: Vec<ThreadHandle<()>>,
}

impl Runtime {
    /// Starts `cpus` threads.
    ///
    /// # Panics
    ///
    /// If `cpus` is 0, or the system gives no threads.
    pub fn new(cpus: usize) -> Self {
        Self::start(Executor::new(Host::new(cpus, false), cpus))
    }

    /// As [`new`](Self::new), and the task statistics have the time busy: two looks at
    /// the clock per poll.
    pub fn timed(cpus: usize) -> Self {
        Self::start(Executor::new(Host::new(cpus, true), cpus))
    }

    /// As [`timed`](Self::timed), and CPU time is shared: see [`Executor::fair`].
    pub fn fair(cpus: usize) -> Self {
        Self::start(Executor::fair(Host::new(cpus, true), cpus))
    }

    /// As [`new`](Self::new), without task statistics: see [`Executor::lean`].
    #[cfg(feature = "lean")]
    pub fn lean(cpus: usize) -> Self {
        Self::start(Executor::lean(Host::new(cpus, false), cpus))
    }

    fn start(executor: Executor<Host>) -> Self {
        let executor = Arc::new(executor);
        let threads = (0..executor.cpus())
            .map(|cpu| {
                let executor = Arc::clone(&executor);
                thread::Builder::new()
                    .name(std::format!("cpu{cpu}"))
                    .spawn(move || {
                        executor.platform().enter(cpu);
                        executor.run();
                    })
                    .expect("the system gives no thread")
            })
            .collect();
        Self { executor, threads }
    }

    /// The executor.
    pub fn executor(&self) -> &Arc<Executor<Host>> {
        &self.executor
    }

    /// Runs `future` on this thread, which is no CPU, until it is ready.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        block_on(future)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.executor.shutdown();
        for thread in self.threads.drain(..) {
            let failed = thread.join().is_err();
            assert!(
                !failed || thread::panicking(),
                "a thread of the runtime panicked"
            );
        }
    }
}

/// Wakes a thread that is in [`block_on`].
struct Parked {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

/// Runs `future` on this thread until it is ready.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let parked = Arc::new(Parked {
        thread: thread::current(),
        woken: AtomicBool::new(true),
    });
    let waker = Waker::from(Arc::clone(&parked));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if parked.woken.swap(false, Ordering::AcqRel) {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
        } else {
            thread::park();
        }
    }
}
