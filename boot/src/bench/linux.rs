//! Debian's kernel: downloaded and unpacked, never installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Doing, Error, Result};
use crate::progress;
use crate::workspace::Workspace;

/// The package that leads to the newest kernel for virtual machines.
const PACKAGE: &str = "linux-image-cloud-amd64";

const ADVICE: &str = "Name a kernel with --linux-kernel FILE, or run this on a Debian.";

/// A Linux kernel.
#[derive(Clone, Debug)]
pub struct Linux {
    kernel: PathBuf,
    version: String,
}

impl Linux {
    /// The kernel in `file`.
    pub fn at(file: &Path) -> Result<Self> {
        let image = fs::read(file).on("read", file)?;
        let version = version(&image).ok_or_else(|| {
            Error::Malformed(format!("{}: this is no Linux bzImage", file.display()))
        })?;
        Ok(Self {
            kernel: file.to_path_buf(),
            version,
        })
    }

    /// Debian's, from the cache under `target/` or from the mirror that this
    /// machine's apt uses.
    pub fn debian(workspace: &Workspace) -> Result<Self> {
        let dir = workspace.output()?.join("linux");
        let kernel = dir.join("vmlinuz");
        if !kernel.is_file() {
            download(&dir, &kernel)?;
        }
        Self::at(&kernel)
    }

    /// The file.
    #[must_use]
    pub fn kernel(&self) -> &Path {
        &self.kernel
    }

    /// Its version, such as 6.1.
    #[must_use]
    pub fn version(&self) -> &str {
        let end = self.version.match_indices('.').nth(1);
        end.map_or(&self.version, |(end, _)| &self.version[..end])
    }

    /// All that it says of its version.
    #[must_use]
    pub fn full_version(&self) -> &str {
        &self.version
    }
}

/// The version in the head of a bzImage (`kernel_version` in Linux's
/// `Documentation/arch/x86/boot.rst`).
fn version(image: &[u8]) -> Option<String> {
    const MAGIC: usize = 0x202;
    const KERNEL_VERSION: usize = 0x20e;
    if image.get(MAGIC..MAGIC + 4)? != b"HdrS" {
        return None;
    }
    let offset = image.get(KERNEL_VERSION..KERNEL_VERSION + 2)?;
    let start = 0x200 + usize::from(u16::from_le_bytes(offset.try_into().ok()?));
    let text = image.get(start..)?.split(|byte| *byte == 0).next()?;
    // Such as "6.1.0-48-cloud-amd64 (debian-kernel@...) #1 SMP ...".
    Some(str::from_utf8(text).ok()?.trim().to_owned())
}

/// Downloads the package and takes the kernel out of it.
fn download(dir: &Path, kernel: &Path) -> Result<()> {
    fs::create_dir_all(dir).on("create", dir)?;
    let missing = |why: &str| Error::Missing {
        what: format!("Debian's kernel cannot be had: {why}"),
        advice: ADVICE.into(),
    };
    let package = dependency()
        .or_else(|| {
            // A machine that was never updated has no lists. That needs root; if it
            // fails there is the advice.
            let _ = quiet("apt-get").args(["-q", "update"]).status();
            dependency()
        })
        .ok_or_else(|| missing(&format!("apt knows no package {PACKAGE}")))?;
    progress::step("Downloading", &format!("{package} of Debian"));
    let status = quiet("apt-get")
        // Otherwise apt changes to a user without write permission in our folder.
        .args(["-q", "-o", "APT::Sandbox::User=root", "download", &package])
        .current_dir(dir)
        .status()
        .map_err(|_| missing("there is no apt-get"))?;
    let archive = fs::read_dir(dir)
        .on("list", dir)?
        .filter_map(|file| Some(file.ok()?.path()))
        .find(|file| file.extension().is_some_and(|kind| kind == "deb"))
        .filter(|_| status.success())
        .ok_or_else(|| missing("apt-get could not download it"))?;
    let root = dir.join("root");
    let status = quiet("dpkg-deb").arg("-x").args([&archive, &root]).status();
    if !status.doing("run dpkg-deb")?.success() {
        return Err(missing("dpkg-deb could not unpack it"));
    }
    let boot = root.join("boot");
    let image = fs::read_dir(&boot)
        .on("list", &boot)?
        .filter_map(|file| Some(file.ok()?.path()))
        .find(|file| file.to_string_lossy().contains("/vmlinuz-"))
        .ok_or_else(|| missing("the package has no vmlinuz"))?;
    fs::rename(&image, kernel).on("move", &image)?;
    // The rest are some hundred megabytes of modules.
    fs::remove_dir_all(&root).on("remove", &root)?;
    fs::remove_file(&archive).on("remove", &archive)
}

/// The package with the kernel itself.
fn dependency() -> Option<String> {
    let output = Command::new("apt-cache")
        .args(["depends", PACKAGE])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|package| package.starts_with("linux-image-"))
        .map(String::from)
}

fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(progress::stderr());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_in_the_head_of_the_image() {
        let mut image = vec![0; 0x400];
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x20e..0x210].copy_from_slice(&0x100u16.to_le_bytes());
        image[0x300..0x314].copy_from_slice(b"6.1.0-48-cloud-amd64");
        assert_eq!(version(&image).as_deref(), Some("6.1.0-48-cloud-amd64"));
        let linux = Linux {
            kernel: PathBuf::new(),
            version: version(&image).unwrap_or_default(),
        };
        assert_eq!(linux.version(), "6.1");
        image[0x202] = b'h';
        assert_eq!(version(&image), None);
        assert_eq!(version(b"short"), None);
    }
}
