//! What the small tools have in common: inputs named or standard, and complaints.

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use crate::sys::file::{self, Fd, O_CLOEXEC, O_RDONLY};
use crate::sys::{Errno, Result};
use crate::{Arguments, eprintln};

/// Says what went wrong with what.
pub fn complain(tool: &str, what: &CStr, errno: Errno) {
    eprintln!("{tool}: {}: {errno}", what.to_bytes().escape_ascii());
}

/// Does something with each named file, or with standard input when none is named. The exit
/// status is 1 when something went wrong with one of them.
pub fn each_input(
    tool: &str,
    mut names: impl Iterator<Item = &'static CStr>,
    mut work: impl FnMut(Fd, Option<&CStr>) -> Result<()>,
) -> i32 {
    let mut code = 0;
    let mut next = names.next();
    if next.is_none()
        && let Err(errno) = work(Fd::STDIN, None)
    {
        complain(tool, c"standard input", errno);
        code = 1;
    }
    while let Some(name) = next {
        let result = file::open(name, O_RDONLY | O_CLOEXEC, 0).and_then(|fd| {
            let result = work(fd, Some(name));
            file::close(fd)?;
            result
        });
        if let Err(errno) = result {
            complain(tool, name, errno);
            code = 1;
        }
        next = names.next();
    }
    code
}

/// Does something with each argument, of which there must be one.
pub fn each_argument(
    tool: &str,
    arguments: Arguments,
    mut work: impl FnMut(&CStr) -> Result<()>,
) -> i32 {
    if arguments.len() <= 1 {
        eprintln!("usage: {tool} NAME...");
        return 2;
    }
    let mut code = 0;
    for name in arguments.rest() {
        if let Err(errno) = work(name) {
            complain(tool, name, errno);
            code = 1;
        }
    }
    code
}

/// The text of a file; what is no UTF-8 in it is replaced.
pub fn text(path: &CStr) -> Result<String> {
    let fd = file::open(path, O_RDONLY | O_CLOEXEC, 0)?;
    let mut bytes = Vec::new();
    let result = blocks(fd, |block| {
        bytes.extend_from_slice(block);
        Ok(true)
    });
    file::close(fd)?;
    result.map(|()| String::from_utf8_lossy(&bytes).into_owned())
}

/// Hands on what a file holds, block by block.
pub fn blocks(fd: Fd, mut take: impl FnMut(&[u8]) -> Result<bool>) -> Result<()> {
    let mut block = [0; 4096];
    loop {
        match file::read(fd, &mut block) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                if !take(block.get(..count).unwrap_or_default())? {
                    return Ok(());
                }
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
