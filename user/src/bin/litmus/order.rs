//! The order of writes, as other threads see it, across a copy-on-write fault.
//!
//! x86 keeps the order of each CPU's writes, and of its reads (x86-TSO). A write fault that gives
//! a page another frame must not show: if the writer goes on with the new frame while another CPU
//! still reads the old one by a stale translation, that CPU sees later writes before earlier ones.
//! FreeBSD (fixed in r335784), OpenBSD and NetBSD had this order wrong for years, and it surfaced
//! as corrupted heaps in threaded programs that fork: golang/go issue 34988 (rule M4).
//!
//! Seen to catch, planted in cowfork, on four emulated CPUs within seconds: a copy that is writable
//! before the other CPUs have acknowledged (`mp-fork`, `mp-file`). An emulator hides the other two
//! shapes: it looks for interrupts between the branch behind the lock and the read of the field.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

use user::random::Random;
use user::recover::load_two;
use user::sys::file::Fd;
use user::sys::memory::{self, PAGE, Protection, Sharing};
use user::testing::{Explain, Failure, Mapping, Verdict, shared};
use user::{ensure, fail};

use crate::case::Case;
use crate::shapes::{Holders, delay};
use crate::trial::{Ended, Meeting, Trial};

const MESSAGE: &[&str] = &["both old", "new before its flag", "both new"];

pub const CASES: &[Case] = &[
    Case {
        name: "mp-fork",
        summary: "a write to a page shared by fork, then a flag: a thread that sees the flag sees the write",
        outcomes: MESSAGE,
        run: |trial| message_passing(trial, Source::Fork),
    },
    Case {
        name: "mp-zero-page",
        summary: "the same with fresh memory that was only read before",
        outcomes: MESSAGE,
        run: |trial| message_passing(trial, Source::Zeroes),
    },
    Case {
        name: "mp-file",
        summary: "the same with a private mapping of a file",
        outcomes: MESSAGE,
        run: |trial| message_passing(trial, Source::file()?),
    },
    Case {
        name: "sb-fork",
        summary: "two threads write a shared page each, then read the other's: not both the old value",
        outcomes: &["both saw the other", "one did"],
        run: store_buffers,
    },
    Case {
        name: "lock-field",
        summary: "a field and its lock on pages shared by fork: never an old value under the lock",
        outcomes: &["lock found taken"],
        run: lock_and_field,
    },
];

/// Pages of one batch: each is the place of one round.
const PAGES: usize = 128;

/// Why the pages of a batch have to be copied when they are written.
enum Source {
    /// A child has them too.
    Fork,
    /// They are the frame of zeroes that all fresh memory shows.
    Zeroes,
    /// They are a file's.
    File(Fd),
}

impl Source {
    fn file() -> Result<Self, Failure> {
        let fd = crate::dirty::temporary(PAGES)?;
        Ok(Self::File(fd))
    }

    /// Puts other pages in the area's place, full of zeroes.
    fn remap(&self, area: &Mapping) -> Verdict {
        let (start, length) = (area.page(0), PAGES * PAGE);
        // SAFETY: the area's words are used through its methods alone, and stay mapped.
        let result = unsafe {
            match self {
                Self::Fork => return Ok(()),
                Self::Zeroes => {
                    memory::map_at(start, length, Protection::READ_WRITE, Sharing::Private)
                }
                Self::File(fd) => memory::map_file_at(
                    start,
                    *fd,
                    length,
                    Protection::READ_WRITE,
                    Sharing::Private,
                ),
            }
        };
        result.or_fail("mmap over the area").map(drop)
    }

    /// What the pages hold before they are written in a batch.
    fn old(&self, batch: u64) -> u64 {
        match self {
            Self::Fork => batch - 1,
            Self::Zeroes | Self::File(_) => 0,
        }
    }
}

