//! Waiting for a child with a limit of time.

use crate::sys::process::{self, Pid, Status};
use crate::sys::signal::Signal;
use crate::sys::{Result, system};

/// Waits for a child; nothing if its time was up and it had to be killed.
pub fn watch(pid: Pid, nanoseconds: u64) -> Result<Option<Status>> {
    let deadline = system::now() + nanoseconds;
    let mut nap = 100_000;
    loop {
        if let Some((_, status)) = process::try_wait(pid)? {
            return Ok(Some(status));
        }
        if system::now() > deadline {
            process::kill(pid, Signal::SIGKILL)?;
            process::wait_for(pid)?;
            return Ok(None);
        }
        system::sleep(nap)?;
        nap = (nap * 2).min(10_000_000);
    }
}
