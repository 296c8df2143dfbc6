//! select(2) and pselect6(2): the same waiting as poll(2), with sets of bits.

use super::polling::{Patience, begin_mask, end_wait, wait};
use crate::errno::{Errno, SysResult};
use crate::fs::poll::Interest;
use crate::fs::table::Fd;
use crate::process::Thread;
use alloc::boxed::Box;
use alloc::vec::Vec;
use linux_raw_sys::general as abi;

/// The largest number of descriptors that a set can have: glibc's `FD_SETSIZE`.
const MAX: usize = 1024;
const WORDS: usize = MAX / 64;
/// Nanoseconds.
const MICROSECOND: u64 = 1000;

/// What each of the three sets asks for (select(2), "Correspondence between select() and
/// poll() notifications").
const QUESTIONS: [u32; 3] = [
    abi::POLLRDNORM | abi::POLLRDBAND | abi::POLLIN | abi::POLLHUP | abi::POLLERR,
    abi::POLLWRBAND | abi::POLLWRNORM | abi::POLLOUT | abi::POLLERR,
    abi::POLLPRI,
];

/// A set of descriptors.
#[derive(Clone, Copy)]
struct FdSet {
    address: usize,
    words: [u64; WORDS],
}

impl FdSet {
    fn new(address: usize) -> FdSet {
        FdSet {
            address,
            words: [0; WORDS],
        }
    }

    /// Reads the bits below `count`; a null pointer is an empty set.
    async fn read(&mut self, thread: &Thread, count: usize) -> Result<(), Errno> {
        if self.address == 0 {
            return Ok(());
        }
        for (index, word) in self.words.iter_mut().enumerate().take(count.div_ceil(64)) {
            let mut bytes = [0; 8];
            let address = self.address.checked_add(index * 8).ok_or(Errno::EFAULT)?;
            thread.space().read_bytes(address, &mut bytes).await?;
            *word = u64::from_ne_bytes(bytes);
        }
        Ok(())
    }

    fn has(&self, fd: usize) -> bool {
        self.words[fd / 64] & 1 << (fd % 64) != 0
    }

    fn remove(&mut self, fd: usize) {
        self.words[fd / 64] &= !(1 << (fd % 64));
    }

    async fn write(&self, thread: &Thread, count: usize) -> Result<(), Errno> {
        if self.address == 0 {
            return Ok(());
        }
        for (index, word) in self.words.iter().enumerate().take(count.div_ceil(64)) {
            let address = self.address.checked_add(index * 8).ok_or(Errno::EFAULT)?;
            thread
                .space()
                .write_bytes(address, &word.to_ne_bytes())
                .await?;
        }
        Ok(())
    }
}

/// select(2)
pub async fn select(
    thread: &Thread,
    count: usize,
    read: usize,
    write: usize,
    except: usize,
    timeout: usize,
) -> SysResult {
    let patience = match timeout {
        0 => Patience::Endless,
        address => {
            // A struct timeval.
            let mut words = [[0; 8]; 2];
            thread
                .space()
                .read_bytes(address, words.as_flattened_mut())
                .await?;
            let [seconds, micros] = words.map(i64::from_ne_bytes);
            match (u64::try_from(seconds), u64::try_from(micros)) {
                (Ok(seconds), Ok(micros)) => Patience::of(
                    seconds
                        .saturating_mul(1_000_000_000)
                        .saturating_add(micros.saturating_mul(1000)),
                ),
                _ => return Err(Errno::EINVAL),
            }
        }
    };
    let result = select_until(thread, count, [read, write, except], patience).await;
    end_wait(thread, result, timeout, patience, MICROSECOND).await
}

/// pselect6(2).
pub async fn pselect6(
    thread: &Thread,
    count: usize,
    read: usize,
    write: usize,
    except: usize,
    timeout: usize,
    mask: usize,
) -> SysResult {
    let patience = Patience::read(thread, timeout).await?;
    if mask != 0 {
        // There is no room for a seventh argument: a set's address, and its size.
        let set = thread.space().read_word(mask).await?;
        let size = mask.checked_add(8).ok_or(Errno::EFAULT)?;
        begin_mask(thread, set, thread.space().read_word(size).await?).await?;
    }
    let result = select_until(thread, count, [read, write, except], patience).await;
    end_wait(thread, result, timeout, patience, 1).await
}

async fn select_until(
    thread: &Thread,
    count: usize,
    addresses: [usize; 3],
    patience: Patience,
) -> SysResult {
    let count = usize::try_from(count as i32)
        .map_err(|_| Errno::EINVAL)?
        .min(MAX);
    let [read, write, except] = addresses;
    crate::memory::ensure_free().map_err(|_| Errno::ENOMEM)?;
    // In a box, because every thread's future has room for the largest of its calls.
    let mut sets = Box::new([FdSet::new(read), FdSet::new(write), FdSet::new(except)]);
    for set in sets.iter_mut() {
        set.read(thread, count).await?;
    }
    let mut interests = Vec::new();
    let mut fds = Vec::new();
    for fd in (0..count).filter(|&fd| sets.iter().any(|set| set.has(fd))) {
        let asked = sets.iter().zip(QUESTIONS).filter(|(set, _)| set.has(fd));
        let events = asked.fold(0, |events, (_, question)| events | question);
        let file = thread.process().files().get(Fd(fd as u32))?;
        interests.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        fds.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        interests.push(Interest { file, events });
        fds.push(fd);
    }
    wait(thread, &interests, patience).await?;
    let mut ready = 0;
    for (interest, fd) in interests.iter().zip(fds) {
        let events = interest.ready();
        for (set, question) in sets.iter_mut().zip(QUESTIONS) {
            if !set.has(fd) {
                continue;
            }
            if events & question != 0 {
                ready += 1;
            } else {
                set.remove(fd);
            }
        }
    }
    for set in sets.iter() {
        set.write(thread, count).await?;
    }
    Ok(ready)
}
