//! Waiting for one of several words (futex_waitv(2)).
//!
//! Each word has its own waiter in the lot. All are enrolled in the order of the list before
//! the call blocks, each with the comparison of its word in one step, as for a single wait; the first that
//! is woken ends the call, and the others leave the lot.

use super::key::{FutexAddress, Key};
use super::{LOT, Unseen, expect};
use crate::arch::Access;
use crate::errno::Errno;
use crate::memory::fallible;
use crate::process::thread::Thread;
use crate::sched;
use crate::wait::{Interrupted, interruptible};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use futures_util::future::{Either, select};

/// A word, and the value that it is expected to have.
#[derive(Clone, Copy)]
pub struct Expected {
    /// The word.
    pub place: FutexAddress,
    /// The value.
    pub value: u32,
}

/// Waits until one of the words is woken, and returns its place in the list; unless one has another
/// value than the expected one.
///
/// # Errors
/// `EAGAIN` when one has, `ETIMEDOUT` at the deadline, `EFAULT`, `ENOMEM`; and when a signal is pending.
pub async fn wait_for_any(
    thread: &Thread,
    words: &[Expected],
    deadline: Option<u64>,
) -> Result<usize, Errno> {
    let space = thread.space();
    loop {
        let mut parks = Vec::new();
        fallible::reserve(&mut parks, words.len())?;
        for &Expected { place, value } in words {
            let key = Key::of(space, place).await?;
            let look = move || expect(space, place.address, value);
            let park = LOT.get().park(key, u32::MAX, look);
            parks.push(Box::into_pin(fallible::boxed(park)?));
        }
        let outcome = {
            let any = poll_fn(|context| {
                for (index, park) in parks.iter_mut().enumerate() {
                    if let Poll::Ready(outcome) = park.as_mut().poll(context) {
                        return Poll::Ready((index, outcome));
                    }
                }
                Poll::Pending
            });
            let waited = async {
                let Some(deadline) = deadline else {
                    return Some(any.await);
                };
                let timer = pin!(sched::executor().sleep_until(deadline));
                match select(any, timer).await {
                    Either::Left((outcome, _)) => Some(outcome),
                    Either::Right(_) => None,
                }
            };
            interruptible(thread, pin!(waited)).await
        };
        let index = match outcome {
            Ok(Some((index, Ok(())))) => return Ok(index),
            Ok(Some((index, Err(_)))) => Some(index),
            Ok(None) | Err(Interrupted) => None,
        };
        // A wake-up that came in between counts.
        for (index, park) in parks.iter_mut().enumerate() {
            if park.as_mut().leave() {
                return Ok(index);
            }
        }
        match (outcome, index.and_then(|index| words.get(index))) {
            (Ok(Some((_, Err(Unseen::NotThere)))), Some(word)) => {
                drop(parks);
                let address = word.place.address;
                space.fault_in_futex_word(address, Access::Read).await?;
            }
            (Ok(Some(_)), _) => return Err(Errno::EAGAIN),
            (Ok(None), _) => return Err(Errno::ETIMEDOUT),
            (Err(interrupted), _) => return Err(interrupted.into()),
        }
    }
}
