//! The writes of a process reach no other process.

use user::sys::memory::Protection;
use user::sys::process::{self, Pid, Status};
use user::sys::signal::Signal;
use user::testing::child::{self, expect_signal, expect_status};
use user::testing::pagemap::{expect_different, expect_same};
use user::testing::{Case, Channel, Explain, Mapping, Verdict, in_child};
use user::{cases, ensure};

pub const CASES: &[Case] = cases![
    child_writes => "child-writes",
    parent_writes => "parent-writes",
    grandchild_writes => "grandchild-writes",
    three_levels => "three-levels",
    both_write => "both-write",
    siblings => "siblings",
    orphan => "orphan",
    long_chain => "long-chain",
    fork_again => "fork-again",
    killed_half_way => "killed-half-way",
    protect_is_private => "protect-is-private",
    unmap_is_private => "unmap-is-private",
    map_is_private => "map-is-private",
    exec_keeps_parent => "exec-keeps-parent",
];

const PAGES: usize = 4;

fn child_writes() -> Verdict {
    let area = Mapping::private(PAGES)?;
    area.fill_all(1);
    let frame = area.frame(0)?;
    in_child(|| {
        area.check_all(1)?;
        expect_same("before the child writes", frame, area.frame(0)?)?;
        area.fill(0, 2);
        expect_different("after the child wrote", frame, area.frame(0)?)?;
        area.check(0, 2)?;
        area.check(1, 1)
    })?;
    area.check_all(1)?;
    expect_same("the parent, which never wrote", frame, area.frame(0)?)
}

fn parent_writes() -> Verdict {
    let area = Mapping::private(PAGES)?;
    let (written, done) = (Channel::new()?, Channel::new()?);
    area.fill_all(1);
    let frame = area.frame(2)?;
    let pid = child::start(|| {
        written.receive()?;
        area.check_all(1)?;
        expect_same("the child, which never wrote", frame, area.frame(2)?)?;
        done.send(0)
    })?;
    area.fill(2, 2);
    expect_different("the parent, which wrote", frame, area.frame(2)?)?;
    written.send(0)?;
    done.receive()?;
    child::finish(pid)?;
    area.check(2, 2)?;
    area.check(1, 1)
}

fn grandchild_writes() -> Verdict {
    let area = Mapping::private(PAGES)?;
    area.fill_all(1);
    let frame = area.frame(1)?;
    in_child(|| {
        in_child(|| {
            area.check_all(1)?;
            area.fill(1, 3);
            expect_different("the grandchild, which wrote", frame, area.frame(1)?)?;
            area.check(1, 3)
        })?;
        area.check_all(1)?;
        expect_same("the child, which never wrote", frame, area.frame(1)?)
    })?;
    area.check_all(1)?;
    expect_same("the grandparent, which never wrote", frame, area.frame(1)?)
}

/// Parent, child and grandchild each write all pages, while all three live; all see their own.
fn three_levels() -> Verdict {
    let area = Mapping::private(PAGES)?;
    let (up, down) = (Channel::new()?, Channel::new()?);
    area.fill_all(1);
    let pid = child::start(|| {
        area.check_all(1)?;
        area.fill(0, 2);
        let pid = child::start(|| {
            area.check(0, 2)?;
            area.check(1, 1)?;
            area.fill_all(3);
            up.send(0)?;
            down.receive()?;
            area.check_all(3)
        })?;
        (1..PAGES).try_for_each(|page| area.check(page, 1))?;
        area.fill_all(2);
        up.send(0)?;
        child::finish(pid)?;
        down.receive()?;
        area.check_all(2)
    })?;
    area.fill_all(4);
    up.receive()?;
    up.receive()?;
    down.send(0)?;
    down.send(0)?;
    child::finish(pid)?;
    area.check_all(4)
}

/// Both write the same page, in turns, a word each: the pages stay apart.
fn both_write() -> Verdict {
    let area = Mapping::private(1)?;
    let (there, back) = (Channel::new()?, Channel::new()?);
    area.fill_all(1);
    let pid = child::start(|| {
        for word in 0..16 {
            let pattern = there.receive()?;
            ensure!(
                area.get(0, word) != pattern,
                "the parent's word {word} is here"
            );
            area.set(0, word, !pattern);
            back.send(0)?;
        }
        (0..16).try_for_each(|word| {
            ensure!(
                area.get(0, word) == !(word as u64 + 7),
                "word {word} changed"
            );
            Ok(())
        })
    })?;
    for word in 0..16 {
        area.set(0, word, word as u64 + 7);
        there.send(word as u64 + 7)?;
        back.receive()?;
        ensure!(
            area.get(0, word) == word as u64 + 7,
            "the child's word {word} is here"
        );
    }
    child::finish(pid)
}

