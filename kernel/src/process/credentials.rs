//! The credentials of a process (credentials(7)): its users, groups and capabilities.
//!
//! Linux keeps these for each thread, and C libraries change them for all threads together. Here a
//! process has them once.

use super::user::{Charge, Counted, User};
use crate::errno::Errno;
use crate::memory::OutOfMemory;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The superuser.
const ROOT: u32 = 0;
/// "Leave it as it is", in the calls that change identities.
const KEEP: u32 = u32::MAX;
/// All capabilities that Linux 6.1 knows, a bit each (`CAP_LAST_CAP` is 40).
pub const ALL_CAPABILITIES: u64 = (1 << 41) - 1;

/// The capabilities that are asked for here (capabilities(7)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Capability {
    /// To send any process a signal.
    Kill = 5,
    /// To change groups.
    SetGid = 6,
    /// To change users.
    SetUid = 7,
    /// To change the bounding set.
    SetPcap = 8,
    /// To lock memory beyond the limit.
    IpcLock = 14,
    /// To look into any process.
    SysPtrace = 19,
    /// Many things of an administrator.
    SysAdmin = 21,
    /// To raise priorities, and change those of others.
    SysNice = 23,
    /// To go beyond limits and raise them.
    SysResource = 24,
}

/// The four numbers of a user or a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IdSet {
    /// The real one.
    pub real: u32,
    /// The effective one.
    pub effective: u32,
    /// The saved set-ID.
    pub saved: u32,
    /// The one for files.
    pub files: u32,
}

impl IdSet {
    fn has(&self, id: u32) -> bool {
        id == self.real || id == self.effective || id == self.saved
    }

    /// setuid(2), setgid(2).
    fn set(self, id: u32, privileged: bool) -> Result<IdSet, Errno> {
        if id == KEEP {
            return Err(Errno::EINVAL);
        }
        let mut new = self;
        if privileged {
            new.real = id;
            new.saved = id;
        } else if id != self.real && id != self.saved {
            return Err(Errno::EPERM);
        }
        new.effective = id;
        new.files = id;
        Ok(new)
    }

    /// setreuid(2), setregid(2).
    fn set_two(self, real: u32, effective: u32, privileged: bool) -> Result<IdSet, Errno> {
        let mut new = self;
        if real != KEEP {
            if !privileged && real != self.real && real != self.effective {
                return Err(Errno::EPERM);
            }
            new.real = real;
        }
        if effective != KEEP {
            if !privileged && !self.has(effective) {
                return Err(Errno::EPERM);
            }
            new.effective = effective;
        }
        if real != KEEP || (effective != KEEP && effective != self.real) {
            new.saved = new.effective;
        }
        new.files = new.effective;
        Ok(new)
    }

    /// setresuid(2), setresgid(2).
    fn set_three(self, ids: [u32; 3], privileged: bool) -> Result<IdSet, Errno> {
        let allowed = |id| id == KEEP || privileged || self.has(id);
        if !ids.into_iter().all(allowed) {
            return Err(Errno::EPERM);
        }
        let chosen = |id, old| if id == KEEP { old } else { id };
        let effective = chosen(ids[1], self.effective);
        Ok(IdSet {
            real: chosen(ids[0], self.real),
            effective,
            saved: chosen(ids[2], self.saved),
            files: effective,
        })
    }

    /// setfsuid(2), setfsgid(2): the number before, whether it was changed or not.
    fn set_files(&mut self, id: u32, privileged: bool) -> u32 {
        let old = self.files;
        if id != KEEP && (privileged || self.has(id) || id == old) {
            self.files = id;
        }
        old
    }
}

/// How a call changes one of the two sets of identities.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdChange {
    /// setuid(2), setgid(2).
    One(u32),
    /// setreuid(2), setregid(2): real, effective.
    Two(u32, u32),
    /// setresuid(2), setresgid(2): real, effective, saved.
    Three([u32; 3]),
}

impl IdChange {
    /// [`IdChange::One`] of arguments as the registers hold them.
    pub fn one(id: usize) -> IdChange {
        IdChange::One(id as u32)
    }

