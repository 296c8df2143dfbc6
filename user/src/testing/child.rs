//! Children of a case, and how they and their parent take turns.

use crate::sys::file::{self, Fd, Pipe};
use crate::sys::process::{self, Pid, Status};
use crate::sys::signal::Signal;
use crate::testing::{Explain, Failure, Verdict};
use crate::{ensure, println};

/// Starts a child that runs `body`. It exits with 0 when that is well, else says why on standard
/// output and exits with 1.
pub fn start(body: impl FnOnce() -> Verdict) -> Result<Pid, Failure> {
    process::spawn(|| match body() {
        Ok(()) => 0,
        Err(failure) => {
            println!("child {}: {failure}", process::getpid());
            1
        }
    })
    .or_fail("fork")
}

/// Waits for a child that must end well.
pub fn finish(pid: Pid) -> Verdict {
    expect_status(pid, Status::Exited(0))
}

/// Waits for a child that must end in just that way.
pub fn expect_status(pid: Pid, expected: Status) -> Verdict {
    let (ended, status) = process::wait_for(pid).or_fail("wait")?;
    ensure!(ended == pid, "waited for {pid}, got {ended}");
    ensure!(
        status == expected,
        "a child ended with {status}, not {expected}"
    );
    Ok(())
}

/// Runs `body` in a child that must end well.
pub fn in_child(body: impl FnOnce() -> Verdict) -> Verdict {
    finish(start(body)?)
}

/// Runs `body` in a child that must be killed by that signal.
pub fn expect_signal(signal: Signal, body: impl FnOnce()) -> Verdict {
    let pid = process::spawn(|| {
        body();
        0
    })
    .or_fail("fork")?;
    expect_status(pid, Status::Killed(signal))
}

/// Runs `body` in a child that must exit with what it returns.
pub fn expect_exit(code: u8, body: impl FnOnce() -> i32) -> Verdict {
    let pid = process::spawn(body).or_fail("fork")?;
    expect_status(pid, Status::Exited(code))
}

/// Numbers from process to process, through a pipe: how they wait for each other.
pub struct Channel(Pipe);

impl Channel {
    pub fn new() -> Result<Self, Failure> {
        Ok(Self(file::pipe().or_fail("pipe")?))
    }

    pub fn send(&self, number: u64) -> Verdict {
        let bytes = number.to_ne_bytes();
        // Less than PIPE_BUF, so it goes in one piece.
        let count = file::write(self.0.write, &bytes).or_fail("write to a channel")?;
        ensure!(count == bytes.len(), "a channel took {count} bytes");
        Ok(())
    }

    /// Waits for the next number.
    pub fn receive(&self) -> Result<u64, Failure> {
        let mut bytes = [0; 8];
        let count = file::read_full(self.0.read, &mut bytes).or_fail("read from a channel")?;
        if count != bytes.len() {
            return Err(Failure::new(format_args!(
                "a channel ended after {count} bytes"
            )));
        }
        Ok(u64::from_ne_bytes(bytes))
    }

    pub fn reader(&self) -> Fd {
        self.0.read
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // Both were open.
        let _ = file::close(self.0.read);
        let _ = file::close(self.0.write);
    }
}
