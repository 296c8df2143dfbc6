//! The folder in `/tmp` that hogs and prober use.

use core::ffi::CStr;
use core::fmt::Write;

use user::directory;
use user::sys::file::{self, Fd, O_CLOEXEC, O_DIRECTORY, O_RDONLY};
use user::sys::{Errno, Result};

use crate::ledger::Ledger;

const DIRECTORY: &CStr = c"/tmp/oomstorm";

/// The path of a file of the storm, without an allocation.
pub struct Path {
    text: [u8; 64],
    length: usize,
}

impl Path {
    pub fn new(owner: &str, number: u64) -> Self {
        let mut path = Self {
            text: [0; 64],
            length: 0,
        };
        // 64 bytes hold the longest.
        let _ = write!(path, "/tmp/oomstorm/{owner}-{number}");
        path
    }

    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.text).unwrap_or(c"/tmp/oomstorm/-")
    }
}

impl Write for Path {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes() {
            // The last byte stays zero.
            let place = self.text.get_mut(self.length).ok_or(core::fmt::Error)?;
            *place = byte;
            self.length += 1;
        }
        Ok(())
    }
}

pub fn make_directory() -> Result<()> {
    match file::mkdir(DIRECTORY, 0o700) {
        // Left by a storm that was killed.
        Err(Errno::EEXIST) => Ok(()),
        result => result,
    }
}

/// Removes what hogs have left. That frees memory, so nothing of it may be refused.
pub fn remove_all(ledger: &Ledger) {
    if let Err(errno) = try_remove_all() {
        ledger.fail(format_args!("removing files: {errno:?}"));
    }
}

fn try_remove_all() -> Result<()> {
    // What is removed while the folder is listed may move the rest, so it is listed until nothing
    // is left.
    loop {
        let directory = file::open(DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)?;
        let removed = remove_listed(directory);
        file::close(directory)?;
        if removed? == 0 {
            return Ok(());
        }
    }
}

fn remove_listed(directory: Fd) -> Result<u64> {
    let mut removed = 0;
    directory::for_each(directory, |entry| {
        // The prober removes its own.
        if !matches!(entry.name.to_bytes(), b"." | b"..")
            && !entry.name.to_bytes().starts_with(b"probe")
        {
            file::unlinkat(directory, entry.name)?;
            removed += 1;
        }
        Ok(())
    })?;
    Ok(removed)
}

/// The storm is over.
pub fn remove_directory(ledger: &Ledger) {
    remove_all(ledger);
    if let Err(errno) = file::rmdir(DIRECTORY) {
        ledger.fail(format_args!("rmdir: {errno:?}"));
    }
}
