// SPDX-License-Identifier: GPL-2.0
//! Pictures, SVG and PNG: the ratios as bars, a figure as curves.

use anyhow::{anyhow, Context, Result};
use plotters::prelude::{
    BitMapBackend, ChartBuilder, Circle, Color, DrawingArea, DrawingBackend, FontStyle,
    IntoDrawingArea, IntoLogRange, IntoSegmentedCoord, LineSeries, Palette, Palette99, PathElement,
    Rectangle, SVGBackend, SegmentValue, SeriesLabelPosition, BLACK, BLUE, RED, WHITE,
};
use plotters::style::register_font;
use std::fs;
use std::ops::Range;
use std::path::Path;

use crate::figure::{Axis, Figure};
use crate::report::Line;
use crate::rows::Kind;
use xtask::setup::host;

const SIZE: (u32, u32) = (1000, 560);

/// Draws `ratios.svg` and `ratios.png` into `folder`.
///
/// # Errors
/// A file cannot be written, or there is no font to write labels with.
pub fn ratios(lines: &[Line], folder: &Path) -> Result<()> {
    let lines: Vec<&Line> = lines
        .iter()
        .filter(|line| line.row.kind != Kind::Boot)
        .collect();
    load_font()?;
    let (svg, png) = (folder.join("ratios.svg"), folder.join("ratios.png"));
    let area = SVGBackend::new(&svg, SIZE).into_drawing_area();
    draw(&area, &lines).with_context(|| svg.display().to_string())?;
    let area = BitMapBackend::new(&png, SIZE).into_drawing_area();
    draw(&area, &lines).with_context(|| png.display().to_string())
}

/// Draws `NAME.svg` and `NAME.png` of `figure` into `folder`.
///
/// # Errors
/// As [`ratios`].
pub fn curves(figure: &Figure, folder: &Path) -> Result<()> {
    load_font()?;
    let file = |ending: &str| folder.join(format!("{}.{ending}", figure.name));
    let (svg, png) = (file("svg"), file("png"));
    let area = SVGBackend::new(&svg, SIZE).into_drawing_area();
    draw_curves(&area, figure).with_context(|| svg.display().to_string())?;
    let area = BitMapBackend::new(&png, SIZE).into_drawing_area();
    draw_curves(&area, figure).with_context(|| png.display().to_string())
}

/// Where `value` lies on `axis`; the picture's own coordinates are linear.
fn place(axis: Axis, value: f64) -> f64 {
    if axis.log {
        value.log10()
    } else {
        value
    }
}

/// What stands at a place of `axis`, two digits of it.
fn value_at(axis: Axis, place: f64) -> String {
    let value = if axis.log { 10_f64.powf(place) } else { place };
    let unit = 10_f64.powf(value.abs().max(1e-9).log10().floor() - 1.0);
    let rounded = (value / unit).round() * unit;
    match rounded {
        _ if rounded >= 1e6 => format!("{}M", rounded / 1e6),
        _ if rounded >= 10.0 || rounded == 0.0 => format!("{rounded:.0}"),
        _ => format!("{rounded:.2}"),
    }
}

/// From the lowest to the highest place of `values`, with some room; linear axes begin at 0.
fn span(axis: Axis, values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values
        .map(|value| place(axis, value))
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), at| {
            (low.min(at), high.max(at))
        });
    let low = if axis.log { low } else { low.min(0.0) };
    let room = (high - low).max(1e-3) * 0.05;
    (if axis.log { low - room } else { low })..high + room
}

/// Room for the legend at the right.
fn with_room(span: Range<f64>) -> Range<f64> {
    let room = (span.end - span.start) * 0.25;
    span.start..span.end + room
}

