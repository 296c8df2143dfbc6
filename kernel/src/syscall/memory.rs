//! brk, mmap, munmap, mprotect, mremap. What is said of memory that is mapped already is in
//! `advice`.

mod advice;
mod pkeys;
mod remap_file;

pub(super) use advice::advise;
pub use advice::{madvise, mincore, mlock, mlock2, mlockall, msync, munlock, munlockall};
pub use pkeys::{pkey_alloc, pkey_free, pkey_mprotect};
pub use remap_file::remap_file_pages;

use crate::errno::{Errno, SysResult};
use crate::fs::table::Fd;
use crate::memory::{
    Backing, FRAME_SIZE, MapError, MapRequest, Object, Placement, Protection, Remap, Target,
    VmaFlags,
};
use crate::process::{Thread, overcommit};
use linux_raw_sys::general as linux;

impl From<MapError> for Errno {
    fn from(error: MapError) -> Errno {
        match error {
            MapError::BadRange | MapError::BadKind => Errno::EINVAL,
            MapError::NotOneVma => Errno::EFAULT,
            MapError::NotAllowed => Errno::EACCES,
            MapError::Occupied => Errno::EEXIST,
            MapError::NotMapped | MapError::OutOfMemory => Errno::ENOMEM,
        }
    }
}

/// brk(2) as the kernel has it: returns the end of the heap, moved or not.
pub async fn brk(thread: &Thread, address: usize) -> SysResult {
    Ok(thread.space().set_break(address).await)
}

/// mmap(2): anonymous memory and files, private or shared.
pub async fn mmap(
    thread: &Thread,
    address: usize,
    length: usize,
    protection: usize,
    flags: usize,
    fd: usize,
    offset: usize,
) -> SysResult {
    let protection = rights(protection);
    let flags = flags as u32;
    if length == 0 || !offset.is_multiple_of(FRAME_SIZE) {
        return Err(Errno::EINVAL);
    }
    if length > isize::MAX as usize {
        return Err(Errno::ENOMEM);
    }
    let unreserved = flags & linux::MAP_NORESERVE != 0 && overcommit::honours_noreserve();
    let shares = flags & linux::MAP_TYPE != linux::MAP_PRIVATE;
    let counted =
        protection.contains(Protection::WRITE) && (!shares || flags & linux::MAP_ANONYMOUS != 0);
    if counted && !unreserved {
        overcommit::check(length)?;
    }
    let place = if flags & linux::MAP_FIXED_NOREPLACE != 0 {
        Placement::FixedNoReplace(address)
    } else if flags & linux::MAP_FIXED != 0 {
        Placement::Fixed(address)
    } else if address != 0 {
        Placement::Hint(address - address % FRAME_SIZE)
    } else {
        Placement::Any
    };
    let shared = match flags & linux::MAP_TYPE {
        linux::MAP_PRIVATE => false,
        linux::MAP_SHARED | linux::MAP_SHARED_VALIDATE => true,
        _ => return Err(Errno::EINVAL),
    };
    // All memory of a stack is the program's own and fresh.
    let grows_down = flags & linux::MAP_GROWSDOWN != 0;
    if grows_down && (shared || flags & linux::MAP_ANONYMOUS == 0) {
        return Err(Errno::EINVAL);
    }
    let mut vma_flags = VmaFlags::empty();
    vma_flags.set(VmaFlags::GROWS_DOWN, grows_down);
    vma_flags.set(VmaFlags::LOCKED, flags & linux::MAP_LOCKED != 0);
    let at_once = flags & linux::MAP_POPULATE != 0 && flags & linux::MAP_NONBLOCK == 0;
    let mut allowed = Protection::all();
    let backing = match (flags & linux::MAP_ANONYMOUS != 0, shared) {
        (true, false) => Backing::Anonymous,
        (true, true) => {
            crate::memory::ensure_free().map_err(|_| Errno::ENOMEM)?;
            Backing::Shared(
                Object::with_len(length.next_multiple_of(FRAME_SIZE) as u64)?,
                0,
            )
        }
        (false, shared) => {
            let file = thread.process().files().get(Fd::from_argument(fd))?;
            if !file.is_readable() {
                return Err(Errno::EACCES);
            }
            // Writing the file takes a descriptor that is open for it, now and by mprotect.
            allowed.set(Protection::WRITE, !shared || file.is_writable());
            if !allowed.contains(protection) {
                return Err(Errno::EACCES);
            }
            let object = file.object().ok_or(Errno::ENODEV)?.clone();
            let offset = offset as u64;
            offset.checked_add(length as u64).ok_or(Errno::EOVERFLOW)?;
            if shared {
                Backing::Shared(object, offset)
            } else {
                Backing::Private(object, offset)
            }
        }
    };
    let space = thread.space();
    let mapped = space.map_as(MapRequest {
        place,
        length,
        protection,
        allowed,
        backing,
        flags: vma_flags,
        populated: at_once,
    });
    match mapped.await {
        // Out of a program's reach, as opposed to not aligned (mmap(2)).
        Err(MapError::BadRange) if address.is_multiple_of(FRAME_SIZE) => Err(Errno::ENOMEM),
        outcome => Ok(outcome?),
    }
}

