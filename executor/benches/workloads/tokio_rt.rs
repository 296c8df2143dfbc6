//! tokio, multi-thread.

use super::{HOUR, Runtime};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Mutex, Notify, mpsc, oneshot};

#[derive(Clone)]
pub struct Tokio(Arc<tokio::runtime::Runtime>);

pub struct Join<T>(tokio::task::JoinHandle<T>);

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

impl Runtime for Tokio {
    const NAME: &'static str = "tokio";
    type Join<T: Send + 'static> = Join<T>;
    type OneSender = oneshot::Sender<()>;
    type OneReceiver = Receiver;
    type Sender = mpsc::Sender<usize>;
    type Receiver = mpsc::Receiver<usize>;
    type Mutex = Mutex<u64>;
    type Notify = Arc<Notify>;

    fn new(threads: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_time()
            .build()
            .expect("the system gives no threads");
        Self(Arc::new(runtime))
    }

    fn enter<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        self.0.block_on(self.spawn(future));
    }

    fn spawn<F>(&self, future: F) -> Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Join(self.0.spawn(future))
    }

    fn spawn_detached<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        drop(self.0.spawn(future));
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        tokio::task::yield_now()
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
        tokio::task::yield_now().await;
    }

    fn timers(&self, count: usize) -> Option<impl Future<Output = ()> + Send + 'static> {
        Some(async move {
            for i in 0..count as u64 {
                let time = Duration::from_nanos(1_000_000_000 + i * 1_000);
                let mut sleep = std::pin::pin!(tokio::time::sleep(time));
                let first = std::future::poll_fn(|context| {
                    Poll::Ready(sleep.as_mut().poll(context).is_ready())
                });
                assert!(!first.await);
            }
        })
    }

    fn sleep(&self) -> Option<impl Future<Output = ()> + Send + 'static> {
        Some(async move { tokio::time::sleep(HOUR).await })
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
