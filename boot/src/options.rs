//! The options of a boot, which `run`, `stress` and `trace` share.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// What to boot, beside the image. Each command, and each test, fills in the parts that it
/// decides itself.
#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// The shell command to run; without one, an interactive shell.
    #[arg(skip)]
    pub exec: Option<String>,
    /// Boot a whole distribution: a folder, or a tar archive, also by gzip, xz or zstd, as
    /// mmdebstrap, docker export or Alpine's mini root make it
    #[arg(long, value_name = "DIR|FILE", conflicts_with = "packages")]
    pub rootfs: Option<PathBuf>,
    /// Boot Debian with these packages and what they depend on; nothing is installed on the
    /// host
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub packages: Vec<String>,
    /// Lay the files of DIR over the root file system, such as your own static Linux
    /// binaries; may be repeated
    #[arg(long = "overlay", value_name = "DIR")]
    pub overlays: Vec<PathBuf>,
    /// Stop the machine after so long; exit status 124
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
    /// Give the kernel a parameter, such as log=debug; may be repeated
    #[arg(long = "kernel-arg", value_name = "KEY=VALUE", value_parser = parameter)]
    pub kernel_args: Vec<(String, String)>,
    /// Have the kernel record so many events for each CPU.
    #[arg(skip)]
    pub trace: Option<u32>,
    /// Wait for gdb before the first instruction, and say how to attach it
    #[arg(long)]
    pub gdb: bool,
    /// Show the kernel's log on the standard error as it comes
    #[arg(short = 'v', long = "verbose")]
    pub show_log: bool,
    /// Options for QEMU, such as -smp 4 -m 1G
    #[arg(last = true, value_name = "QEMU OPTIONS")]
    pub qemu: Vec<String>,
}

/// A number of seconds above 0.
pub(crate) fn seconds(value: &str) -> Result<Duration, String> {
    match value.parse() {
        Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        _ => Err("a number of seconds above 0 is wanted".into()),
    }
}

/// A parameter of the kernel.
pub(crate) fn parameter(value: &str) -> Result<(String, String), String> {
    let (key, value) = value.split_once('=').ok_or("it has no `=`")?;
    Ok((key.into(), value.into()))
}
