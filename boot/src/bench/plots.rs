//! The results as pictures, in SVG.

use plotters::coord::ranged1d::SegmentValue;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;

use crate::bench::bars;
use crate::bench::compare::{self, Kernel};
use crate::bench::report::{Report, Unit};
use crate::bench::results::{Results, show};
use crate::error::{Error, Result};

/// A picture.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Its file's name, without the ending.
    pub name: &'static str,
    pub title: &'static str,
    pub svg: String,
}

/// Cowfork, Linux, bare Linux.
const COLOURS: [RGBColor; 3] = [
    RGBColor(214, 95, 14),
    RGBColor(31, 102, 164),
    RGBColor(130, 180, 214),
];
const GREY: RGBColor = RGBColor(110, 110, 110);

const WIDTH: u32 = 760;
const HEIGHT: u32 = 360;

/// The sizes that `fork` is measured with, in MiB.
const SIZES: [&str; 5] = ["0", "1", "16", "64", "256"];
const FORKERS: [&str; 4] = ["1", "2", "4", "8"];
const CPUS: [&str; 3] = ["1", "2", "4"];

/// Shares of the samples: what they are called, and in thousandths.
const SHARES: [&str; 9] = [
    "best", "10 %", "25 %", "50 %", "75 %", "90 %", "99 %", "99.9 %", "worst",
];
const PER_MILLE: [u32; 9] = [0, 100, 250, 500, 750, 900, 990, 999, 1000];

type Drawn = std::result::Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// All pictures that the results are enough for.
pub fn all(results: &Results) -> Result<Vec<Plot>> {
    let fork = |size: &str| vec![format!("fork.{size}M")];
    let fork_wait = |size: &str| vec![format!("fork-wait.{size}M")];
    let forkers = |count: &str| vec![format!("forkers.{count}")];
    let large_forkers = |count: &str| vec![format!("forkers.{count}-64M")];
    // On all CPUs it is the plain metric.
    let on_cpus = |cpus: &str| vec![format!("forkers.4-on-{cpus}"), "forkers.4".into()];
    let mut plots = Vec::new();
    plots.extend(ratios(results)?);
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
    Ok(plots)
}

fn plot(
    name: &'static str,
    title: &'static str,
    size: (u32, u32),
    draw: impl FnOnce(&DrawingArea<SVGBackend, plotters::coord::Shift>) -> Drawn,
) -> Result<Option<Plot>> {
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    let drawn = root
        .fill(&WHITE)
        .and_then(|()| draw(&root))
        .and_then(|()| root.present());
    drop(root);
    drawn.map_err(|error| Error::Malformed(format!("the plot {name}: {error}")))?;
    Ok(Some(Plot { name, title, svg }))
}

