//! Waiting for a task, and ending it.

use super::context::waits_for;
use super::header::Header;
use super::join_error::JoinError;
use super::label::{Label, TaskId};
use super::state::{Detached, JoinField, Wake};
use core::fmt;
use core::future::Future;
use core::marker::PhantomData;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};

static LABEL: Label = Label("task");

/// A task's future output.
///
/// Awaiting it gives `Ok(output)`, or [`JoinError`] if the task was aborted.
/// Dropping it detaches the task, which runs on. Cancellation-safe: a handle
/// that was polled and is then polled by another task loses nothing.
///
/// A task that awaits it leaves one word and allocates nothing. A poll with another waker
/// (of `FuturesUnordered`, [`JoinSet`](crate::JoinSet), `block_on`) puts that waker into a
/// box.
#[must_use = "dropping a join handle detaches the task; say so with `detach`"]
pub struct JoinHandle<T> {
    header: NonNull<Header>,
    /// The output has been handed out.
    joined: bool,
    output: PhantomData<T>,
}

// SAFETY: the handle moves the output to the CPU that polls it, hence `T: Send`.
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
        // While the bit is set the completing CPU may take the waker at any time,
        // so the word has to be taken back before it is even read.
        if state.has_join_waker() && state.reclaim_join_waker() == JoinField::Complete {
            return JoinField::Complete;
        }
        let old = joiner.with_mut(|joiner| {
            // SAFETY: the bit is clear, and the completing CPU touches the field
            // only if it finds the bit set.
            let joiner = unsafe { &mut *joiner };
            if joiner.will_wake(context.waker()) {
                return None;
            }
            let old = joiner.take();
            joiner.put(context.waker().clone());
            old
        });
        drop(old);
        state.lend_join_waker()
    }

    /// Gives up the claim to the output.
    fn give_up(&self) {
        let header = self.header();
        match header.state.detach() {
            Detached::DropWaker => {
                let waker = header
                    .joiner
                    // SAFETY: `JOIN_WAKER` is clear and the task has not completed, so the
                    // word is ours.
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
        unsafe { Header::release(self.header) };
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
        unsafe { Header::release(self.header) };
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle").finish_non_exhaustive()
    }
}