/// munmap(2).
pub async fn munmap(thread: &Thread, address: usize, length: usize) -> SysResult {
    thread.space().unmap(address, length).await?;
    Ok(0)
}

/// mprotect(2).
pub async fn mprotect(
    thread: &Thread,
    address: usize,
    length: usize,
    protection: usize,
) -> SysResult {
    // PROT_SEM means nothing here, nor on Linux's x86, and nothing grows upwards.
    let grown = protection & linux::PROT_GROWSDOWN as usize != 0;
    let known = linux::PROT_READ
        | linux::PROT_WRITE
        | linux::PROT_EXEC
        | linux::PROT_SEM
        | linux::PROT_GROWSDOWN;
    if protection & !(known as usize) != 0 {
        return Err(Errno::EINVAL);
    }
    let protection = rights(protection);
    if !address.is_multiple_of(FRAME_SIZE) {
        return Err(Errno::EINVAL);
    }
    if length == 0 {
        return Ok(0);
    }
    let space = thread.space();
    let protected = match grown {
        true => space.protect_grown(address, length, protection).await,
        false => space.protect(address, length, protection).await,
    };
    match protected {
        // What is out of reach is not mapped either.
        Err(MapError::BadRange) => Err(Errno::ENOMEM),
        outcome => Ok(outcome.map(|()| 0)?),
    }
}

/// mremap(2).
pub async fn mremap(
    thread: &Thread,
    start: usize,
    old_length: usize,
    new_length: usize,
    flags: usize,
    new_address: usize,
) -> SysResult {
    const FIXED: u32 = linux::MREMAP_FIXED;
    const MAY_MOVE: u32 = linux::MREMAP_MAYMOVE;
    const KEEPS_OLD: u32 = linux::MREMAP_DONTUNMAP;
    let Ok(flags) = u32::try_from(flags) else {
        return Err(Errno::EINVAL);
    };
    if flags & !(FIXED | MAY_MOVE | KEEPS_OLD) != 0
        || (flags & (FIXED | KEEPS_OLD) != 0 && flags & MAY_MOVE == 0)
    {
        return Err(Errno::EINVAL);
    }
    let keeps_old = flags & KEEPS_OLD != 0;
    let target = if flags & FIXED != 0 {
        Target::At(Placement::Fixed(new_address))
    } else if keeps_old && new_address != 0 {
        Target::At(Placement::Hint(new_address))
    } else if keeps_old {
        Target::At(Placement::Any)
    } else if flags & MAY_MOVE != 0 {
        Target::Anywhere
    } else {
        Target::Here
    };
    let remap = Remap {
        start,
        old_length,
        new_length,
        target,
        keeps_old,
    };
    Ok(thread.space().remap(remap).await?)
}

/// The rights among these bits. mmap ignores all others, as Linux does.
fn rights(protection: usize) -> Protection {
    let protection = protection as u32;
    let mut rights = Protection::empty();
    rights.set(Protection::READ, protection & linux::PROT_READ != 0);
    rights.set(Protection::WRITE, protection & linux::PROT_WRITE != 0);
    rights.set(Protection::EXECUTE, protection & linux::PROT_EXEC != 0);
    rights
}