/// What the players tell each other, on pages that are never copied.
#[derive(Default)]
struct Board {
    /// The number of the batch, above the number of pages written in it.
    flag: AtomicU64,
    armed: Meeting,
    warm: Meeting,
    done: Meeting,
}

const BATCH: u32 = 16;

/// The shape MP: write data, write flag; read flag, read data. Forbidden: the new flag and the old
/// data. The readers have read all pages before, so they have translations to the old frames. A
/// second read of the same page must not be older than the first either.
fn message_passing(trial: &Trial, source: Source) -> Ended {
    let area = Mapping::private(PAGES)?;
    let board = shared::place(Board::default())?;
    let holders = Holders::new()?;
    let readers = trial.others(1);
    let players = 1 + readers;

    let writer = |_| {
        let mut random = Random::new(1);
        let mut batch = 0;
        while trial.goes_on() {
            batch += 1;
            source.remap(&area)?;
            let holder = match source {
                Source::Fork => Some(holders.hold(trial, || Ok(()))?),
                _ => None,
            };
            board.flag.store(batch << BATCH, Release);
            board.armed.wait(trial, players);
            if !board.warm.wait(trial, players) {
                break;
            }
            for page in 0..PAGES {
                area.atom(page, 1).store(batch, Relaxed);
                // A plain store; on x86 no other is needed for the order.
                let flag = batch << BATCH | (page as u64 + 1);
                board.flag.store(flag, Release);
                delay(random.below(100));
            }
            board.done.wait(trial, players);
            trial.count(PAGES as u64);
            holder.map_or(Ok(()), |holder| holder.release())?;
        }
        Ok(())
    };
    let reader = |_| {
        while board.armed.wait(trial, players) {
            let batch = board.flag.load(Acquire) >> BATCH;
            let old = source.old(batch);
            for page in 0..PAGES {
                let seen = area.atom(page, 1).load(Relaxed);
                ensure!(
                    seen == old,
                    "page {page} has {seen} before it is written, not {old}"
                );
            }
            board.warm.wait(trial, players);
            watch_batch(trial, &area, board, batch, old)?;
            board.done.wait(trial, players);
        }
        Ok(())
    };
    trial.play(&[&writer], &reader, readers)
}

/// A reader's part in one batch: it follows the writer from page to page.
fn watch_batch(trial: &Trial, area: &Mapping, board: &Board, batch: u64, old: u64) -> Verdict {
    let mut page = 0;
    let mut turns = 0u32;
    while page < PAGES && !trial.is_stopped() {
        let (flag, data) = load_two(&board.flag, area.atom(page, 1));
        let written = (flag & ((1 << BATCH) - 1)) as usize;
        ensure!(
            data == old || data == batch,
            "page {page} has {data}, neither the old {old} nor the new {batch}"
        );
        match (written > page, data == batch) {
            (false, false) => trial.saw(0),
            (false, true) => {
                trial.saw(1);
                let again = area.atom(page, 1).load(Relaxed);
                ensure!(
                    again == batch,
                    "page {page} had {batch} and then again {again}"
                );
            }
            (true, true) => trial.saw(2),
            (true, false) => fail!(
                "page {page} still has the old {data}, not {batch}, and the flag says that \
                 {written} pages are written"
            ),
        }
        if written > page {
            page = written;
        }
        turns += 1;
        if turns.is_multiple_of(1000) {
            user::sys::process::sched_yield();
        }
    }
    Ok(())
}

