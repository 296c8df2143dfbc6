//! What a run has come to, and the table that shows it.

use crate::bench::bars;
use crate::bench::compare::{self, Kernel, Line};
use crate::bench::report::Unit;
use crate::bench::table::{Align, Table};

/// What a run has come to.
#[derive(Clone, Debug)]
pub struct Results {
    /// Cowfork first.
    pub kernels: Vec<Kernel>,
    pub lines: Vec<Line>,
    /// Where it was measured: title and value.
    pub circumstances: Vec<(String, String)>,
}

/// The table: the metrics of all kernels, the ratios, the bars.
#[must_use]
pub fn table(results: &Results) -> Table {
    let mut table = Table::new();
    table.column("metric", Align::Left);
    let Some((ours, others)) = results.kernels.split_first() else {
        return table;
    };
    table.column(&ours.name, Align::Right);
    for other in others {
        table.column(&other.name, Align::Right);
        table.column("ratio (min to max)", Align::Right);
    }
    if !others.is_empty() {
        table.column("wanted", Align::Left);
    }
    for line in &results.lines {
        let shown = |kernel| {
            compare::value(kernel, line).map_or("-".into(), |value| show(value, line.unit))
        };
        let mut row = vec![line.title.clone(), shown(ours)];
        let mut ratios = Vec::new();
        for other in others {
            row.push(shown(other));
            let ratio = compare::ratio(ours, other, line);
            ratios.extend(ratio.map(|ratio| ratio.median));
            row.push(ratio.map_or("-".into(), |ratio| {
                format!(
                    "{} ({} to {})",
                    figure(ratio.median),
                    figure(ratio.min),
                    figure(ratio.max)
                )
            }));
        }
        row.push(bars::verdict(bars::time(&line.title), &ratios));
        table.row(row);
    }
    table
}

/// A value in a unit that suits it.
#[must_use]
pub fn show(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Nanoseconds if value >= 10_000_000_000.0 => format!("{:.1} s", value / 1e9),
        Unit::Nanoseconds if value >= 10_000_000.0 => format!("{:.1} ms", value / 1_000_000.0),
        Unit::Nanoseconds if value >= 10_000.0 => format!("{:.1} us", value / 1_000.0),
        Unit::Nanoseconds => format!("{value:.0} ns"),
        Unit::Ticks => format!("{value:.0}"),
        Unit::PerSecond => format!("{value:.0} /s"),
        Unit::Kibibytes if value < 1024.0 => format!("{value:.1} KiB"),
        Unit::Kibibytes => format!("{:.1} MiB", value / 1024.0),
    }
}

/// Two or three digits that count.
#[must_use]
pub fn figure(ratio: f64) -> String {
    match ratio {
        100.0.. => format!("{ratio:.0}"),
        10.0.. => format!("{ratio:.1}"),
        _ => format!("{ratio:.2}"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::bench::report::Report;

    /// Results of one round of two kernels.
    pub(crate) fn results() -> Results {
        let kernel = |name: &str, factor: f64| {
            let mut text = String::new();
            for (index, size) in ["0", "1", "16", "64", "256"].iter().enumerate() {
                let value = factor * 1000.0 * (index + 1) as f64;
                text.push_str(&format!("metric fork.{size}M ns n=9 mean=1 p50={value}\n"));
            }
            let memory = factor * 57.5;
            text.push_str(&format!("metric children.memory KiB n=1 mean={memory}\n"));
            text.push_str("metric snapshot.write ns n=9 mean=1 min=1 p50=5 p99=9 max=100\n");
            let report = Report::parse(&format!("{text}end 0\n")).expect("a report");
            Kernel {
                name: name.into(),
                rounds: vec![report],
            }
        };
        let kernels = vec![kernel("cowfork", 1.0), kernel("Linux <6.1>", 30.0)];
        Results {
            lines: compare::lines(&kernels),
            kernels,
            circumstances: vec![("machine".into(), "-smp 4".into())],
        }
    }

    #[test]
    fn values_are_shown_in_units_that_suit_them() {
        assert_eq!(show(531.4, Unit::Nanoseconds), "531 ns");
        assert_eq!(show(20_500.0, Unit::Nanoseconds), "20.5 us");
        assert_eq!(show(72_000_000.0, Unit::Nanoseconds), "72.0 ms");
        assert_eq!(show(72e9, Unit::Nanoseconds), "72.0 s");
        assert_eq!(show(57.5, Unit::Kibibytes), "57.5 KiB");
        assert_eq!(show(6_144.0, Unit::Kibibytes), "6.0 MiB");
    }
}
