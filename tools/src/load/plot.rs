//! The run as a picture (SVG): one panel under the other.

use super::Report;
use super::timeline::Sample;
use hdrhistogram::Histogram;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;
use std::io;

const WIDTH: u32 = 960;
const PANEL_HEIGHT: u32 = 240;
/// Room for the labels left of a panel.
const LABEL_WIDTH: u32 = 76;
const COLORS: [RGBColor; 2] = [RGBColor(0x1f, 0x77, 0xb4), RGBColor(0xd6, 0x27, 0x28)];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Points = Vec<(f64, f64)>;

/// One chart.
struct Panel {
    title: &'static str,
    x_title: &'static str,
    /// How a value of x is shown.
    x_label: fn(&f64) -> String,
    /// At most two lines, with their names if there are two.
    lines: Vec<(&'static str, Points)>,
}

/// Draws how late packets were and how long bursts, by percentile, and how the run went second by
/// second.
///
/// # Errors
/// The picture could not be drawn.
pub fn plot(report: &Report) -> io::Result<String> {
    let mut panels = vec![lateness(report)];
    panels.extend(bursts(report));
    panels.extend(over_time(&report.summary.timeline));
    let mut svg = String::new();
    draw(&mut svg, &panels).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(svg)
}

fn draw(svg: &mut String, panels: &[Panel]) -> Result<(), Box<dyn Error>> {
    let height = PANEL_HEIGHT * u32::try_from(panels.len())?;
    let root = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, panel) in root.split_evenly((panels.len(), 1)).iter().zip(panels) {
        panel.draw(area)?;
    }
    root.present()?;
    Ok(())
}

impl Panel {
    fn draw(&self, area: &Area<'_>) -> Result<(), Box<dyn Error>> {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let x_min = points().map(|point| point.0).fold(f64::INFINITY, f64::min).min(0.0);
        let x_max = points().map(|point| point.0).fold(x_min + 1.0, f64::max);
        // Air above the highest point, for names if there are any; something to draw if all are 0.
        let air = if self.lines.len() > 1 { 1.4 } else { 1.08 };
        let y_max = points().map(|point| point.1).fold(0.0, f64::max) * air;
        let y_max = if y_max > 0.0 { y_max } else { 1.0 };
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, ("sans-serif", 17))
            .margin(8)
            .margin_right(24)
            .x_label_area_size(34)
            .y_label_area_size(LABEL_WIDTH)
            .build_cartesian_2d(x_min..x_max, 0.0..y_max)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(BLACK.mix(0.12))
            .x_labels(12)
            .y_labels(6)
            .x_desc(self.x_title)
            .x_label_formatter(&self.x_label)
            .y_label_formatter(&|y| value(*y, y_max))
            .draw()?;
        for ((name, points), color) in self.lines.iter().zip(COLORS) {
            let line = LineSeries::new(points.iter().copied(), color.stroke_width(2));
            let drawn = chart.draw_series(line)?;
            if !name.is_empty() {
                drawn.label(*name).legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2))
                });
            }
        }
        if self.lines.iter().any(|(name, _)| !name.is_empty()) {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE.mix(0.8))
                .border_style(BLACK.mix(0.3))
                .draw()?;
        }
        Ok(())
    }
}

/// Lateness by percentile. The axis counts nines, so that the tail has room.
fn lateness(report: &Report) -> Panel {
    let mut lines = Vec::new();
    for (name, label) in [("late", "packets"), ("first-packet", "first packet after PLAY")] {
        let found = report.distributions.iter().find(|(known, _)| known == name);
        if let Some((_, histogram)) = found.filter(|(_, histogram)| !histogram.is_empty()) {
            lines.push((label, percentiles(histogram, 1000.0)));
        }
    }
    Panel {
        title: "Lateness, ms",
        x_title: "percentile",
        x_label: |nines| percentile_name(*nines),
        lines,
    }
}

/// Lengths of bursts by percentile, if datagrams were received.
fn bursts(report: &Report) -> Option<Panel> {
    let known = report.distributions.iter().find(|(known, _)| known == "burst-packets");
    let (_, histogram) = known.filter(|(_, histogram)| !histogram.is_empty())?;
    Some(Panel {
        title: "Packets of a burst",
        x_title: "percentile",
        x_label: |nines| percentile_name(*nines),
        lines: vec![("", percentiles(histogram, 1.0))],
    })
}

