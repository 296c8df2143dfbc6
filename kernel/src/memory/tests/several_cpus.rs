//! One address space on several CPUs. Shootdowns are asked, served and acknowledged by
//! hand.

use super::*;
use core::pin::{Pin, pin};

/// Polls the future once. Says whether it has to wait.
fn waits(future: Pin<&mut impl Future>) -> bool {
    future.now_or_never().is_none()
}

/// Both CPUs are in the address space, and CPU 1 has its page in the TLB.
fn on_two_cpus() -> (sim::Machine, Arc<AddressSpace>, Arc<AddressSpace>) {
    let machine = sim::Machine::start(2, 1024);
    let parent = space(2);
    store(&parent, BASE, 1).unwrap();
    let child = now(parent.fork()).unwrap();
    sim::on(1, || {
        activate(&parent);
        assert_eq!(load(&parent, BASE), Ok(1));
    });
    (machine, parent, child)
}

#[test]
fn m4_a_copy_is_not_writable_before_the_old_page_is_gone_everywhere() {
    let (_machine, parent, child) = on_two_cpus();
    let mut fault = pin!(parent.fault(BASE, Access::Write));
    assert!(waits(fault.as_mut()));
    assert!(sim::take_ipi(1), "the other CPU was not asked");
    assert!(
        sim::store(BASE, 2).is_err(),
        "writable while another CPU reads the old page"
    );
    assert_eq!(sim::load(BASE), Ok(1), "readers do not wait");
    sim::on(1, serve);
    assert_eq!(now(fault), Ok(()));
    sim::store(BASE, 2).unwrap();
    assert_eq!(sim::on(1, || load(&parent, BASE)), Ok(2));
    activate(&child);
    assert_eq!(load(&child, BASE), Ok(1));
    sim::on(1, reclaim_here);
    assert_clean(&[parent.clone(), child], &[]);
}

#[test]
fn m4_a_copy_that_a_killed_thread_has_left_is_not_written_early_either() {
    let (_machine, parent, child) = on_two_cpus();
    {
        let mut fault = pin!(parent.fault(BASE, Access::Write));
        assert!(waits(fault.as_mut()));
        // The thread is killed here; another one of the same process goes on.
    }
    let mut fault = pin!(parent.fault(BASE, Access::Write));
    assert!(waits(fault.as_mut()));
    assert!(
        sim::store(BASE, 2).is_err(),
        "CPU 1 still reads the old page"
    );
    sim::on(1, serve);
    now(fault).unwrap();
    sim::store(BASE, 2).unwrap();
    assert_eq!(sim::on(1, || load(&parent, BASE)), Ok(2));
    sim::on(1, reclaim_here);
    assert_clean(&[parent.clone(), child], &[]);
}

#[test]
fn m4_nobody_takes_a_copy_over_before_the_old_page_is_gone_everywhere() {
    let (_machine, parent, child) = on_two_cpus();
    let mut first = pin!(parent.fault(BASE, Access::Write));
    assert!(waits(first.as_mut()));
    sim::on(1, || {
        // Another thread of the same program. It holds the copy alone already, but has not
        // forgotten the old page.
        let mut second = pin!(parent.fault(BASE, Access::Write));
        assert!(waits(second.as_mut()));
        assert!(sim::store(BASE, 3).is_err());
    });
    sim::on(1, serve);
    now(first).unwrap();
    sim::on(1, || store(&parent, BASE, 3)).unwrap();
    assert_eq!(sim::load(BASE), Ok(3), "both use the same page");
    sim::on(1, reclaim_here);
    assert_clean(&[parent.clone(), child], &[]);
}

#[test]
fn m2_a_reference_is_kept_while_another_cpu_can_use_it() {
    let (_machine, parent, child) = on_two_cpus();
    let old = parent.frame_at(BASE).unwrap();
    let mut fault = pin!(parent.fault(BASE, Access::Write));
    assert!(waits(fault.as_mut()));
    reclaim_here();
    assert_eq!(holders(old), 2, "the child must not find itself alone yet");
    sim::on(1, || {
        serve();
        reclaim_here();
    });
    reclaim_here();
    assert_eq!(holders(old), 1);
    activate(&child);
}

#[test]
fn m2_a_shootdown_owns_what_it_releases_even_if_nobody_waits() {
    let (_machine, parent, child) = on_two_cpus();
    {
        let mut fault = pin!(parent.fault(BASE, Access::Write));
        assert!(waits(fault.as_mut()));
        // The thread is killed here.
    }
    assert!(!is_quiescent() || !tlb::shootdown::is_quiescent());
    sim::on(1, || {
        serve();
        leave();
        reclaim_here();
    });
    assert_clean(&[parent, child], &[]);
}