/// Horizontal bars: how many times better each operation is, with a mark where it
/// should be.
fn ratios(results: &Results) -> Result<Option<Plot>> {
    const ROW: u32 = 22;
    let Some((ours, others)) = results.kernels.split_first() else {
        return Ok(None);
    };
    let rows: Vec<(&str, Vec<f64>)> = results
        .lines
        .iter()
        .rev()
        .filter_map(|line| {
            let ratios = others.iter().map(|other| compare::ratio(ours, other, line));
            let ratios: Option<Vec<f64>> = ratios.map(|ratio| Some(ratio?.median)).collect();
            Some((line.title.as_str(), ratios.filter(|all| !all.is_empty())?))
        })
        .collect();
    if rows.is_empty() {
        return Ok(None);
    }
    let all = || rows.iter().flat_map(|(_, ratios)| ratios.iter().copied());
    let low = all().fold(0.5, f64::min) * 0.8;
    let high = all().fold(10.0, f64::max) * 1.3;
    let numbered = || (0i32..).zip(&rows);
    // The last row is one of the range; a range of a single number has no scale.
    let last = (rows.len() as i32 - 1).max(1);
    let height = 80 + ROW * rows.len() as u32;
    let title = "how many times better cowfork is (1: the same; the mark: what is wanted)";
    plot("ratios", title, (WIDTH, height), |root| {
        let mut chart = ChartBuilder::on(root)
            .caption(title, ("sans-serif", 15))
            .margin(8)
            .x_label_area_size(30)
            .y_label_area_size(170)
            .build_cartesian_2d((low..high).log_scale(), (0..last).into_segmented())?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .x_max_light_lines(0)
            .y_labels(rows.len())
            .y_label_formatter(&|row| match row {
                SegmentValue::CenterOf(row) => {
                    let row = rows.get(*row as usize);
                    row.map_or("", |row| row.0).into()
                }
                _ => String::new(),
            })
            .x_label_formatter(&|ratio| format!("{ratio}"))
            .draw()?;
        for (index, other) in others.iter().enumerate() {
            let colour = colour(index + 1);
            let bars = numbered().map(|(row, (_, ratios))| {
                let ratio = ratios.get(index).copied().unwrap_or(1.0);
                let (from, to) = (SegmentValue::Exact(row), SegmentValue::Exact(row + 1));
                let mut bar = Rectangle::new([(1.0, from), (ratio, to)], colour.filled());
                // The bars of a row lie one below the other.
                let share = (ROW - 4) / others.len() as u32;
                let above = 2 + index as u32 * share;
                bar.set_margin(above, ROW - above - share, 0, 0);
                bar
            });
            chart
                .draw_series(bars)?
                .label(format!("against {}", other.name))
                .legend(move |(x, y)| {
                    Rectangle::new([(x, y - 5), (x + 14, y + 5)], colour.filled())
                });
        }
        let marks = numbered().filter_map(|(row, (title, _))| {
            let bar = bars::time(title)?;
            let ends = [SegmentValue::Exact(row), SegmentValue::Exact(row + 1)];
            Some(PathElement::new(
                ends.map(|end| (bar, end)).to_vec(),
                BLACK.stroke_width(2),
            ))
        });
        chart.draw_series(marks)?;
        let ends = [SegmentValue::Exact(0), SegmentValue::Exact(last + 1)];
        let one = PathElement::new(ends.map(|end| (1.0, end)).to_vec(), GREY);
        chart.draw_series([one])?;
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.9))
            .border_style(GREY)
            .label_font(("sans-serif", 12))
            .draw()
    })
}

fn colour(kernel: usize) -> RGBColor {
    COLOURS.get(kernel).copied().unwrap_or(GREY)
}

/// A line for each kernel, over steps of the same width, on a logarithmic scale.
struct Chart {
    name: &'static str,
    title: &'static str,
    axis: &'static str,
    steps: &'static [&'static str],
}

/// The points of a line: number of the step, value.
type Points = Vec<(f64, f64)>;

impl Chart {
    /// Over the share of the samples.
    fn of_shares(name: &'static str, title: &'static str) -> Self {
        Self {
            name,
            title,
            axis: "share of the samples that are not above",
            steps: &SHARES,
        }
    }

    /// Medians; `metrics` names those that may stand for a step, the first that was
    /// measured counts.
    fn medians(
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
    fn distribution(&self, results: &Results, metric: &str) -> Result<Option<Plot>> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::tests::results;

    #[test]
    fn there_is_a_picture_of_what_was_measured_and_none_of_what_was_not() {
        let plots = all(&results()).expect("plots");
        let names: Vec<&str> = plots.iter().map(|plot| plot.name).collect();
        assert_eq!(names, ["ratios", "fork", "snapshot"]);
        for plot in &plots {
            assert!(
                plot.svg.starts_with("<svg") && plot.svg.ends_with("</svg>\n"),
                "{}",
                plot.name
            );
        }
        let ratios = &plots[0].svg;
        assert!(ratios.contains("fork.256M") && ratios.contains("against Linux &lt;6.1&gt;"));
    }
}
