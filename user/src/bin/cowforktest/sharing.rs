//! Pages are copied only when two hold them and one writes.

use user::sys::process::Pid;
use user::testing::child::{self};
use user::testing::pagemap::{Frame, expect_different, expect_same};
use user::testing::vmstat::{counter, quiesce};
use user::testing::{Case, Channel, Mapping, Verdict, in_child};
use user::{cases, ensure};

pub const CASES: &[Case] = cases![
    untouched_stay_shared => "untouched-stay-shared",
    reading_copies_nothing => "reading-copies-nothing",
    reuse => "reuse",
    reuse_by_child => "reuse-by-child",
    reuse_many => "reuse-many",
    every_third_page => "every-third-page",
    shared_mapping => "shared-mapping",
    never_touched => "never-touched",
    read_but_never_written => "read-but-never-written",
];

fn untouched_stay_shared() -> Verdict {
    let area = Mapping::private(8)?;
    area.fill_all(1);
    let mut frames = [Frame::Absent; 8];
    for (page, frame) in frames.iter_mut().enumerate() {
        *frame = area.frame(page)?;
    }
    in_child(|| {
        area.fill(3, 2);
        for (page, frame) in frames.iter().enumerate() {
            match page {
                3 => expect_different("the written page", *frame, area.frame(page)?)?,
                _ => expect_same("a page that was not written", *frame, area.frame(page)?)?,
            }
        }
        in_child(|| {
            area.fill(5, 3);
            expect_same("the grandchild's untouched page", frames[0], area.frame(0)?)?;
            area.check(3, 2)
        })
    })?;
    for (page, frame) in frames.iter().enumerate() {
        expect_same("the parent's page", *frame, area.frame(page)?)?;
    }
    area.check_all(1)
}

/// Neither reading nor time breaks COW, on both sides.
fn reading_copies_nothing() -> Verdict {
    let area = Mapping::private(8)?;
    let (there, back) = (Channel::new()?, Channel::new()?);
    area.fill_all(1);
    let frame = area.frame(4)?;
    let pid = child::start(|| {
        for _ in 0..10 {
            there.receive()?;
            area.check_all(1)?;
            expect_same("the child only reads", frame, area.frame(4)?)?;
            back.send(0)?;
        }
        Ok(())
    })?;
    for _ in 0..10 {
        area.check_all(1)?;
        expect_same("the parent only reads", frame, area.frame(4)?)?;
        there.send(0)?;
        back.receive()?;
    }
    child::finish(pid)
}

/// When the other holder has gone, a write reuses the page as it is.
fn reuse() -> Verdict {
    let area = Mapping::private(1)?;
    area.fill_all(1);
    let frame = area.frame(0)?;
    in_child(|| area.check_all(1))?;
    quiesce();
    // The first look makes the stack's own pages private again, so that between the second and
    // the third one there is nothing but our write.
    counter("cow_copies");
    let before = counter("cow_copies");
    area.fill(0, 2);
    let after = counter("cow_copies");
    expect_same("the sole owner wrote", frame, area.frame(0)?)?;
    ensure!(before == after, "copies went from {before:?} to {after:?}");
    area.check(0, 2)
}

/// The same with the parent as the holder that leaves the page, by a write of its own.
fn reuse_by_child() -> Verdict {
    let area = Mapping::private(1)?;
    let (go, done) = (Channel::new()?, Channel::new()?);
    area.fill_all(1);
    let frame = area.frame(0)?;
    let pid = child::start(|| {
        go.receive()?;
        quiesce();
        expect_same("before the sole owner writes", frame, area.frame(0)?)?;
        area.fill(0, 3);
        expect_same("the sole owner wrote", frame, area.frame(0)?)?;
        done.send(0)?;
        area.check(0, 3)
    })?;
    area.fill(0, 2);
    expect_different("the parent, which wrote first", frame, area.frame(0)?)?;
    go.send(0)?;
    done.receive()?;
    child::finish(pid)?;
    area.check(0, 2)
}

/// Many children came and went; what is left is the parent's without a copy.
fn reuse_many() -> Verdict {
    const PAGES: usize = 40;
    let area = Mapping::private(PAGES)?;
    area.fill_all(1);
    let mut frames = [Frame::Absent; PAGES];
    for (page, frame) in frames.iter_mut().enumerate() {
        *frame = area.frame(page)?;
    }
    for round in 0..5u64 {
        let mut pids = [Pid(0); 6];
        for pid in &mut pids {
            *pid = child::start(|| {
                area.fill(round as usize, 7);
                area.check(round as usize, 7)
            })?;
        }
        pids.into_iter().try_for_each(child::finish)?;
    }
    quiesce();
    area.fill_all(2);
    for (page, frame) in frames.iter().enumerate() {
        expect_same("all children gone", *frame, area.frame(page)?)?;
    }
    area.check_all(2)
}

fn every_third_page() -> Verdict {
    const PAGES: usize = 96;
    let area = Mapping::private(PAGES)?;
    area.fill_all(1);
    let mut frames = [Frame::Absent; PAGES];
    for (page, frame) in frames.iter_mut().enumerate() {
        *frame = area.frame(page)?;
    }
    in_child(|| {
        (0..PAGES).step_by(3).for_each(|page| area.fill(page, 2));
        for (page, frame) in frames.iter().enumerate() {
            let now = area.frame(page)?;
            if page.is_multiple_of(3) {
                area.check(page, 2)?;
                expect_different("a written page", *frame, now)?;
            } else {
                area.check(page, 1)?;
                expect_same("an unwritten page", *frame, now)?;
            }
        }
        Ok(())
    })?;
    area.check_all(1)
}

/// A shared mapping is not copied at all, through the generations.
fn shared_mapping() -> Verdict {
    let area = Mapping::shared(2)?;
    area.fill_all(1);
    let frame = area.frame(0)?;
    in_child(|| {
        area.fill(0, 2);
        expect_same("the child's shared page", frame, area.frame(0)?)?;
        in_child(|| {
            area.check(0, 2)?;
            area.fill(1, 3);
            expect_same("the grandchild's shared page", frame, area.frame(0)?)
        })?;
        area.check(1, 3)
    })?;
    area.check(0, 2)?;
    area.check(1, 3)?;
    expect_same("the parent's shared page", frame, area.frame(0)?)
}

/// Pages that were not touched before the fork are zero for both, and apart.
fn never_touched() -> Verdict {
    let area = Mapping::private(4)?;
    let shared = Mapping::shared(2)?;
    in_child(|| {
        area.check_zero(0)?;
        area.fill(1, 2);
        area.check_zero(2)?;
        shared.fill(1, 5);
        area.check(1, 2)
    })?;
    (0..4).try_for_each(|page| area.check_zero(page))?;
    shared.check_zero(0)?;
    shared.check(1, 5)
}

fn read_but_never_written() -> Verdict {
    let area = Mapping::private(4)?;
    (0..4).try_for_each(|page| area.check_zero(page))?;
    in_child(|| {
        area.fill(0, 2);
        area.check_zero(1)?;
        area.check(0, 2)
    })?;
    area.check_zero(0)?;
    area.fill(0, 3);
    area.check_zero(1)?;
    area.check(0, 3)
}
