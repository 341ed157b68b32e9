//! Line plots as SVG. Colours and sizes of type are in `style.css`.

use super::html::escape;
use super::ticks::{Axis, can_be_drawn};

/// The drawing's size in its own units, close to pixels on a common screen.
pub(super) const WIDTH: f64 = 520.0;
pub(super) const HEIGHT: f64 = 310.0;
/// Room for labels around the plotted field.
pub(super) const LEFT: f64 = 58.0;
pub(super) const RIGHT: f64 = 18.0;
pub(super) const TOP: f64 = 32.0;
pub(super) const BOTTOM: f64 = 50.0;

/// Lines with more points than this are drawn by the extremes of each stretch.
const LONGEST_LINE: usize = 600;
/// Points that can be pointed at, a line.
const HOVER_POINTS: usize = 60;
/// Lines with at most this many points show each of them.
const VISIBLE_POINTS: usize = 25;
/// Colours and dashes that `style.css` has.
const STYLES: usize = 12;

/// Several lines over one axis.
#[derive(Debug, Clone, Default)]
pub struct Plot {
    /// The section's heading.
    pub heading: String,
    /// What the horizontal axis counts, for example `step`.
    pub x_label: String,
    /// What is shown, for example `loss`.
    pub y_label: String,
    /// The lines.
    pub series: Vec<Series>,
}

/// One line.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// `(x, y)` in the order of drawing. A point that is not finite breaks the line.
    pub points: Vec<(f64, f64)>,
}

impl Plot {
    pub(super) fn write(&self, page: &mut String) {
        let points = || self.series.iter().flat_map(|series| finite(&series.points));
        let x_axis = Axis::holding(points().map(|point| point.0), 5);
        let y_axis = Axis::holding(points().map(|point| point.1), 5);
        let heading = escape(&self.heading);
        *page += &format!(
            "<section class=\"plot\">\n<h2>{heading}</h2>\n<figure>\n\
             <svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
            escape(&self.description(&x_axis, &y_axis))
        );
        write_axes(page, (&x_axis, &self.x_label), (&y_axis, &self.y_label));
        if points().next().is_none() {
            write_empty(page);
        }
        for (index, series) in self.series.iter().enumerate() {
            self.write_series(page, index % STYLES, series, &x_axis, &y_axis);
        }
        *page += "</svg>\n";
        if self.series.len() > 1 {
            *page += "<figcaption><ul class=\"legend\">\n";
            for (index, series) in self.series.iter().enumerate() {
                *page += &format!(
                    "<li><svg viewBox=\"0 0 28 10\" aria-hidden=\"true\"><path class=\"line s{}\" \
                     d=\"M1 5H27\"/></svg>{}</li>\n",
                    index % STYLES,
                    escape(&series.name)
                );
            }
            *page += "</ul></figcaption>\n";
        }
        *page += "</figure>\n</section>\n";
    }

    /// The plot in words, for those who cannot see it.
    fn description(&self, x_axis: &Axis, y_axis: &Axis) -> String {
        let mut text = format!("Line plot of {} over {}.", self.y_label, self.x_label);
        for series in &self.series {
            let mut points = finite(&series.points);
            if let Some(first) = points.next() {
                let last = points.last().unwrap_or(first);
                text += &format!(
                    " {}: from {} at {} to {} at {}.",
                    series.name,
                    y_axis.precise(first.1),
                    x_axis.precise(first.0),
                    y_axis.precise(last.1),
                    x_axis.precise(last.0)
                );
            }
        }
        text
    }

    fn write_series(
        &self,
        page: &mut String,
        style: usize,
        series: &Series,
        x_axis: &Axis,
        y_axis: &Axis,
    ) {
        let mut path = String::new();
        let mut pen_is_down = false;
        for (x, y) in thinned(&series.points) {
            if !(can_be_drawn(x) && can_be_drawn(y)) {
                pen_is_down = false;
                continue;
            }
            let command = if pen_is_down { 'L' } else { 'M' };
            path += &format!("{command}{:.1} {:.1}", x_of(x_axis, x), y_of(y_axis, y));
            pen_is_down = true;
        }
        if path.is_empty() {
            return;
        }
        *page += &format!("<path class=\"line s{style}\" d=\"{path}\"/>\n");
        let count = finite(&series.points).count();
        let class = if count <= VISIBLE_POINTS { "point" } else { "point hidden" };
        let every = count.div_ceil(HOVER_POINTS).max(1);
        for (index, (x, y)) in finite(&series.points).enumerate() {
            if index % every == 0 || index + 1 == count {
                *page += &format!(
                    "<circle class=\"{class} s{style}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\">\
                     <title>{}: {} {} at {} {}</title></circle>\n",
                    x_of(x_axis, x),
                    y_of(y_axis, y),
                    escape(&series.name),
                    escape(&self.y_label),
                    y_axis.precise(y),
                    escape(&self.x_label),
                    x_axis.precise(x)
                );
            }
        }
    }
}

