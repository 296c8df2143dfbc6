//! `execve` and `vfork`: this program starts itself, in small parts that it plays then.
//!
//! A part is asked for by the first argument, and is over before anything else happens.

use core::ffi::CStr;
use core::fmt::Write;

use linux_raw_sys::auxvec::AT_EXECFN;
use user::sys::file::{self, Fd};
use user::sys::process::{self, StringList};
use user::testing::{Explain, Failure, Verdict};
use user::{Arguments, fail, number};

use crate::bench::Bench;
use crate::clock;
use crate::output::Unit;

/// The part that ends at once.
const NOTHING: &CStr = c"--play-nothing";
/// `--play-exec COUNT START`: tells how long ago START was, and starts itself COUNT times more.
const EXEC: &CStr = c"--play-exec";

/// Where the parts of `execve` write what they measured.
const RESULTS: Fd = Fd(9);

/// Plays a part, if the arguments ask for one; the value is its exit status.
pub fn play_part(arguments: Arguments) -> Option<i32> {
    let arrived = clock::now();
    let part = arguments.get(1)?;
    if part == NOTHING {
        return Some(0);
    }
    if part != EXEC {
        return None;
    }
    let numbers = [2, 3].map(|index| number::parse(arguments.get(index)?.to_bytes()));
    let [Some(count), Some(start)] = numbers else {
        return Some(2);
    };
    let ticks = clock::between(start, arrived).to_ne_bytes();
    if file::write(RESULTS, &ticks) != Ok(ticks.len()) {
        return Some(1);
    }
    match count {
        0 => Some(0),
        _ => Some(exec_chain(arguments, count - 1)),
    }
}

/// Starts the part [`EXEC`] in place of this process; comes back only when that fails.
fn exec_chain(arguments: Arguments, count: u64) -> i32 {
    let (mut count_text, mut start_text) = (Text::default(), Text::default());
    // Twenty digits fit.
    let _ = write!(count_text, "{count}");
    let _ = write!(start_text, "{}", clock::now());
    match own_path(arguments) {
        Ok(path) => {
            let words = [c"forkbench", EXEC, count_text.get(), start_text.get()];
            i32::from(process::execute(path, &words).number())
        }
        Err(_) => 1,
    }
}

/// From `execve` to the new program's `main`.
pub fn execve(bench: &mut Bench) -> Verdict {
    let times = bench.times(200);
    let pipe = file::pipe().or_fail("pipe")?;
    let arguments = bench.arguments;
    let pid = process::spawn(|| match file::dup2(pipe.write, RESULTS) {
        Ok(_) => exec_chain(arguments, times as u64 - 1),
        Err(_) => 1,
    })
    .or_fail("fork")?;
    file::close(pipe.write).or_fail("close")?;
    let series = bench.series()?;
    let mut ticks = [0; 8];
    while file::read_full(pipe.read, &mut ticks).or_fail("read")? == ticks.len() {
        series.push(u64::from_ne_bytes(ticks));
    }
    let (_, status) = process::wait_for(pid).or_fail("wait")?;
    if status.code() != 0 {
        fail!("the program started itself and ended with {status}");
    }
    bench.report(Unit::Time, &series)
}

/// `vfork` with `execve` in the child: until `vfork` returns in the parent, and until the child
/// has ended and was waited for.
pub fn vfork(bench: &mut Bench) -> Verdict {
    let path = own_path(bench.arguments)?;
    let pointers = [c"forkbench".as_ptr(), NOTHING.as_ptr(), core::ptr::null()];
    // SAFETY: two strings that live for ever, then a null.
    let words = unsafe { StringList::new(&pointers) };
    // SAFETY: an empty list.
    let environment = unsafe { StringList::new(&[core::ptr::null()]) };
    let (returns, waits) = (bench.series()?, bench.series()?);
    for _ in 0..bench.times(200) {
        let start = clock::now();
        let pid = process::vfork_execve(path, words, environment).or_fail("vfork")?;
        let returned = clock::now();
        let (_, status) = process::wait_for(pid).or_fail("wait")?;
        let done = clock::now();
        if status.code() != 0 {
            fail!("the child ended with {status}");
        }
        returns.push(clock::between(start, returned));
        waits.push(clock::between(start, done));
    }
    bench.report(Unit::Time, &returns)?;
    bench.report(Unit::Time, &waits)
}

/// The file that this program was started from.
fn own_path(arguments: Arguments) -> Result<&'static CStr, Failure> {
    let Some(address) = arguments.auxiliary(AT_EXECFN) else {
        return Err(Failure::new(format_args!("no AT_EXECFN")));
    };
    // SAFETY: the kernel has put a string there, for the program's life (man 3 getauxval).
    Ok(unsafe { CStr::from_ptr(address as *const _) })
}

/// A short C string under construction; its last byte stays 0.
#[derive(Default)]
struct Text {
    bytes: [u8; 24],
    length: usize,
}

impl Text {
    fn get(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let room = self.bytes.len() - 1;
        for byte in text.bytes() {
            let slot = self
                .bytes
                .get_mut(..room)
                .and_then(|all| all.get_mut(self.length));
            *slot.ok_or(core::fmt::Error)? = byte;
            self.length += 1;
        }
        Ok(())
    }
}