#[test]
fn m3_fork_waits_until_no_cpu_can_write() {
    let _machine = sim::Machine::start(2, 1024);
    let parent = space(1);
    store(&parent, BASE, 1).unwrap();
    sim::on(1, || {
        activate(&parent);
        store(&parent, BASE, 2).unwrap();
    });
    let mut fork = pin!(parent.fork());
    assert!(waits(fork.as_mut()));
    // Rule M3, its second half: no copy is made while CPU 1 can still write the original.
    let mut fault = pin!(parent.fault(BASE, Access::Write));
    assert!(waits(fault.as_mut()));
    sim::on(1, || sim::store(BASE, 3).unwrap());
    sim::on(1, serve);
    let child = now(fork).unwrap();
    assert!(sim::on(1, || sim::store(BASE, 4)).is_err());
    assert!(waits(fault.as_mut()));
    sim::on(1, serve);
    now(fault).unwrap();
    activate(&child);
    assert_eq!(load(&child, BASE), Ok(3));
}

/// A child of vfork that is killed in the middle of fork leaves the memory to its parent.
#[test]
fn m3_after_a_fork_that_was_given_up_no_page_is_copied_while_it_can_be_written() {
    let _machine = sim::Machine::start(2, 1024);
    let shared = space(1);
    store(&shared, BASE, 1).unwrap();
    sim::on(1, || {
        activate(&shared);
        store(&shared, BASE, 2).unwrap();
    });
    {
        let mut fork = pin!(shared.fork());
        assert!(waits(fork.as_mut()));
    }
    let mut fault = pin!(shared.fault(BASE, Access::Write));
    assert!(waits(fault.as_mut()));
    sim::on(1, || sim::store(BASE, 3).unwrap());
    sim::on(1, serve);
    while waits(fault.as_mut()) {
        sim::on(1, serve);
    }
    assert_eq!(load(&shared, BASE), Ok(3));
}

#[test]
fn m4_faults_of_two_threads_wait_side_by_side_and_fork_waits_for_both() {
    let _machine = sim::Machine::start(3, 1024);
    let parent = space(2);
    let pages = [BASE, BASE + PAGE];
    for page in pages {
        store(&parent, page, 1).unwrap();
    }
    let child = now(parent.fork()).unwrap();
    sim::on(1, || activate(&parent));
    sim::on(2, || activate(&parent));
    let mut first = pin!(parent.fault(BASE, Access::Write));
    assert!(waits(first.as_mut()));
    let mut second = pin!(parent.fault(BASE + PAGE, Access::Write));
    assert!(sim::on(1, || waits(second.as_mut())));
    for (page, frame) in pages.map(|page| (page, parent.frame_at(page).unwrap())) {
        assert_eq!(holders(frame), 1, "{page:#x} has its copy already");
    }
    let mut fork = pin!(parent.fork());
    assert!(sim::on(2, || waits(fork.as_mut())));
    (0..3).for_each(|cpu| sim::on(cpu, serve));
    assert!(sim::on(2, || waits(fork.as_mut())));
    now(first).unwrap();
    sim::store(BASE, 2).unwrap();
    assert!(sim::on(2, || waits(fork.as_mut())));
    sim::on(1, || now(second)).unwrap();
    assert!(sim::on(2, || waits(fork.as_mut())), "this CPU can write");
    assert!(sim::on(0, || sim::store(BASE, 3)).is_ok());
    (0..2).for_each(|cpu| sim::on(cpu, serve));
    let grandchild = sim::on(2, || now(fork)).unwrap();
    // Perhaps fork has copied the page ahead; if not, this fails.
    let _ = sim::on(0, || sim::store(BASE, 4));
    drop(child);
    activate(&grandchild);
    assert_eq!(load(&grandchild, BASE), Ok(3));
}

#[test]
fn m5_munmap_returns_when_the_other_cpu_has_forgotten() {
    let (_machine, parent, _child) = on_two_cpus();
    let mut unmap = pin!(parent.unmap(BASE, PAGE));
    assert!(waits(unmap.as_mut()));
    sim::on(1, serve);
    now(unmap).unwrap();
    assert!(sim::on(1, || sim::load(BASE)).is_err());
}

#[test]
fn m5_mprotect_returns_when_the_other_cpu_has_forgotten() {
    let (_machine, parent, child) = on_two_cpus();
    drop(child);
    reclaim_here();
    store(&parent, BASE, 2).unwrap();
    sim::on(1, || store(&parent, BASE, 3)).unwrap();
    let mut protect = pin!(parent.protect(BASE, PAGE, Protection::READ));
    assert!(waits(protect.as_mut()));
    sim::on(1, serve);
    now(protect).unwrap();
    assert!(sim::on(1, || sim::store(BASE, 4)).is_err());
}

