//! The hogs: each takes as much as it gets of one thing, and keeps it until it is killed.

mod kernel;
mod memory;
mod names;

use user::random::Random;
use user::sys::{Errno, Result, system};

use crate::ledger::Ledger;
use crate::prober::is_shortage;

/// One kind of hog.
pub struct Kind {
    pub name: &'static str,
    /// Takes what there is. An error that a shortage explains is an end like any other.
    run: fn(&mut Hog) -> Result<()>,
}

const fn kind(name: &'static str, run: fn(&mut Hog) -> Result<()>) -> Kind {
    Kind { name, run }
}

pub const KINDS: &[Kind] = &[
    kind("anonymous", memory::anonymous),
    kind("shared", memory::shared),
    kind("splits", memory::splits),
    kind("segments", kernel::segments),
    kind("signals", kernel::signals),
    kind("pipes", kernel::pipes),
    kind("arguments", kernel::arguments),
    kind("descriptors", kernel::descriptors),
    kind("processes", kernel::processes),
    kind("threads", kernel::threads),
    kind("empty-files", names::empty_files),
    kind("full-file", names::full_file),
];

/// A hog, in its own process.
pub struct Hog {
    pub kind: &'static Kind,
    /// Bytes that it takes at most, roughly.
    pub limit: usize,
    pub random: Random,
}

impl Hog {
    /// Its life; it ends by a signal.
    pub fn live(mut self, ledger: &Ledger) -> i32 {
        match (self.kind.run)(&mut self) {
            Err(errno) if !is_shortage(errno) => {
                ledger.fail(format_args!("hog {}: {errno:?}", self.kind.name));
                1
            }
            _ => wait_for_the_end(),
        }
    }

    /// Half of the hogs that take something of the kernel take all memory first.
    fn take_memory_first(&mut self) -> Result<()> {
        if self.random.below(2) == 0 {
            return Ok(());
        }
        memory::take(self.limit)
    }
}

fn wait_for_the_end() -> ! {
    loop {
        system::sleep_ms(1000);
    }
}

/// An end that is as good as the limit.
fn unless_short(result: Result<()>) -> Result<()> {
    match result {
        Err(errno) if is_shortage(errno) => Ok(()),
        result => result,
    }
}

/// What a child that was forked may return from its work.
fn ended(result: Result<()>) -> i32 {
    match result {
        Err(errno) if !is_shortage(errno) => i32::from(Errno::number(errno) as u8),
        _ => wait_for_the_end(),
    }
}
