//! futex(2) and the lists of robust locks.

use super::time;
use super::words::read_words;
use crate::arch;
use crate::errno::{Errno, SysResult};
use crate::memory;
use crate::process::futex::{self, Expected, FutexAddress, Scope};
use crate::process::{self, Pid, Thread};
use alloc::vec::Vec;
use linux_raw_sys::general as linux;

const ANY: u32 = linux::FUTEX_BITSET_MATCH_ANY;

/// futex(2).
pub async fn futex(
    thread: &Thread,
    [address, operation, value, time, second, third]: [usize; 6],
) -> SysResult {
    let operation = operation as u32;
    let by_real_time = operation & linux::FUTEX_CLOCK_REALTIME != 0;
    let scope = match operation & linux::FUTEX_PRIVATE_FLAG {
        0 => Scope::Shared,
        _ => Scope::Private,
    };
    let command = operation & linux::FUTEX_CMD_MASK as u32;
    let has_clock = [
        linux::FUTEX_WAIT_BITSET,
        linux::FUTEX_WAIT_REQUEUE_PI,
        linux::FUTEX_LOCK_PI2,
    ];
    if by_real_time && !has_clock.contains(&command) {
        return Err(Errno::ENOSYS);
    }
    let place = |address| {
        memory::check_futex_word(address)?;
        Ok::<_, Errno>(FutexAddress { address, scope })
    };
    let space = thread.space();
    let (value, third) = (value as u32, third as u32);
    // Where others have a time, some have a number.
    let counts = || counted(value, time as u32);
    match command {
        linux::FUTEX_WAIT => {
            let deadline = match time {
                0 => None,
                time => {
                    Some(arch::clock().saturating_add(time::read_timespec(thread, time).await?))
                }
            };
            futex::wait(thread, place(address)?, value, ANY, deadline).await?;
            Ok(0)
        }
        linux::FUTEX_WAIT_BITSET => {
            let deadline = absolute(thread, time, by_real_time).await?;
            let place = place(address)?;
            futex::wait(thread, place, value, some_bits(third)?, deadline).await?;
            Ok(0)
        }
        linux::FUTEX_WAKE => futex::wake(space, place(address)?, at_least_one(value), ANY).await,
        linux::FUTEX_WAKE_BITSET => {
            let place = place(address)?;
            futex::wake(space, place, at_least_one(value), some_bits(third)?).await
        }
        linux::FUTEX_REQUEUE => {
            let (from, to) = (place(address)?, place(second)?);
            futex::requeue(space, from, to, counts()?, None).await
        }
        linux::FUTEX_CMP_REQUEUE => {
            let (from, to) = (place(address)?, place(second)?);
            futex::requeue(space, from, to, counts()?, Some(third)).await
        }
        linux::FUTEX_WAKE_OP => {
            let change = Change::decode(third)?;
            let counts = (at_least_one(value), at_least_one(time as u32));
            let (first, second) = (place(address)?, place(second)?);
            let (change, holds) = (|old| change.applied_to(old), |old| change.holds(old));
            futex::wake_and_change(space, first, second, counts, change, holds).await
        }
        linux::FUTEX_LOCK_PI | linux::FUTEX_LOCK_PI2 => {
            // The first of them knows the time of the day only.
            let by_real_time = by_real_time || command == linux::FUTEX_LOCK_PI;
            let deadline = absolute(thread, time, by_real_time).await?;
            futex::lock(thread, place(address)?, deadline).await?;
            Ok(0)
        }
        linux::FUTEX_TRYLOCK_PI => {
            futex::try_lock(thread, place(address)?).await?;
            Ok(0)
        }
        linux::FUTEX_UNLOCK_PI => {
            futex::unlock(thread, place(address)?).await?;
            Ok(0)
        }
        linux::FUTEX_WAIT_REQUEUE_PI => {
            let (condition, lock) = (place(address)?, place(second)?);
            if condition == lock {
                return Err(Errno::EINVAL);
            }
            let deadline = absolute(thread, time, by_real_time).await?;
            futex::wait_for_lock(thread, condition, value, lock, deadline).await?;
            Ok(0)
        }
        linux::FUTEX_CMP_REQUEUE_PI => {
            let (condition, lock) = (place(address)?, place(second)?);
            let (wake, requeue) = counts()?;
            if condition == lock || wake != 1 {
                return Err(Errno::EINVAL);
            }
            futex::requeue_to_lock(space, condition, wake + requeue, third).await
        }
        _ => Err(Errno::ENOSYS),
    }
}

/// A point in time of one of two clocks, by `arch::clock`; none for a null pointer.
async fn absolute(thread: &Thread, time: usize, by_real_time: bool) -> Result<Option<u64>, Errno> {
    if time == 0 {
        return Ok(None);
    }
    let time = time::read_timespec(thread, time).await?;
    let offset = match by_real_time {
        true => arch::wall_clock_offset(),
        false => 0,
    };
    Ok(Some(time.saturating_sub(offset)))
}

/// How many to wake: one at least, as Linux looks at the number after the first.
fn at_least_one(count: u32) -> usize {
    (count as i32).max(1) as usize
}

/// How many to wake and to requeue, of which none may be negative.
fn counted(wake: u32, requeue: u32) -> Result<(usize, usize), Errno> {
    let checked = |count: u32| match i32::try_from(count) {
        Ok(count) => Ok(count as usize),
        Err(_) => Err(Errno::EINVAL),
    };
    Ok((checked(wake)?, checked(requeue)?))
}

fn some_bits(bits: u32) -> Result<u32, Errno> {
    match bits {
        0 => Err(Errno::EINVAL),
        bits => Ok(bits),
    }
}

