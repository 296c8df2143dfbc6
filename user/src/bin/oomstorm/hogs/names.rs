//! Hogs that take of the file system.

use user::sys::Result;
use user::sys::file::{self, O_CLOEXEC, O_CREAT, O_RDWR};
use user::sys::process;

use super::Hog;
use crate::files::Path;

/// A number that no other hog has.
fn own() -> u64 {
    (process::getpid().0 as u64) << 32
}

/// Files with nothing in them.
pub fn empty_files(hog: &mut Hog) -> Result<()> {
    for number in 0..(hog.limit >> 10) as u64 {
        let path = Path::new("empty", own() + number);
        let fd = file::open(path.as_c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0o600)?;
        file::close(fd)?;
    }
    Ok(())
}

/// One file that grows.
pub fn full_file(hog: &mut Hog) -> Result<()> {
    let path = Path::new("full", own());
    let fd = file::open(path.as_c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0o600)?;
    let block = [1; 16 << 10];
    for _ in 0..hog.limit / block.len() {
        file::write_all(fd, &block)?;
    }
    Ok(())
}
