//! Where things are.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Doing, Error, Result};
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
    /// The checkout that the current folder is in, whichever this tool was compiled from.
    /// Where cargo was told another one (`--manifest-path`), that one.
    pub fn find() -> Result<Self> {
        let here = env::current_dir().doing("find the current folder")?;
        let root = checkout(&here)
            .or_else(|| checkout(Path::new(&env::var_os("CARGO_MANIFEST_DIR")?)))
            .ok_or_else(|| Error::Missing {
                what: format!("{} is in no checkout of cowfork", here.display()),
                advice: "Change to the folder that has cowfork's Cargo.toml.".into(),
            })?;
        let target = match env::var_os("CARGO_TARGET_DIR") {
            // To cargo it is relative to the current folder, too.
            Some(dir) if !dir.is_empty() => here.join(dir),
            _ => root.join("target"),
        };
        Ok(Self { root, target })
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

/// The nearest folder, from `folder` upward, that has the parts of a checkout.
fn checkout(folder: &Path) -> Option<PathBuf> {
    const PARTS: [&str; 3] = ["Cargo.toml", "kernel/Cargo.toml", "user/Cargo.toml"];
    let is_whole = |folder: &&Path| PARTS.iter().all(|part| folder.join(part).is_file());
    folder.ancestors().find(is_whole).map(Path::to_path_buf)
}