    /// [`IdChange::Two`] likewise.
    pub fn two(real: usize, effective: usize) -> IdChange {
        IdChange::Two(real as u32, effective as u32)
    }

    /// [`IdChange::Three`] likewise.
    pub fn three(real: usize, effective: usize, saved: usize) -> IdChange {
        IdChange::Three([real, effective, saved].map(|id| id as u32))
    }

    fn apply(self, to: IdSet, privileged: bool) -> Result<IdSet, Errno> {
        match self {
            IdChange::One(id) => to.set(id, privileged),
            IdChange::Two(real, effective) => to.set_two(real, effective, privileged),
            IdChange::Three(ids) => to.set_three(ids, privileged),
        }
    }
}

/// The sets of capabilities of a process, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capabilities {
    /// Those that count.
    pub effective: u64,
    /// Those that it may make count.
    pub permitted: u64,
    /// Those that it may keep over `execve`.
    pub inheritable: u64,
    /// Those that it may ever get by `execve`.
    pub bounding: u64,
}

/// The users, groups and capabilities of a process.
#[derive(Clone)]
pub struct Credentials {
    /// Its users.
    pub uid: IdSet,
    /// Its groups.
    pub gid: IdSet,
    /// Its supplementary groups.
    pub groups: Arc<Vec<u32>>,
    /// Its capabilities.
    pub capabilities: Capabilities,
    /// The permitted ones stay when it stops being root (`PR_SET_KEEPCAPS`).
    pub keeps_capabilities: bool,
    /// `execve` gives no privileges (`PR_SET_NO_NEW_PRIVS`).
    pub no_new_privileges: bool,
    /// The counts of its real user.
    pub(super) user: Arc<User>,
}

impl Credentials {
    /// Those of the first process.
    pub(super) fn root() -> Result<Credentials, OutOfMemory> {
        Ok(Credentials {
            uid: IdSet::default(),
            gid: IdSet::default(),
            groups: Arc::new(Vec::new()),
            capabilities: Capabilities {
                effective: ALL_CAPABILITIES,
                permitted: ALL_CAPABILITIES,
                inheritable: 0,
                bounding: ALL_CAPABILITIES,
            },
            keeps_capabilities: false,
            no_new_privileges: false,
            user: User::find(ROOT)?,
        })
    }

