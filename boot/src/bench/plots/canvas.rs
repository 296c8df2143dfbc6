//! What all pictures have in common.

use plotters::coord::Shift;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;

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
pub const GREY: RGBColor = RGBColor(110, 110, 110);

pub const WIDTH: u32 = 760;
pub const HEIGHT: u32 = 360;

/// What drawing comes to.
pub type Drawn = std::result::Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Has `draw` make a picture of that size.
pub fn plot(
    name: &'static str,
    title: &'static str,
    size: (u32, u32),
    draw: impl FnOnce(&DrawingArea<SVGBackend, Shift>) -> Drawn,
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

/// The colour of a kernel, by its place in the results.
pub fn colour(kernel: usize) -> RGBColor {
    COLOURS.get(kernel).copied().unwrap_or(GREY)
}
