//! A whole distribution as root: from a folder, a tar archive or Debian's packages, with our
//! own programs beside its own.

use std::path::Path;

use super::folder::Owners;
use super::tree::Tree;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::setup::packages;
use crate::workspace::Workspace;

/// Where our own programs are, so that a distribution's `/bin/sh` is `/bin/sh`.
pub const TOOLS: &str = "usr/lib/cowfork/bin";

/// What the first program's `PATH` is.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:\
                        /usr/lib/cowfork/bin";

/// Folders that a kernel fills: nothing of the distribution's is wanted there.
const OF_THE_KERNEL: [&str; 3] = ["dev", "proc", "sys"];

/// The distribution that `options` ask for, with the programs and other files of `own`, the
/// built-in root file system; `None` where they ask for none.
pub fn load(workspace: &Workspace, options: &Options, own: &Tree) -> Result<Option<Tree>> {
    let mut tree = Tree::default();
    if let Some(path) = &options.rootfs {
        lay(&mut tree, path, &workspace.output()?.join("rootfs"))?;
    } else if !options.packages.is_empty() {
        packages::lay(workspace, &mut tree, &options.packages)?;
    } else {
        return Ok(None);
    }
    for folder in OF_THE_KERNEL {
        tree.clear(folder)?;
    }
    tree.lay_tools(own)?;
    Ok(Some(tree))
}

fn lay(tree: &mut Tree, path: &Path, cache: &Path) -> Result<()> {
    if path.is_dir() {
        tree.lay_folder(path, Owners::Kept)
    } else if path.is_file() {
        tree.lay_tar(path, cache)
    } else {
        Err(Error::Usage(format!(
            "--rootfs {}: there is no such folder or file",
            path.display()
        )))
    }
}

impl Tree {
    /// Adds the built-in programs in their own folder, and of the other built-in files those
    /// that are not there.
    fn lay_tools(&mut self, own: &Tree) -> Result<()> {
        for (path, entry) in &own.entries {
            let name = path
                .strip_prefix("bin/")
                .or((path == "init").then_some(path));
            match name {
                Some(name) => self.put(&format!("{TOOLS}/{name}"), entry.clone())?,
                None if path == "bin" || self.has(path) => {}
                None => self.put(path, entry.clone())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_programs_have_their_own_folder() {
        let mut own = Tree::default();
        for path in ["init", "bin/sh", "etc/motd", "boot/symbols"] {
            own.file(path, *b"ours").expect("a place");
        }
        let mut tree = Tree::default();
        for path in ["usr/bin/sh", "etc/motd"] {
            tree.file(path, *b"theirs!").expect("a place");
        }
        tree.lay_tools(&own).expect("places");
        let tools = ["/usr/lib/cowfork/bin/sh", "/usr/lib/cowfork/bin/init"];
        assert!(tools.iter().all(|path| tree.has(path)));
        assert!(tree.has("boot/symbols") && !tree.has("init") && !tree.has("bin"));
        assert_eq!(tree.length(), 7 + 7 + 3 * 4);
    }
}
