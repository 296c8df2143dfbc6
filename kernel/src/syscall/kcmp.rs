//! kcmp(2): whether two processes have something in common.

use crate::errno::{Errno, SysResult};
use crate::fs::table::Fd;
use crate::process::{self, Pid, Process, Thread};
use alloc::sync::Arc;

// include/uapi/linux/kcmp.h
const KCMP_FILE: u32 = 0;
const KCMP_VM: u32 = 1;
const KCMP_FILES: u32 = 2;
const KCMP_FS: u32 = 3;
const KCMP_SIGHAND: u32 = 4;
const KCMP_IO: u32 = 5;
const KCMP_SYSVSEM: u32 = 6;

/// kcmp(2). The order of two things that differ is that of their addresses, hidden by a key.
pub fn kcmp(thread: &Thread, [one, two, kind, first, second]: [usize; 5]) -> SysResult {
    let find = |pid: usize| {
        let process = process::find(Pid(pid as u32)).ok_or(Errno::ESRCH)?;
        match process::may_access(thread.process(), &process) {
            true => Ok(process),
            false => Err(Errno::EPERM),
        }
    };
    let (one, two): (Arc<Process>, Arc<Process>) = (find(one)?, find(two)?);
    let addresses = match kind as u32 {
        KCMP_FILE => {
            let file = |process: &Process, fd| {
                let file = process.files().get(Fd::from_argument(fd))?;
                Ok::<_, Errno>(Arc::as_ptr(&file).addr())
            };
            [file(&one, first)?, file(&two, second)?]
        }
        KCMP_VM => [&one, &two].map(|process| {
            let space = process.space();
            space.map_or(0, |space| Arc::as_ptr(&space).addr())
        }),
        KCMP_FILES => [&one, &two].map(|process| core::ptr::from_ref(process.files()).addr()),
        KCMP_FS | KCMP_SIGHAND | KCMP_IO | KCMP_SYSVSEM => {
            [&one, &two].map(|process| Arc::as_ptr(process).addr())
        }
        _ => return Err(Errno::EINVAL),
    };
    // Any odd number keeps things apart that are; Linux has a random one as well.
    let [a, b] = addresses.map(|address| address.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    Ok(match a.cmp(&b) {
        core::cmp::Ordering::Equal => 0,
        core::cmp::Ordering::Less => 1,
        core::cmp::Ordering::Greater => 2,
    })
}
