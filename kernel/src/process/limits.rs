//! Asking for the limits of a process, and changing them (prlimit(2)). `rlimit` has the values.

use super::rlimit::{COUNT, Limit};
use super::state::Process;
use crate::errno::Errno;
use crate::fs::table::MAX_LIMIT;
use alloc::sync::Arc;
use linux_raw_sys::general as linux;

impl Process {
    /// The limit with this number (`RLIMIT_...`).
    ///
    /// # Errors
    /// `EINVAL` when there is no such limit.
    pub fn limit(&self, number: usize) -> Result<Limit, Errno> {
        let limit = self.limits.table.lock().get(number).copied();
        let limit = limit.ok_or(Errno::EINVAL)?;
        if number == linux::RLIMIT_NOFILE as usize {
            let soft = self.files().limit() as u64;
            return Ok(Limit { soft, ..limit });
        }
        Ok(limit)
    }

    /// Changes that limit.
    ///
    /// # Errors
    /// `EINVAL` when there is none, or the soft one is above the hard one; `EPERM` for more
    /// descriptors than there can be.
    pub async fn set_limit(&self, number: usize, limit: Limit) -> Result<(), Errno> {
        if number >= COUNT || limit.soft > limit.hard {
            return Err(Errno::EINVAL);
        }
        if number == linux::RLIMIT_NOFILE as usize {
            if limit.hard > MAX_LIMIT as u64 {
                return Err(Errno::EPERM);
            }
            self.files().set_limit(limit.soft as usize)?;
        }
        Arc::make_mut(&mut *self.limits.table.lock())[number] = limit;
        let space = self.space();
        if !self.limits.borrows_memory()
            && let Some(space) = space
        {
            space.set_limits(self.limits.of_memory()).await;
        }
        Ok(())
    }
}