#[test]
fn m5_mprotect_that_fails_at_a_gap_returns_when_the_other_cpu_has_forgotten() {
    let (_machine, parent, child) = on_two_cpus();
    drop(child);
    reclaim_here();
    store(&parent, BASE, 2).unwrap();
    sim::on(1, || store(&parent, BASE, 3)).unwrap();
    let mut protect = pin!(parent.protect(BASE, 1 << 20, Protection::READ));
    assert!(waits(protect.as_mut()));
    sim::on(1, serve);
    assert_eq!(now(protect), Err(MapError::NotMapped));
    assert!(sim::on(1, || sim::store(BASE, 4)).is_err());
}

#[test]
fn m6_a_cpu_that_has_left_is_not_asked() {
    let (_machine, parent, _child) = on_two_cpus();
    sim::on(1, leave);
    sim::take_ipi(1);
    store(&parent, BASE, 2).unwrap();
    assert!(!sim::take_ipi(1));
    sim::on(1, || {
        activate(&parent);
        assert_eq!(
            load(&parent, BASE),
            Ok(2),
            "it comes back without old translations"
        );
    });
}

#[test]
fn m6_a_cpu_that_is_asked_between_polls_leaves_and_is_not_asked_again() {
    let (_machine, parent, child) = on_two_cpus();
    let mut fault = pin!(parent.fault(BASE, Access::Write));
    assert!(waits(fault.as_mut()));
    sim::on(1, between_polls);
    now(fault).unwrap();
    assert!(sim::take_ipi(1));
    now(parent.unmap(BASE, PAGE)).unwrap();
    assert!(!sim::take_ipi(1), "it has left");
    sim::on(1, || {
        activate(&parent);
        assert!(sim::load(BASE).is_err(), "stale");
        reclaim_here();
    });
    reclaim_here();
    assert_clean(&[parent.clone(), child], &[]);
}

#[test]
fn m7_a_cpu_that_is_asked_already_gets_no_second_interrupt() {
    let (_machine, parent, _child) = on_two_cpus();
    let mut first = pin!(parent.unmap(BASE, PAGE));
    assert!(waits(first.as_mut()));
    assert!(sim::take_ipi(1));
    let other = space(1);
    sim::on(1, || activate(&other));
    store(&other, BASE, 1).unwrap();
    let mut second = pin!(other.unmap(BASE, PAGE));
    assert!(waits(second.as_mut()));
    assert!(!sim::take_ipi(1), "one interrupt for many requests");
    assert_eq!(total(Counter::ShootdownsMerged), 1);
    sim::on(1, serve);
    now(first).unwrap();
    now(second).unwrap();
}

/// Nothing is allocated for a shootdown: a CPU has room for a fixed number. A task that wants one
/// more waits before it changes anything, even if the tasks that began the others were killed.
#[test]
fn m2_a_cpu_whose_shootdowns_are_all_under_way_waits_and_changes_nothing() {
    let _machine = sim::Machine::start(2, 1024);
    // An address space each: within one, no call goes on before the last shootdown is complete.
    let spaces: Vec<_> = (0..50)
        .map(|_| {
            let space = space(2);
            (0..2).for_each(|n| store(&space, BASE + n * PAGE, 7).unwrap());
            space
        })
        .collect();
    let mut waiting = 0;
    for space in &spaces {
        activate(space);
        sim::on(1, || activate(space));
        let mut unmap = pin!(space.unmap(BASE, PAGE));
        assert!(waits(unmap.as_mut()));
        waiting += usize::from(space.frame_at(BASE).is_none());
    }
    assert!((2..50).contains(&waiting), "{waiting} are under way");
    let space = &spaces[49];
    let mut last = pin!(space.unmap(BASE + PAGE, PAGE));
    assert!(waits(last.as_mut()));
    sim::on(1, || {
        serve();
        leave();
    });
    now(last).unwrap();
    sim::on(1, reclaim_here);
    reclaim_here();
    assert!(tlb::shootdown::is_quiescent() && is_quiescent());
    assert_clean(&spaces, &[]);
}

#[test]
fn m2_what_is_under_way_is_not_quiescent_though_it_is_in_no_mailbox() {
    let (_machine, parent, child) = on_two_cpus();
    {
        let mut fault = pin!(parent.fault(BASE, Access::Write));
        assert!(waits(fault.as_mut()));
    }
    assert!(!tlb::shootdown::is_quiescent());
    sim::on(1, serve);
    assert!(tlb::shootdown::is_quiescent());
    assert!(
        !sim::on(1, is_quiescent),
        "what it released is still to be dropped"
    );
    sim::on(1, reclaim_here);
    assert!(is_quiescent());
    drop(child);
}

