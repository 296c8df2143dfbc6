//! The files of one boot, under `target/bootimage/boots`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use crate::error::{Doing, Result};
use crate::workspace::Workspace;

/// How many files of earlier boots are kept.
const KEPT: usize = 100;

/// The files of one boot. Its logs outlive it, its memory and its own root file system do not.
#[derive(Debug)]
pub struct Files {
    /// What the kernel logs.
    pub kernel_log: PathBuf,
    /// What QEMU logs when CPUs are reset: their registers, and "Triple fault".
    pub reset_log: PathBuf,
    /// The machine's memory, if it is to be looked at afterwards.
    pub memory: PathBuf,
    /// A root file system that only this boot has.
    pub initramfs: PathBuf,
}

impl Files {
    /// New names, which no other boot has.
    pub fn new(workspace: &Workspace) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let dir = workspace.output()?.join("boots");
        fs::create_dir_all(&dir).on("create", &dir)?;
        remove_old(&dir);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |what: &str| dir.join(format!("{}-{count}-{what}", process::id()));
        let files = Self {
            kernel_log: name("kernel.log"),
            reset_log: name("resets.log"),
            memory: name("memory"),
            initramfs: name("initramfs.cpio"),
        };
        // An earlier process may have had our number.
        for old in [&files.kernel_log, &files.reset_log] {
            let _ = fs::remove_file(old);
        }
        Ok(files)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // Most boots have none.
        let _ = fs::remove_file(&self.memory);
        let _ = fs::remove_file(&self.initramfs);
    }
}

/// Removes the oldest files. Another process may be at the same: what is gone
/// already is no error, nor is what cannot be removed.
fn remove_old(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    let mut files: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect();
    files.sort();
    for (_, path) in files.iter().rev().skip(KEPT) {
        let _ = fs::remove_file(path);
    }
}