fn draw_curves<B: DrawingBackend>(
    area: &DrawingArea<B, plotters::coord::Shift>,
    figure: &Figure,
) -> Result<()>
where
    B::ErrorType: 'static,
{
    let (x, y) = (figure.x, figure.y);
    let points = || figure.curves.iter().flat_map(|curve| &curve.points);
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption(figure.title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(80)
        .build_cartesian_2d(
            with_room(span(x, points().map(|point| point.0))),
            span(y, points().map(|point| point.1)),
        )?;
    chart
        .configure_mesh()
        .x_label_formatter(&|at| value_at(x, *at))
        .y_label_formatter(&|at| value_at(y, *at))
        .x_desc(x.label)
        .y_desc(y.label)
        .draw()?;
    for (index, curve) in figure.curves.iter().enumerate() {
        let color = Palette99::pick(index).to_rgba();
        let places: Vec<(f64, f64)> = curve
            .points
            .iter()
            .map(|point| (place(x, point.0), place(y, point.1)))
            .collect();
        chart
            .draw_series(LineSeries::new(places, color.stroke_width(2)).point_size(3))?
            .label(&curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    Ok(())
}

fn load_font() -> Result<()> {
    let font = fs::read(host::FONT).context(host::FONT)?;
    register_font("sans-serif", FontStyle::Normal, Vec::leak(font))
        .map_err(|_| anyhow!("{}: not a font", host::FONT))
}

/// Horizontal bars on a logarithmic axis; whiskers span the boots, a tick marks what is to be reached.
fn draw<B: DrawingBackend>(
    area: &DrawingArea<B, plotters::coord::Shift>,
    lines: &[&Line],
) -> Result<()>
where
    B::ErrorType: 'static,
{
    let top = lines.iter().map(|line| line.ratio[2]).fold(1.0, f64::max) * 2.0;
    let rows = lines.len();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption(
            "mckernel-rs against native Linux (1 = native, less is better)",
            ("sans-serif", 20),
        )
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(190)
        .build_cartesian_2d((0.01..top).log_scale(), (0..rows).into_segmented())?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(rows)
        .y_label_formatter(&|at| label(lines, at))
        .x_desc("time, ratio to native (log)")
        .draw()?;
    for (index, line) in lines.iter().enumerate() {
        let at = |ratio: f64| (ratio, SegmentValue::CenterOf(index));
        let bar = [
            (0.01, SegmentValue::Exact(index)),
            (line.ratio[0], SegmentValue::Exact(index + 1)),
        ];
        let mut rectangle = Rectangle::new(bar, BLUE.mix(0.5).filled());
        rectangle.set_margin(4, 4, 0, 0);
        chart.draw_series([rectangle])?;
        chart.draw_series([PathElement::new(
            [at(line.ratio[1]), at(line.ratio[2])],
            BLACK,
        )])?;
        if let Some(reach) = line.row.reach {
            chart.draw_series([Circle::new(at(reach), 4, RED.filled())])?;
        }
    }
    area.present()?;
    Ok(())
}

fn label(lines: &[&Line], at: &SegmentValue<usize>) -> String {
    match at {
        SegmentValue::CenterOf(index) => lines.get(*index).map_or("", |line| line.row.name).into(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report;
    use crate::rows::ROWS;
    use crate::run::{Sample, Samples};

    #[test]
    fn both_pictures_of_a_figure_are_drawn_with_axes_and_legend() {
        let folder = std::env::temp_dir().join(format!("mckernel-curves-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let figure = crate::figure::tests::example();
        curves(&figure, &folder).unwrap();
        let svg = fs::read_to_string(folder.join("example.svg")).unwrap();
        for text in ["length, bytes", "time, ns", "native", "ours", "an example"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(fs::metadata(folder.join("example.png")).unwrap().len() > 1000);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn both_pictures_are_drawn_and_name_every_row() {
        let folder = std::env::temp_dir().join(format!("mckernel-plot-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let sample = |ratio| Sample {
            native: 100.0,
            ours: 100.0 * ratio,
        };
        let samples: Samples = (1..)
            .zip(ROWS)
            .map(|(n, row)| {
                (
                    row.name.to_string(),
                    vec![sample(f64::from(n)), sample(1.0)],
                )
            })
            .collect();
        ratios(&report::lines(&ROWS, &samples), &folder).unwrap();
        let svg = fs::read_to_string(folder.join("ratios.svg")).unwrap();
        for row in ROWS.iter().filter(|row| row.kind != Kind::Boot) {
            assert!(svg.contains(row.name), "{}", row.name);
        }
        assert!(fs::metadata(folder.join("ratios.png")).unwrap().len() > 1000);
        fs::remove_dir_all(folder).unwrap();
    }
}
