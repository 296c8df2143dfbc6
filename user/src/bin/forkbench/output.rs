//! How results are written: a table for people, or lines for programs.
//!
//! The lines, which stay as they are and may get more words at their ends:
//!
//! ```text
//! forkbench 1 unit=ns cpus=4
//! metric NAME UNIT n=COUNT mean=X min=X p10=X p25=X p50=X p75=X p90=X p95=X p99=X p999=X max=X
//! absent NAME WHY
//! end STATUS
//! ```
//!
//! `UNIT` is `ns`, `ticks`, `per-s` or `KiB`; each `X` has one decimal.

use core::fmt;

use user::sys::system;
use user::testing::Failure;
use user::{print, println};

use crate::clock::{Clock, PARTS};
use crate::series::{QUANTILES, Summary};

/// The form of the output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Table,
    Lines,
}

/// What a metric is measured in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// The clock's.
    Time,
    PerSecond,
    Kibibytes,
}

impl Form {
    pub fn begin(self, clock: &Clock) {
        match self {
            Self::Table => println!("{:<22} {:>12} {:>12}", "metric", "median", "99 %"),
            Self::Lines => {
                let cpus = system::cpus().unwrap_or(0);
                println!("forkbench 1 unit={} cpus={cpus}", clock.unit());
            }
        }
    }

    pub fn metric(self, name: &str, unit: Unit, clock: &Clock, summary: &Summary) {
        // Other units than time are kept as they are shown.
        let shown = |value: u64| match unit {
            Unit::Time => clock.show(value),
            Unit::PerSecond | Unit::Kibibytes => value,
        };
        let unit_name = match unit {
            Unit::Time => clock.unit(),
            Unit::PerSecond => "per-s",
            Unit::Kibibytes => "KiB",
        };
        match self {
            Self::Table => println!(
                "{name:<22} {} {}",
                Readable(shown(summary.median()), unit_name),
                Readable(shown(summary.p99()), unit_name),
            ),
            Self::Lines => {
                print!("metric {name} {unit_name} n={}", summary.count);
                print!(" mean={}", Decimal(shown(summary.mean)));
                for ((name, _), value) in QUANTILES.iter().zip(summary.quantiles) {
                    print!(" {name}={}", Decimal(shown(value)));
                }
                println!();
            }
        }
    }

    /// A metric that this kernel cannot be asked for.
    pub fn absent(self, name: &str, why: &Failure) {
        match self {
            Self::Table => println!("{name:<22} {:>12}   ({why})", "-"),
            Self::Lines => println!("absent {name} {why}"),
        }
    }

    pub fn end(self, status: i32) {
        if self == Self::Lines {
            println!("end {status}");
        }
    }
}

/// Parts of a unit as a number with a decimal.
struct Decimal(u64);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimal = self.0 % PARTS * 10 / PARTS;
        write!(f, "{}.{decimal}", self.0 / PARTS)
    }
}

/// The same for people: in a unit that suits it, in a column of twelve.
struct Readable(u64, &'static str);

impl fmt::Display for Readable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scale, unit) = match (self.1, self.0 / PARTS) {
            ("ns", 10_000_000..) => (1_000_000, "ms"),
            ("ns", 10_000..) => (1_000, "us"),
            ("per-s", _) => (1, "/s"),
            ("KiB", 10_240..) => (1024, "MiB"),
            ("ticks", _) => (1, ""),
            (unit, _) => (1, unit),
        };
        let tenths = self.0 * 10 / PARTS / scale;
        write!(f, "{:>7}.{} {unit:<2}", tenths / 10, tenths % 10)
    }
}
