//! The end of a process, and waiting for it.
//!
//! A process ends when its last thread has left it (`thread_group`).
//!
//! A process that has ended gives its memory and files back at once, and stays as a
//! zombie until its parent has asked for its status. Its own children go to init, or to the nearest
//! ancestor that asks for orphans. The locks of both are in `family`.
//!
//! A child that ends while its parent hands it over is announced twice, to the parent that it saw
//! and to the new one. The wait that takes it out of a list of children removes it from the table.

use super::exit_status::{End, ExitStatus};
use super::ids::{self, Pid};
use super::job_control;
use super::signal::{self, ChildEvent, SigInfo, Signal};
use super::state::Process;
use super::thread::{Tcb, Thread};
use super::usage::Usage;
use crate::errno::Errno;
use crate::memory;
use crate::trace::{self, Kind};
use crate::wait::{Wait, interruptible};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as linux;

impl Thread {
    /// The end of its life.
    pub(super) fn end(self, end: End) {
        let Thread { tcb, space, .. } = self;
        // First, so that the last thread holds the last reference.
        drop(space);
        tcb.leave(end);
    }
}

impl Tcb {
    /// The thread becomes the leader. It is the only one.
    pub(super) fn become_leader(self: &Arc<Tcb>) {
        if !self.is_leader() {
            ids::remove_thread(self);
            self.tid.store(self.process().pid.0, Ordering::Relaxed);
        }
    }

    /// The end of the thread, which does not use its memory any more; and of the process, if
    /// it is the last.
    pub(super) fn leave(self: &Arc<Tcb>, end: End) {
        // It would keep the memory of the task.
        let signal_waker = self.signal_waker.lock().take();
        drop(signal_waker);
        if let End::Process(status) = end {
            self.process().threads.end(status);
        }
        if self.is_leader() {
            // The parent of a vfork(2) child waits for this thread.
            self.process().vfork_done.complete();
        } else {
            ids::remove_thread(self);
        }
        if let Some(status) = self.process().threads.leave(self, end) {
            self.process().end(status);
        }
    }
}

impl Process {
    /// Ends the process, whose last thread has left: its memory and files are given back,
    /// its children go to init, its parent is told.
    pub(super) fn end(self: &Arc<Process>, status: ExitStatus) {
        let word = status.to_wait_status();
        trace::event(Kind::Exit, [self.pid.0.into(), word.into()]);
        self.stop_timer();
        self.files.leave();
        job_control::leave_terminal(self);
        self.set_executable(None);
        memory::release_and_reclaim(|| {
            // This CPU leaves the address space, so that the last reference to it can go.
            memory::leave();
            drop(self.set_space(None));
        });
        let children = mem::take(&mut self.family.ties.lock().children);
        self.hand_over(children);
        let parent = self.parent();
        match &parent {
            Some(parent) => parent.child_ended(self, Some(status)),
            None => self.family.ties.lock().ended = Some(status),
        }
        self.family.ended.wake_all();
        match parent {
            Some(parent) => signal::check_orphaned_group(self, &parent),
            // The kernel's own child (init), or one whose parent ended at the same moment.
            None if self.pid != Pid::INIT => ids::remove(self),
            None => {}
        }
    }

    /// For a child that was added by another process: if this one has ended meanwhile, it goes where
    /// the others went.
    pub(super) fn hand_over_late(&self) {
        if self.exit_status().is_some() {
            let children = mem::take(&mut self.family.ties.lock().children);
            self.hand_over(children);
        }
    }

    fn hand_over(&self, children: Vec<Arc<Process>>) {
        if children.is_empty() {
            return;
        }
        let heir = self.heir();
        for child in children {
            if let Some(signal) = child.attributes.death_signal() {
                // It has no value that could be too much.
                let _ = signal::send(&child, SigInfo::user(signal, self.pid, 0));
            }
            match &heir {
                Some(heir) => {
                    child.attributes.set_usual_exit_signal();
                    child.family.set_parent(Some(heir));
                    heir.family.add_child(child.clone());
                    signal::check_orphaned_group(&child, self);
                    // After it is in the list: if it ended before, it did not find itself there.
                    if child.exit_status().is_some() {
                        heir.child_ended(&child, None);
                    }
                }
                // Without init no process will ask: zombies are forgotten now, the others when they
                // end.
                None => {
                    child.family.set_parent(None);
                    if child.exit_status().is_some() {
                        ids::remove(&child);
                    }
                }
            }
        }
    }

    /// Which process gets the children of this one when it ends: the nearest ancestor that asks for
    /// orphans, or init.
    fn heir(&self) -> Option<Arc<Process>> {
        let mut ancestor = self.parent();
        while let Some(process) = ancestor {
            let reaps = process.attributes.reaps_orphans.load(Ordering::Relaxed);
            if reaps && process.exit_status().is_none() {
                return Some(process);
            }
            ancestor = process.parent();
        }
        ids::find(Pid::INIT).filter(|_| self.pid != Pid::INIT)
    }

    /// Tells the parent that the process was stopped or continued.
    pub(super) fn notify_parent(&self, event: ChildEvent) {
        let Some(parent) = self.parent() else {
            return;
        };
        parent.family.children_changed.wake_all();
        if !parent.signals.action(Signal::CHLD).has(linux::SA_NOCLDSTOP) {
            let info = SigInfo::child(Signal::CHLD, event, self.pid, self.threads.usage());
            // As in `child_ended`.
            let _ = signal::send(&parent, info);
        }
    }

