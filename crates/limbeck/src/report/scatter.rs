//! Plots of points as SVG. Colours are in `style.css`.

use super::html::escape;
use super::plot::{BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, write_axes, write_empty, x_of, y_of};
use super::ticks::{Axis, can_be_drawn};

/// Points over two axes.
#[derive(Debug, Clone, Default)]
pub struct Scatter {
    /// The section's heading.
    pub heading: String,
    /// What the horizontal axis shows.
    pub x_label: String,
    /// What the vertical axis shows.
    pub y_label: String,
    /// The points. Those that are not finite are left out.
    pub dots: Vec<Dot>,
    /// Where lines mark a limit on each axis.
    pub limits: (Option<f64>, Option<f64>),
    /// What marked points are; empty when there are none.
    pub marked: String,
}

/// One point.
#[derive(Debug, Clone, Default)]
pub struct Dot {
    /// Its place.
    pub at: (f64, f64),
    /// Shown when it is pointed at.
    pub name: String,
    /// Where a click leads; empty for nowhere.
    pub link: String,
    /// Whether it stands out.
    pub marked: bool,
}

impl Scatter {
    pub(super) fn write(&self, page: &mut String) {
        let finite = |dot: &&Dot| can_be_drawn(dot.at.0) && can_be_drawn(dot.at.1);
        let dots = || self.dots.iter().filter(finite);
        let x_axis = Axis::holding(dots().map(|dot| dot.at.0).chain(self.limits.0), 5);
        let y_axis = Axis::holding(dots().map(|dot| dot.at.1).chain(self.limits.1), 5);
        let description =
            format!("{} points of {} over {}", dots().count(), self.y_label, self.x_label);
        *page += &format!(
            "<section class=\"plot\">\n<h2>{}</h2>\n<figure>\n\
             <svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"group\" aria-label=\"{}\">\n",
            escape(&self.heading),
            escape(&description)
        );
        write_axes(page, (&x_axis, &self.x_label), (&y_axis, &self.y_label));
        if let Some(x) = self.limits.0 {
            let x = x_of(&x_axis, x);
            *page +=
                &format!("<path class=\"threshold\" d=\"M{x:.1} {TOP}V{}\"/>\n", HEIGHT - BOTTOM);
        }
        if let Some(y) = self.limits.1 {
            let y = y_of(&y_axis, y);
            *page +=
                &format!("<path class=\"threshold\" d=\"M{LEFT} {y:.1}H{}\"/>\n", WIDTH - RIGHT);
        }
        if dots().next().is_none() {
            write_empty(page);
        }
        // Marked points lie above the others.
        let ordered = dots().filter(|dot| !dot.marked).chain(dots().filter(|dot| dot.marked));
        for dot in ordered {
            let class = if dot.marked { "dot marked" } else { "dot" };
            let circle = format!(
                "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\"><title>{}: {} {}, {} {}\
                 </title></circle>",
                x_of(&x_axis, dot.at.0),
                y_of(&y_axis, dot.at.1),
                escape(&dot.name),
                escape(&self.x_label),
                x_axis.precise(dot.at.0),
                escape(&self.y_label),
                y_axis.precise(dot.at.1)
            );
            *page += &linked(&circle, &dot.link);
        }
        *page += "</svg>\n";
        if !self.marked.is_empty() {
            *page += &format!(
                "<figcaption><ul class=\"legend\"><li><svg viewBox=\"0 0 28 10\" aria-hidden=\"true\">\
                 <circle class=\"dot marked\" cx=\"14\" cy=\"5\" r=\"4\"/></svg>{}</li></ul></figcaption>\n",
                escape(&self.marked)
            );
        }
        *page += "</figure>\n</section>\n";
    }
}

/// A shape that leads somewhere when it is clicked.
pub(super) fn linked(shape: &str, link: &str) -> String {
    match link {
        "" => format!("{shape}\n"),
        link => format!("<a href=\"{}\">{shape}</a>\n", escape(link)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_leads_to_its_place_and_what_is_not_finite_is_left_out() {
        let dot = |x, marked| Dot { at: (x, 1.0), name: "a<b".into(), link: "#t-1".into(), marked };
        let dots = vec![dot(1.0, true), dot(f64::NAN, false), dot(2.0, false)];
        let mut page = String::new();
        Scatter { dots, limits: (Some(1.5), None), ..Scatter::default() }.write(&mut page);
        assert_eq!(page.matches("<circle").count(), 2);
        assert_eq!(page.matches("href=\"#t-1\"").count(), 2);
        assert_eq!(page.matches("class=\"threshold\"").count(), 1);
        assert!(page.contains("a&lt;b") && !page.contains("NaN"), "{page}");
        // The marked one comes last, on top.
        assert!(page.find("dot marked").unwrap() > page.find("class=\"dot\"").unwrap());
    }

    #[test]
    fn a_plot_without_points_says_so() {
        let mut page = String::new();
        Scatter::default().write(&mut page);
        assert!(page.contains("no points"), "{page}");
    }
}
