//! `exe`, `cwd` and `root` of `/proc/PID` (proc(5)): links that lead to the file itself.

use crate::errno::Errno;
use crate::fs;
use crate::fs::generated::Jump;
use crate::fs::node::Node;
use crate::process::executable::Executable;
use crate::process::state::Process;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The program's file.
pub(super) struct Exe(pub(super) Arc<Executable>);

impl Jump for Exe {
    fn text(&self) -> Result<Vec<u8>, Errno> {
        self.0.path()
    }

    fn target(&self) -> Result<Arc<Node>, Errno> {
        Ok(self.0.node().clone())
    }
}

/// A directory of a process.
pub(super) struct Directory(pub(super) Arc<Node>);

impl Jump for Directory {
    fn text(&self) -> Result<Vec<u8>, Errno> {
        fs::tree().shown_path(&self.0)
    }

    fn target(&self) -> Result<Arc<Node>, Errno> {
        Ok(self.0.clone())
    }
}

/// The working directory; none of a process that has ended.
pub(super) fn cwd(process: &Process) -> Option<Directory> {
    process
        .exit_status()
        .is_none()
        .then(|| Directory(process.cwd()))
}

/// The root; none of a process that has ended.
pub(super) fn root(process: &Process) -> Option<Directory> {
    let root = || Directory(fs::tree().root().clone());
    process.exit_status().is_none().then(root)
}
