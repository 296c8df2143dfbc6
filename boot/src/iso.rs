//! A bootable image: a hybrid ISO, which a BIOS and UEFI start from a CD and from a disk.
//!
//! The loader in it is GRUB, by multiboot2: Debian packages its boot files for both kinds of
//! firmware, `grub-mkrescue` makes the hybrid of them, and a kernel for it is the same ELF file
//! that QEMU's `-kernel` takes. Limine would do as well, but Debian has no package of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;

use crate::error::{Doing, Error, Result};
use crate::image::Image;
use crate::load;
use crate::options::{Options, parameter};
use crate::workspace::Workspace;

/// The program that makes the image.
pub const PROGRAM: &str = "grub-mkrescue";

/// Build an image for a CD or a USB stick, which boots by BIOS and by UEFI
#[derive(Args, Clone, Debug)]
pub struct Iso {
    /// Where the image goes
    #[arg(long, value_name = "FILE", default_value = "cowfork.iso")]
    pub(crate) out: PathBuf,
    /// Have the shell run COMMAND instead of coming up, then power off
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    /// Have a whole distribution in it: a folder or a tar archive, as for `run`
    #[arg(long, value_name = "DIR|FILE")]
    rootfs: Option<PathBuf>,
    /// Lay the files of DIR over the root file system; may be repeated
    #[arg(long = "overlay", value_name = "DIR")]
    overlays: Vec<PathBuf>,
    /// Give the kernel a parameter, such as log=debug; may be repeated
    #[arg(long = "kernel-arg", value_name = "KEY=VALUE", value_parser = parameter)]
    kernel_args: Vec<(String, String)>,
}

impl Iso {
    /// The image at `out` that runs `command`.
    #[must_use]
    pub fn running(command: &str, out: &Path) -> Self {
        Self {
            out: out.to_path_buf(),
            exec: Some(command.into()),
            rootfs: None,
            overlays: Vec::new(),
            kernel_args: Vec::new(),
        }
    }

    /// What goes into the image, as for a boot.
    fn options(&self) -> Options {
        Options {
            exec: self.exec.clone(),
            rootfs: self.rootfs.clone(),
            overlays: self.overlays.clone(),
            kernel_args: self.kernel_args.clone(),
            ..Options::default()
        }
    }
}

/// Makes the image at `iso.out`.
pub fn make(workspace: &Workspace, image: &Image, iso: &Iso) -> Result<()> {
    let load = load::prepare(workspace, image, &iso.options(), &[], "terminal", |_| {
        Vec::new()
    })?;
    let menu = menu(&load.command_line)?;
    let dir = workspace
        .output()?
        .join(format!("iso-{}", std::process::id()));
    let made = fill(&dir, image, &load, &menu).and_then(|()| pack(&dir, &iso.out));
    // What is left of it does no harm.
    let _ = fs::remove_dir_all(&dir);
    made
}

/// The files on the image.
fn fill(dir: &Path, image: &Image, load: &load::Load, menu: &str) -> Result<()> {
    let boot = dir.join("boot");
    let grub = boot.join("grub");
    fs::create_dir_all(&grub).on("create", &grub)?;
    let copy = |from: &Path, name: &str| {
        let to = boot.join(name);
        fs::copy(from, &to).on("write", &to)
    };
    copy(&image.kernel, "cowfork")?;
    match &load.tree {
        Some(tree) => drop(tree.pack(&boot.join("initramfs"))?),
        None => drop(copy(&image.initramfs, "initramfs")?),
    }
    let path = grub.join("grub.cfg");
    fs::write(&path, menu).on("write", &path)
}

fn pack(dir: &Path, out: &Path) -> Result<()> {
    let output = Command::new(PROGRAM)
        .arg("-o")
        .arg(out)
        .arg(dir)
        .stdin(Stdio::null())
        .output()
        .doing("run grub-mkrescue")?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Child {
        what: format!(
            "making the image: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ),
        status: output.status,
    })
}

/// GRUB's script: one entry, started at once.
fn menu(command_line: &str) -> Result<String> {
    // GRUB's own quotes reach the kernel with backslashes; other words arrive as they are.
    if command_line.contains(['\'', '\\', '$', '\n']) {
        return Err(Error::Usage(format!(
            "GRUB cannot hand over this command line: {command_line}"
        )));
    }
    Ok(format!(
        "set timeout=0\n\
         insmod all_video\n\
         menuentry cowfork {{\n\
         \tmultiboot2 /boot/cowfork {command_line}\n\
         \tmodule2 /boot/initramfs\n\
         }}\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_menu_hands_the_command_line_over() {
        let menu = menu("log=debug -- -c \"forkstorm --forkers 8\"").expect("a menu");
        let line = "multiboot2 /boot/cowfork log=debug -- -c \"forkstorm --forkers 8\"\n";
        assert!(menu.contains(line), "{menu}");
    }

    #[test]
    fn what_grub_would_change_is_refused() {
        for line in ["a='b'", "a\\b", "$root"] {
            assert!(menu(line).is_err(), "{line}");
        }
    }
}
