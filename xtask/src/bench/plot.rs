// SPDX-License-Identifier: GPL-2.0
//! The ratios as a bar chart, SVG and PNG.

use anyhow::{anyhow, Context, Result};
use plotters::prelude::{
    BitMapBackend, ChartBuilder, Circle, Color, DrawingArea, DrawingBackend, FontStyle,
    IntoDrawingArea, IntoLogRange, IntoSegmentedCoord, PathElement, Rectangle, SVGBackend,
    SegmentValue, BLACK, BLUE, RED, WHITE,
};
use plotters::style::register_font;
use std::fs;
use std::path::Path;

use crate::bench::report::Line;
use crate::bench::rows::Kind;
use crate::setup::host;

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
    use crate::bench::report;
    use crate::bench::rows::ROWS;
    use crate::bench::run::{Sample, Samples};

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
