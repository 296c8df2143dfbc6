//! Gets QEMU where it is missing.

use crate::error::{Error, Result};
use crate::qemu::{PROGRAM, Qemu};
use crate::setup::apt;

const ADVICE: &str = "\
Install it, or set the environment variable QEMU to the program:
  Debian, Ubuntu:  apt-get install qemu-system-x86
  Fedora:          dnf install qemu-system-x86-core
  Arch:            pacman -S qemu-system-x86
  macOS:           brew install qemu";

/// The QEMU that is there, or that apt brings.
pub fn ensure() -> Result<Qemu> {
    if let Some(qemu) = Qemu::find() {
        return Ok(qemu);
    }
    let missing = |why: &str| Error::Missing {
        what: format!("{PROGRAM} is not installed{why}"),
        advice: ADVICE.into(),
    };
    if Qemu::is_chosen() {
        return Err(missing(": the environment variable QEMU names no program"));
    }
    apt::install(&["qemu-system-x86"])?.map_err(missing)?;
    Qemu::find().ok_or_else(|| missing(", even after apt-get has installed it"))
}
