//! Debian's packages as a root file system, without installing anything on the host.
//!
//! Apt works out what the named packages need, with lists and a cache of its own and as if
//! nothing were installed. The essential packages come along: others rely on them without
//! saying so. The files are unpacked; what the packages' own scripts would set up is done here
//! as far as programs need it to start.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Doing, Error, Result};
use crate::progress::step;
use crate::rootfs::Tree;
use crate::setup::debian::Mirror;
use crate::workspace::Workspace;

const ADVICE: &str = "Name a tree with --rootfs, or run this on a Debian with its package lists.";

/// Lays the packages `names` and what they depend on over `tree`.
pub fn lay(workspace: &Workspace, tree: &mut Tree, names: &[String]) -> Result<()> {
    let dir = workspace.output()?.join("packages");
    let tars = dir.join("tars");
    fs::create_dir_all(&tars).on("create", &tars)?;
    // Since Debian 12 that is how a system is laid out; no package has the links.
    for folder in ["bin", "sbin", "lib", "lib64"] {
        tree.dir(&format!("usr/{folder}"))?;
        tree.link(folder, &format!("usr/{folder}"))?;
    }
    for package in packages(&dir, names)? {
        tree.lay_tar(&contents(&package, &tars)?, &tars)?;
    }
    set_up(tree)
}

/// The files of the packages, downloaded once for each list of names.
fn packages(dir: &Path, names: &[String]) -> Result<Vec<PathBuf>> {
    let mut hash = DefaultHasher::new();
    names.hash(&mut hash);
    let known = dir.join(format!("set-{:016x}", hash.finish()));
    let listed = fs::read_to_string(&known).unwrap_or_default();
    let files: Vec<PathBuf> = listed.lines().map(PathBuf::from).collect();
    if !files.is_empty() && files.iter().all(|file| file.is_file()) {
        return Ok(files);
    }
    let missing = |why: &str| Error::Missing {
        what: format!("the packages {} cannot be had: {why}", names.join(", ")),
        advice: ADVICE.into(),
    };
    let mirror = Mirror::find().ok_or_else(|| missing("this is no Debian"))?;
    step(
        "Downloading",
        &format!("{} of Debian, with what they need", names.join(", ")),
    );
    let files = mirror
        .download(names, dir)?
        .ok_or_else(|| missing("apt-get has said why"))?;
    let list: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    fs::write(&known, list.join("\n")).on("write", &known)?;
    Ok(files)
}

/// The files in a package, as a tar archive.
fn contents(package: &Path, tars: &Path) -> Result<PathBuf> {
    let name = package.file_name().unwrap_or_default();
    let tar = tars.join(name).with_extension("tar");
    if !tar.is_file() {
        let new = tar.with_extension("new");
        let to = File::create(&new).on("create", &new)?;
        let status = Command::new("dpkg-deb")
            .arg("--fsys-tarfile")
            .arg(package)
            .stdin(Stdio::null())
            .stdout(to)
            .status()
            .doing("run dpkg-deb")?;
        if !status.success() {
            return Err(Error::Child {
                what: format!("unpacking {}", package.display()),
                status,
            });
        }
        fs::rename(&new, &tar).on("replace", &tar)?;
    }
    Ok(tar)
}

/// What the scripts of essential packages would do first.
fn set_up(tree: &mut Tree) -> Result<()> {
    for (from, to) in [
        ("usr/share/base-passwd/passwd.master", "etc/passwd"),
        ("usr/share/base-passwd/group.master", "etc/group"),
        ("usr/share/base-files/nsswitch.conf", "etc/nsswitch.conf"),
        ("usr/share/base-files/profile", "etc/profile"),
        ("usr/share/base-files/dot.profile", "root/.profile"),
        ("usr/share/base-files/dot.bashrc", "root/.bashrc"),
    ] {
        if !tree.has(to) {
            tree.copy(from, to)?;
        }
    }
    for (name, target) in [
        ("usr/bin/sh", "dash"),
        ("usr/bin/awk", "mawk"),
        ("usr/bin/pager", "more"),
        ("var/run", "/run"),
        ("var/lock", "/run/lock"),
    ] {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        if !tree.has(name) && (target.starts_with('/') || tree.has(&format!("{folder}/{target}"))) {
            tree.link(name, target)?;
        }
    }
    for (path, text) in [
        ("etc/hostname", "cowfork\n"),
        ("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 cowfork\n"),
    ] {
        if !tree.has(path) {
            tree.file(path, text)?;
        }
    }
    Ok(())
}
