//! Gets QEMU where it is missing.

use std::process::{Command, Stdio};

use crate::error::{Doing, Error, Result};
use crate::progress;
use crate::qemu::{PROGRAM, Qemu};

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
    let Some(prefix) = become_root() else {
        return Err(missing(
            ", and neither root nor `sudo -n` is at hand to install it",
        ));
    };
    progress::step("Installing", "qemu-system-x86 with apt-get");
    let install = || {
        apt_get(
            prefix,
            &[
                "install",
                "--yes",
                "--no-install-recommends",
                "qemu-system-x86",
            ],
        )
    };
    // A machine that was never updated has no lists, or old ones.
    if !install()? {
        apt_get(prefix, &["update"])?;
        if !install()? {
            return Err(missing(", and apt-get could not install it"));
        }
    }
    Qemu::find().ok_or_else(|| missing(", even after apt-get has installed it"))
}

/// How to run a command as root: nothing before it, or sudo. `None` where there
/// is no apt-get, or no way to become root without a password.
fn become_root() -> Option<&'static [&'static str]> {
    let works = |words: &[&str]| {
        let (program, arguments) = words.split_first()?;
        Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .ok()
            .filter(std::process::ExitStatus::success)
    };
    works(&["apt-get", "--version"])?;
    if rustix::process::geteuid().is_root() {
        return Some(&[]);
    }
    works(&["sudo", "-n", "true"]).map(|_| ["sudo", "-n"].as_slice())
}

/// Runs apt-get; what it says goes to the standard error.
fn apt_get(prefix: &[&str], arguments: &[&str]) -> Result<bool> {
    let mut words = prefix.to_vec();
    words.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]);
    words.extend(arguments);
    let status = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(progress::stderr())
        .status()
        .doing("run apt-get")?;
    Ok(status.success())
}
