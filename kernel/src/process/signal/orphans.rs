//! Orphaned process groups (setpgid(2)).
//!
//! A group is under job control while a member has a parent in another group of the same session: a
//! shell that can continue it. Without such a parent the group is *orphaned*: the terminal's stop
//! signals do not stop it, and if a member is stopped at the moment when the group becomes orphaned,
//! all of it gets `SIGHUP` and `SIGCONT`.

use super::info::SigInfo;
use super::number::Signal;
use super::send::send_to_group;
use crate::process::ids::{self, Pid};
use crate::process::state::Process;
use core::sync::atomic::Ordering;

/// Whether the parent could continue the child's group: it is in another group of the same session.
/// Init does not count.
fn controls(parent: &Process, child: &Process) -> bool {
    // Relaxed, as all loads here: a concurrent change may come before or after.
    let group = |process: &Process| process.group.load(Ordering::Relaxed);
    let session = |process: &Process| process.session.load(Ordering::Relaxed);
    parent.pid != Pid::INIT && group(parent) != group(child) && session(parent) == session(child)
}

/// Calls `visit` with the members of a group that have not ended, until it returns `true`.
fn any_of(group: u32, visit: impl Fn(&Process) -> bool) -> bool {
    let mut last = Pid(0);
    while let Some(process) = ids::next(last) {
        last = process.pid;
        let is_in_it = process.group.load(Ordering::Relaxed) == group;
        if is_in_it && process.exit_status().is_none() && visit(&process) {
            return true;
        }
    }
    false
}

/// Whether a parent of a member could continue this group.
pub(in crate::process) fn has_job_control(group: u32) -> bool {
    any_of(group, |process| {
        let parent = process.parent();
        parent.is_some_and(|parent| controls(&parent, process))
    })
}

/// To be called when a process has lost this parent, or has ended: its group may have become
/// orphaned by that.
pub(in crate::process) fn check_orphaned_group(child: &Process, parent: &Process) {
    if !controls(parent, child) {
        return;
    }
    let group = child.group.load(Ordering::Relaxed);
    if !has_job_control(group) && any_of(group, Process::is_stopped) {
        for signal in [Signal::HUP, Signal::CONT] {
            send_to_group(group, Some(SigInfo::kernel(signal)), None);
        }
    }
}
