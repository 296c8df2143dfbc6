//! `/proc/PID/mounts` and `mountinfo` (proc(5)): what is mounted. The files are one tmpfs; `/proc`,
//! `/sys` and the terminals of `/dev/pts` are computed.

use super::text::Text;
use core::fmt::{self, Write};

/// The number of the mount that has the files.
pub(super) const ROOT: u32 = 1;

/// Where each is, its type and what it is a mount of. The first is the root.
const MOUNTS: [(&str, &str, &str, &str); 3] = [
    ("/", "tmpfs", "rootfs", "rw,relatime"),
    ("/proc", "proc", "proc", "rw,nosuid,nodev,noexec,relatime"),
    ("/sys", "sysfs", "sysfs", "rw,nosuid,nodev,noexec,relatime"),
];

/// As fstab(5) has it.
pub(super) fn mounts(text: &mut Text) -> fmt::Result {
    for (place, kind, source, options) in MOUNTS {
        writeln!(text, "{source} {place} {kind} {options} 0 0")?;
    }
    Ok(())
}

/// The same with numbers.
pub(super) fn mountinfo(text: &mut Text) -> fmt::Result {
    for ((place, kind, source, options), number) in MOUNTS.into_iter().zip(ROOT..) {
        let parent = if number == ROOT { 0 } else { ROOT };
        writeln!(
            text,
            "{number} {parent} 0:{number} / {place} {options} - {kind} {source} rw"
        )?;
    }
    Ok(())
}
