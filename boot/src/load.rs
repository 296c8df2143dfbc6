//! What a loader is given beside the kernel: the command line, and the root file system where it
//! is not the built-in one.

use crate::command_line::{self, SCRIPT};
use crate::error::{Error, Result};
use crate::image::Image;
use crate::options::Options;
use crate::rootfs::{Owners, Tree, system};
use crate::workspace::Workspace;

/// What a loader is given.
#[derive(Debug)]
pub struct Load {
    /// The kernel's command line.
    pub command_line: String,
    /// The root file system; `None` where the built-in one does.
    pub tree: Option<Tree>,
}

/// Prepares what `options` ask for, with `more` parameters of the kernel. `console` says what is
/// at the console, unless the person does; `init` are the options of the first process, told
/// whether it starts in a distribution.
pub fn prepare(
    workspace: &Workspace,
    image: &Image,
    options: &Options,
    more: &[(String, String)],
    console: &str,
    init: impl FnOnce(bool) -> Vec<String>,
) -> Result<Load> {
    let mut parameters = options.kernel_args.clone();
    if parameters.iter().all(|(key, _)| key != "console") {
        parameters.push(("console".into(), console.into()));
    }
    parameters.extend_from_slice(more);
    let system = system::load(workspace, options, &image.tree)?;
    let mut init_options = Vec::new();
    if parameters.iter().all(|(key, _)| key != "rdinit") {
        init_options = init(system.is_some());
        if system.is_some() {
            parameters.push(("rdinit".into(), format!("/{}/init", system::TOOLS)));
        }
    }
    let line = command_line::build(&parameters, &init_options, options.exec.as_deref())?;
    if options.overlays.is_empty() && line.script.is_none() && system.is_none() {
        return Ok(Load {
            command_line: line.text,
            tree: None,
        });
    }
    let mut tree = system.unwrap_or_else(|| image.tree.clone());
    if let Some(script) = line.script {
        tree.program(SCRIPT, script)?;
    }
    for dir in &options.overlays {
        if !dir.is_dir() {
            return Err(Error::Usage(format!(
                "--overlay {}: there is no such folder",
                dir.display()
            )));
        }
        tree.lay_folder(dir, Owners::Root)?;
    }
    Ok(Load {
        command_line: line.text,
        tree: Some(tree),
    })
}
