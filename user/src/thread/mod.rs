//! Threads that may use what their maker has on its stack, as with `std::thread::scope`.
//!
//! ```text
//! thread::scope(|scope| {
//!     let other = scope.spawn(|| 6 * 7)?;
//!     Ok(other.join())
//! })
//! ```
//!
//! All that a thread needs besides its closure's borrows is in one mapping: its stack, and above
//! that a packet with the closure, the result, and the number that the kernel clears when the
//! thread has ended. Nothing of it is on the heap.
//!
//! A scope ends when its threads have ended; then their memory is given back. That also holds when
//! the closure that was given to `scope` returns early.

mod stack;

use core::cell::{Cell, UnsafeCell};
use core::marker::PhantomData;
use core::mem::align_of;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU32, Ordering};

use crate::sync::wait_while;
use crate::sys::process::Pid;
use crate::sys::{Result, thread};
use stack::Stack;

/// What the scope has to know of each of its threads.
struct Header {
    /// Zero when the thread has ended: cleared and woken by the kernel.
    tid: AtomicU32,
    stack: Stack,
    /// The thread that was started before this one.
    next: Option<NonNull<Header>>,
}

impl Header {
    fn wait(&self) {
        loop {
            // Acquire: the thread's last writes come before its end, which the kernel marks here.
            match self.tid.load(Ordering::Acquire) {
                0 => return,
                tid => wait_while(&self.tid, tid),
            }
        }
    }
}

/// The contents of a thread's memory above its stack.
struct Packet<F, T> {
    header: Header,
    closure: UnsafeCell<Option<F>>,
    result: UnsafeCell<Option<T>>,
}

/// Where threads are started. `'scope` is the time until they have all ended, `'env` the life of
/// what they may borrow.
pub struct Scope<'scope, 'env: 'scope> {
    last: Cell<Option<NonNull<Header>>>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// Calls `body`, which may start threads, and waits for all of those.
pub fn scope<'env, R>(body: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R) -> R {
    let scope = Scope {
        last: Cell::new(None),
        scope: PhantomData,
        env: PhantomData,
    };
    let result = body(&scope);
    let mut next = scope.last.get();
    while let Some(header) = next {
        // SAFETY: the headers on the chain are there until this loop unmaps them.
        let header = unsafe { header.as_ref() };
        header.wait();
        next = header.next;
        // SAFETY: the thread has ended, and no `Running` of this scope is left.
        unsafe { header.stack.unmap() };
    }
    result
}

impl<'scope> Scope<'scope, '_> {
    /// Starts a thread.
    pub fn spawn<F, T>(&'scope self, closure: F) -> Result<Running<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        const { assert!(size_of::<Packet<F, T>>() <= Stack::SIZE / 4) };
        let stack = Stack::map()?;
        let packet = (stack.top() - size_of::<Packet<F, T>>()) & !(align_of::<Packet<F, T>>() - 1);
        let place = packet as *mut Packet<F, T>;
        // SAFETY: fresh memory, large enough (see the assertion), and aligned.
        let packet = unsafe {
            place.write(Packet {
                header: Header {
                    // Some number until the kernel has stored the right one.
                    tid: AtomicU32::new(u32::MAX),
                    stack,
                    next: self.last.get(),
                },
                closure: UnsafeCell::new(Some(closure)),
                result: UnsafeCell::new(None),
            });
            &*place
        };
        let stack_top = place as usize & !15;
        // SAFETY: the stack is below the packet and aligned. Both stay until the thread has ended:
        // the scope waits for it. `run` gets the packet that it expects.
        let started = unsafe {
            let tid = &raw const packet.header.tid;
            thread::start(stack_top, run::<F, T>, place as usize, tid)
        };
        match started {
            Ok(tid) => {
                self.last.set(Some(NonNull::from(&packet.header)));
                Ok(Running {
                    tid,
                    header: &packet.header,
                    result: &packet.result,
                })
            }
            Err(errno) => {
                // SAFETY: no thread was made, so both are ours; the closure goes.
                unsafe {
                    ptr::drop_in_place(place);
                    stack.unmap();
                }
                Err(errno)
            }
        }
    }
}

/// A thread's own beginning and end.
extern "C" fn run<F: FnOnce() -> T, T>(packet: usize) -> ! {
    // SAFETY: `spawn` passed a packet of these types, which stays until this thread has ended.
    let packet = unsafe { &*(packet as *const Packet<F, T>) };
    // SAFETY: only this thread looks at the closure, and others at the result only when it ended.
    unsafe {
        if let Some(closure) = (*packet.closure.get()).take() {
            *packet.result.get() = Some(closure());
        }
    }
    thread::exit(0)
}

/// A thread that was started. A result that is not joined for is dropped.
pub struct Running<'scope, T> {
    tid: Pid,
    header: &'scope Header,
    result: &'scope UnsafeCell<Option<T>>,
}

impl<T> Running<'_, T> {
    /// Its number.
    pub fn tid(&self) -> Pid {
        self.tid
    }

    pub fn has_ended(&self) -> bool {
        self.header.tid.load(Ordering::Acquire) == 0
    }

    /// Waits for its end and returns its result; nothing when it called [`thread::exit`] instead
    /// of returning one.
    pub fn join(self) -> Option<T> {
        self.header.wait();
        // SAFETY: the thread has ended, and the scope has not: the packet is there and no other code
        // uses it.
        unsafe { (*self.result.get()).take() }
    }
}
