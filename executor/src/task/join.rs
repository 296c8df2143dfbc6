//! Waiting for a task, and ending it.

use super::cell::release;
use super::context::{Label, waits_for};
use super::header::Header;
use super::joiner::Joiner;
use super::state::{Detached, JoinField, Wake};
use super::stats::TaskId;
use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};

static LABEL: Label = Label("task");

/// Why a task has no output.
pub enum JoinError {
    /// It was aborted, or the executor was shut down.
    Cancelled,
    /// It panicked; this is what it panicked with.
    #[cfg(feature = "std")]
    Panicked(alloc::boxed::Box<dyn core::any::Any + Send + 'static>),
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("Cancelled"),
            #[cfg(feature = "std")]
            Self::Panicked(payload) => {
                let message = payload
                    .downcast_ref::<&str>()
                    .copied()
                    .or_else(|| {
                        payload
                            .downcast_ref::<alloc::string::String>()
                            .map(|s| s.as_str())
                    })
                    .unwrap_or("(not a string)");
                f.debug_tuple("Panicked").field(&message).finish()
            }
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("the task was cancelled"),
            #[cfg(feature = "std")]
            Self::Panicked(_) => f.write_str("the task panicked"),
        }
    }
}

impl core::error::Error for JoinError {}

/// A task's future output.
///
/// Awaiting it gives `Ok(output)`, or [`JoinError`] if the task was aborted.
/// Dropping it detaches the task, which runs on. Cancellation-safe: a handle
/// that was polled and is polled again by somebody else loses nothing.
///
/// A task that awaits it leaves a word. What polls it with a waker of its own
/// (`FuturesUnordered`, [`JoinSet`](crate::JoinSet), `block_on`) has that put
/// into a box.
#[must_use = "dropping a join handle detaches the task; say so with `detach`"]
pub struct JoinHandle<T> {
    header: NonNull<Header>,
    /// The output has been handed out.
    joined: bool,
    output: PhantomData<T>,
}

// SAFETY: the handle moves the output to whoever holds it, hence `T: Send`.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: a shared handle only looks at the state word and aborts.
unsafe impl<T: Send> Sync for JoinHandle<T> {}
impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// # Safety
    ///
    /// `header` is of a task whose output is `Result<T, JoinError>`, and the
    /// join handle's reference passes to the returned value.
    pub(crate) unsafe fn new(header: NonNull<Header>) -> Self {
        Self {
            header,
            joined: false,
            output: PhantomData,
        }
    }

    fn header(&self) -> &Header {
        // SAFETY: the handle's reference keeps the task alive.
        unsafe { self.header.as_ref() }
    }

    /// Leaves the waker with the task, unless that has completed.
    fn enrol(&self, context: &Context<'_>) -> JoinField {
        let Header { state, joiner, .. } = self.header();
        // While the bit is set the completer may take the waker at any time,
        // so even looking at it needs the field back first.
        if state.has_join_waker() && state.reclaim_join_waker() == JoinField::Complete {
            return JoinField::Complete;
        }
        joiner.with_mut(|joiner| {
            // SAFETY: the bit is clear, and the completer touches the field
            // only if it finds the bit set.
            let joiner = unsafe { &mut *joiner };
            if !joiner.will_wake(context.waker()) {
                *joiner = Joiner::new(context.waker().clone());
            }
        });
        state.lend_join_waker()
    }

    /// Nobody will ask for the output.
    fn give_up(&self) {
        let header = self.header();
        match header.state.detach() {
            Detached::DropWaker => {
                let waker = header
                    .joiner
                    // SAFETY: the task goes on without `JOIN_WAKER`: the field
                    // is ours.
                    .with_mut(|joiner| unsafe { (*joiner).take() });
                drop(waker);
            }
            // SAFETY: the task is complete and the output was ours.
            Detached::DropOutput => unsafe { (header.vtable.drop_output)(self.header) },
        }
    }

    /// The task's number.
    pub fn id(&self) -> TaskId {
        // SAFETY: the handle's reference keeps the task alive; the pointer is as `allocate`
        // made it.
        unsafe { Header::id(self.header) }
    }

    /// The task's name; empty in an executor without stats (feature `lean`).
    pub fn name(&self) -> &'static str {
        // SAFETY: as above.
        unsafe { Header::name(self.header) }
    }

    /// Has the task finished? If so, awaiting the handle does not wait.
    pub fn is_finished(&self) -> bool {
        self.header().state.is_complete()
    }

    /// Asks the task to end: its future is dropped at its next await, by the
    /// CPU that would have polled it. The handle then gives
    /// [`JoinError::Cancelled`], unless the task finishes before.
    pub fn abort(&self) {
        abort(self.header);
    }

    /// A handle that can only abort.
    pub fn abort_handle(&self) -> AbortHandle {
        self.header().state.retain();
        AbortHandle {
            header: self.header,
        }
    }

    /// Lets the task run on by itself.
    pub fn detach(self) {}
}

fn abort(header: NonNull<Header>) {
    // SAFETY: the caller's handle keeps the task alive.
    unsafe {
        if header.as_ref().state.cancel() == Wake::Submit {
            (header.as_ref().vtable.submit)(header);
        }
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(!self.joined, "a join handle was polled after its end");
        let header = self.header();
        let state = &header.state;
        if !state.is_complete() && self.enrol(context) == JoinField::Changed {
            waits_for(context, &LABEL);
            return Poll::Pending;
        }
        let mut output = Poll::Pending;
        // SAFETY: the task is complete and `JOIN_INTEREST` is ours, so the
        // stage is ours; the destination has the type of this task's output.
        unsafe { (header.vtable.take_output)(self.header, (&raw mut output).cast()) };
        self.joined = true;
        output
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if !self.joined {
            self.give_up();
        }
        // SAFETY: the handle's reference ends here.
        unsafe { release(self.header) };
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("state", &self.header().state)
            .finish()
    }
}

/// A handle that aborts a task and does not wait for it.
pub struct AbortHandle {
    header: NonNull<Header>,
}

// SAFETY: it only changes the state word and may submit the task.
unsafe impl Send for AbortHandle {}
// SAFETY: as above.
unsafe impl Sync for AbortHandle {}

impl AbortHandle {
    /// As [`JoinHandle::abort`].
    pub fn abort(&self) {
        abort(self.header);
    }

    /// As [`JoinHandle::is_finished`].
    pub fn is_finished(&self) -> bool {
        // SAFETY: the handle's reference keeps the task alive.
        unsafe { self.header.as_ref() }.state.is_complete()
    }
}

impl Clone for AbortHandle {
    fn clone(&self) -> Self {
        // SAFETY: the handle's reference keeps the task alive.
        unsafe { self.header.as_ref() }.state.retain();
        Self {
            header: self.header,
        }
    }
}

impl Drop for AbortHandle {
    fn drop(&mut self) {
        // SAFETY: the handle's reference ends here.
        unsafe { release(self.header) };
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle").finish_non_exhaustive()
    }
}
