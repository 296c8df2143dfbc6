//! The waker of a task: a pointer to its header.

use super::header::Header;
use super::state::{Wake, WakeOwned};
use crate::facade::held;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::task::{RawWaker, RawWakerVTable, Waker};

/// One table for all tasks: what depends on the task's types is behind its header.
pub(super) static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop);

/// A waker that holds no reference, for the length of a poll.
///
/// # Safety
///
/// The task outlives the returned value.
pub(super) unsafe fn borrowed(header: NonNull<Header>) -> ManuallyDrop<Waker> {
    // SAFETY: the functions of the table keep the contract of `RawWaker`. The
    // waker is never dropped, so the reference that it does not hold is not
    // given up; clones take their own.
    ManuallyDrop::new(unsafe { Waker::new(header.as_ptr().cast_const().cast(), &VTABLE) })
}

/// Is it the waker of a task?
pub(super) fn is_of_task(waker: &Waker) -> bool {
    core::ptr::eq(waker.vtable(), &VTABLE)
}

/// The task of a waker, if the waker is a task's. The waker keeps it alive.
pub(super) fn task_of(waker: &Waker) -> Option<NonNull<Header>> {
    // The table says that the data is a pointer to a header.
    NonNull::new(waker.data().cast_mut().cast()).filter(|_| is_of_task(waker))
}

/// # Safety
///
/// `data` is that of a waker made in this module.
unsafe fn pointer(data: *const ()) -> NonNull<Header> {
    // SAFETY: it was made from a `NonNull`.
    unsafe { NonNull::new_unchecked(data.cast_mut().cast()) }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker that is cloned keeps the task alive.
    unsafe { pointer(data).as_ref().state.retain() };
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake(data: *const ()) {
    held::assert_none("a wake-up");
    // SAFETY: the waker's reference is given up by the transition, or (when
    // the task is to be submitted) after it: the scheduler is reached through
    // the task, which must not be freed before `submit` returns.
    unsafe {
        let header = pointer(data);
        match header.as_ref().state.wake_owned() {
            WakeOwned::Nothing => {}
            WakeOwned::Submit => {
                (header.as_ref().vtable.submit)(header);
                Header::release(header);
            }
            WakeOwned::Free => (header.as_ref().vtable.free)(header),
        }
    }
}

unsafe fn wake_by_ref(data: *const ()) {
    held::assert_none("a wake-up");
    // SAFETY: the waker is borrowed for this call and keeps the task alive.
    unsafe {
        let header = pointer(data);
        if header.as_ref().state.wake() == Wake::Submit {
            (header.as_ref().vtable.submit)(header);
        }
    }
}

unsafe fn drop(data: *const ()) {
    // SAFETY: the waker's reference ends here.
    unsafe { Header::release(pointer(data)) };
}
