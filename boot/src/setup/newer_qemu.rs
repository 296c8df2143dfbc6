//! Prefers a newer QEMU to Debian 12's.
//!
//! QEMU 7.2, when it emulates several CPUs, now and then gives a guest wrong
//! values in EFLAGS; Linux 6.12 crashes of it, and with QEMU 10.0 it does not. So
//! where Debian's backports have a newer one, that is unpacked into a folder of
//! ours, beside the installed one, whose libraries it uses. Where they have not,
//! or cannot be reached, the installed one does.

use std::fs;

use crate::error::{Doing, Result};
use crate::progress;
use crate::qemu::{PROGRAM, Qemu};
use crate::setup::debian::Mirror;
use crate::workspace::Workspace;

/// The first version that is not replaced.
const NEW_ENOUGH: u32 = 8;

/// The emulator, and the firmware that it starts a machine with.
const PACKAGES: &[&str] = &["qemu-system-x86", "qemu-system-data", "seabios"];

/// A QEMU newer than `installed`, if it is old and there is one; else `installed`.
pub fn prefer(workspace: &Workspace, installed: Qemu) -> Result<Qemu> {
    let is_old = |qemu: &Qemu| qemu.major_version().is_none_or(|major| major < NEW_ENOUGH);
    if Qemu::is_chosen() || !is_old(&installed) {
        return Ok(installed);
    }
    let packages = workspace.output()?.join("packages");
    fs::create_dir_all(&packages).on("create", &packages)?;
    let failed = packages.join("no-newer-qemu");
    let Some(mirror) = Mirror::find().filter(|_| !failed.exists()) else {
        return Ok(installed);
    };
    let backports = mirror.backports();
    if let Some(root) = mirror.unpack(PACKAGES, "", &[&backports], &packages)? {
        let share = root.join("usr/share");
        let newer = Qemu::at(
            root.join("usr/bin").join(PROGRAM),
            vec![share.join("qemu"), share.join("seabios")],
        );
        if !is_old(&newer) {
            return Ok(newer);
        }
    }
    // Not again at every boot. Removing the file has it tried again.
    fs::write(&failed, "").on("write", &failed)?;
    progress::note(&format!(
        "there is no newer QEMU to be had; using {}",
        installed.version()
    ));
    Ok(installed)
}
