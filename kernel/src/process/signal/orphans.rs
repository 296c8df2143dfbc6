//! Process groups without anybody to continue them (setpgid(2)).
//!
//! A shell that has put a command into a group of its own, by `^Z` say, is there to continue it.
//! A group that nobody of that kind is left for is *orphaned*: the terminal's signals do not stop
//! it, and if somebody in it is stopped at the moment when it becomes so, all of it gets
//! `SIGHUP`, and `SIGCONT` to take notice.

use super::info::SigInfo;
use super::number::Signal;
use super::send::send_to_group;
use crate::process::ids::{self, Pid};
use crate::process::state::Process;
use core::sync::atomic::Ordering;

/// Whether the parent could continue the child's group: it is in another group of the same session.
/// Init is nobody's shell.
fn controls(parent: &Process, child: &Process) -> bool {
    // Relaxed, like all here: who changes them at the same time may come before or after.
    let group = |process: &Process| process.group.load(Ordering::Relaxed);
    let session = |process: &Process| process.session.load(Ordering::Relaxed);
    parent.pid != Pid::INIT && group(parent) != group(child) && session(parent) == session(child)
}

/// Calls `visit` with those of a group that have not ended, until it says yes.
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

/// Whether somebody is there who could continue a process of this group.
pub(super) fn has_job_control(group: u32) -> bool {
    any_of(group, |process| {
        let parent = process.parent();
        parent.is_some_and(|parent| controls(&parent, process))
    })
}

/// A process has lost this parent, or has ended itself: it may have been what kept its group
/// from being orphaned.
pub(in crate::process) fn check_orphaned_group(child: &Process, parent: &Process) {
    if !controls(parent, child) {
        return;
    }
    let group = child.group.load(Ordering::Relaxed);
    if !has_job_control(group) && any_of(group, Process::is_stopped) {
        for signal in [Signal::HUP, Signal::CONT] {
            send_to_group(group, Some(SigInfo::kernel(signal)));
        }
    }
}
