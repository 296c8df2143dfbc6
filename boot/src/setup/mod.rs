//! Gets what a fresh machine lacks.

mod apt;
mod c_compilers;
mod debian;
mod grub;
mod newer_qemu;
pub mod packages;
mod qemu;
mod rust_target;

use crate::error::Result;
use crate::qemu::Qemu;
use crate::workspace::Workspace;

/// What the rest of the tool needs of the machine.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The QEMU to boot with.
    pub qemu: Qemu,
}

/// Makes sure that everything is there. Costs next to nothing when it is.
pub fn ensure(workspace: &Workspace) -> Result<Tools> {
    let _guard = workspace.lock()?;
    rust_target::ensure(workspace)?;
    let qemu = qemu::ensure()?;
    Ok(Tools {
        qemu: newer_qemu::prefer(workspace, qemu)?,
    })
}

/// Makes sure of what only tests need.
pub fn ensure_for_tests(workspace: &Workspace) -> Result<()> {
    let _guard = workspace.lock()?;
    c_compilers::ensure()
}

/// Makes sure of what makes bootable images.
pub fn ensure_for_images(workspace: &Workspace) -> Result<()> {
    let _guard = workspace.lock()?;
    rust_target::ensure(workspace)?;
    grub::ensure()
}
