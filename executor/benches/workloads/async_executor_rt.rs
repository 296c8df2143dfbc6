//! smol's `async-executor`, with `async-channel` and `async-lock`.

use super::Runtime;
use async_executor::{Executor, Task};
use async_lock::Mutex;
use std::future::Future;
use std::sync::Arc;

#[derive(Clone)]
pub struct Smol {
    executor: Arc<Executor<'static>>,
    _threads: Arc<Threads>,
}

/// Ends the threads when it is dropped.
struct Threads {
    stop: Option<async_channel::Sender<()>>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop = None;
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

impl Runtime for Smol {
    const NAME: &'static str = "async-executor";
    type Join<T: Send + 'static> = Task<T>;
    type OneSender = async_channel::Sender<()>;
    type OneReceiver = async_channel::Receiver<()>;
    type Sender = async_channel::Sender<usize>;
    type Receiver = async_channel::Receiver<usize>;
    type Mutex = Mutex<u64>;
    type Notify = ();

    fn new(threads: usize) -> Self {
        let executor = Arc::new(Executor::new());
        let (stop, stopped) = async_channel::bounded::<()>(1);
        let threads = (0..threads)
            .map(|_| {
                let (executor, stopped) = (executor.clone(), stopped.clone());
                std::thread::spawn(move || {
                    executor::host::block_on(executor.run(stopped.recv())).ok();
                })
            })
            .collect();
        Self {
            executor,
            _threads: Arc::new(Threads {
                stop: Some(stop),
                threads,
            }),
        }
    }

    fn enter<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        executor::host::block_on(self.executor.spawn(future));
    }

    fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.executor.spawn(future)
    }

    fn spawn_detached<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        self.executor.spawn(future).detach();
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        // Nothing in it is particular to an executor.
        executor::yield_now()
    }

    fn oneshot() -> (Self::OneSender, Self::OneReceiver) {
        async_channel::bounded(1)
    }

    fn send_one(sender: Self::OneSender) {
        sender.try_send(()).ok();
    }

    async fn receive_one(receiver: Self::OneReceiver) {
        receiver.recv().await.ok();
    }

    fn mpsc(capacity: usize) -> (Self::Sender, Self::Receiver) {
        async_channel::bounded(capacity)
    }

    async fn send(sender: &Self::Sender, value: usize) {
        sender.send(value).await.ok();
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<usize> {
        receiver.recv().await.ok()
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

    fn timers(&self, _: usize) -> Option<impl Future<Output = ()> + Send + 'static> {
        // `async-executor` has no timers of its own.
        None::<std::future::Ready<()>>
    }

    fn sleep(&self) -> Option<impl Future<Output = ()> + Send + 'static> {
        None::<std::future::Ready<()>>
    }

    fn notify() -> Option<()> {
        None
    }

    async fn notified((): ()) {}
}
