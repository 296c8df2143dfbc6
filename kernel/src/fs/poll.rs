//! Waiting for one of several files to be ready (poll(2)).
//!
//! Each file on which a call can wait has a separate queue for pollers, so that they never consume a
//! wake-up that was meant for a reader or writer.

use super::file::OpenFile;
use crate::errno::Errno;
use crate::memory::fallible;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::Poll;
use linux_raw_sys::general as abi;

/// What poll(2) reports whether it was asked for or not.
pub const ALWAYS: u32 = abi::POLLERR | abi::POLLHUP | abi::POLLNVAL;

/// A file, and the `POLL*` bits that are waited for.
pub struct Interest {
    /// The file.
    pub file: Arc<OpenFile>,
    /// The bits. `poll(2)` adds [`ALWAYS`].
    pub events: u32,
}

impl Interest {
    /// Those of the events that are there now.
    pub fn ready(&self) -> u32 {
        self.file.ready() & self.events
    }
}

/// Waits until one of the files is ready; for ever if none can become so.
pub async fn any_ready(interests: &[Interest]) -> Result<(), Errno> {
    let mut waits: Vec<Pin<Box<dyn Future<Output = ()> + Send + '_>>> = Vec::new();
    waits
        .try_reserve_exact(interests.len())
        .map_err(|_| Errno::ENOMEM)?;
    for interest in interests {
        if interest.file.can_change() {
            let wait = fallible::boxed(interest.file.wait_ready(interest.events))?;
            waits.push(Box::into_pin(
                wait as Box<dyn Future<Output = ()> + Send + '_>,
            ));
        }
    }
    poll_fn(|context| {
        let ready = waits
            .iter_mut()
            .any(|wait| wait.as_mut().poll(context).is_ready());
        if ready {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    Ok(())
}
