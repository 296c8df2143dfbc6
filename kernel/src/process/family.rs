//! Which process is the parent of which, and how a process has ended.
//!
//! Each process has one lock for its family ties. A parent's may be held when a child's is taken,
//! or the lock of its signals, never the other way round. `exit` and `fork` change the ties.

use super::exit_status::ExitStatus;
use super::state::Process;
use crate::fs::poll_queue::PollQueue;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use executor::Label;
use executor::sync::WaitQueue;
use spin::Mutex;

/// A process's ties to others.
pub(super) struct Family {
    /// The number of the parent, to be read without the lock; 0 for none. Relaxed: it stands for
    /// itself.
    pub(super) parent: AtomicU32,
    pub(super) ties: Mutex<Ties>,
    /// Woken when a child has ended, was stopped or continued.
    pub(super) children_changed: WaitQueue,
    /// Woken when the process itself has ended.
    pub(super) ended: PollQueue,
}

pub(super) struct Ties {
    pub(super) parent: Weak<Process>,
    pub(super) children: Vec<Arc<Process>>,
    pub(super) ended: Option<ExitStatus>,
}

impl Family {
    pub(super) fn new(parent: Option<Arc<Process>>) -> Family {
        Family {
            parent: AtomicU32::new(parent.as_ref().map_or(0, |parent| parent.pid.0)),
            ties: Mutex::new(Ties {
                parent: parent.map_or(Weak::new(), |parent| Arc::downgrade(&parent)),
                children: Vec::new(),
                ended: None,
            }),
            children_changed: WaitQueue::labelled(&Label("child")),
            ended: PollQueue::new(&Label("end of process")),
        }
    }

    pub(super) fn exit_status(&self) -> Option<ExitStatus> {
        self.ties.lock().ended
    }

    pub(super) fn add_child(&self, child: Arc<Process>) {
        self.ties.lock().children.push(child);
    }

    pub(super) fn set_parent(&self, parent: Option<&Arc<Process>>) {
        self.ties.lock().parent = parent.map_or(Weak::new(), Arc::downgrade);
        let number = parent.map_or(0, |parent| parent.pid.0);
        self.parent.store(number, Ordering::Relaxed);
    }
}

impl Process {
    /// The number of the parent; 0 for init.
    pub fn parent_pid(&self) -> u32 {
        self.family.parent.load(Ordering::Relaxed)
    }

    /// The parent, if it is still there.
    pub fn parent(&self) -> Option<Arc<Process>> {
        self.family.ties.lock().parent.upgrade()
    }

    /// The children, zombies included.
    pub fn children(&self) -> Vec<Arc<Process>> {
        self.family.ties.lock().children.clone()
    }
}
