//! Gets the C compilers that tests build static programs with: gcc with glibc,
//! and with musl.

use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result};
use crate::setup::apt;

const ADVICE: &str = "\
Install gcc, a static glibc and musl:
  Debian, Ubuntu:  apt-get install gcc libc6-dev musl-tools
  Fedora:          dnf install gcc glibc-static musl-gcc
  Arch:            pacman -S gcc musl";

/// Makes sure that `gcc -static` and `musl-gcc -static` work.
pub fn ensure() -> Result<()> {
    if are_there() {
        return Ok(());
    }
    let missing = |why: &str| Error::Missing {
        what: format!("a C compiler for static programs is not installed{why}"),
        advice: ADVICE.into(),
    };
    apt::install(&["gcc", "libc6-dev", "musl-tools"])?.map_err(missing)?;
    if are_there() {
        Ok(())
    } else {
        Err(missing(", even after apt-get has installed it"))
    }
}

fn are_there() -> bool {
    // A compiler names a library that it has by its path, and else as it was asked.
    ["gcc", "musl-gcc"].iter().all(|compiler| {
        let output = Command::new(compiler)
            .arg("-print-file-name=libc.a")
            .output();
        let output = output.map(|output| output.stdout).unwrap_or_default();
        Path::new(String::from_utf8_lossy(&output).trim()).is_absolute()
    })
}
