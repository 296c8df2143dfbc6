//! Where things are.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Doing, Result};
use crate::progress;

/// The target that the kernel and the user programs are built for.
pub const TARGET: &str = "x86_64-unknown-none";

/// The checked-out sources and the folder of everything that is built.
#[derive(Clone, Debug)]
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// The workspace that this tool was compiled from.
    #[must_use]
    pub fn find() -> Self {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().unwrap_or(manifest).to_path_buf();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(dir) if !dir.is_empty() => root.join(dir),
            _ => root.join("target"),
        };
        Self { root, target }
    }

    /// The folder of the workspace's `Cargo.toml`.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target folder.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The folder of what this tool makes, `target/bootimage`; it is created.
    pub fn output(&self) -> Result<PathBuf> {
        let dir = self.target.join("bootimage");
        fs::create_dir_all(&dir).on("create", &dir)?;
        Ok(dir)
    }

    /// `path` as a person in the workspace would write it.
    #[must_use]
    pub fn short<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    /// Waits until no other process of this tool sets up or builds; holds until
    /// the guard is dropped.
    pub fn lock(&self) -> Result<File> {
        let path = self.output()?.join("lock");
        let file = File::create(&path).on("create", &path)?;
        if file.try_lock().is_err() {
            progress::step("Waiting", "for another set-up or build to end");
            file.lock().on("lock", &path)?;
        }
        Ok(file)
    }
}