/// A distribution's values, `unit` of them one on the axis, over the nines of their percentiles.
#[allow(clippy::cast_precision_loss, reason = "counts and durations of a test")]
fn percentiles(histogram: &Histogram<u64>, unit: f64) -> Points {
    let nines_max = (histogram.len() as f64).log10().max(1.0);
    let steps = 200;
    (0..=steps)
        .map(|step| {
            let nines = nines_max * f64::from(step) / f64::from(steps);
            let value = histogram.value_at_quantile(1.0 - 10_f64.powf(-nines));
            (nines, value as f64 / unit)
        })
        .collect()
}

/// `99.9` for three nines; only whole ones have names.
fn percentile_name(nines: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few nines")]
    let whole = nines.round() as usize;
    match whole {
        _ if (nines - nines.round()).abs() > 0.01 => String::new(),
        0 => "0".into(),
        1 => "90".into(),
        2 => "99".into(),
        _ => format!("99.{}", "9".repeat(whole - 2)),
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of a second")]
fn over_time(samples: &[Sample]) -> Vec<Panel> {
    let points = |value: fn(&Sample) -> f64| -> Points {
        samples.iter().map(|sample| (sample.seconds, value(sample))).collect()
    };
    let panel = |title, lines| Panel {
        title,
        x_title: "seconds",
        x_label: |seconds| format!("{seconds:.0}"),
        lines,
    };
    let mut panels = vec![
        panel("Viewers playing", vec![("", points(|sample| sample.playing as f64))]),
        panel("Packets a second", vec![("", points(|sample| sample.packets_per_second))]),
        panel("Packets lost, each second", vec![("", points(|sample| sample.lost as f64))]),
        panel(
            "Lateness of each second, ms",
            vec![
                ("p99", points(|sample| sample.late_p99_ms)),
                ("max", points(|sample| sample.late_max_ms)),
            ],
        ),
    ];
    let server = |value: fn(&super::Usage) -> f64| -> Points {
        let sampled = samples.iter().filter_map(|sample| Some((sample.seconds, sample.server?)));
        sampled.map(|(seconds, usage)| (seconds, value(&usage))).collect()
    };
    if samples.iter().any(|sample| sample.server.is_some()) {
        panels.push(panel(
            "Server: CPU, % of one core",
            vec![
                ("user", server(|usage| usage.user_percent)),
                ("user and system", server(|usage| usage.user_percent + usage.system_percent)),
            ],
        ));
        let mib = |usage: &super::Usage| usage.rss_bytes as f64 / f64::from(1 << 20);
        panels.push(panel("Server: resident memory, MiB", vec![("", server(mib))]));
    }
    panels
}

/// A value with as many digits as tell it from its neighbours on an axis up to `max`.
fn value(value: f64, max: f64) -> String {
    match max {
        _ if max >= 1e6 => format!("{:.2} M", value / 1e6),
        _ if max >= 2e4 => format!("{:.0} k", value / 1e3),
        _ if max >= 20.0 => format!("{value:.0}"),
        _ if max >= 2.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Usage;
    use super::*;

    #[test]
    fn whole_nines_have_names() {
        let names = [0.0, 1.0, 2.0, 2.5, 3.0, 5.0].map(percentile_name);
        assert_eq!(names, ["0", "90", "99", "", "99.9", "99.999"]);
    }

    #[test]
    fn the_curve_ends_at_the_latest_packet() {
        let mut histogram = Histogram::new_with_bounds(1, 1_000_000, 3).unwrap();
        for micros in 1..=1000 {
            histogram.record(micros * 100).unwrap();
        }
        let points = percentiles(&histogram, 1000.0);
        assert_eq!(points.len(), 201);
        let (nines, millis) = points[200];
        assert!((nines - 3.0).abs() < 1e-9 && (millis - 99.9).abs() < 0.2, "{nines} {millis}");
        assert!(points.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
    }

    #[test]
    fn panels_of_a_server_are_there_if_it_is_watched() {
        let mut report = Report::default();
        report.summary.timeline = vec![Sample::default(); 3];
        let svg = plot(&report).unwrap();
        assert!(!svg.contains("Packets of a burst"));
        let mut lengths = Histogram::new(3).unwrap();
        lengths.record_n(7, 1000).unwrap();
        report.distributions.push(("burst-packets".into(), lengths));
        assert!(plot(&report).unwrap().contains("Packets of a burst"));
        assert!(svg.contains("Viewers playing") && !svg.contains("Server:"));
        report.summary.timeline[1].server = Some(Usage::default());
        assert!(plot(&report).unwrap().contains("Server: resident memory"));
    }
}
