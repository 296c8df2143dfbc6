//! Locks whose holder has died (set_robust_list(2); Linux's Documentation/locking/
//! robust-futex-ABI.rst).
//!
//! A thread keeps a list of the locks that it holds in its own memory, and has told the kernel
//! where the list begins. When the thread ends, the kernel walks the list, marks each lock that the
//! thread still holds as one whose owner has died, and wakes one waiter of each. The list may be
//! damaged, endless, or changed meanwhile. So nothing in it is trusted, and the walk is bounded.

use super::inheriting;
use super::key::{FutexAddress, Scope};
use crate::arch::Access;
use crate::errno::Errno;
use crate::memory;
use crate::process::thread::Thread;
use core::sync::atomic::{AtomicU32, Ordering};
use linux_raw_sys::general::{FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS, robust_list_head};

/// Bytes of the list's head.
pub const HEAD_SIZE: usize = size_of::<robust_list_head>();

/// As many locks are looked at (Linux: ROBUST_LIST_LIMIT).
const LIMIT: usize = 2048;

/// This bit of a pointer says that the lock is one with priority inheritance.
const INHERITS: usize = 1;

/// Which lock of the list it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    /// One that the thread has taken.
    Held,
    /// One that it was about to take or give back.
    Pending,
}

impl Thread {
    /// Marks the locks that the thread still holds, and wakes a waiter of each.
    pub(super) async fn give_up_locks(&self) {
        let head = self.tcb().take_robust_list();
        if head != 0 {
            // A bad address ends the walk, and is the program's own loss.
            let _ = self.walk(head).await;
        }
    }

    async fn walk(&self, head: usize) -> Result<(), Errno> {
        let space = self.space();
        let at = |offset| head.checked_add(offset).ok_or(Errno::EFAULT);
        let first = space.read_word(head).await?;
        let offset = space.read_word(at(8)?).await?;
        let pending = space.read_word(at(16)?).await?;
        let mut entry = first;
        for _ in 0..LIMIT {
            if entry & !INHERITS == head {
                break;
            }
            // Before the lock is given up: its next holder may change it at once.
            let next = space.read_word(entry & !INHERITS).await;
            if entry & !INHERITS != pending & !INHERITS {
                self.give_up(entry, offset, Entry::Held).await?;
            }
            entry = next?;
            executor::spend_budget().await;
        }
        if pending != 0 {
            self.give_up(pending, offset, Entry::Pending).await?;
        }
        Ok(())
    }

    async fn give_up(&self, entry: usize, offset: usize, kind: Entry) -> Result<(), Errno> {
        let address = (entry & !INHERITS).wrapping_add(offset);
        memory::check_futex_word(address)?;
        let mark = |word: &AtomicU32| mark(word, self.tid().0);
        let before = loop {
            match self
                .space()
                .try_with_futex_word(address, Access::Write, mark)
            {
                Some(before) => break before,
                None => {
                    let space = self.space();
                    space.fault_in_futex_word(address, Access::Write).await?;
                }
            }
        };
        let waits = match before {
            // The lock was released, and the thread died before it could wake a waiter.
            Err(0) => kind == Entry::Pending,
            Err(_) => false,
            Ok(value) => value & FUTEX_WAITERS != 0,
        };
        if waits && entry & INHERITS == 0 {
            self.wake_one(address).await;
        } else if waits {
            for scope in [Scope::Private, Scope::Shared] {
                let place = FutexAddress { address, scope };
                inheriting::holder_died(self.space(), place).await;
            }
        }
        Ok(())
    }
}

/// Marks the word if it names the thread as the holder: `Ok` with its value before; `Err` if
/// it does not.
fn mark(word: &AtomicU32, tid: u32) -> Result<u32, u32> {
    word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |value| {
        let is_ours = value & FUTEX_TID_MASK == tid;
        is_ours.then_some(value & FUTEX_WAITERS | FUTEX_OWNER_DIED)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_locks_of_the_dead_are_marked_and_waiters_are_remembered() {
        let word = AtomicU32::new(7);
        assert_eq!(mark(&word, 8), Err(7));
        assert_eq!(mark(&word, 7), Ok(7));
        assert_eq!(word.load(Ordering::SeqCst), FUTEX_OWNER_DIED);
        word.store(7 | FUTEX_WAITERS, Ordering::SeqCst);
        assert_eq!(mark(&word, 7), Ok(7 | FUTEX_WAITERS));
        assert_eq!(
            word.load(Ordering::SeqCst),
            FUTEX_OWNER_DIED | FUTEX_WAITERS
        );
    }
}
