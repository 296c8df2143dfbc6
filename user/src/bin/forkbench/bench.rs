//! A benchmark, and what it is given: how much to do, series to measure into, and where to report.

use user::testing::{Failure, Verdict};
use user::{Arguments, fail};

use crate::clock::{self, Clock};
use crate::output::{Form, Unit};
use crate::series::Series;

/// How much is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    Full,
    /// To see that all works, and roughly what comes out.
    Quick,
    /// Few repetitions of what has no noise in it.
    Count,
}

/// Something to measure.
pub struct Benchmark {
    pub name: &'static str,
    pub about: &'static str,
    /// What it reports, in the order of [`Bench::report`]'s numbers.
    pub metrics: &'static [&'static str],
    /// Whether it makes sense with counted instructions on one CPU.
    pub counts: bool,
    pub run: fn(&mut Bench) -> Verdict,
}

impl Benchmark {
    /// Whether `name` is its name or that of one of its metrics.
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || self.metrics.contains(&name)
    }
}

/// One benchmark under way.
pub struct Bench {
    benchmark: &'static Benchmark,
    effort: Effort,
    pub clock: Clock,
    form: Form,
    /// The program's own.
    pub arguments: Arguments,
    /// How many of the benchmark's metrics were reported.
    reported: usize,
}

impl Bench {
    pub fn new(
        benchmark: &'static Benchmark,
        effort: Effort,
        clock: Clock,
        form: Form,
        arguments: Arguments,
    ) -> Self {
        Self {
            benchmark,
            effort,
            clock,
            form,
            arguments,
            reported: 0,
        }
    }

    /// How often to do what is usually done `usual` times.
    pub fn times(&self, usual: usize) -> usize {
        match self.effort {
            Effort::Full => usual,
            Effort::Quick => usual.div_ceil(5),
            Effort::Count => usual.div_ceil(20).max(usual.min(3)),
        }
    }

    pub fn series(&self) -> Result<Series, Failure> {
        Series::new(self.clock.overhead)
    }

    /// Measures one operation.
    pub fn time<T>(&self, series: &Series, operation: impl FnOnce() -> T) -> T {
        let start = clock::now();
        let result = operation();
        series.push(clock::between(start, clock::now()));
        result
    }

    /// Reports the benchmark's next metric. Fails when nothing was measured.
    pub fn report(&mut self, unit: Unit, series: &Series) -> Verdict {
        let Some(name) = self.benchmark.metrics.get(self.reported) else {
            fail!("more metrics than the list has");
        };
        let Some(summary) = series.summary() else {
            fail!("no samples");
        };
        self.form.metric(name, unit, &self.clock, &summary);
        self.reported += 1;
        Ok(())
    }

    /// Reports that the metrics that are left cannot be had.
    pub fn give_up(&mut self, why: &Failure) {
        for name in self.benchmark.metrics.iter().skip(self.reported) {
            self.form.absent(name, why);
        }
        self.reported = self.benchmark.metrics.len();
    }
}