/// A child of vfork that is killed in the middle of munmap leaves the memory to its
/// parent.
#[test]
fn m5_a_munmap_that_is_given_up_leaves_no_page_without_an_area() {
    let _machine = sim::Machine::start(2, 1024);
    let shared = space(200);
    (0..200).for_each(|n| store(&shared, BASE + n * PAGE, 7).unwrap());
    sim::on(1, || activate(&shared));
    {
        let mut unmap = pin!(shared.unmap(BASE, 200 * PAGE));
        assert!(waits(unmap.as_mut()));
    }
    sim::on(1, || {
        serve();
        leave();
        reclaim_here();
    });
    for n in 0..200 {
        let page = BASE + n * PAGE;
        let mut is_mapped = false;
        shared.visit_vmas_now(page, |area| {
            is_mapped = area.start <= page;
            false
        });
        assert_eq!(sim::load(page).is_ok(), is_mapped, "page {n}");
    }
    now(shared.unmap(BASE, 200 * PAGE)).unwrap();
    map(&shared, BASE, 200);
    assert!((0..200).all(|n| load(&shared, BASE + n * PAGE) == Ok(0)));
    assert_clean(&[shared], &[]);
}

/// Two threads drop overlapping ranges: each page is dropped once, and neither returns before
/// the other CPUs have forgotten.
#[test]
fn m5_two_threads_may_drop_overlapping_ranges() {
    let _machine = sim::Machine::start(3, 1024);
    let space = space(100);
    (0..100).for_each(|n| store(&space, BASE + n * PAGE, 7).unwrap());
    let free = free_frames();
    for cpu in [1, 2] {
        sim::on(cpu, || activate(&space));
    }
    sim::on(2, || {
        (0..100).for_each(|n| store(&space, BASE + n * PAGE, 8).unwrap())
    });
    let mut first = pin!(space.unmap(BASE, 60 * PAGE));
    let mut second = pin!(space.advise(BASE + 30 * PAGE, 70 * PAGE, Advice::Discard));
    assert!(waits(first.as_mut()));
    sim::on(1, || assert!(waits(second.as_mut())));
    let mut outcomes = (None, None);
    for _ in 0..10 {
        // Each word lets one of them go on a step.
        (0..3).for_each(|cpu| sim::on(cpu, serve));
        if outcomes.0.is_none() {
            outcomes.0 = first.as_mut().now_or_never();
        }
        if outcomes.1.is_none() {
            outcomes.1 = sim::on(1, || second.as_mut().now_or_never());
        }
    }
    assert_eq!(outcomes, (Some(Ok(())), Some(Err(MapError::NotMapped))));
    for n in 0..100 {
        assert!(
            sim::on(2, || sim::load(BASE + n * PAGE)).is_err(),
            "page {n}"
        );
    }
    assert_eq!(load(&space, BASE + 59 * PAGE), Err(FaultError::NotMapped));
    assert_eq!(load(&space, BASE + 60 * PAGE), Ok(0));
    for cpu in [1, 2] {
        sim::on(cpu, || {
            leave();
            reclaim_here();
        });
    }
    reclaim_here();
    assert!(free_frames() >= free + 99);
    assert_clean(core::slice::from_ref(&space), &[]);
}

/// A page goes while another thread waits to write it: the write is refused afterwards, and
/// no page is left behind.
#[test]
fn m5_munmap_waits_for_a_fault_that_is_under_way() {
    let (_machine, parent, child) = on_two_cpus();
    let mut fault = pin!(parent.fault(BASE, Access::Write));
    assert!(waits(fault.as_mut()));
    let mut unmap = pin!(parent.unmap(BASE, PAGE));
    sim::on(1, || assert!(waits(unmap.as_mut())));
    assert_eq!(sim::load(BASE), Ok(1), "not in the middle of the fault");
    sim::on(1, serve);
    assert_eq!(now(fault), Ok(()));
    sim::store(BASE, 2).unwrap();
    sim::on(1, || assert!(waits(unmap.as_mut())));
    serve();
    sim::on(1, || now(unmap)).unwrap();
    assert!(sim::load(BASE).is_err() && sim::on(1, || sim::load(BASE)).is_err());
    assert_eq!(store(&parent, BASE, 3), Err(FaultError::NotMapped));
    sim::on(1, || {
        leave();
        reclaim_here();
    });
    assert_clean(&[parent.clone(), child], &[]);
}