    /// Whether it has this capability.
    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities.effective & 1 << capability as u32 != 0
    }

    /// Changes its users, and its capabilities with them (capabilities(7), "Effect of user ID changes
    /// on capabilities").
    pub(super) fn change_users(&mut self, change: IdChange) -> Result<(), Errno> {
        let new = change.apply(self.uid, self.has(Capability::SetUid))?;
        if new.real != self.uid.real {
            self.user = User::find(new.real).map_err(|_| Errno::EAGAIN)?;
        }
        let old = core::mem::replace(&mut self.uid, new);
        let is_root = |ids: &IdSet| ids.has(ROOT);
        if is_root(&old) && !is_root(&new) && !self.keeps_capabilities {
            self.capabilities.permitted = 0;
            self.capabilities.effective = 0;
        }
        if old.effective == ROOT && new.effective != ROOT {
            self.capabilities.effective = 0;
        } else if old.effective != ROOT && new.effective == ROOT {
            self.capabilities.effective = self.capabilities.permitted;
        }
        Ok(())
    }

    /// Changes its groups.
    pub(super) fn change_groups(&mut self, change: IdChange) -> Result<(), Errno> {
        self.gid = change.apply(self.gid, self.has(Capability::SetGid))?;
        Ok(())
    }

    /// Changes its user for files, and returns the one before.
    pub fn set_files_user(&mut self, uid: u32) -> u32 {
        let privileged = self.has(Capability::SetUid);
        self.uid.set_files(uid, privileged)
    }

    /// Changes its group for files, and returns the one before.
    pub fn set_files_group(&mut self, gid: u32) -> u32 {
        let privileged = self.has(Capability::SetGid);
        self.gid.set_files(gid, privileged)
    }

    /// Changes its capabilities (capset(2)).
    ///
    /// # Errors
    /// `EPERM` for what it may not have.
    pub fn set_capabilities(&mut self, new: Capabilities) -> Result<(), Errno> {
        let old = self.capabilities;
        let may_inherit = match self.has(Capability::SetPcap) {
            true => old.inheritable | old.bounding,
            false => old.inheritable | old.permitted,
        };
        if new.permitted & !old.permitted != 0
            || new.effective & !new.permitted != 0
            || new.inheritable & !may_inherit != 0
        {
            return Err(Errno::EPERM);
        }
        self.capabilities = Capabilities {
            bounding: old.bounding,
            ..new
        };
        Ok(())
    }

    /// For a new program, whose file may say that it runs as its owner or group (execve(2)). Returns
    /// whether the program has to be careful (`AT_SECURE`).
    pub(super) fn exec(&mut self, owner: Option<u32>, group: Option<u32>) -> bool {
        if !self.no_new_privileges {
            self.uid.effective = owner.unwrap_or(self.uid.effective);
            self.gid.effective = group.unwrap_or(self.gid.effective);
        }
        for ids in [&mut self.uid, &mut self.gid] {
            ids.saved = ids.effective;
            ids.files = ids.effective;
        }
        let is_root = self.uid.effective == ROOT;
        let caps = &mut self.capabilities;
        caps.permitted = match is_root || self.uid.real == ROOT {
            true => caps.inheritable | caps.bounding,
            false => 0,
        };
        caps.effective = if is_root { caps.permitted } else { 0 };
        self.keeps_capabilities = false;
        self.uid.effective != self.uid.real || self.gid.effective != self.gid.real
    }

    /// Whether it may send a signal to a process with those (kill(2)).
    pub fn may_signal(&self, other: &Credentials) -> bool {
        let targets = [other.uid.real, other.uid.saved];
        self.has(Capability::Kill)
            || targets.contains(&self.uid.effective)
            || targets.contains(&self.uid.real)
    }

    /// Counts one more process or thread of the user, within the limit (`RLIMIT_NPROC`), which does
    /// not hold for the superuser.
    pub(super) fn charge_task(&self, limit: u64) -> Option<Charge> {
        let free = self.uid.real == ROOT
            || self.has(Capability::SysResource)
            || self.has(Capability::SysAdmin);
        let limit = if free { u64::MAX } else { limit };
        self.user.charge(Counted::Task, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sim;

    const USER: IdSet = IdSet {
        real: 5,
        effective: 6,
        saved: 7,
        files: 6,
    };

    #[test]
    fn without_a_privilege_only_own_identities_can_be_taken() {
        assert_eq!(USER.set(7, false).map(|ids| ids.effective), Ok(7));
        assert_eq!(USER.set(8, false), Err(Errno::EPERM));
        assert_eq!(
            USER.set_three([KEEP, 5, KEEP], false).map(|i| i.files),
            Ok(5)
        );
        assert_eq!(USER.set_three([KEEP, 8, KEEP], false), Err(Errno::EPERM));
        assert_eq!(USER.set_two(7, KEEP, false), Err(Errno::EPERM));
        assert_eq!(USER.set_two(KEEP, 7, false).map(|i| i.saved), Ok(7));
    }

    #[test]
    fn a_process_that_stops_being_root_has_no_capabilities() {
        let _machine = sim::Machine::start(1, 512);
        let mut root = Credentials::root().unwrap();
        assert!(root.has(Capability::SetUid));
        root.change_users(IdChange::Three([5, 5, KEEP])).unwrap();
        assert_eq!(root.capabilities.effective, 0);
        root.change_users(IdChange::Three([KEEP, 0, KEEP])).unwrap();
        assert_eq!(root.capabilities.effective, ALL_CAPABILITIES);
        root.change_users(IdChange::One(5)).unwrap();
        assert_eq!(root.capabilities.permitted, 0);
        assert_eq!(root.change_users(IdChange::One(0)), Err(Errno::EPERM));
    }
}
