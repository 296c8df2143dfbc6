//! Results for other programs.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::bench::compare;
use crate::bench::report::{Report, Unit};
use crate::bench::results::Results;
use crate::error::{Doing, Result};

/// Writes what was measured in time.
pub fn write_times(path: &Path, results: &Results) -> Result<()> {
    let kernels: Vec<Value> = results
        .kernels
        .iter()
        .map(|kernel| {
            let rounds: Vec<Value> = kernel.rounds.iter().map(report).collect();
            json!({ "name": kernel.name, "rounds": rounds })
        })
        .collect();
    let mut ratios = Vec::new();
    if let Some((ours, others)) = results.kernels.split_first() {
        for other in others {
            for line in &results.lines {
                if let Some(ratio) = compare::ratio(ours, other, line) {
                    ratios.push(json!({
                        "metric": line.title,
                        "against": other.name,
                        "median": ratio.median,
                        "min": ratio.min,
                        "max": ratio.max,
                    }));
                }
            }
        }
    }
    let circumstances: Map<String, Value> = results
        .circumstances
        .iter()
        .map(|(title, value)| (title.clone(), value.clone().into()))
        .collect();
    let all = json!({ "circumstances": circumstances, "kernels": kernels, "ratios": ratios });
    write(path, &all)
}

/// Writes counts of instructions.
pub fn write_counts(
    path: &Path,
    qemu: &str,
    ours: &Report,
    linux: &[(String, Report)],
) -> Result<()> {
    let mut kernels = vec![json!({ "name": "cowfork", "rounds": [report(ours)] })];
    kernels.extend(
        linux
            .iter()
            .map(|(name, theirs)| json!({ "name": name, "rounds": [report(theirs)] })),
    );
    write(path, &json!({ "QEMU": qemu, "kernels": kernels }))
}

fn write(path: &Path, value: &Value) -> Result<()> {
    fs::write(path, format!("{value:#}\n")).on("write", path)
}

fn report(report: &Report) -> Value {
    let metrics: Vec<Value> = report
        .metrics
        .iter()
        .map(|metric| {
            let unit = match metric.unit {
                Unit::Nanoseconds => "ns",
                Unit::Ticks => "instructions",
                Unit::PerSecond => "per second",
                Unit::Kibibytes => "KiB",
            };
            // By thousandths of the samples.
            let quantiles: Map<String, Value> = metric
                .quantiles
                .iter()
                .map(|(at, value)| (at.to_string(), (*value).into()))
                .collect();
            json!({
                "name": metric.name,
                "unit": unit,
                "samples": metric.count,
                "mean": metric.mean,
                "quantiles": quantiles,
            })
        })
        .collect();
    let absent: Map<String, Value> = report
        .absent
        .iter()
        .map(|(name, why)| (name.clone(), why.clone().into()))
        .collect();
    json!({ "metrics": metrics, "absent": absent })
}
