//! Many address spaces on few CPUs: what one leaves in a CPU must not serve the next, nor itself
//! when it comes back later (rules M5, M6).
//!
//! - `many-spaces`: more address spaces than a CPU has tags for translations (PCIDs, of which there
//!   are 4096; kernels use from a few up to all of them). A tag that is given to another address
//!   space with what the CPU remembers under it lets that one read the first one's pages. All are
//!   forks of one, so all use the same addresses. This is what Linux had to get right when it began
//!   to keep translations across switches (10af6235e0d3, "x86/mm: Implement PCID based optimization").
//! - `idle-cpu`: a CPU that idles may keep the last address space loaded, and walk its tables
//!   speculatively. When those are freed meanwhile it walks frames of other owners: on Linux such
//!   CPUs raised machine checks (b956575bed91, "x86/mm: Flush more aggressively in lazy TLB mode").
//!   The stranger's mark looks like a table entry, and a CPU that walks it sets a bit in it.
//! - `switch-in`: a CPU that comes back to an address space exactly when another one sends a flush
//!   must either be asked or find the new entries. With the wrong order of entering the set of CPUs
//!   and loading CR3 it is neither: CVE-2016-2069 (71b3c126e611, "x86/mm: Add barriers and document
//!   switch_mm()-vs-flush synchronization").

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::AcqRel;

use user::ensure;
use user::sync::{wait_while, wake_all};
use user::sys::{Errno, futex, process};
use user::testing::{Explain, Mapping, Verdict, shared};

use crate::case::Case;
use crate::revoke::{self, Between, LARGE, Plan, Take};
use crate::trial::{Ended, Need, Trial};

const REVOKED: &[&str] = &[
    "used",
    "refused",
    "used while it was taken",
    "refused while",
];

pub const CASES: &[Case] = &[
    Case {
        name: "idle-cpu",
        summary: "a CPU idles in an address space while its page tables are freed",
        outcomes: REVOKED,
        run: |trial| {
            let plan = Plan::of(Take::Unmap).sizes(LARGE);
            revoke::run(trial, plan.between(Between::Sleep))
        },
    },
    Case {
        name: "switch-in",
        summary: "CPUs that switch to an address space while it sends flushes",
        outcomes: REVOKED,
        run: |trial| revoke::run(trial, Plan::of(Take::Unmap).between(Between::Switch)),
    },
    Case {
        name: "many-spaces",
        summary: "more address spaces than PCIDs, in turn: each sees its own pages",
        outcomes: &["address spaces"],
        run: many_spaces,
    },
];

/// More than there are PCIDs.
const SPACES: usize = 4200;
/// With fewer the case says nothing.
const LEAST: usize = 64;
/// Pages that each of them has of its own.
const PAGES: usize = 2;

/// How often each was given its turn.
struct Turns([AtomicU32; SPACES]);

fn many_spaces(trial: &Trial) -> Ended {
    let turns = shared::place(Turns([const { AtomicU32::new(0) }; SPACES]))?;
    match futex::wake(&turns.0[0], 1) {
        Err(Errno::ENOSYS) => return Err(Errno::ENOSYS).or_skip("futex"),
        other => other.or_fail("futex")?,
    };
    let area = Mapping::private(PAGES)?;
    let mut spaces = 0;
    while spaces < SPACES {
        let number = spaces;
        // No line of the program is left to be written by these, and they write none.
        match process::fork() {
            Ok(process::Forked::Child) => {
                if let Err(failure) = inhabit(trial, turns, &area, number) {
                    trial.fail(failure);
                }
                process::exit_now(0)
            }
            Ok(process::Forked::Parent(_)) => spaces += 1,
            Err(Errno::EAGAIN | Errno::ENOMEM) => break,
            Err(errno) => Err(errno).or_fail("fork")?,
        }
    }
    for _ in 0..spaces {
        trial.saw(0);
    }
    // A turn for each CPU is under way at a time.
    let trial = trial.start();
    if spaces >= LEAST {
        for cpu in 0..trial.cpus() {
            give_turn(turns, cpu * spaces / trial.cpus());
        }
        while trial.goes_on() {
            user::sys::system::sleep_ms(2);
        }
    }
    trial.stop();
    (0..spaces).for_each(|number| give_turn(turns, number));
    let mut well = true;
    for _ in 0..spaces {
        let (_, status) = process::wait().or_fail("wait")?;
        well &= status == process::Status::Exited(0);
    }
    if !well {
        Err(user::testing::Failure::new(format_args!(
            "one of the processes did not end as it should"
        )))?;
    }
    if spaces < LEAST {
        return Err(Errno::ENOSYS).or_skip("memory for enough processes");
    }
    Ok(())
}

fn give_turn(turns: &Turns, number: usize) {
    turns.0[number].fetch_add(1, AcqRel);
    wake_all(&turns.0[number]);
}

/// The life of one of them: at each turn it finds its pages as it has left them.
fn inhabit(trial: &Trial, turns: &Turns, area: &Mapping, number: usize) -> Verdict {
    let own = |turn: u32, page| (number as u64) << 40 | u64::from(turn) << 8 | page;
    for page in 0..PAGES {
        area.set(page, number % 512, own(0, page as u64));
    }
    let mut turn = 0;
    loop {
        wait_while(&turns.0[number], turn);
        if trial.is_stopped() {
            return Ok(());
        }
        for page in 0..PAGES {
            let seen = area.get(page, number % 512);
            let expected = own(turn, page as u64);
            ensure!(
                seen == expected,
                "address space {number} finds {seen:#x} on page {page}, where it has left \
                 {expected:#x}"
            );
            area.set(page, number % 512, own(turn + 1, page as u64));
        }
        turn += 1;
        trial.count(1);
        // The one after the last is the first; those are the ones that were made.
        let made = trial.seen(0) as usize;
        let next = (number + 1) % made.max(1);
        // A turn may catch up with another whose CPU is away for a moment (a virtual one that its
        // host does not run). Then there is a further turn here at once, which goes on like this one.
        give_turn(turns, next);
    }
}
