//! Holding signals back (sigprocmask(2)), and waiting for them.

use super::number::Set;
use crate::process::thread::Thread;

impl Thread {
    /// Changes which signals are held back. Those that nobody can hold back are left out.
    pub fn set_blocked(&self, set: Set) {
        self.signals().set_blocked(set);
    }

    /// After a wait with a mask of its own that no handler has ended.
    pub(super) fn go_back_to_saved_mask(&self) {
        if let Some(mask) = self.signals().saved_mask.lock().take() {
            self.set_blocked(mask);
        }
    }
}
