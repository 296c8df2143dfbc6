//! Installs packages by apt-get, where that can be done without asking.

use std::process::{Command, ExitStatus, Stdio};

use crate::error::{Doing, Result};
use crate::progress;

/// Installs `packages`; the error is why that was not possible, to go after
/// "it is not installed".
pub fn install(packages: &[&str]) -> Result<std::result::Result<(), &'static str>> {
    let Some(prefix) = become_root() else {
        return Ok(Err(
            "; apt-get with root rights or `sudo -n` is not at hand",
        ));
    };
    let names = packages.join(", ");
    progress::step("Installing", &format!("{names} with apt-get"));
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(packages);
    // A machine that was never updated has no lists, or old ones.
    let installed = apt_get(prefix, &arguments)?
        || (apt_get(prefix, &["update"])? && apt_get(prefix, &arguments)?);
    Ok(if installed {
        Ok(())
    } else {
        Err("; apt-get could not install it")
    })
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
            .filter(ExitStatus::success)
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
    let mut words = words.into_iter();
    let mut command = Command::new(words.next().unwrap_or("env"));
    let status = command
        .args(words)
        .stdin(Stdio::null())
        .stdout(progress::stderr())
        .status()
        .doing("run apt-get")?;
    Ok(status.success())
}