fn siblings() -> Verdict {
    const COUNT: usize = 12;
    let area = Mapping::private(PAGES)?;
    let (ready, go) = (Channel::new()?, Channel::new()?);
    area.fill_all(100);
    let mut pids = [Pid(0); COUNT];
    for (number, pid) in pids.iter_mut().enumerate() {
        *pid = child::start(|| {
            area.check_all(100)?;
            area.fill_all(number as u64);
            // All have written before any looks.
            ready.send(0)?;
            go.receive()?;
            area.check_all(number as u64)
        })?;
    }
    for _ in 0..COUNT {
        ready.receive()?;
    }
    area.check_all(100)?;
    for _ in 0..COUNT {
        go.send(0)?;
    }
    pids.into_iter().try_for_each(child::finish)?;
    area.check_all(100)
}

/// The middle one ends first; its child's pages are its own all the same.
fn orphan() -> Verdict {
    let area = Mapping::private(PAGES)?;
    let (go, done) = (Channel::new()?, Channel::new()?);
    area.fill_all(1);
    in_child(|| {
        area.fill(0, 2);
        process::spawn(|| {
            let work = || {
                go.receive()?;
                area.check(0, 2)?;
                area.check(1, 1)?;
                area.fill_all(3);
                area.check_all(3)
            };
            let well = u64::from(work().is_ok());
            i32::from(done.send(well).is_err())
        })
        .or_fail("fork")
        .map(drop)
    })?;
    area.fill_all(4);
    go.send(0)?;
    let well = done.receive()?;
    ensure!(well == 1, "the orphan saw wrong memory");
    area.check_all(4)
}

/// Each of many generations changes one page more; all see what the elders wrote.
fn long_chain() -> Verdict {
    const GENERATIONS: usize = 24;
    let area = Mapping::private(GENERATIONS)?;
    area.fill_all(0);
    fn generation(area: &Mapping, number: usize) -> Verdict {
        for page in 0..area.pages() {
            area.check(page, if page < number { 1 } else { 0 })?;
        }
        if number == area.pages() {
            return Ok(());
        }
        in_child(|| {
            area.fill(number, 1);
            generation(area, number + 1)
        })?;
        area.check(number, 0)
    }
    generation(&area, 0)
}

/// Forks over and over, with writes on both sides in between.
fn fork_again() -> Verdict {
    let area = Mapping::private(PAGES)?;
    area.fill_all(0);
    for round in 0..50 {
        let page = round as usize % PAGES;
        in_child(|| {
            area.fill_all(1000 + round);
            area.check_all(1000 + round)
        })?;
        area.check_all(round)?;
        area.fill(page, round + 1);
        in_child(|| area.check(page, round + 1))?;
        area.fill_all(round + 1);
    }
    Ok(())
}

fn killed_half_way() -> Verdict {
    let area = Mapping::private(16)?;
    area.fill_all(1);
    for _ in 0..20 {
        let started = Channel::new()?;
        let pid = child::start(|| {
            started.send(0)?;
            for pattern in 2.. {
                area.fill_all(pattern);
            }
            Ok(())
        })?;
        started.receive()?;
        area.fill(3, 1);
        process::kill(pid, Signal::SIGKILL).or_fail("kill")?;
        expect_status(pid, Status::Killed(Signal::SIGKILL))?;
        area.check_all(1)?;
    }
    Ok(())
}

fn protect_is_private() -> Verdict {
    let area = Mapping::private(PAGES)?;
    area.fill_all(1);
    in_child(|| {
        area.protect(1, 1, Protection::READ)?;
        expect_signal(Signal::SIGSEGV, || area.set(1, 0, 0))?;
        area.check_all(1)?;
        area.protect(1, 1, Protection::READ_WRITE)?;
        area.fill(1, 2);
        area.check(1, 2)?;
        area.protect(0, PAGES, Protection::NONE)
    })?;
    area.fill(1, 3);
    area.check(1, 3)?;
    area.check(0, 1)
}

fn unmap_is_private() -> Verdict {
    let area = Mapping::private(PAGES)?;
    area.fill_all(1);
    in_child(|| {
        area.unmap(1, 2)?;
        expect_signal(Signal::SIGSEGV, || area.set(1, 0, 0))?;
        area.check(0, 1)?;
        area.check(3, 1)
    })?;
    area.check_all(1)?;
    area.fill_all(2);
    area.check_all(2)
}

/// What a child maps where nothing was, its parent does not get.
fn map_is_private() -> Verdict {
    const FREE: usize = 0x2000_0000_0000;
    let area = Mapping::private_at(FREE, PAGES)?;
    area.unmap(0, PAGES)?;
    in_child(|| {
        let area = Mapping::private_at(FREE, PAGES)?;
        (0..PAGES).try_for_each(|page| area.check_zero(page))?;
        area.fill_all(2);
        area.check_all(2)
    })?;
    expect_signal(Signal::SIGSEGV, || {
        area.get(0, 0);
    })
}

fn exec_keeps_parent() -> Verdict {
    let area = Mapping::private(PAGES)?;
    area.fill_all(1);
    child::expect_exit(0, || {
        area.fill(0, 2);
        process::execute(c"/bin/true", &[c"true"]);
        1
    })?;
    area.check_all(1)?;
    area.fill_all(3);
    area.check_all(3)
}
