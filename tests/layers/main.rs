//! The layers of the kernel hold: imports go downwards, and no circle of files is large.
//!
//! The sources are parsed, not compiled. `crates` finds the modules of a crate and what each
//! of them names, `graph` resolves the names to files. `layers` has the order of the layers.
//! Code that is compiled for tests or models only is left out.

mod crates;
mod graph;
mod layers;

use std::path::{Path, PathBuf};

use crates::Crate;
use graph::Graph;

/// More files than this may not import each other in a circle.
const LARGEST_CIRCLE: usize = 6;

fn graph_of(folder: &str) -> Graph {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sources = Crate::read(&root, &PathBuf::from(folder));
    Graph::of(&sources.unwrap_or_else(|error| panic!("{error}")))
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn the_kernel_imports_downwards() {
    assert_none(&layers::upward_imports(
        &graph_of("kernel/src"),
        layers::KNOWN,
    ));
}

#[test]
fn no_circle_of_files_is_large() {
    let folders = ["kernel/src", "executor/src", "boot/src"];
    let circles = folders.map(|folder| graph_of(folder).circles(LARGEST_CIRCLE));
    let circles: Vec<_> = circles.into_iter().flatten().collect();
    assert_none(&layers::large_circles(&circles));
}

/// The check can fail: the fixture has one import that goes up.
#[test]
fn an_upward_import_is_found() {
    let complaints = layers::upward_imports(&graph_of("tests/layers/fixture/upward"), &[]);
    assert_eq!(complaints.len(), 4, "{}", complaints.join("\n"));
    // By `use`, by a path in a function, by a macro's argument, by a re-export.
    for line in [4, 7, 8, 11] {
        let place = format!("memory/frame/mod.rs:{line}:");
        let found = complaints.iter().any(|line| line.contains(&place));
        assert!(found, "{place} {}", complaints.join("\n"));
    }
}

/// The check can fail: seven files of the fixture import each other.
#[test]
fn a_circle_is_found() {
    let graph = graph_of("tests/layers/fixture/circle");
    let circles = graph.circles(LARGEST_CIRCLE);
    assert_eq!(circles.len(), 1);
    assert_eq!(circles[0].files.len(), 7);
    assert!(graph.circles(7).is_empty());
}
