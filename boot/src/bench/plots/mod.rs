//! The results as pictures, in SVG: `ratios` of all operations, a `chart` for each row of
//! sizes and for each distribution, and the `children` that live side by side.

mod canvas;
mod chart;
mod children;
mod ratios;

use crate::bench::results::Results;
use crate::error::Result;

pub use canvas::Plot;
use chart::Chart;

/// The sizes that `fork` is measured with, in MiB.
const SIZES: [&str; 5] = ["0", "1", "16", "64", "256"];
const FORKERS: [&str; 4] = ["1", "2", "4", "8"];
const CPUS: [&str; 3] = ["1", "2", "4"];

/// All pictures that the results are enough for.
pub fn all(results: &Results) -> Result<Vec<Plot>> {
    let fork = |size: &str| vec![format!("fork.{size}M")];
    let fork_wait = |size: &str| vec![format!("fork-wait.{size}M")];
    let forkers = |count: &str| vec![format!("forkers.{count}")];
    let large_forkers = |count: &str| vec![format!("forkers.{count}-64M")];
    // On all CPUs it is the plain metric.
    let on_cpus = |cpus: &str| vec![format!("forkers.4-on-{cpus}"), "forkers.4".into()];
    let mut plots = Vec::new();
    plots.extend(ratios::ratios(results)?);
    for chart in [
        Chart {
            name: "fork",
            title: "fork alone, over the memory that the process has touched",
            axis: "MiB",
            steps: &SIZES,
        }
        .medians(results, fork),
        Chart {
            name: "fork-wait",
            title: "fork + exit + wait, over the memory that the process has touched",
            axis: "MiB",
            steps: &SIZES,
        }
        .medians(results, fork_wait),
        Chart {
            name: "forkers",
            title: "forks per second, over the number of forkers",
            axis: "forkers",
            steps: &FORKERS,
        }
        .medians(results, forkers),
        Chart {
            name: "forkers-64M",
            title: "forks per second, over the number of forkers of 64 MiB each",
            axis: "forkers",
            steps: &FORKERS,
        }
        .medians(results, large_forkers),
        Chart {
            name: "forkers-cpus",
            title: "forks per second of four forkers, over the CPUs that they may use",
            axis: "CPUs",
            steps: &CPUS,
        }
        .medians(results, on_cpus),
        Chart::of_shares("snapshot", "a write while a child reads the snapshot")
            .distribution(results, "snapshot.write"),
        Chart::of_shares("latency-fork", "fork + exit + wait, small process")
            .distribution(results, "fork-wait.0M"),
        Chart::of_shares("latency-cow", "a COW fault that copies")
            .distribution(results, "cow.copy"),
    ] {
        plots.extend(chart?);
    }
    plots.extend(children::children(results)?);
    Ok(plots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::tests::results;

    #[test]
    fn there_is_a_picture_of_what_was_measured_and_none_of_what_was_not() {
        let plots = all(&results()).expect("plots");
        let names: Vec<&str> = plots.iter().map(|plot| plot.name).collect();
        assert_eq!(names, ["ratios", "fork", "snapshot", "children"]);
        for plot in &plots {
            assert!(
                plot.svg.starts_with("<svg") && plot.svg.ends_with("</svg>\n"),
                "{}",
                plot.name
            );
        }
        let ratios = &plots[0].svg;
        assert!(plots[3].svg.contains("57.5 KiB"));
        assert!(ratios.contains("fork.256M") && ratios.contains("against Linux &lt;6.1&gt;"));
    }
}
