//! What this program does when a case has executed it anew: `usertests --helper WHAT ...`.

use alloc::ffi::CString;
use core::ffi::CStr;

use linux_raw_sys::auxvec::{AT_EXECFN, AT_PAGESZ, AT_PHDR, AT_RANDOM};

use user::sys::file::{self, Fd};
use user::sys::process;
use user::sys::signal::{self, Disposition, Signal, SignalSet};
use user::sys::system;
use user::testing::Failure;
use user::{Arguments, number, println};

pub const OPTION: &CStr = c"--helper";

/// The path that this program was executed by, made absolute.
static OWN_PATH: spin::Once<CString> = spin::Once::new();

/// To be called before any case changes the current directory.
pub fn remember_own_path(arguments: Arguments) {
    let Some(address) = arguments.auxiliary(AT_EXECFN) else {
        return;
    };
    // SAFETY: the kernel points to a string on the initial stack, which stays.
    let path = unsafe { CStr::from_ptr(address as *const _) }.to_bytes();
    let mut buffer = [0; 4096];
    let path = match file::getcwd(&mut buffer) {
        Ok(directory) if !path.starts_with(b"/") => [directory.to_bytes(), path].join(&b'/'),
        _ => path.to_vec(),
    };
    OWN_PATH.call_once(|| CString::new(path).unwrap_or_default());
}

pub fn own_path() -> Option<&'static CStr> {
    OWN_PATH.get().map(CString::as_c_str)
}

/// Executes this program anew as a helper with these words. Returns only when that failed.
pub fn become_helper(words: &[&CStr]) -> Failure {
    let Some(path) = own_path() else {
        return Failure::new(format_args!("no AT_EXECFN"));
    };
    let mut arguments = [c""; 14];
    let given = [c"usertests", OPTION];
    let count = given.len() + words.len();
    for (slot, word) in arguments.iter_mut().zip(given.iter().chain(words)) {
        *slot = word;
    }
    let errno = process::execute(path, arguments.get(..count).unwrap_or_default());
    Failure::new(format_args!("execve of the helper: {errno:?}"))
}

/// The exit status is 0 when all is as the case wants it.
pub fn main(arguments: Arguments) -> i32 {
    let word = |index| arguments.get(index).map(|word| word.to_bytes());
    let well = match word(2) {
        // Only that the program runs.
        Some(b"nothing") => true,
        // `count N`: that there are so many words in all, and that the last is right.
        Some(b"count") => {
            let count = word(3).and_then(number::parse);
            count == Some(arguments.len() as u64) && word(arguments.len() - 1) == Some(b"last")
        }
        // `environment NAME=VALUE`: that this is all of it.
        Some(b"environment") => {
            arguments.environment().count() == 1
                && arguments.environment().next().map(|entry| entry.to_bytes()) == word(3)
        }
        Some(b"no-environment") => arguments.environment().next().is_none(),
        // `open FD...` and `closed FD...`: descriptors that must be so.
        Some(b"open") => descriptors(arguments).all(|fd| file::descriptor_flags(fd).is_ok()),
        Some(b"closed") => descriptors(arguments).all(|fd| file::descriptor_flags(fd).is_err()),
        // `pid N`: that the number has not changed.
        Some(b"pid") => word(3).and_then(number::parse) == Some(process::getpid().0 as u64),
        Some(b"no-segments") => super::segments::are_null(),
        Some(b"no-x87-pointers") => super::segments::are_no_x87_pointers(),
        Some(b"signals") => signals(),
        // `limit RESOURCE SOFT`: that this is so.
        Some(b"limit") => {
            let resource = word(3).and_then(number::parse).unwrap_or(u64::MAX) as u32;
            let limit = system::limit(resource);
            limit.ok().map(|limit| limit.rlim_cur) == word(4).and_then(number::parse)
        }
        Some(b"vector") => vector(arguments),
        // `directory PATH`: that this is the current one.
        Some(b"directory") => {
            let mut buffer = [0; 256];
            file::getcwd(&mut buffer).ok().map(|path| path.to_bytes()) == word(3)
        }
        _ => false,
    };
    if !well {
        println!("the helper found something else");
    }
    i32::from(!well)
}

fn descriptors(arguments: Arguments) -> impl Iterator<Item = Fd> {
    arguments
        .rest()
        .skip(2)
        .map(|word| Fd(number::parse(word.to_bytes()).unwrap_or(999) as i32))
}

/// `SIGTERM` is ignored and `SIGUSR2` blocked; nothing else is.
fn signals() -> bool {
    signal::set_disposition(Signal::SIGTERM, Disposition::Default) == Ok(Disposition::Ignore)
        && signal::set_disposition(Signal::SIGINT, Disposition::Default) == Ok(Disposition::Default)
        && signal::set_mask(SignalSet(0)) == Ok(SignalSet::of(Signal::SIGUSR2))
}

/// The auxiliary vector has what a C library looks for.
fn vector(arguments: Arguments) -> bool {
    let there = |tag| arguments.auxiliary(tag).is_some_and(|value| value != 0);
    arguments.auxiliary(AT_PAGESZ) == Some(4096) && there(AT_RANDOM) && there(AT_PHDR)
}
