//! The image of `cargo bootimage image`: it starts by a BIOS and by UEFI, from a CD and from a disk.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where Debian's package `ovmf` has its firmware.
const OVMF: &str = "/usr/share/ovmf/OVMF.fd";
/// What QEMU ends with after a power-off with a clean audit.
const CLEAN: i32 = 0x10 << 1 | 1;
/// In seconds. An emulated machine on a busy host is slow.
const PATIENCE: &str = "240";

/// Boots `image` with these options; it must pass its command and end cleanly.
fn boots(image: &Path, drive: &str, options: &[&str]) {
    let log = image.with_extension("log");
    let status = Command::new("timeout")
        .arg(PATIENCE)
        .arg(tests::qemu())
        .args([
            "-display",
            "none",
            "-no-reboot",
            "-cpu",
            "max",
            "-m",
            "256M",
        ])
        .args(["-accel", "tcg,thread=multi", "-smp", "2", "-serial", "null"])
        .args(["-serial", &format!("file:{}", log.display())])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
        .args([drive, &image.display().to_string()])
        .args(options)
        .stdin(Stdio::null())
        .status()
        .expect("QEMU starts");
    let log = fs::read_to_string(log).unwrap_or_default();
    let is_clean = log.contains("audit: clean") && log.contains("power-off: status 0");
    assert!(status.code() == Some(CLEAN) && is_clean, "{status}\n{log}");
}

#[test]
fn from_a_cd_by_a_bios() {
    boots(&tests::bootable("cd.iso", "cowforktest"), "-cdrom", &[]);
}

#[test]
fn from_a_disk_by_a_bios() {
    boots(&tests::bootable("disk.iso", "cowforktest"), "-hda", &[]);
}

#[test]
#[ignore = "needs Debian's package ovmf, and a minute"]
fn from_a_cd_by_uefi() {
    let image = tests::bootable("uefi-cd.iso", "cowforktest");
    boots(&image, "-cdrom", &["-bios", OVMF, "-machine", "q35"]);
}

#[test]
#[ignore = "needs Debian's package ovmf, and a minute"]
fn from_a_disk_by_uefi() {
    let image = tests::bootable("uefi-disk.iso", "cowforktest");
    boots(&image, "-hda", &["-bios", OVMF]);
}
