//! The layers, from the top down, and the one import that goes up.

use crate::graph::{Circle, Graph};

/// Each layer may use itself and all after it. A file belongs to the layer with the longest
/// prefix of its path. What has several folders in one entry is one layer.
const LAYERS: &[&[&str]] = &[
    &["lib.rs", "main.rs", "start", "selftest", "panic", "testing"],
    &["syscall"],
    &["process"],
    &["net"],
    &["fs"],
    &["errno", "wait"],
    // The folder itself has the whole memory system's surface.
    &["memory"],
    &["memory/user"],
    &["memory/space"],
    &["memory/vma"],
    &["memory/object"],
    &["memory/tlb"],
    &["memory/reclaim"],
    &["memory/table"],
    &["memory/heap"],
    &["memory/frame"],
    // What the whole memory system counts, and the faults that its tests plant.
    &["memory/fault_injection", "memory/stats", "memory/planted"],
    &["sched"],
    &["trace", "log"],
    // The simulated machine takes the place of the real one, which is in `arch`.
    &["arch", "testing/machine"],
    &["cmdline"],
];

/// Imports that go up, with the reason for which they may: the beginning of the importing
/// file's path, that of the imported one, the reason.
pub const KNOWN: &[(&str, &str, &str)] = &[(
    "process/run",
    "syscall",
    "the loop of a thread calls the table of calls directly, for speed",
)];

/// The place of a file among the layers: 0 is the top.
fn layer_of(file: &str) -> Option<usize> {
    let mut best: Option<(usize, usize)> = None;
    for (rank, prefixes) in LAYERS.iter().enumerate() {
        for prefix in *prefixes {
            let rest = file.strip_prefix(prefix);
            let whole = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']));
            if whole && best.is_none_or(|(length, _)| prefix.len() > length) {
                best = Some((prefix.len(), rank));
            }
        }
    }
    best.map(|(_, rank)| rank)
}

/// The imports from a lower layer to a higher one, but for the `known` ones; known ones that
/// are no more; and files without a layer.
pub fn upward_imports(graph: &Graph, known: &[(&str, &str, &str)]) -> Vec<String> {
    // All files lie under the crate's folder.
    let folder = graph.files[0].trim_end_matches("lib.rs");
    let inside: Vec<_> = graph
        .files
        .iter()
        .map(|file| &file[folder.len()..])
        .collect();
    let mut complaints = Vec::new();
    for file in &inside {
        if layer_of(file).is_none() {
            complaints.push(format!("{folder}{file}: in no layer"));
        }
    }
    let mut met = vec![false; known.len()];
    for edge in &graph.uses {
        let (from, to) = (inside[edge.from], inside[edge.to]);
        let (Some(low), Some(high)) = (layer_of(from), layer_of(to)) else {
            continue;
        };
        if low <= high {
            continue;
        }
        let excuse = known.iter().position(|(importer, imported, _)| {
            from.starts_with(importer) && to.starts_with(imported)
        });
        match excuse {
            Some(index) => met[index] = true,
            None => complaints.push(format!(
                "{}: {} is below {}",
                graph.show(edge),
                LAYERS[low][0],
                LAYERS[high][0]
            )),
        }
    }
    for ((from, to, _), met) in known.iter().zip(met) {
        if !met {
            complaints.push(format!(
                "{from} no longer imports {to}: take it off the list"
            ));
        }
    }
    complaints
}

/// The circles, with the lines that tie them.
pub fn large_circles(circles: &[Circle]) -> Vec<String> {
    let mut complaints = Vec::new();
    for circle in circles {
        let files = circle.files.join(", ");
        complaints.push(format!("a circle of {} files: {files}", circle.files.len()));
        complaints.extend(circle.lines.iter().map(|line| format!("    {line}")));
    }
    complaints
}
