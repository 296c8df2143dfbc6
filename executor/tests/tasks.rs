//! What a task is made of: with stats and without, of any alignment, and
//! with a count of references that does not wrap.
#![cfg(all(feature = "std", not(loom)))]

use executor::host::Runtime;
use executor::{JoinError, Phase, TaskInfo};
use std::future::{pending, poll_fn};
use std::task::Poll;

#[test]
fn a_task_without_accounts_is_shown_all_the_same() {
    let runtime = Runtime::lean(2);
    let executor = runtime.executor();
    let task = executor.task("named").on(1).spawn(pending::<()>());
    while executor.tasks()[0].phase != Phase::Waiting {
        std::thread::yield_now();
    }
    let expected = TaskInfo {
        id: task.id(),
        name: "",
        phase: Phase::Waiting,
        cpu: Some(1),
        polls: 0,
        busy_ns: 0,
        waits_for: None,
        pinned: true,
        background: false,
    };
    assert_eq!(executor.tasks(), [expected]);
    assert_eq!(task.name(), "");
    let other = executor.spawn("other", pending::<()>());
    assert_ne!(task.id(), other.id());
    for task in [task, other] {
        task.abort();
        assert!(matches!(runtime.block_on(task), Err(JoinError::Cancelled)));
    }
    // A joining task is woken before the joined one leaves the list.
    while !executor.tasks().is_empty() {
        std::thread::yield_now();
    }
}

#[test]
fn a_task_without_accounts_is_kept_nowhere() {
    let runtime = Runtime::lean(1);
    let executor = runtime.executor().clone();
    let task = runtime.executor().spawn("task", async move {
        poll_fn(|context| Poll::Ready(executor.set_affinity(context, 0b10))).await
    });
    assert!(runtime.block_on(task).unwrap().is_ready());
}

#[test]
fn a_future_and_its_output_may_be_aligned_as_they_like() {
    #[derive(Clone, Copy)]
    #[repr(align(256))]
    struct Wide(u8);
    fn is_aligned(wide: &Wide) -> bool {
        std::ptr::from_ref(wide).addr().is_multiple_of(256)
    }
    for start in [Runtime::new, Runtime::lean] {
        let runtime = start(1);
        let task = runtime.executor().spawn("wide", async {
            let wide = std::hint::black_box(Wide(7));
            executor::yield_now().await;
            assert!(is_aligned(&wide));
            wide
        });
        let name = task.name();
        assert!(name == "wide" || name.is_empty());
        let wide = runtime.block_on(task).unwrap();
        assert!(is_aligned(&wide) && wide.0 == 7);
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri takes an hour to count so far")]
fn a_task_whose_wakers_are_leaked_panics_before_they_are_miscounted() {
    let runtime = Runtime::new(1);
    let task = runtime.executor().spawn("leak", async {
        poll_fn(|context| {
            let waker = context.waker();
            let mut leaked = 0_u64;
            let mut leak = || {
                let clone = || loop {
                    std::mem::forget(waker.clone());
                    leaked += 1;
                };
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(clone)).is_err()
            };
            // A caller that catches the panic gets no further.
            assert!(leak() && leak());
            waker.wake_by_ref();
            Poll::Ready(leaked)
        })
        .await
    });
    let leaked = runtime.block_on(task).unwrap();
    assert!((1 << 23..1 << 25).contains(&leaked), "{leaked} wakers");
}
