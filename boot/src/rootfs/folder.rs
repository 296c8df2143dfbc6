//! Lays a folder of the host over a tree.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use super::left_out::LeftOut;
use super::tree::{Attributes, Contents, Entry, Tree};
use crate::error::{Doing, Result};
use crate::progress::note;

/// The owners of the files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owners {
    /// Root's, and without times.
    Root,
    /// As they are on the host, with times; what belongs to the person who runs this is
    /// root's.
    Kept,
}

impl Tree {
    /// Lays everything that is in the folder `dir` over the root. What is neither file,
    /// folder nor symbolic link is left out, with a note: the kernel makes its devices itself.
    pub fn lay_folder(&mut self, dir: &Path, owners: Owners) -> Result<()> {
        let mut layer = Layer {
            tree: self,
            owners,
            own_uid: rustix::process::geteuid().as_raw(),
            own_gid: rustix::process::getegid().as_raw(),
            names: HashMap::new(),
            left_out: LeftOut::default(),
        };
        layer.lay("", dir)
    }
}

struct Layer<'a> {
    tree: &'a mut Tree,
    owners: Owners,
    own_uid: u32,
    own_gid: u32,
    /// The first name of each file that has several, by device and number.
    names: HashMap<(u64, u64), String>,
    left_out: LeftOut,
}

impl Layer<'_> {
    fn lay(&mut self, prefix: &str, dir: &Path) -> Result<()> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(dir).on("list", dir)? {
            paths.push(entry.on("list", dir)?.path());
        }
        paths.sort();
        for path in paths {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                note(&format!(
                    "left out: {}: its name is not UTF-8",
                    path.display()
                ));
                continue;
            };
            self.lay_one(format!("{prefix}{name}"), &path)?;
        }
        Ok(())
    }

    fn lay_one(&mut self, inside: String, path: &Path) -> Result<()> {
        let meta = fs::symlink_metadata(path).on("look at", path)?;
        let attributes = self.attributes(&meta);
        if meta.is_dir() {
            self.tree.put(&inside, Entry::folder(attributes))?;
            self.lay(&format!("{inside}/"), path)
        } else if meta.is_symlink() {
            let to = fs::read_link(path).on("read the link", path)?;
            let to = to.to_string_lossy().into_owned();
            self.tree.put(&inside, Entry::link(to, attributes))
        } else if meta.is_file() {
            let file = (meta.dev(), meta.ino());
            if meta.nlink() > 1 {
                if let Some(name) = self.names.get(&file)
                    && self.tree.put_name(&inside, name)?
                {
                    return Ok(());
                }
                self.names.insert(file, inside.clone());
            }
            let contents = Contents::Part {
                file: Arc::new(path.to_path_buf()),
                offset: 0,
                length: meta.len(),
            };
            self.tree.put(&inside, Entry::file(contents, attributes))
        } else {
            self.left_out.add(&inside);
            Ok(())
        }
    }

    fn attributes(&self, meta: &fs::Metadata) -> Attributes {
        let permissions = match meta.is_symlink() {
            true => 0o777,
            false => meta.permissions().mode() & 0o7777,
        };
        let or_root = |id: u32, own: u32| if id == own { 0 } else { id };
        match self.owners {
            Owners::Root => Attributes::of_root(permissions),
            Owners::Kept => Attributes {
                permissions,
                uid: or_root(meta.uid(), self.own_uid),
                gid: or_root(meta.gid(), self.own_gid),
                modified: u32::try_from(meta.mtime()).unwrap_or(0),
            },
        }
    }
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
