//! The parts of `docs/performance.md` that a run writes: what stands between the
//! marks `<!-- bench: NAME -->` and `<!-- bench: end -->`, and the pictures.

use std::fs;
use std::path::PathBuf;

use crate::bench::plots;
use crate::bench::results::{self, Results};
use crate::bench::table::Table;
use crate::error::{Doing, Error, Result};
use crate::progress::note;
use crate::workspace::Workspace;

const END: &str = "<!-- bench: end -->";

fn path(workspace: &Workspace) -> PathBuf {
    workspace.root().join("docs/performance.md")
}

/// Writes times: circumstances, table, pictures.
pub fn write_times(workspace: &Workspace, results: &Results) -> Result<()> {
    let mut text = String::new();
    for (title, value) in &results.circumstances {
        text.push_str(&format!("- {title}: `{value}`\n"));
    }
    text.push('\n');
    text.push_str(&results::table(results).markdown());
    let folder = workspace.root().join("docs/performance");
    fs::create_dir_all(&folder).on("create", &folder)?;
    for plot in plots::all(results)? {
        let file = folder.join(plot.name).with_extension("svg");
        fs::write(&file, &plot.svg).on("write", &file)?;
        text.push_str(&format!(
            "\n![{}](performance/{}.svg)\n",
            plot.title, plot.name
        ));
    }
    replace(workspace, "times", &text)
}

/// Writes counts of instructions.
pub fn write_counts(workspace: &Workspace, qemu: &str, table: &Table) -> Result<()> {
    let text = format!("- QEMU: `{qemu}`\n\n{}", table.markdown());
    replace(workspace, "counts", &text)
}

fn replace(workspace: &Workspace, name: &str, text: &str) -> Result<()> {
    let path = path(workspace);
    let old = fs::read_to_string(&path).on("read", &path)?;
    let new = replaced(&old, name, text)
        .ok_or_else(|| Error::Malformed(format!("{}: no marks for {name}", path.display())))?;
    fs::write(&path, new).on("write", &path)?;
    note(&format!("written: {}", workspace.short(&path).display()));
    Ok(())
}

/// `document` with `text` between the marks of `name`.
fn replaced(document: &str, name: &str, text: &str) -> Option<String> {
    let mark = format!("<!-- bench: {name} -->\n");
    let (before, rest) = document.split_once(&mark)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{mark}\n{text}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let document = "a\n<!-- bench: x -->\nold\n<!-- bench: end -->\nb\n\
                        <!-- bench: y -->\nstays\n<!-- bench: end -->\n";
        let new = replaced(document, "x", "new\n").expect("the marks");
        assert_eq!(new, document.replace("\nold\n", "\n\nnew\n\n"));
        assert_eq!(replaced(document, "z", "new"), None);
        assert_eq!(replaced(&new, "x", "new\n").as_deref(), Some(new.as_str()));
    }
}
