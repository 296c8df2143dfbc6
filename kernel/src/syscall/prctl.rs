//! prctl(2): properties of a thread and of its process.

use crate::errno::{Errno, SysResult};
use crate::process::{ALL_CAPABILITIES, Capability, Signal, Thread, ThreadName};
use core::sync::atomic::{AtomicU64, Ordering};
use linux_raw_sys::prctl;

/// The default of Linux, in nanoseconds. Timers here are exact, so a larger slack changes nothing.
const TIMER_SLACK: usize = 50_000;

/// prctl(2).
pub async fn prctl(thread: &Thread, option: usize, arguments: [usize; 4]) -> SysResult {
    let [value, second, third, fourth] = arguments;
    let rest_is_zero = second == 0 && third == 0 && fourth == 0;
    let process = thread.process();
    let attributes = process.attributes();
    // Relaxed: each attribute stands for itself.
    let order = Ordering::Relaxed;
    let flag = |value: usize| match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Errno::EINVAL),
    };
    match option as u32 {
        prctl::PR_SET_NAME => set_name(thread, value).await?,
        prctl::PR_GET_NAME => {
            let mut bytes = [0; 16];
            let name = thread.tcb().name();
            bytes[..name.len()].copy_from_slice(&name);
            thread.space().write_bytes(value, &bytes).await?;
        }
        prctl::PR_SET_DUMPABLE => attributes.dumpable.store(flag(value)?, order),
        prctl::PR_GET_DUMPABLE => return Ok(attributes.dumpable.load(order).into()),
        prctl::PR_SET_PDEATHSIG => {
            if value != 0 {
                Signal::new(value).ok_or(Errno::EINVAL)?;
            }
            attributes.death_signal.store(value as u32, order);
        }
        prctl::PR_GET_PDEATHSIG => {
            let signal = attributes.death_signal.load(order).to_ne_bytes();
            thread.space().write_bytes(value, &signal).await?;
        }
        prctl::PR_SET_CHILD_SUBREAPER => attributes.reaps_orphans.store(value != 0, order),
        prctl::PR_GET_CHILD_SUBREAPER => {
            let set = u32::from(attributes.reaps_orphans.load(order)).to_ne_bytes();
            thread.space().write_bytes(value, &set).await?;
        }
        prctl::PR_SET_NO_NEW_PRIVS => {
            if value != 1 || !rest_is_zero {
                return Err(Errno::EINVAL);
            }
            process.change_credentials(|who| {
                who.no_new_privileges = true;
                Ok(())
            })?;
        }
        prctl::PR_GET_NO_NEW_PRIVS => {
            if value != 0 || !rest_is_zero {
                return Err(Errno::EINVAL);
            }
            return Ok(process.with_credentials(|who| who.no_new_privileges).into());
        }
        prctl::PR_SET_KEEPCAPS => {
            let keeps = flag(value)?;
            process.change_credentials(|who| {
                who.keeps_capabilities = keeps;
                Ok(())
            })?;
        }
        prctl::PR_GET_KEEPCAPS => {
            return Ok(process
                .with_credentials(|who| who.keeps_capabilities)
                .into());
        }
        prctl::PR_CAPBSET_READ => {
            let bit = capability(value)?;
            return Ok(process
                .with_credentials(|who| who.capabilities.bounding & bit != 0)
                .into());
        }
        prctl::PR_CAPBSET_DROP => {
            let bit = capability(value)?;
            process.change_credentials(|who| {
                if !who.has(Capability::SetPcap) {
                    return Err(Errno::EPERM);
                }
                who.capabilities.bounding &= !bit;
                Ok(())
            })?;
        }
        // There are no filters, and none can be had.
        prctl::PR_GET_SECCOMP => return Ok(0),
        prctl::PR_SET_SECCOMP => return Err(Errno::EINVAL),
        prctl::PR_SET_TIMERSLACK => {}
        prctl::PR_GET_TIMERSLACK => return Ok(TIMER_SLACK),
        // No memory comes in huge pages.
        prctl::PR_SET_THP_DISABLE if rest_is_zero => {}
        prctl::PR_GET_THP_DISABLE if value == 0 && rest_is_zero => return Ok(0),
        option => return Err(unknown(option)),
    }
    Ok(0)
}

/// The bit of a capability.
fn capability(number: usize) -> Result<u64, Errno> {
    let bit = 1u64.checked_shl(number as u32).unwrap_or(0);
    match bit & ALL_CAPABILITIES {
        0 => Err(Errno::EINVAL),
        bit => Ok(bit),
    }
}

async fn set_name(thread: &Thread, address: usize) -> Result<(), Errno> {
    // Byte by byte: what follows the end need not be there.
    let mut name = ThreadName::new();
    while name.len() < name.capacity() {
        let mut byte = [0];
        let at = address.checked_add(name.len()).ok_or(Errno::EFAULT)?;
        thread.space().read_bytes(at, &mut byte).await?;
        match byte {
            [0] => break,
            [byte] => name.push(byte),
        }
    }
    thread.tcb().set_name(Some(name));
    Ok(())
}

/// Logs an option that is missing, each once.
fn unknown(option: u32) -> Errno {
    static LOGGED: AtomicU64 = AtomicU64::new(0);
    let bit = 1 << (option % u64::BITS);
    if LOGGED.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
        log::warn!("not there yet: option {option} of prctl");
    }
    Errno::EINVAL
}
