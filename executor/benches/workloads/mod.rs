//! What is measured, and on what: the same work for this executor, tokio and
//! `async-executor`, each with the primitives that belong to it.

mod async_executor_rt;
/// For the table only, like what else Criterion does not use.
#[allow(dead_code)]
mod idle;
mod ours;
mod tokio_rt;

pub use async_executor_rt::Smol;
#[allow(unused_imports)]
pub use idle::Idle;
pub use ours::{Full, Lean};
pub use tokio_rt::Tokio;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Longer than any measurement.
pub const HOUR: Duration = Duration::from_secs(3_600);

/// An executor with its primitives.
pub trait Runtime: Clone + Send + Sync + 'static {
    /// The table has its names in the head, Criterion asks.
    #[allow(dead_code)]
    const NAME: &'static str;
    type Join<T: Send + 'static>: Future<Output = T> + Send;
    type OneSender: Send + 'static;
    type OneReceiver: Send + 'static;
    type Sender: Clone + Send + Sync + 'static;
    type Receiver: Send + 'static;
    type Mutex: Send + Sync + 'static;
    type Notify: Clone + Send + 'static;

    fn new(threads: usize) -> Self;
    /// Runs a future as a task, and waits for it on this thread.
    fn enter<F: Future<Output = ()> + Send + 'static>(&self, future: F);
    fn spawn<F>(&self, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;
    /// Spawns a task that nobody waits for.
    fn spawn_detached<F: Future<Output = ()> + Send + 'static>(&self, future: F);
    fn yield_now() -> impl Future<Output = ()> + Send;
    fn oneshot() -> (Self::OneSender, Self::OneReceiver);
    fn send_one(sender: Self::OneSender);
    fn receive_one(receiver: Self::OneReceiver) -> impl Future<Output = ()> + Send + 'static;
    fn mpsc(capacity: usize) -> (Self::Sender, Self::Receiver);
    fn send(sender: &Self::Sender, value: usize) -> impl Future<Output = ()> + Send;
    fn recv(receiver: &mut Self::Receiver) -> impl Future<Output = Option<usize>> + Send;
    fn mutex() -> Self::Mutex;
    fn add(mutex: &Self::Mutex) -> impl Future<Output = ()> + Send;
    /// Holds the mutex across a yield.
    fn add_slowly(mutex: &Self::Mutex) -> impl Future<Output = ()> + Send;
    /// Inserts a timer and cancels it, so many times. `None`: it has no timers.
    fn timers(&self, count: usize) -> Option<impl Future<Output = ()> + Send + 'static>;
    /// Sleeps for an hour. `None`: as above.
    #[allow(dead_code)]
    fn sleep(&self) -> Option<impl Future<Output = ()> + Send + 'static>;
    /// What many can wait at. `None`: it has nothing of the kind.
    #[allow(dead_code)]
    fn notify() -> Option<Self::Notify>;
    #[allow(dead_code)]
    fn notified(notify: Self::Notify) -> impl Future<Output = ()> + Send + 'static;
}

/// The rows of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    SpawnJoin,
    PingPong,
    Chain,
    YieldStorm,
    FanIn,
    MutexFree,
    MutexContended,
    Timers,
    Latency,
}

impl Workload {
    pub const ALL: [Self; 9] = [
        Self::SpawnJoin,
        Self::PingPong,
        Self::Chain,
        Self::YieldStorm,
        Self::FanIn,
        Self::MutexFree,
        Self::MutexContended,
        Self::Timers,
        Self::Latency,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::SpawnJoin => "spawn + join of 100,000 tasks",
            Self::PingPong => "ping-pong over oneshot, 10,000 rounds",
            Self::Chain => "chain of 10,000 wake-ups",
            Self::YieldStorm => "yield_now, 1,000 tasks x 100",
            Self::FanIn => "mpsc, 8 senders x 10,000 values",
            Self::MutexFree => "Mutex, free, 1,000,000 times",
            Self::MutexContended => "Mutex, contended, 16 tasks x 1,000",
            Self::Timers => "insert + cancel of 1,000,000 timers",
            Self::Latency => "wake-up of an idle worker, 500 times",
        }
    }

    /// Does it once, and says how long that took. `None`: the executor cannot.
    pub fn run<R: Runtime>(self, runtime: &R) -> Option<Duration> {
        let rt = runtime.clone();
        let start = std::time::Instant::now();
        match self {
            Self::SpawnJoin => runtime.enter(async move {
                let tasks: Vec<_> = (0..100_000).map(|i| rt.spawn(async move { i })).collect();
                for task in tasks {
                    std::hint::black_box(task.await);
                }
            }),
            Self::PingPong => runtime.enter(async move {
                for _ in 0..10_000 {
                    let (ping, pinged) = R::oneshot();
                    let (pong, ponged) = R::oneshot();
                    let player = rt.spawn(async move {
                        R::receive_one(pinged).await;
                        R::send_one(pong);
                    });
                    R::send_one(ping);
                    R::receive_one(ponged).await;
                    player.await;
                }
            }),
            Self::Chain => runtime.enter(async move {
                let (first, mut link) = R::oneshot();
                for _ in 0..10_000 {
                    let (sender, receiver) = R::oneshot();
                    let before = std::mem::replace(&mut link, receiver);
                    rt.spawn_detached(async move {
                        R::receive_one(before).await;
                        R::send_one(sender);
                    });
                }
                R::send_one(first);
                R::receive_one(link).await;
            }),
            Self::YieldStorm => runtime.enter(async move {
                let tasks: Vec<_> = (0..1_000)
                    .map(|_| {
                        rt.spawn(async {
                            for _ in 0..100 {
                                R::yield_now().await;
                            }
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await;
                }
            }),
            Self::FanIn => runtime.enter(async move {
                let (sender, mut receiver) = R::mpsc(1_000);
                for _ in 0..8 {
                    let sender = sender.clone();
                    rt.spawn_detached(async move {
                        for i in 0..10_000 {
                            R::send(&sender, i).await;
                        }
                    });
                }
                drop(sender);
                let mut count = 0;
                while R::recv(&mut receiver).await.is_some() {
                    count += 1;
                }
                assert_eq!(count, 80_000);
            }),
            Self::MutexFree => runtime.enter(async move {
                let mutex = R::mutex();
                for _ in 0..1_000_000 {
                    R::add(&mutex).await;
                }
            }),
            Self::MutexContended => runtime.enter(async move {
                let mutex = Arc::new(R::mutex());
                let tasks: Vec<_> = (0..16)
                    .map(|_| {
                        let mutex = mutex.clone();
                        rt.spawn(async move {
                            for _ in 0..1_000 {
                                R::add_slowly(&mutex).await;
                            }
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await;
                }
            }),
            Self::Timers => runtime.enter(rt.timers(1_000_000)?),
            Self::Latency => return Some(latency(runtime)),
        }
        Some(start.elapsed())
    }
}

/// From a thread outside to a task whose worker is halted, and back.
fn latency<R: Runtime>(runtime: &R) -> Duration {
    let mut total = Duration::ZERO;
    for _ in 0..500 {
        let (sender, receiver) = R::oneshot();
        let (done, wait) = std::sync::mpsc::channel();
        runtime.spawn_detached(async move {
            R::receive_one(receiver).await;
            done.send(std::time::Instant::now()).ok();
        });
        // Long enough for the task to wait and its worker to halt.
        std::thread::sleep(Duration::from_micros(200));
        let start = std::time::Instant::now();
        R::send_one(sender);
        if let Ok(end) = wait.recv() {
            total += end - start;
        }
    }
    total
}