/// Says that there is nothing between the axes.
pub(super) fn write_empty(page: &mut String) {
    let (x, y) = ((LEFT + WIDTH - RIGHT) / 2.0, (TOP + HEIGHT - BOTTOM) / 2.0);
    *page += &format!(
        "<text class=\"empty\" x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">no points</text>\n"
    );
}

/// Draws two axes, each with what it shows.
pub(super) fn write_axes(page: &mut String, x: (&Axis, &str), y: (&Axis, &str)) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for (value, label) in y.0.ticks() {
        let y = y_of(y.0, value);
        *page += &format!(
            "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>\n",
            LEFT - 8.0,
            y + 4.5
        );
    }
    for (value, label) in x.0.ticks() {
        let x = x_of(x.0, value);
        *page += &format!(
            "<path class=\"axis\" d=\"M{x:.1} {bottom}v5\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>\n",
            bottom + 20.0
        );
    }
    *page += &format!(
        "<path class=\"axis\" d=\"M{LEFT} {bottom}H{right}\"/>\n\
         <text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
         <text class=\"label\" x=\"0\" y=\"13\">{}</text>\n",
        (LEFT + right) / 2.0,
        HEIGHT - 8.0,
        escape(x.1),
        escape(y.1)
    );
}

pub(super) fn x_of(axis: &Axis, value: f64) -> f64 {
    LEFT + axis.position(value) * (WIDTH - RIGHT - LEFT)
}

pub(super) fn y_of(axis: &Axis, value: f64) -> f64 {
    HEIGHT - BOTTOM - axis.position(value) * (HEIGHT - BOTTOM - TOP)
}

fn finite(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    points.iter().copied().filter(|(x, y)| can_be_drawn(*x) && can_be_drawn(*y))
}

/// The points of a line, or the lowest and the highest of each of many stretches, so
/// that spikes stay.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= LONGEST_LINE {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil(LONGEST_LINE / 2);
    let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
    points
        .chunks(stretch)
        .flat_map(|chunk| {
            let mut ends = [chunk.iter().min_by(by_height), chunk.iter().max_by(by_height)];
            ends.sort_by(|a, b| a.map_or(0.0, |p| p.0).total_cmp(&b.map_or(0.0, |p| p.0)));
            ends.into_iter().flatten().copied()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(points: Vec<(f64, f64)>) -> String {
        let series = vec![Series { name: "a<b".to_owned(), points }];
        let mut page = String::new();
        Plot { x_label: "step".into(), y_label: "loss".into(), series, ..Plot::default() }
            .write(&mut page);
        page
    }

    #[test]
    fn a_point_is_drawn_where_the_axes_put_it() {
        let page = drawn(vec![(0.0, 0.0), (100.0, 1.0)]);
        assert!(page.contains("d=\"M58.0 260.0L502.0 32.0\""), "{page}");
        assert!(page.contains("<title>a&lt;b: loss 1 at step 100</title>"), "{page}");
    }

    #[test]
    fn a_value_that_is_not_finite_breaks_the_line() {
        let page = drawn(vec![(0.0, 0.0), (1.0, f64::NAN), (2.0, 1.0), (3.0, 1.0)]);
        let line = page.split("class=\"line s0\" d=\"").nth(1).unwrap();
        let path = line.split('"').next().unwrap();
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1));
        assert!(!page.contains("NaN"), "{page}");
    }

    #[test]
    fn a_long_line_keeps_its_spikes_and_stays_short() {
        let mut points: Vec<_> = (0..50_000).map(|step| (f64::from(step), 1.0)).collect();
        points[31_234].1 = 9.0;
        let thin = thinned(&points);
        assert!(thin.len() <= LONGEST_LINE);
        assert!(thin.contains(&(31_234.0, 9.0)));
        assert!(thin.is_sorted_by(|a, b| a.0 <= b.0));
    }

    #[test]
    fn a_plot_without_points_says_so() {
        assert!(drawn(Vec::new()).contains("no points"));
    }
}
