//! This executor, with stats of its tasks and without.

use super::{HOUR, Runtime};
use executor::host::{self, Host};
use executor::sync::{Mutex, Notify, mpsc, oneshot};
use executor::{Executor, JoinHandle};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

#[derive(Clone)]
pub struct Ours<const ACCOUNTS: bool> {
    executor: Arc<Executor<Host>>,
    _threads: Arc<host::Runtime>,
}

pub type Lean = Ours<false>;
pub type Full = Ours<true>;

/// The output of a task that is not aborted.
pub struct Join<T>(JoinHandle<T>);

impl<T> Future for Join<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|output| output.expect("no task of a benchmark is aborted"))
    }
}

pub struct Receiver(oneshot::Receiver<()>);

impl Future for Receiver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(context).map(drop)
    }
}

impl<const ACCOUNTS: bool> Runtime for Ours<ACCOUNTS> {
    const NAME: &'static str = if ACCOUNTS {
        "executor, stats"
    } else {
        "executor"
    };
    type Join<T: Send + 'static> = Join<T>;
    type OneSender = oneshot::Sender<()>;
    type OneReceiver = Receiver;
    type Sender = mpsc::Sender<usize>;
    type Receiver = mpsc::Receiver<usize>;
    type Mutex = Mutex<u64>;
    type Notify = Arc<Notify>;

    fn new(threads: usize) -> Self {
        let runtime = if ACCOUNTS {
            host::Runtime::new(threads)
        } else {
            host::Runtime::lean(threads)
        };
        Self {
            executor: runtime.executor().clone(),
            _threads: Arc::new(runtime),
        }
    }

    fn enter<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        host::block_on(self.spawn(future));
    }

    fn spawn<F>(&self, future: F) -> Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Join(self.executor.spawn("task", future))
    }

    fn spawn_detached<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        self.executor.spawn("task", future).detach();
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        executor::yield_now()
    }

    fn oneshot() -> (Self::OneSender, Self::OneReceiver) {
        let (sender, receiver) = oneshot::channel();
        (sender, Receiver(receiver))
    }

    fn send_one(sender: Self::OneSender) {
        sender.send(()).ok();
    }

    fn receive_one(receiver: Receiver) -> impl Future<Output = ()> + Send + 'static {
        receiver
    }

    fn mpsc(capacity: usize) -> (Self::Sender, Self::Receiver) {
        mpsc::channel(capacity)
    }

    async fn send(sender: &Self::Sender, value: usize) {
        sender.send(value).await.ok();
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<usize> {
        receiver.recv().await
    }

    fn mutex() -> Self::Mutex {
        Mutex::new(0)
    }

    async fn add(mutex: &Self::Mutex) {
        *mutex.lock().await += 1;
    }

    async fn add_slowly(mutex: &Self::Mutex) {
        let mut guard = mutex.lock().await;
        *guard += 1;
        executor::yield_now().await;
    }

    fn timers(&self, count: usize) -> Option<impl Future<Output = ()> + Send + 'static> {
        let executor = self.executor.clone();
        Some(async move {
            for i in 0..count as u64 {
                let mut sleep = std::pin::pin!(executor.sleep(1_000_000_000 + i * 1_000));
                let first = std::future::poll_fn(|context| {
                    Poll::Ready(sleep.as_mut().poll(context).is_ready())
                });
                assert!(!first.await);
            }
        })
    }

    fn sleep(&self) -> Option<impl Future<Output = ()> + Send + 'static> {
        let executor = self.executor.clone();
        Some(async move { executor.sleep(HOUR.as_nanos() as u64).await })
    }

    fn notify() -> Option<Self::Notify> {
        Some(Arc::new(Notify::new()))
    }

    // An `async fn` would keep its argument twice.
    #[allow(clippy::manual_async_fn)]
    fn notified(notify: Self::Notify) -> impl Future<Output = ()> + Send + 'static {
        async move { notify.notified().await }
    }
}
