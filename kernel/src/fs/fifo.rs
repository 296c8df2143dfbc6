//! Pipes with a name (fifo(7)): opening one waits until its other end is open too.
//!
//! Each end is counted when it is opened, and how often that happened is counted as well. So an open
//! that waits also ends if the other end was opened and closed again meanwhile, as on Linux.

use super::file::Opened;
use super::pipe::{Ends, Pipe, Reader, Writer};
use crate::errno::Errno;
use crate::wait::{Wait, interruptible};
use alloc::sync::Arc;
use linux_raw_sys::general as abi;

/// Opens a pipe by its name, with these flags. `ENXIO` for a writer that may not wait and has no
/// reader.
pub(super) async fn open(pipe: &Arc<Pipe>, flags: u32, wait: Wait<'_>) -> Result<Opened, Errno> {
    let may_wait = flags & abi::O_NONBLOCK == 0;
    match flags & abi::O_ACCMODE {
        abi::O_RDONLY => {
            let reader = Reader::open(pipe)?;
            let seen = pipe.ends();
            if may_wait && seen.writers == 0 {
                wait_for(pipe, wait, |now| now.writers_opened != seen.writers_opened).await?;
            }
            Ok(Opened::Reader(reader))
        }
        abi::O_WRONLY => {
            let writer = Writer::open(pipe)?;
            let seen = pipe.ends();
            if seen.readers == 0 {
                if !may_wait {
                    return Err(Errno::ENXIO);
                }
                wait_for(pipe, wait, |now| now.readers_opened != seen.readers_opened).await?;
            }
            Ok(Opened::Writer(writer))
        }
        _ => Ok(Opened::Both(Reader::open(pipe)?, Writer::open(pipe)?)),
    }
}

/// Waits for the other end. What was opened is closed again by its drop if that is given up.
async fn wait_for(
    pipe: &Pipe,
    wait: Wait<'_>,
    is_there: impl Fn(Ends) -> bool,
) -> Result<(), Errno> {
    let Wait::For(caller) = wait else {
        return Err(Errno::EAGAIN);
    };
    let opened = || is_there(pipe.ends()).then_some(());
    Ok(interruptible(caller, pipe.openers().wait_until(opened)).await?)
}
