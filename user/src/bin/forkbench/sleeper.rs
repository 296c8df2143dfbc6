//! A child that does nothing and keeps what it shares.

use user::sys::file::{self, Pipe};
use user::sys::process::{self, Pid};
use user::sys::system;
use user::testing::{Explain, Failure, Verdict};

pub struct Sleeper {
    pid: Pid,
    gate: Pipe,
}

impl Sleeper {
    pub fn start() -> Result<Self, Failure> {
        let sleeper = Self::fork()?;
        // It is asleep before anything is measured.
        system::sleep_ms(2);
        Ok(sleeper)
    }

    /// One that may not be asleep yet.
    pub fn fork() -> Result<Self, Failure> {
        let gate = file::pipe().or_fail("pipe")?;
        let pid = process::spawn(|| {
            // The read ends when the last writer is gone, and that is the parent.
            let _ = file::close(gate.write);
            i32::from(file::read(gate.read, &mut [0]).is_err())
        })
        .or_fail("fork")?;
        Ok(Self { pid, gate })
    }

    pub fn end(self) -> Verdict {
        file::close(self.gate.write).or_fail("close")?;
        file::close(self.gate.read).or_fail("close")?;
        process::wait_for(self.pid).or_fail("wait")?;
        Ok(())
    }
}
