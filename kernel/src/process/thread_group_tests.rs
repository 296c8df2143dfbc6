//! Joining and leaving, without threads that run.

use super::*;
use crate::fs::table::FdTable;
use crate::fs::tree::Tree;
use crate::memory::AddressSpace;
use crate::process::credentials::Credentials;
use crate::process::files::Files;
use crate::process::ids::Pid;
use crate::process::rlimit::Limits;
use crate::process::signal::{InheritedSignals, Signal, Signals};
use crate::process::state::{Names, Parts, Process};
use crate::process::user::{Counted, User};
use crate::testing::sim::{self, Machine};
use alloc::boxed::Box;
use futures_util::FutureExt;

/// A process without threads, that is not in the table.
fn process() -> (Machine, Arc<Process>) {
    let machine = sim::Machine::start(1, 512);
    let parts = Parts {
        space: AddressSpace::new().unwrap(),
        files: Files::new(FdTable::new()).unwrap(),
        cwd: Tree::new().root().clone(),
        umask: 0,
        group: None,
        session: None,
        limits: Limits::usual(),
        exit_signal: Some(Signal::CHLD),
        charge: User::alone().charge(Counted::Task, 1).unwrap(),
        credentials: Credentials::root().unwrap(),
        signals: Signals::new(),
        parent: None,
        names: Arc::new(Names::default()),
        executable: None,
        uses_barriers: false,
        oom_score_adj: 0,
    };
    (machine, Arc::new(Process::new(Pid(10), parts)))
}

/// A thread that has joined. Number 10 is the leader's.
fn thread(process: &Arc<Process>, tid: u32) -> Arc<Tcb> {
    let thread = made(process, tid);
    process.threads.join(thread.clone()).unwrap();
    thread
}

fn made(process: &Arc<Process>, tid: u32) -> Arc<Tcb> {
    let signals = InheritedSignals::NOTHING;
    Arc::new(Tcb::new(process.clone(), Pid(tid), signals, None))
}

const SEVEN: ExitStatus = ExitStatus::Code(7);
const NINE: ExitStatus = ExitStatus::Code(9);

#[test]
fn the_exit_of_all_members_is_pending_and_no_other_joins() {
    let (_machine, process) = process();
    let threads = [10, 11].map(|tid| thread(&process, tid));
    process.threads.end(SEVEN);
    assert!(threads.iter().all(|thread| thread.exit_pending()));
    let late = process.threads.join(made(&process, 12));
    assert_eq!(late, Err(NotJoined::Ending));
    // The first verdict counts.
    process.threads.end(ExitStatus::Signal(Signal::KILL));
    let [leader, other] = threads;
    assert_eq!(process.threads.leave(&leader, End::ExitPending), None);
    assert_eq!(process.threads.leave(&other, End::ExitPending), Some(SEVEN));
}

#[test]
fn the_last_to_leave_of_its_own_says_how_the_process_ended() {
    let (_machine, process) = process();
    let [leader, other] = [10, 11].map(|tid| thread(&process, tid));
    assert_eq!(process.threads.leave(&leader, End::Thread(SEVEN)), None);
    assert!(
        !other.exit_pending(),
        "a thread that leaves alone ends nobody"
    );
    let last = process.threads.leave(&other, End::Thread(NINE));
    assert_eq!(last, Some(NINE));
}

#[test]
fn one_of_two_that_want_to_be_the_only_one_is() {
    let (_machine, process) = process();
    let [leader, first, second] = [10, 11, 12].map(|tid| thread(&process, tid));
    let mut alone = Box::pin(process.threads.become_only(&first));
    assert_eq!(alone.as_mut().now_or_never(), None);
    assert!(leader.exit_pending() && second.exit_pending() && !first.exit_pending());
    let beaten = process.threads.become_only(&second).now_or_never();
    assert_eq!(beaten, Some(false));
    let late = process.threads.join(made(&process, 13));
    assert_eq!(late, Err(NotJoined::Ending));
    assert_eq!(process.threads.leave(&second, End::ExitPending), None);
    assert_eq!(alone.as_mut().now_or_never(), None, "the leader is there");
    assert_eq!(process.threads.leave(&leader, End::ExitPending), None);
    assert_eq!(alone.as_mut().now_or_never(), Some(true));
    drop(alone);
    process.threads.reopen();
    thread(&process, 14);
    assert_eq!(process.threads.len(), 2);
    // They know the process, and it knows them.
    process.threads.for_each(|thread| thread.set_exit_pending());
    for tid in [11, 14] {
        let thread = process.threads.find(|thread| thread.tid() == Pid(tid));
        let _ = process.threads.leave(&thread.unwrap(), End::ExitPending);
    }
}

#[test]
fn whoever_wants_to_be_the_only_one_may_have_to_end_too() {
    let (_machine, process) = process();
    let [leader, other] = [10, 11].map(|tid| thread(&process, tid));
    {
        let mut alone = Box::pin(process.threads.become_only(&other));
        assert_eq!(alone.as_mut().now_or_never(), None);
        process.threads.end(SEVEN);
        assert!(other.exit_pending(), "it sees that beside its wait");
    }
    assert_eq!(process.threads.leave(&other, End::ExitPending), None);
    let last = process.threads.leave(&leader, End::ExitPending);
    assert_eq!(last, Some(SEVEN));
}

#[test]
fn the_time_of_threads_that_left_counts() {
    let (_machine, process) = process();
    let [leader, other] = [10, 11].map(|tid| thread(&process, tid));
    leader.end_poll(3);
    other.end_poll(4);
    other.end_poll(5);
    assert_eq!(process.threads.usage().time(), 12);
    let _ = process.threads.leave(&other, End::Thread(SEVEN));
    assert_eq!(process.threads.usage().time(), 12);
    let _ = process.threads.leave(&leader, End::Thread(SEVEN));
    assert_eq!(process.threads.usage().time(), 12);
}
