//! A directory of its own for a case.

use alloc::ffi::CString;
use alloc::format;
use core::ffi::CStr;

use user::directory;
use user::sys::file::{self, Fd, O_CREAT, O_EXCL, O_RDONLY, O_WRONLY};
use user::sys::{Errno, process};
use user::testing::{Explain, Failure, Verdict};

/// An empty directory under `/tmp`, and the current one of the case's process; removed with what
/// is in it when it goes.
pub struct Scratch {
    path: CString,
}

impl Scratch {
    pub fn enter() -> Result<Self, Failure> {
        let path = string(format!("/tmp/usertests-{}", process::getpid()));
        // One of an earlier process with the same number, which was killed.
        remove_all(&path);
        file::mkdir(&path, 0o755).or_fail("mkdir in /tmp")?;
        let scratch = Self { path };
        file::chdir(&scratch.path).or_fail("chdir")?;
        Ok(scratch)
    }

    pub fn path(&self) -> &CStr {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = file::chdir(c"/");
        remove_all(&self.path);
    }
}

/// Removes a directory and what is in it, as far as that goes.
fn remove_all(path: &CStr) {
    for entry in directory::list(path).unwrap_or_default() {
        let inner = string([path.to_bytes(), &entry.name].join(&b'/'));
        if matches!(file::unlink(&inner), Err(Errno::EISDIR | Errno::EPERM)) {
            remove_all(&inner);
        }
    }
    let _ = file::rmdir(path);
}

/// A C string of what is known to have no null in it.
pub fn string(bytes: impl Into<alloc::vec::Vec<u8>>) -> CString {
    CString::new(bytes).unwrap_or_default()
}

/// Makes a new file with these contents.
pub fn write_file(path: &CStr, contents: &[u8], mode: u32) -> Verdict {
    let fd = file::open(path, O_WRONLY | O_CREAT | O_EXCL, mode).or_fail("create")?;
    file::write_all(fd, contents).or_fail("write")?;
    file::close(fd).or_fail("close")
}

/// Expects a file to have exactly these contents, which are at most 4 KiB.
pub fn expect_contents(path: &CStr, contents: &[u8]) -> Verdict {
    let fd = file::open(path, O_RDONLY, 0).or_fail("open")?;
    let result = expect_rest(fd, contents);
    file::close(fd).or_fail("close")?;
    result
}

/// Expects an open file to have exactly that from its position on.
pub fn expect_rest(fd: Fd, contents: &[u8]) -> Verdict {
    let mut bytes = [0; 4097];
    let count = file::read_full(fd, &mut bytes).or_fail("read")?;
    let found = bytes.get(..count).unwrap_or_default();
    if found == contents {
        return Ok(());
    }
    Err(Failure::new(format_args!(
        "the file has {count} bytes, {:.20}, not {:.20}",
        found.escape_ascii(),
        contents.escape_ascii()
    )))
}