    /// A child has ended: with this status, or, if it was handed over, before.
    ///
    /// That a wait finds the child, and that its signal is pending, become true in one hold of the
    /// lock of the ties, which a wait takes too. So a parent whose wait returns has the signal
    /// pending, and a handler of the signal finds the child.
    fn child_ended(&self, child: &Arc<Process>, status: Option<ExitStatus>) {
        let signal = child.attributes.exit_signal();
        let reaps = signal == Some(Signal::CHLD) && self.signals.reaps_children();
        let mut taken = None;
        let mut queued = None;
        {
            let mut ties = self.family.ties.lock();
            let ended = {
                let mut of_child = child.family.ties.lock();
                of_child.ended = of_child.ended.or(status);
                of_child.ended
            };
            if reaps {
                // SIGCHLD is ignored: no zombie is kept (wait(2), notes). One that is handed over, or
                // that a wait has taken, is theirs to forget.
                let mut children = ties.children.iter();
                let place = children.position(|other| Arc::ptr_eq(other, child));
                taken = place.map(|place| ties.children.remove(place));
            }
            if let (Some(signal), Some(ended)) = (signal, ended) {
                let event = ChildEvent::Ended(ended);
                let info = SigInfo::child(signal, event, child.pid, child.threads.usage());
                // One that is pending already tells of children too: nothing is lost.
                queued = signal::queue(self, info).ok();
            }
        }
        if taken.is_some() {
            ids::remove(child);
        }
        self.family.children_changed.wake_all();
        if let Some(queued) = queued {
            signal::wake_for(self, queued);
        }
    }
}

impl Process {
    /// Waits until the process has ended, without taking its status from its parent. For
    /// the kernel's own child, init.
    pub async fn wait_for_end(&self) -> ExitStatus {
        self.family.ended.wait_until(|| self.exit_status()).await
    }
}

/// Which children a wait is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Selector {
    /// Any.
    Any,
    /// This one.
    One(Pid),
    /// Those of a process group.
    Group(u32),
}

impl Selector {
    fn matches(self, process: &Process) -> bool {
        match self {
            Selector::Any => true,
            Selector::One(pid) => process.pid == pid,
            Selector::Group(group) => process.group.load(Ordering::Relaxed) == group,
        }
    }
}

/// Children by the signal with which they end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChildKind {
    /// Those with `SIGCHLD`.
    Usual,
    /// The others (`__WCLONE`).
    Clone,
    /// All (`__WALL`).
    All,
}

impl ChildKind {
    fn include(self, child: &Process) -> bool {
        let is_usual = child.attributes.exit_signal() == Some(Signal::CHLD);
        match self {
            ChildKind::Usual => is_usual,
            ChildKind::Clone => !is_usual,
            ChildKind::All => true,
        }
    }
}

/// Of what news of a child a wait wants to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WaitOptions {
    /// That it has ended (`WEXITED`).
    pub ended: bool,
    /// That it was stopped (`WSTOPPED`).
    pub stopped: bool,
    /// That it was continued (`WCONTINUED`).
    pub continued: bool,
    /// Which children it is for, by the signal with which they end.
    pub children: ChildKind,
    /// The news stays for another wait (`WNOWAIT`).
    pub stays: bool,
}

impl WaitOptions {
    /// Whether it wants to be told of this.
    pub(super) fn includes(self, event: ChildEvent) -> bool {
        match event {
            ChildEvent::Ended(_) => self.ended,
            ChildEvent::Stopped(_) => self.stopped,
            ChildEvent::Continued => self.continued,
        }
    }
}

/// What a wait was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChildReport {
    /// The child's number, which is free again if it has ended.
    pub pid: Pid,
    /// What happened to it.
    pub event: ChildEvent,
    /// What it has used, with its own children.
    pub usage: Usage,
}

/// Waits until there is news of a child that the selector matches. `None`, if it may not wait.
///
/// # Errors
/// `ECHILD` when there is no such child; and when a signal interrupts the wait.
pub async fn wait(
    parent: &Process,
    selector: Selector,
    news: WaitOptions,
    how: Wait<'_>,
) -> Result<Option<ChildReport>, Errno> {
    let look = || look(parent, selector, news);
    let Wait::For(caller) = how else {
        return look();
    };
    let family = &parent.family;
    let news = family.children_changed.wait_until(|| look().transpose());
    interruptible(caller, news).await?.map(Some)
}

/// Takes the news of a child that matches, if it does not stay; one that has ended is no zombie any
/// more then. `None` when there is none.
fn look(
    parent: &Process,
    selector: Selector,
    news: WaitOptions,
) -> Result<Option<ChildReport>, Errno> {
    let mut ties = parent.family.ties.lock();
    let mut any = false;
    let mut found = None;
    for (index, child) in ties.children.iter().enumerate() {
        if selector.matches(child) && news.children.include(child) {
            if let Some(status) = child.exit_status() {
                if news.ended {
                    found = Some((index, status));
                    break;
                }
                // There will be no other news of it.
                continue;
            }
            any = true;
            if let Some(event) = child
                .signals
                .take_report(|event| news.includes(event), news.stays)
            {
                return Ok(Some(ChildReport {
                    pid: child.pid,
                    event,
                    usage: child.usage(),
                }));
            }
        }
    }
    let Some((index, status)) = found else {
        return if any { Ok(None) } else { Err(Errno::ECHILD) };
    };
    let child = match news.stays {
        true => ties.children[index].clone(),
        false => ties.children.remove(index),
    };
    drop(ties);
    let usage = child.usage() + child.children_usage();
    if !news.stays {
        ids::remove(&child);
        let mut sum = parent.children_usage.lock();
        *sum = *sum + usage;
    }
    Ok(Some(ChildReport {
        pid: child.pid,
        event: ChildEvent::Ended(status),
        usage,
    }))
}
