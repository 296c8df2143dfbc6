//! How many times better each operation is.

use plotters::coord::ranged1d::SegmentValue;
use plotters::prelude::*;

use crate::bench::bars;
use crate::bench::compare;
use crate::bench::plots::canvas::{GREY, Plot, WIDTH, colour, plot};
use crate::bench::results::Results;
use crate::error::Result;

/// Horizontal bars: how many times better each operation is, with a mark where it
/// should be.
pub fn ratios(results: &Results) -> Result<Option<Plot>> {
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