/// What `FUTEX_WAKE_OP` does to the second word, and asks about it.
#[derive(Clone, Copy)]
struct Change {
    operation: u32,
    operand: u32,
    comparison: u32,
    compared_with: i32,
}

impl Change {
    fn decode(encoded: u32) -> Result<Change, Errno> {
        // Twelve bits with a sign.
        let signed = |at: u32| (encoded << (20 - at)) as i32 >> 20;
        let (operation, operand) = (encoded >> 28 & 7, signed(12));
        let comparison = encoded >> 24 & 15;
        if operation > linux::FUTEX_OP_XOR || comparison > linux::FUTEX_OP_CMP_GE {
            return Err(Errno::ENOSYS);
        }
        let is_shift = encoded >> 28 & linux::FUTEX_OP_OPARG_SHIFT != 0;
        Ok(Change {
            operation,
            operand: if is_shift {
                1 << (operand & 31)
            } else {
                operand as u32
            },
            comparison,
            compared_with: signed(0),
        })
    }

    fn applied_to(self, old: u32) -> u32 {
        match self.operation {
            linux::FUTEX_OP_SET => self.operand,
            linux::FUTEX_OP_ADD => old.wrapping_add(self.operand),
            linux::FUTEX_OP_OR => old | self.operand,
            linux::FUTEX_OP_ANDN => old & !self.operand,
            _ => old ^ self.operand,
        }
    }

    fn holds(self, old: u32) -> bool {
        let (old, other) = (old as i32, self.compared_with);
        match self.comparison {
            linux::FUTEX_OP_CMP_EQ => old == other,
            linux::FUTEX_OP_CMP_NE => old != other,
            linux::FUTEX_OP_CMP_LT => old < other,
            linux::FUTEX_OP_CMP_LE => old <= other,
            linux::FUTEX_OP_CMP_GT => old > other,
            _ => old >= other,
        }
    }
}

/// futex_waitv(2): no more words than `FUTEX_WAITV_MAX`.
pub async fn futex_waitv(
    thread: &Thread,
    [list, count, flags, time, clock]: [usize; 5],
) -> SysResult {
    const SIZE_32: u64 = 2;
    const MOST: usize = 128;
    if flags as u32 != 0 || count as u32 == 0 || count > MOST {
        return Err(Errno::EINVAL);
    }
    let deadline = match time {
        0 => None,
        time => {
            let by_real_time = match clock as u32 {
                linux::CLOCK_MONOTONIC => false,
                linux::CLOCK_REALTIME => true,
                _ => return Err(Errno::EINVAL),
            };
            absolute(thread, time, by_real_time).await?
        }
    };
    let mut words = Vec::new();
    memory::fallible::reserve(&mut words, count)?;
    for n in 0..count {
        let at = list.checked_add(24 * n).ok_or(Errno::EFAULT)?;
        let [value, address, flags] = read_words(thread, at).await?;
        // The upper half is reserved.
        if flags & !u64::from(linux::FUTEX_PRIVATE_FLAG) != SIZE_32 || value > u32::MAX.into() {
            return Err(Errno::EINVAL);
        }
        let scope = match flags as u32 & linux::FUTEX_PRIVATE_FLAG {
            0 => Scope::Shared,
            _ => Scope::Private,
        };
        let address = address as usize;
        memory::check_futex_word(address)?;
        words.push(Expected {
            place: FutexAddress { address, scope },
            value: value as u32,
        });
    }
    futex::wait_for_any(thread, &words, deadline).await
}

/// set_robust_list(2).
pub fn set_robust_list(thread: &Thread, head: usize, size: usize) -> SysResult {
    if size != futex::ROBUST_HEAD_SIZE {
        return Err(Errno::EINVAL);
    }
    thread.tcb().set_robust_list(head);
    Ok(0)
}

/// get_robust_list(2).
pub async fn get_robust_list(thread: &Thread, tid: usize, head: usize, size: usize) -> SysResult {
    let other;
    let tcb = match tid as u32 {
        0 => thread.tcb(),
        tid => {
            let (_, found) = process::find_thread(Pid(tid)).ok_or(Errno::ESRCH)?;
            other = found.ok_or(Errno::ESRCH)?;
            &other
        }
    };
    let (list, space) = (tcb.robust_list(), thread.space());
    let length = futex::ROBUST_HEAD_SIZE.to_le_bytes();
    space.write_bytes(size, &length).await?;
    space.write_bytes(head, &list.to_le_bytes()).await?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_decoded_as_in_the_manual() {
        // FUTEX_OP(op, oparg, cmp, cmparg) of futex(2).
        let encode = |op: u32, oparg: i32, cmp: u32, cmparg: i32| {
            op << 28 | cmp << 24 | (oparg as u32 & 0xfff) << 12 | cmparg as u32 & 0xfff
        };
        let add = Change::decode(encode(linux::FUTEX_OP_ADD, -1, linux::FUTEX_OP_CMP_LT, -2));
        let add = add.unwrap();
        assert_eq!(add.applied_to(5), 4);
        assert!(add.holds(-3i32 as u32) && !add.holds(-2i32 as u32) && !add.holds(0));
        let shifted = linux::FUTEX_OP_OR | linux::FUTEX_OP_OPARG_SHIFT;
        let or = Change::decode(encode(shifted, 31, linux::FUTEX_OP_CMP_EQ, 0)).unwrap();
        assert_eq!(or.applied_to(1), 1 << 31 | 1);
        assert!(or.holds(0) && !or.holds(1));
        assert_eq!(
            Change::decode(encode(5, 0, 0, 0)).err(),
            Some(Errno::ENOSYS)
        );
        assert_eq!(
            Change::decode(encode(0, 0, 6, 0)).err(),
            Some(Errno::ENOSYS)
        );
    }
}
