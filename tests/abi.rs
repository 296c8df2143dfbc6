//! `docs/linux-abi.md` tells of every system call, and of those that the kernel has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use syn::visit::{self, Visit};

const PREFIX: &str = "__NR_";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn parse(path: &Path) -> syn::File {
    syn::parse_file(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A row of the document's table.
#[derive(Debug)]
struct Row {
    number: u32,
    state: String,
    note: String,
}

/// The rows by the name of the call.
fn document(text: &str) -> BTreeMap<String, Row> {
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let ["", number, name, state, note, ""] = cells[..] else {
            continue;
        };
        let Ok(number) = number.parse() else {
            continue;
        };
        let (state, note) = (state.into(), note.into());
        let name = name.trim_matches('`').to_owned();
        let row = Row {
            number,
            state,
            note,
        };
        assert!(
            rows.insert(name.clone(), row).is_none(),
            "{name} stands there twice"
        );
    }
    rows
}

/// The calls that the kernel answers: the numbers in patterns of `kernel/src/syscall`.
fn kernel_calls() -> BTreeSet<String> {
    struct Patterns(BTreeSet<String>);
    impl<'ast> Visit<'ast> for Patterns {
        fn visit_pat(&mut self, pattern: &'ast syn::Pat) {
            if let syn::Pat::Path(path) = pattern
                && let Some(last) = path.path.segments.last()
                && let Some(name) = last.ident.to_string().strip_prefix(PREFIX)
            {
                self.0.insert(name.into());
            }
            visit::visit_pat(self, pattern);
        }
    }
    let mut found = Patterns(BTreeSet::new());
    let mut open = vec![root().join("kernel/src/syscall")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{error}"));
            open.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.visit_file(&parse(&path));
        }
    }
    found.0
}

/// The calls of Linux, with their numbers, from the sources of `linux-raw-sys`.
fn linux_calls() -> BTreeMap<String, u32> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap_or_else(|error| panic!("cargo metadata: {error}"));
    assert!(output.status.success(), "cargo metadata: {output:?}");
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}"));
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    let manifest = packages
        .iter()
        .find(|package| package["name"] == "linux-raw-sys")
        .and_then(|package| package["manifest_path"].as_str());
    let manifest = Path::new(manifest.unwrap_or_else(|| panic!("no linux-raw-sys")));
    let file = manifest.with_file_name("src/x86_64/general.rs");
    let mut calls = BTreeMap::new();
    for item in parse(&file).items {
        if let syn::Item::Const(item) = item
            && let Some(name) = item.ident.to_string().strip_prefix(PREFIX)
            && let syn::Expr::Lit(value) = &*item.expr
            && let syn::Lit::Int(value) = &value.lit
            && let Ok(number) = value.base10_parse()
        {
            calls.insert(name.into(), number);
        }
    }
    calls
}

#[test]
fn the_document_has_each_call_of_linux_and_of_the_kernel() {
    let text = read(&root().join("docs/linux-abi.md"));
    let rows = document(&text);
    let (linux, kernel) = (linux_calls(), kernel_calls());
    assert!(linux.len() > 350, "{} calls of Linux", linux.len());
    assert!(kernel.len() > 100, "{} calls of the kernel", kernel.len());

    let mut complaints = Vec::new();
    for (name, number) in &linux {
        match rows.get(name) {
            None => complaints.push(format!("{name} is not in the document")),
            Some(row) if row.number != *number => {
                complaints.push(format!("{name} has the number {number}"));
            }
            Some(_) => {}
        }
    }
    let mut counts = BTreeMap::from([("full", 0), ("partial", 0), ("none", 0)]);
    for (name, row) in &rows {
        if !linux.contains_key(name) {
            complaints.push(format!("{name} is no call of Linux"));
        }
        match counts.get_mut(row.state.as_str()) {
            Some(count) => *count += 1,
            None => complaints.push(format!("{name}: the state is {:?}", row.state)),
        }
        match (kernel.contains(name), row.state.as_str()) {
            (true, "none") => complaints.push(format!("{name} is in the kernel's table")),
            (false, "full" | "partial") => {
                complaints.push(format!("{name} is not in the kernel's table"));
            }
            _ => {}
        }
        if row.state == "partial" && row.note.is_empty() {
            complaints.push(format!("{name}: what is missing?"));
        }
    }
    for (state, count) in counts {
        let told = format!("**{state}** ({count})");
        if !text.contains(&told) {
            complaints.push(format!("the summary should have {told}"));
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn a_row_is_read() {
    let rows = document("| number | call |\n| 7 | `poll` | partial | as `select` |\n");
    let row = &rows["poll"];
    assert_eq!((row.number, row.state.as_str()), (7, "partial"));
    assert_eq!(row.note, "as `select`");
}
