//! Gets what makes bootable images.

use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::iso::PROGRAM;
use crate::setup::apt;

/// GRUB's boot files for a BIOS and for UEFI, and what `grub-mkrescue` calls.
const PACKAGES: [&str; 5] = [
    "grub-common",
    "grub-pc-bin",
    "grub-efi-amd64-bin",
    "xorriso",
    "mtools",
];
/// Where the boot files are.
const FILES: [&str; 2] = ["/usr/lib/grub/i386-pc", "/usr/lib/grub/x86_64-efi"];

/// Makes sure of them.
pub fn ensure() -> Result<()> {
    if is_there() {
        return Ok(());
    }
    let missing = |why: &str| Error::Missing {
        what: format!("{PROGRAM}, or what it needs, is not installed{why}"),
        advice: format!("On Debian: apt-get install {}", PACKAGES.join(" ")),
    };
    apt::install(&PACKAGES)?.map_err(missing)?;
    if is_there() {
        Ok(())
    } else {
        Err(missing(", even after apt-get has installed it"))
    }
}

fn is_there() -> bool {
    let runs = |program: &str| {
        let status = Command::new(program)
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    [PROGRAM, "xorriso", "mformat"].into_iter().all(runs)
        && FILES.iter().all(|path| std::path::Path::new(path).is_dir())
}
