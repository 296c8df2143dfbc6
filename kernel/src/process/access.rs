//! Which process may look into another (ptrace(2), "Ptrace access mode checking").

use super::credentials::{Capability, Credentials};
use super::state::Process;
use core::sync::atomic::Ordering;

/// Whether `process` may read and change the memory and the open files of `other`: one of the same
/// user, whose program is not set-user-ID, or with `CAP_SYS_PTRACE` any.
pub fn may_access(process: &Process, other: &Process) -> bool {
    if core::ptr::eq(process, other) {
        return true;
    }
    let theirs = other.credentials();
    let own_all = |own: &Credentials| {
        let is_one =
            |ids: super::credentials::IdSet, id| [ids.real, ids.effective, ids.saved] == [id; 3];
        is_one(theirs.uid, own.uid.real) && is_one(theirs.gid, own.gid.real)
    };
    process.with_credentials(|own| {
        let is_dumpable = other.attributes().dumpable.load(Ordering::Relaxed);
        own.has(Capability::SysPtrace) || (own_all(own) && is_dumpable)
    })
}
