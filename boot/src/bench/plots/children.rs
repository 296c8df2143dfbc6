//! A thousand children that live side by side: three bars a kernel.

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::bench::compare;
use crate::bench::plots::canvas::{Drawn, GREY, Plot, WIDTH, colour, plot};
use crate::bench::report::Unit;
use crate::bench::results::{Results, show};
use crate::error::Result;

const TITLE: &str = "1,000 children of a process that has touched 1 GiB, alive at once";

/// The metrics, and what they are.
const PARTS: [(&str, &str); 3] = [
    ("children.start", "until all of them run"),
    (
        "children.memory",
        "memory for each of them, page tables included",
    ),
    ("children.end", "until all of them are gone"),
];

/// Where the bars begin, and how long the longest one is.
const LEFT: i32 = 130;
const LENGTH: i32 = WIDTH as i32 - LEFT - 100;
/// Heights: of a bar with what is around it, and of the words over a part.
const BAR: i32 = 22;
const WORDS: i32 = 26;
const TOP: i32 = 36;

/// Bars on a plain scale: each part's longest one takes the whole width.
pub fn children(results: &Results) -> Result<Option<Plot>> {
    let parts: Vec<Part> = PARTS
        .iter()
        .filter_map(|(metric, words)| Part::of(results, metric, words))
        .collect();
    if parts.is_empty() {
        return Ok(None);
    }
    let heights = parts.iter().map(Part::height);
    let height = TOP + heights.sum::<i32>() + 10;
    plot("children", TITLE, (WIDTH, height as u32), |root| {
        let style = ("sans-serif", 15).into_font().color(&BLACK);
        root.draw(&Text::new(TITLE, (12, 10), style))?;
        let mut top = TOP;
        for part in &parts {
            part.draw(root, top)?;
            top += part.height();
        }
        Ok(())
    })
}

struct Part<'a> {
    words: &'a str,
    unit: Unit,
    /// Place in the results, name and value of each kernel that has one.
    bars: Vec<(usize, &'a str, f64)>,
}

impl<'a> Part<'a> {
    fn of(results: &'a Results, metric: &str, words: &'a str) -> Option<Self> {
        let line = results.lines.iter().find(|line| line.title == metric)?;
        let kernels = results.kernels.iter().enumerate();
        Some(Self {
            words,
            unit: line.unit,
            bars: kernels
                .filter_map(|(index, kernel)| {
                    Some((index, kernel.name.as_str(), compare::value(kernel, line)?))
                })
                .collect(),
        })
    }

    fn height(&self) -> i32 {
        WORDS + BAR * self.bars.len() as i32 + 8
    }

    fn draw(&self, root: &DrawingArea<SVGBackend, Shift>, top: i32) -> Drawn {
        let style = ("sans-serif", 13).into_font().color(&BLACK);
        let words = Text::new(self.words, (LEFT, top + 6), style.clone());
        root.draw(&words)?;
        let longest = self.bars.iter().map(|bar| bar.2).fold(1.0, f64::max);
        for (row, (index, name, value)) in (0..).zip(&self.bars) {
            let top = top + WORDS + row * BAR;
            // What is there is seen, however short.
            let end = LEFT + ((value / longest * f64::from(LENGTH)) as i32).max(1);
            let bar = [(LEFT, top + 2), (end, top + BAR - 4)];
            root.draw(&Rectangle::new(bar, colour(*index).filled()))?;
            root.draw(&Text::new(*name, (12, top + 3), style.clone()))?;
            let value = show(*value, self.unit);
            root.draw(&Text::new(value, (end + 8, top + 3), style.clone()))?;
        }
        let axis = [(LEFT, top + WORDS), (LEFT, top + self.height() - 8)];
        root.draw(&PathElement::new(axis.to_vec(), GREY))
    }
}