/// The shape SB: each of two threads writes its own page and then reads the other's. The writes are
/// exchanges, which are complete before the next read. Forbidden: both read the old value.
fn store_buffers(trial: &Trial) -> Ended {
    struct Sides {
        /// How many rounds each side has begun.
        begun: [AtomicU64; 2],
        batch: AtomicU64,
        armed: Meeting,
        done: Meeting,
        /// What each side read in each round.
        read: [[AtomicU64; PAGES]; 2],
    }
    let areas = [Mapping::private(PAGES)?, Mapping::private(PAGES)?];
    let zero = || [const { AtomicU64::new(0) }; PAGES];
    let sides = shared::place(Sides {
        begun: [const { AtomicU64::new(0) }; 2],
        batch: AtomicU64::new(0),
        armed: Meeting::new(),
        done: Meeting::new(),
        read: [zero(), zero()],
    })?;
    let holders = Holders::new()?;

    let race = |me: usize, batch: u64| {
        let other = 1 - me;
        for page in 0..PAGES {
            let _ = areas[other].atom(page, 1).load(Relaxed);
        }
        for page in 0..PAGES {
            let mine = sides.begun[me].fetch_add(1, SeqCst) + 1;
            if !trial.wait_until(|| sides.begun[other].load(Acquire) >= mine) {
                return;
            }
            areas[me].atom(page, 1).swap(batch, SeqCst);
            let seen = areas[other].atom(page, 1).load(SeqCst);
            sides.read[me][page].store(seen, Relaxed);
        }
    };
    let leader = |_| {
        let mut batch = 0;
        while trial.goes_on() {
            batch += 1;
            let holder = holders.hold(trial, || Ok(()))?;
            sides.batch.store(batch, Relaxed);
            sides.armed.wait(trial, 2);
            race(0, batch);
            if !sides.done.wait(trial, 2) {
                break;
            }
            for page in 0..PAGES {
                let read = [0, 1].map(|side| sides.read[side][page].load(Relaxed));
                match read.map(|seen| seen == batch) {
                    [true, true] => trial.saw(0),
                    [false, false] => fail!(
                        "page {page}: both wrote {batch}, and then read {} and {}",
                        read[0],
                        read[1]
                    ),
                    _ => trial.saw(1),
                }
            }
            trial.count(PAGES as u64);
            holder.release()?;
        }
        Ok(())
    };
    let follower = |_| {
        while sides.armed.wait(trial, 2) {
            race(1, sides.batch.load(Relaxed));
            sides.done.wait(trial, 2);
        }
        Ok(())
    };
    trial.play_only(&[&leader, &follower])
}

/// The shape of golang/go 34988 and FreeBSD r335784: counters, each behind a lock on another page,
/// while one more thread forks all the time. What the last owner of the lock has written is known
/// from memory that is shared and never copied. Under the lock the counter must have that value: a
/// stale translation shows an older one, and a moment later the new one.
fn lock_and_field(trial: &Trial) -> Ended {
    const FIELDS: usize = 24;
    const COUNT: usize = 100;
    let area = Mapping::private(FIELDS)?;
    let locks = Mapping::private(1)?;
    let truth = Mapping::shared(1)?;
    let holders = Holders::new()?;

    let forker = |_| {
        let mut random = Random::new(3);
        while trial.goes_on() {
            let holder = holders.hold(trial, || Ok(()))?;
            delay(random.below(20_000));
            holder.release()?;
        }
        Ok(())
    };
    let worker = |number| {
        let mut random = Random::new(number as u64);
        let mut done = 0;
        while !trial.is_stopped() {
            let field = random.below(FIELDS as u64) as usize;
            let lock = locks.atom(0, field);
            if lock.compare_exchange(0, 1, Acquire, Relaxed).is_err() {
                trial.saw(0);
                user::sys::process::sched_yield();
                continue;
            }
            let count = area.atom(field, COUNT);
            let expected = truth.atom(0, field).load(Relaxed);
            let seen = count.load(Relaxed);
            if seen != expected {
                let again = count.load(Relaxed);
                fail!(
                    "field {field} read under its lock is {seen}, its last owner wrote \
                     {expected}; read again it is {again}"
                );
            }
            count.store(expected + 1, Relaxed);
            truth.atom(0, field).store(expected + 1, Relaxed);
            lock.store(0, Release);
            done += 1;
        }
        trial.count(done);
        Ok(())
    };
    trial.play(&[&forker, &worker], &worker, trial.others(2))
}
