//! What `forkbench --lines` writes; the head of its `output.rs` has the format.

use crate::error::{Error, Result};

/// The results of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// In the order in which they were measured.
    pub metrics: Vec<Metric>,
    /// What could not be measured: name and reason.
    pub absent: Vec<(String, String)>,
}

/// One metric's samples, in its unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    pub name: String,
    pub unit: Unit,
    pub count: u64,
    pub mean: f64,
    /// Share of the samples that are not above, in thousandths, and the value.
    pub quantiles: Vec<(u32, f64)>,
}

/// What a metric is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Nanoseconds,
    /// Of the time-stamp counter: guest instructions.
    Ticks,
    PerSecond,
    Kibibytes,
}

impl Unit {
    /// Whether a larger value is the better one.
    #[must_use]
    pub fn more_is_better(self) -> bool {
        self == Self::PerSecond
    }
}

/// The names of the quantiles that are told, and their thousandths.
const QUANTILES: [(&str, u32); 10] = [
    ("min", 0),
    ("p10", 100),
    ("p25", 250),
    ("p50", 500),
    ("p75", 750),
    ("p90", 900),
    ("p95", 950),
    ("p99", 990),
    ("p999", 999),
    ("max", 1000),
];

impl Metric {
    /// The quantile at so many thousandths, if it was told.
    #[must_use]
    pub fn quantile(&self, per_mille: u32) -> Option<f64> {
        let mut quantiles = self.quantiles.iter();
        quantiles.find_map(|(at, value)| (*at == per_mille).then_some(*value))
    }

    /// The median.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.quantile(500).unwrap_or(self.mean)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let name = words.next()?.to_owned();
        let unit = match words.next()? {
            "ns" => Unit::Nanoseconds,
            "ticks" => Unit::Ticks,
            "per-s" => Unit::PerSecond,
            "KiB" => Unit::Kibibytes,
            _ => return None,
        };
        let mut metric = Self {
            name,
            unit,
            count: 0,
            mean: 0.0,
            quantiles: Vec::new(),
        };
        for word in words {
            let (key, value) = word.split_once('=')?;
            if key == "n" {
                metric.count = value.parse().ok()?;
            } else if key == "mean" {
                metric.mean = value.parse().ok()?;
            } else if let Some((_, at)) = QUANTILES.iter().find(|(name, _)| *name == key) {
                metric.quantiles.push((*at, value.parse().ok()?));
            }
        }
        Some(metric)
    }
}

impl Report {
    /// Reads the output of a machine; what else was written to its console is
    /// passed over. An error if the benchmark did not come to a good end.
    pub fn parse(console: &str) -> Result<Self> {
        let mut report = Self::default();
        let mut status = None;
        for line in console.lines().map(str::trim_end) {
            if let Some(rest) = line.strip_prefix("metric ") {
                let metric = Metric::parse(rest).ok_or_else(|| {
                    Error::Malformed(format!("a result of forkbench makes no sense: {line}"))
                })?;
                report.metrics.push(metric);
            } else if let Some((name, why)) = line
                .strip_prefix("absent ")
                .and_then(|rest| rest.split_once(' '))
            {
                report.absent.push((name.into(), why.into()));
            } else if let Some(end) = line.strip_prefix("end ") {
                status = Some(end.to_owned());
            }
        }
        match status.as_deref() {
            Some("0") => Ok(report),
            Some(status) => Err(Error::Malformed(format!(
                "a benchmark failed: forkbench ended with status {status}"
            ))),
            None => Err(Error::Malformed("forkbench did not come to its end".into())),
        }
    }

    /// Adds what another run has measured.
    pub fn add(&mut self, other: Self) {
        self.metrics.extend(other.metrics);
        self.absent.extend(other.absent);
        let metrics = &self.metrics;
        self.absent
            .retain(|(name, _)| metrics.iter().all(|metric| metric.name != *name));
    }

    /// The metric of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_found_between_other_output() {
        let console = "[    0.1] Linux says something\r\n\
             forkbench 1 unit=ns cpus=4\r\n\
             metric fork.0M ns n=3 mean=2.5 min=1.0 p50=2.0 p99=4.5 max=4.5 new=1\r\n\
             absent pipe.1-cpu sched_setaffinity: ENOSYS\r\n\
             end 0\r\n";
        let report = Report::parse(console).expect("a report");
        let metric = report.get("fork.0M").expect("the metric");
        assert_eq!(metric.unit, Unit::Nanoseconds);
        assert_eq!((metric.count, metric.mean), (3, 2.5));
        assert_eq!(metric.median(), 2.0);
        assert_eq!(metric.quantile(990), Some(4.5));
        assert_eq!(metric.quantile(900), None);
        let why = "sched_setaffinity: ENOSYS";
        assert_eq!(report.absent, [("pipe.1-cpu".into(), why.into())]);
    }

    #[test]
    fn a_run_that_breaks_off_or_fails_is_an_error() {
        assert!(Report::parse("metric fork.0M ns n=1 mean=1.0\n").is_err());
        assert!(Report::parse("end 1\n").is_err());
        assert!(Report::parse("metric fork.0M furlongs n=1\nend 0\n").is_err());
        assert!(Report::parse("metric fork.0M ns n=many\nend 0\n").is_err());
    }
}
