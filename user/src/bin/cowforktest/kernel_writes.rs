//! The kernel writes to a shared page as the program would: into a copy of its own (rule M8).

use user::sys::file::{self, O_CLOEXEC, O_RDONLY};
use user::sys::{memory, system};
use user::testing::child;
use user::testing::pagemap::{expect_different, expect_same};
use user::testing::{Case, Channel, Explain, Mapping, Verdict, in_child};
use user::{cases, ensure};

pub const CASES: &[Case] = cases![
    read_in_child => "read-in-child",
    read_in_parent => "read-in-parent",
    read_over_many_pages => "read-over-many-pages",
    read_from_device => "read-from-device",
    random_bytes => "random-bytes",
    wait_status => "wait-status",
    write_copies_nothing => "write-copies-nothing",
];

fn read_in_child() -> Verdict {
    let mut area = Mapping::private(1)?;
    area.fill_all(1);
    let frame = area.frame(0)?;
    in_child(|| {
        let pipe = file::pipe().or_fail("pipe")?;
        file::write(pipe.write, b"from the pipe").or_fail("write")?;
        let count = file::read(pipe.read, area.bytes(0)).or_fail("read")?;
        ensure!(
            count == 13 && area.bytes(0).starts_with(b"from the pipe"),
            "the read is wrong"
        );
        expect_different("the child, which has read", frame, area.frame(0)?)?;
        let rest = (2..512).try_for_each(|word| {
            let expected = reference(word)?;
            ensure!(
                area.get(0, word) == expected,
                "word {word} beyond the read changed"
            );
            Ok(())
        });
        file::close(pipe.read).or_fail("close")?;
        file::close(pipe.write).or_fail("close")?;
        rest
    })?;
    area.check_all(1)?;
    expect_same("the parent, which has not", frame, area.frame(0)?)
}

/// What `fill(0, 1)` puts at a word of page 0.
fn reference(word: usize) -> Result<u64, user::testing::Failure> {
    let area = Mapping::private(1)?;
    area.fill(0, 1);
    Ok(area.get(0, word))
}

fn read_in_parent() -> Verdict {
    let mut area = Mapping::private(1)?;
    let (there, back) = (Channel::new()?, Channel::new()?);
    area.fill_all(1);
    let frame = area.frame(0)?;
    let pid = child::start(|| {
        there.receive()?;
        area.check_all(1)?;
        expect_same("the child, which has not read", frame, area.frame(0)?)?;
        back.send(0)
    })?;
    let pipe = file::pipe().or_fail("pipe")?;
    file::write(pipe.write, b"from the pipe").or_fail("write")?;
    file::read(pipe.read, area.bytes(0)).or_fail("read")?;
    file::close(pipe.read).or_fail("close")?;
    file::close(pipe.write).or_fail("close")?;
    expect_different("the parent, which has read", frame, area.frame(0)?)?;
    there.send(0)?;
    back.receive()?;
    child::finish(pid)?;
    ensure!(
        area.bytes(0).starts_with(b"from the pipe"),
        "the read is gone"
    );
    Ok(())
}

/// One read over pages of which some are the child's own already.
fn read_over_many_pages() -> Verdict {
    const PAGES: usize = 12;
    let mut area = Mapping::private(PAGES)?;
    area.fill_all(1);
    in_child(|| {
        area.fill(2, 2);
        area.fill(7, 2);
        let pipe = file::pipe().or_fail("pipe")?;
        let writer = child::start(|| {
            let bytes = [0xa5u8; 1000];
            for _ in 0..PAGES * memory::PAGE / 1000 {
                file::write_all(pipe.write, &bytes).or_fail("write")?;
            }
            Ok(())
        })?;
        file::close(pipe.write).or_fail("close")?;
        let count = file::read_full(pipe.read, area.all_bytes()).or_fail("read")?;
        file::close(pipe.read).or_fail("close")?;
        child::finish(writer)?;
        ensure!(
            count == PAGES * memory::PAGE / 1000 * 1000,
            "read {count} bytes"
        );
        let wrong = area
            .all_bytes()
            .iter()
            .take(count)
            .filter(|byte| **byte != 0xa5)
            .count();
        ensure!(wrong == 0, "{wrong} bytes are wrong");
        Ok(())
    })?;
    area.check_all(1)
}

fn read_from_device() -> Verdict {
    let mut area = Mapping::private(3)?;
    area.fill_all(1);
    in_child(|| {
        let zero = file::open(c"/dev/zero", O_RDONLY | O_CLOEXEC, 0).or_fail("open /dev/zero")?;
        let count = file::read(zero, area.all_bytes()).or_fail("read")?;
        file::close(zero).or_fail("close")?;
        ensure!(count == 3 * memory::PAGE, "/dev/zero gave {count} bytes");
        (0..3).try_for_each(|page| area.check_zero(page))
    })?;
    area.check_all(1)
}

fn random_bytes() -> Verdict {
    let mut area = Mapping::private(2)?;
    area.fill_all(1);
    let frame = area.frame(1)?;
    in_child(|| {
        let count = system::random(area.bytes(1)).or_fail("getrandom")?;
        ensure!(count > 0, "no random bytes");
        ensure!(area.check(1, 1).is_err(), "the page is as it was");
        expect_different("the child's page", frame, area.frame(1)?)
    })?;
    area.check_all(1)?;
    expect_same("the parent's page", frame, area.frame(1)?)
}

/// The status that `wait4` stores goes to the waiter's page alone.
fn wait_status() -> Verdict {
    let area = Mapping::private(1)?;
    area.fill_all(1);
    let frame = area.frame(0)?;
    in_child(|| {
        let pid = user::sys::process::spawn(|| 5).or_fail("fork")?;
        user::sys::process::wait_into(pid, area.page(0)).or_fail("wait")?;
        ensure!(
            area.get(0, 0) as u32 == 5 << 8,
            "status {:#x}",
            area.get(0, 0) as u32
        );
        expect_different("the waiter's page", frame, area.frame(0)?)
    })?;
    area.check_all(1)?;
    expect_same("its parent's page", frame, area.frame(0)?)
}

/// A system call that only reads the memory leaves it shared.
fn write_copies_nothing() -> Verdict {
    let mut area = Mapping::private(1)?;
    area.fill_all(1);
    let frame = area.frame(0)?;
    in_child(|| {
        let pipe = file::pipe().or_fail("pipe")?;
        let count = file::write(pipe.write, area.bytes(0)).or_fail("write")?;
        file::close(pipe.read).or_fail("close")?;
        file::close(pipe.write).or_fail("close")?;
        ensure!(count == memory::PAGE, "wrote {count} bytes");
        expect_same("the page that was written from", frame, area.frame(0)?)
    })
}
