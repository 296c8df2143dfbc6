//! Lines over steps: medians, and whole distributions.

use plotters::prelude::*;

use crate::bench::compare::{self, Kernel};
use crate::bench::plots::canvas::{GREY, HEIGHT, Plot, WIDTH, colour, plot};
use crate::bench::report::{Report, Unit};
use crate::bench::results::{Results, show};
use crate::error::Result;

/// Shares of the samples: what they are called, and in thousandths.
const SHARES: [&str; 9] = [
    "best", "10 %", "25 %", "50 %", "75 %", "90 %", "99 %", "99.9 %", "worst",
];
const PER_MILLE: [u32; 9] = [0, 100, 250, 500, 750, 900, 990, 999, 1000];

/// A line for each kernel, over steps of the same width, on a logarithmic scale.
pub struct Chart {
    pub name: &'static str,
    pub title: &'static str,
    pub axis: &'static str,
    pub steps: &'static [&'static str],
}

/// The points of a line: number of the step, value.
type Points = Vec<(f64, f64)>;

impl Chart {
    /// Over the share of the samples.
    pub fn of_shares(name: &'static str, title: &'static str) -> Self {
        Self {
            name,
            title,
            axis: "share of the samples that are not above",
            steps: &SHARES,
        }
    }

    /// Medians; `metrics` names those that may stand for a step, the first that was
    /// measured counts.
    pub fn medians(
        &self,
        results: &Results,
        metrics: impl Fn(&str) -> Vec<String>,
    ) -> Result<Option<Plot>> {
        let mut unit = Unit::Nanoseconds;
        let mut series = Vec::new();
        for kernel in &results.kernels {
            let points = self.steps.iter().enumerate().filter_map(|(index, step)| {
                let names = metrics(step);
                let find = |name: &String| results.lines.iter().find(|line| line.title == *name);
                let line = names.iter().find_map(find)?;
                unit = line.unit;
                Some((index as f64, compare::value(kernel, line)?))
            });
            series.push(points.collect());
        }
        self.draw(results, &series, unit)
    }

    /// The whole distribution of a metric: its quantiles, of all rounds the middle one.
    pub fn distribution(&self, results: &Results, metric: &str) -> Result<Option<Plot>> {
        let quantile = |kernel: &Kernel, at: u32| {
            let value = |report: &Report| report.get(metric)?.quantile(at);
            let mut values: Vec<f64> = kernel.rounds.iter().filter_map(value).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied()
        };
        let points = |kernel: &Kernel| {
            let shares = PER_MILLE.iter().enumerate();
            shares
                .filter_map(|(index, at)| Some((index as f64, quantile(kernel, *at)?)))
                .collect()
        };
        let series: Vec<Points> = results.kernels.iter().map(points).collect();
        self.draw(results, &series, Unit::Nanoseconds)
    }

    fn draw(&self, results: &Results, series: &[Points], unit: Unit) -> Result<Option<Plot>> {
        // What is less than the clock can tell would have no place on the scale.
        let values = || series.iter().flatten().map(|(_, value)| value.max(1.0));
        let (Some(low), Some(high)) = (values().reduce(f64::min), values().reduce(f64::max)) else {
            return Ok(None);
        };
        let last = (self.steps.len() - 1) as f64;
        plot(self.name, self.title, (WIDTH, HEIGHT), |root| {
            let mut chart = ChartBuilder::on(root)
                .caption(self.title, ("sans-serif", 15))
                .margin(8)
                .margin_right(24)
                .x_label_area_size(42)
                .y_label_area_size(80)
                .build_cartesian_2d(-0.2..last + 0.2, (low * 0.7..high * 1.5).log_scale())?;
            chart
                .configure_mesh()
                .max_light_lines(0)
                .x_labels(self.steps.len())
                .x_label_formatter(&|x| {
                    let step = self.steps.get(x.round() as usize);
                    step.copied().unwrap_or("").into()
                })
                .x_desc(self.axis)
                .y_label_formatter(&|value| show(*value, unit))
                .draw()?;
            for (index, (kernel, points)) in results.kernels.iter().zip(series).enumerate() {
                let colour = colour(index);
                let points = || points.iter().map(|(x, value)| (*x, value.max(1.0)));
                chart
                    .draw_series(LineSeries::new(points(), colour.stroke_width(2)))?
                    .label(kernel.name.as_str())
                    .legend(move |(x, y)| {
                        PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2))
                    });
                chart.draw_series(points().map(|point| Circle::new(point, 3, colour.filled())))?;
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE.mix(0.9))
                .border_style(GREY)
                .label_font(("sans-serif", 12))
                .draw()
        })
    }
}
