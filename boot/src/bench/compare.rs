//! Results of several rounds, side by side.
//!
//! Noise comes and goes in minutes, so a ratio is taken within one round, where the
//! kernels ran right after one another; what is shown is the median of these
//! ratios, and their minimum and maximum.

use std::cmp::Reverse;

use crate::bench::report::{Metric, Report, Unit};

/// What the rounds have measured of one kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    pub name: String,
    /// One report a round.
    pub rounds: Vec<Report>,
}

/// A value of each metric that is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Statistic {
    Median,
    P99,
    Worst,
}

/// One line of the comparison.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// As it is shown.
    pub title: String,
    pub metric: String,
    pub statistic: Statistic,
    pub unit: Unit,
}

/// Ratios of several rounds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ratio {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Statistic {
    fn of(self, metric: &Metric) -> f64 {
        let quantile = match self {
            Self::Median => metric.quantile(500),
            Self::P99 => metric.quantile(990),
            Self::Worst => metric.quantile(1000),
        };
        quantile.unwrap_or(metric.mean)
    }
}

/// The lines for what any of `kernels` has measured. Latencies while something else
/// goes on are more than their median.
#[must_use]
pub fn lines(kernels: &[Kernel]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let reports = kernels.iter().flat_map(|kernel| &kernel.rounds);
    // The longest report decides the order; the others add what it lacks.
    let mut reports: Vec<&Report> = reports.collect();
    reports.sort_by_key(|report| Reverse(report.metrics.len()));
    for metric in reports.iter().flat_map(|report| &report.metrics) {
        if lines.iter().any(|line| line.metric == metric.name) {
            continue;
        }
        let mut add = |title: String, statistic| {
            lines.push(Line {
                title,
                metric: metric.name.clone(),
                statistic,
                unit: metric.unit,
            });
        };
        add(metric.name.clone(), Statistic::Median);
        if metric.name.starts_with("snapshot") {
            add(format!("{} 99 %", metric.name), Statistic::P99);
            add(format!("{} worst", metric.name), Statistic::Worst);
        }
    }
    lines
}

/// The value of `line` in each round; `None` where it was not measured.
fn values(kernel: &Kernel, line: &Line) -> Vec<Option<f64>> {
    let value = |report: &Report| Some(line.statistic.of(report.get(&line.metric)?));
    kernel.rounds.iter().map(value).collect()
}

/// The median over the rounds.
#[must_use]
pub fn value(kernel: &Kernel, line: &Line) -> Option<f64> {
    median(values(kernel, line).into_iter().flatten().collect())
}

/// How many times better `ours` is than `theirs`.
#[must_use]
pub fn ratio(ours: &Kernel, theirs: &Kernel, line: &Line) -> Option<Ratio> {
    let ratios: Vec<f64> = values(ours, line)
        .into_iter()
        .zip(values(theirs, line))
        .filter_map(|pair| match (pair, line.unit.more_is_better()) {
            ((Some(ours), Some(theirs)), true) => Some(ours / nonzero(theirs)),
            ((Some(ours), Some(theirs)), false) => Some(theirs / nonzero(ours)),
            _ => None,
        })
        .collect();
    Some(Ratio {
        min: ratios.iter().copied().reduce(f64::min)?,
        max: ratios.iter().copied().reduce(f64::max)?,
        median: median(ratios)?,
    })
}

/// The smallest difference that is told is a tenth.
fn nonzero(value: f64) -> f64 {
    value.max(0.1)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len().is_multiple_of(2) {
        Some((values.get(middle - 1)? + upper) / 2.0)
    } else {
        Some(upper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice;

    fn kernel(unit: &str, medians: &[f64]) -> Kernel {
        let report = |median: &f64| {
            let line = format!("metric snapshot.x {unit} n=9 mean=1 p50={median} p99=9 max=99");
            Report::parse(&format!("{line}\nend 0\n")).expect("a report")
        };
        Kernel {
            name: "k".into(),
            rounds: medians.iter().map(report).collect(),
        }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine was slower in the second round, for both.
        let (ours, theirs) = (
            kernel("ns", &[1.0, 10.0, 1.0]),
            kernel("ns", &[4.0, 30.0, 2.0]),
        );
        let line = &lines(slice::from_ref(&ours))[0];
        let ratio = ratio(&ours, &theirs, line).expect("a ratio");
        assert_eq!((ratio.median, ratio.min, ratio.max), (3.0, 2.0, 4.0));
    }

    #[test]
    fn of_what_is_done_in_a_second_more_is_better() {
        let (ours, theirs) = (kernel("per-s", &[30.0]), kernel("per-s", &[10.0]));
        let line = &lines(slice::from_ref(&ours))[0];
        assert_eq!(
            ratio(&ours, &theirs, line).map(|ratio| ratio.median),
            Some(3.0)
        );
    }

    #[test]
    fn latencies_have_more_than_one_line() {
        let ours = kernel("ns", &[5.0]);
        let lines = lines(slice::from_ref(&ours));
        let titles: Vec<&str> = lines.iter().map(|line| line.title.as_str()).collect();
        assert_eq!(
            titles,
            ["snapshot.x", "snapshot.x 99 %", "snapshot.x worst"]
        );
        assert_eq!(value(&ours, &lines[2]), Some(99.0));
    }

    #[test]
    fn what_one_of_them_has_not_measured_has_no_ratio() {
        let ours = kernel("ns", &[5.0]);
        let theirs = Kernel {
            name: "t".into(),
            rounds: vec![Report {
                metrics: Vec::new(),
                absent: Vec::new(),
            }],
        };
        assert_eq!(
            ratio(&ours, &theirs, &lines(slice::from_ref(&ours))[0]),
            None
        );
    }

    #[test]
    fn medians_of_few() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0]), Some(2.0));
        assert_eq!(median(vec![3.0, 1.0, 9.0]), Some(3.0));
    }
}
