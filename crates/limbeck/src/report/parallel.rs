//! Parallel coordinates: one axis beside the other, each thing a line over all of them.

use super::html::escape;
use super::scatter::linked;

/// The drawing's size; it is as wide as the page.
const WIDTH: f64 = 1080.0;
const HEIGHT: f64 = 340.0;
/// Room for labels.
const SIDE: f64 = 60.0;
const TOP: f64 = 52.0;
const BOTTOM: f64 = 28.0;

/// Lines over many axes.
#[derive(Debug, Clone, Default)]
pub struct Parallel {
    /// The section's heading.
    pub heading: String,
    /// A sentence on how to read it.
    pub note: String,
    /// The axes, from left to right.
    pub coordinates: Vec<Coordinate>,
    /// The lines.
    pub lines: Vec<Line>,
}

/// One axis.
#[derive(Debug, Clone)]
pub struct Coordinate {
    /// What it shows.
    pub name: String,
    /// What stands at its lower end.
    pub low: String,
    /// What stands at its upper end.
    pub high: String,
}

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Shown when it is pointed at.
    pub name: String,
    /// Where a click leads.
    pub link: String,
    /// For each axis the place from 0 to 1; none breaks the line.
    pub places: Vec<Option<f64>>,
    /// Whether it stands out.
    pub marked: bool,
}

impl Parallel {
    pub(super) fn write(&self, page: &mut String) {
        let heading = escape(&self.heading);
        *page += &format!(
            "<section>\n<h2>{heading}</h2>\n<p class=\"note\">{}</p>\n\
             <div class=\"scroll\" role=\"region\" aria-label=\"{heading}\" tabindex=\"0\">\n\
             <svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" style=\"min-width:44rem\" \
             role=\"group\" aria-label=\"{} lines over {} axes\">\n",
            escape(&self.note),
            self.lines.len(),
            self.coordinates.len()
        );
        for (i, coordinate) in self.coordinates.iter().enumerate() {
            let x = self.x_of(i);
            // Names of neighbours take turns in height, so that they do not touch.
            let y = if i % 2 == 0 { 14.0 } else { 30.0 };
            *page += &format!(
                "<path class=\"axis\" d=\"M{x:.1} {TOP}V{}\"/>\
                 <text class=\"label\" x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{}</text>\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                HEIGHT - BOTTOM,
                escape(&coordinate.name),
                TOP - 5.0,
                escape(&coordinate.high),
                HEIGHT - 10.0,
                escape(&coordinate.low)
            );
        }
        let (marked, others): (Vec<_>, Vec<_>) = self.lines.iter().partition(|line| line.marked);
        for line in others.into_iter().chain(marked) {
            let class = if line.marked { "thread marked" } else { "thread" };
            let path = self.path(line);
            if !path.is_empty() {
                let name = escape(&line.name);
                let shape =
                    format!("<path class=\"{class}\" d=\"{path}\"><title>{name}</title></path>");
                *page += &linked(&shape, &line.link);
            }
        }
        *page += "</svg>\n</div>\n</section>\n";
    }

    fn x_of(&self, axis: usize) -> f64 {
        let gaps = self.coordinates.len().saturating_sub(1).max(1) as f64;
        SIDE + (WIDTH - 2.0 * SIDE) * axis as f64 / gaps
    }

    fn path(&self, line: &Line) -> String {
        let mut path = String::new();
        let mut pen_is_down = false;
        for (axis, place) in line.places.iter().enumerate() {
            let Some(place) = place.filter(|place| place.is_finite()) else {
                pen_is_down = false;
                continue;
            };
            let y = HEIGHT - BOTTOM - place.clamp(0.0, 1.0) * (HEIGHT - BOTTOM - TOP);
            path +=
                &format!("{}{:.1} {y:.1}", if pen_is_down { 'L' } else { 'M' }, self.x_of(axis));
            pen_is_down = true;
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_where_it_has_no_place() {
        let axis = |name: &str| Coordinate { name: name.into(), low: "0".into(), high: "1".into() };
        let line = Line {
            name: "t".into(),
            link: "#t".into(),
            places: vec![Some(0.0), Some(1.0), None, Some(0.5)],
            marked: true,
        };
        let coordinates = ["a", "b", "c", "d"].map(axis).to_vec();
        let mut page = String::new();
        Parallel { coordinates, lines: vec![line], ..Parallel::default() }.write(&mut page);
        let path = page.split("class=\"thread marked\" d=\"").nth(1).unwrap();
        let path = path.split('"').next().unwrap();
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1), "{path}");
    }
}
