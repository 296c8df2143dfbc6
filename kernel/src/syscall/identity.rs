//! The identity of a process: users, groups, capabilities (credentials(7), capabilities(7)).

use crate::errno::{Errno, SysResult};
use crate::memory;
use crate::process::{self, Capabilities, Capability, Credentials, IdChange, IdSet, Pid, Thread};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A number of the caller's identity, for getuid(2) and its kin.
pub fn id(thread: &Thread, which: impl FnOnce(&Credentials) -> u32) -> SysResult {
    Ok(thread.process().with_credentials(which) as usize)
}

/// getresuid(2), getresgid(2).
pub async fn three_ids(
    thread: &Thread,
    which: impl FnOnce(&Credentials) -> IdSet,
    addresses: [usize; 3],
) -> SysResult {
    let ids = thread.process().with_credentials(which);
    let ids = [ids.real, ids.effective, ids.saved];
    for (address, id) in addresses.into_iter().zip(ids) {
        thread
            .space()
            .write_bytes(address, &id.to_ne_bytes())
            .await?;
    }
    Ok(0)
}

/// setuid(2), setreuid(2), setresuid(2).
pub fn set_users(thread: &Thread, change: IdChange) -> SysResult {
    thread.process().set_users(change)?;
    Ok(0)
}

/// setgid(2), setregid(2), setresgid(2).
pub fn set_groups_of(thread: &Thread, change: IdChange) -> SysResult {
    thread.process().set_groups(change)?;
    Ok(0)
}

/// setfsuid(2), setfsgid(2): the number before.
pub fn set_files_id(thread: &Thread, set: impl FnOnce(&mut Credentials) -> u32) -> SysResult {
    let process = thread.process();
    let old = process.change_credentials(|credentials| Ok(set(credentials)))?;
    Ok(old as usize)
}

/// The most supplementary groups (NGROUPS_MAX).
const MAX_GROUPS: usize = 65536;
/// How many groups are copied in a step.
const STEP: usize = 64;

/// getgroups(2).
pub async fn getgroups(thread: &Thread, size: usize, list: usize) -> SysResult {
    let groups = thread
        .process()
        .with_credentials(|credentials| credentials.groups.clone());
    let size = size as i32;
    if size == 0 {
        return Ok(groups.len());
    }
    if size < 0 || (size as usize) < groups.len() {
        return Err(Errno::EINVAL);
    }
    let mut at = list;
    for part in groups.chunks(STEP) {
        let mut bytes = [[0; 4]; STEP];
        for (place, group) in bytes.iter_mut().zip(part) {
            *place = group.to_ne_bytes();
        }
        let bytes = &bytes.as_flattened()[..4 * part.len()];
        thread.space().write_bytes(at, bytes).await?;
        at += bytes.len();
    }
    Ok(groups.len())
}

/// setgroups(2).
pub async fn setgroups(thread: &Thread, size: usize, list: usize) -> SysResult {
    let allowed = |credentials: &Credentials| credentials.has(Capability::SetGid);
    if !thread.process().with_credentials(allowed) {
        return Err(Errno::EPERM);
    }
    let size = size as u32 as usize;
    if size > MAX_GROUPS {
        return Err(Errno::EINVAL);
    }
    memory::ensure_free().map_err(|_| Errno::ENOMEM)?;
    let mut groups = Vec::new();
    groups.try_reserve_exact(size).map_err(|_| Errno::ENOMEM)?;
    let mut at = list;
    while groups.len() < size {
        let mut bytes = [[0; 4]; STEP];
        let bytes = &mut bytes[..STEP.min(size - groups.len())];
        let length = size_of_val(bytes);
        let space = thread.space();
        space.read_bytes(at, bytes.as_flattened_mut()).await?;
        groups.extend(bytes.iter().map(|bytes| u32::from_ne_bytes(*bytes)));
        at += length;
    }
    groups.sort_unstable();
    let groups = Arc::new(groups);
    thread.process().change_credentials(|credentials| {
        credentials.groups = groups;
        Ok(0)
    })
}

// include/uapi/linux/capability.h
const VERSION_1: u32 = 0x1998_0330;
const VERSION_2: u32 = 0x2007_1026;
const VERSION_3: u32 = 0x2008_0522;

/// Reads the header of capget and capset: how many parts of 32 bits each set has, and of which
/// process. An unknown version is answered with the newest.
async fn read_header(thread: &Thread, header: usize) -> Result<(usize, Pid), Errno> {
    let mut bytes = [[0; 4]; 2];
    let space = thread.space();
    space.read_bytes(header, bytes.as_flattened_mut()).await?;
    let [version, pid] = bytes.map(u32::from_ne_bytes);
    let parts = match version {
        VERSION_1 => 1,
        VERSION_2 | VERSION_3 => 2,
        _ => {
            let newest = VERSION_3.to_ne_bytes();
            space.write_bytes(header, &newest).await?;
            return Err(Errno::EINVAL);
        }
    };
    match pid as i32 {
        0 => Ok((parts, thread.process().pid)),
        1.. => Ok((parts, Pid(pid))),
        _ => Err(Errno::EINVAL),
    }
}

/// The 32 bits of a set that are its part with this number.
fn part(set: u64, number: usize) -> u32 {
    (set >> (32 * number)) as u32
}

/// capget(2).
pub async fn capget(thread: &Thread, header: usize, data: usize) -> SysResult {
    let (parts, pid) = match read_header(thread, header).await {
        // To ask for the version only is no error.
        Err(Errno::EINVAL) if data == 0 => return Ok(0),
        header => header?,
    };
    if data == 0 {
        return Ok(0);
    }
    let process = process::find(pid).ok_or(Errno::ESRCH)?;
    let sets = process.with_credentials(|credentials| credentials.capabilities);
    let sets = [sets.effective, sets.permitted, sets.inheritable];
    for number in 0..parts {
        let bytes = sets.map(|set| part(set, number).to_ne_bytes());
        let at = data.checked_add(12 * number).ok_or(Errno::EFAULT)?;
        let space = thread.space();
        space.write_bytes(at, bytes.as_flattened()).await?;
    }
    Ok(0)
}

/// capset(2), of the caller.
pub async fn capset(thread: &Thread, header: usize, data: usize) -> SysResult {
    let (parts, pid) = read_header(thread, header).await?;
    if pid != thread.process().pid && pid != thread.tid() {
        return Err(Errno::EPERM);
    }
    let mut sets = [0u64; 3];
    for number in 0..parts {
        let mut bytes = [[0; 4]; 3];
        let at = data.checked_add(12 * number).ok_or(Errno::EFAULT)?;
        let space = thread.space();
        space.read_bytes(at, bytes.as_flattened_mut()).await?;
        for (set, bytes) in sets.iter_mut().zip(bytes) {
            *set |= u64::from(u32::from_ne_bytes(bytes)) << (32 * number);
        }
    }
    let [effective, permitted, inheritable] = sets.map(|set| set & process::ALL_CAPABILITIES);
    let new = Capabilities {
        effective,
        permitted,
        inheritable,
        bounding: 0,
    };
    let process = thread.process();
    process.change_credentials(|credentials| credentials.set_capabilities(new))?;
    Ok(0)
}
