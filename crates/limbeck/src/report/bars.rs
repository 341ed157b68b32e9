//! Horizontal bars as SVG.

use super::html::escape;

/// The drawing's size and the room for names and values.
const WIDTH: f64 = 520.0;
const ROW: f64 = 24.0;
const NAMES: f64 = 190.0;
const VALUES: f64 = 56.0;

/// Bars from 0 to 1.
#[derive(Debug, Clone, Default)]
pub struct Bars {
    /// The section's heading.
    pub heading: String,
    /// A sentence on how to read them.
    pub note: String,
    /// The bars, from above.
    pub bars: Vec<Bar>,
}

/// One bar.
#[derive(Debug, Clone, Default)]
pub struct Bar {
    /// Its name.
    pub name: String,
    /// Its length, from 0 to 1.
    pub share: f64,
}

impl Bars {
    pub(super) fn write(&self, page: &mut String) {
        let height = ROW * self.bars.len() as f64 + 4.0;
        let heading = escape(&self.heading);
        *page += &format!(
            "<section class=\"plot\">\n<h2>{heading}</h2>\n<p class=\"note\">{}</p>\n<figure>\n\
             <svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">\n",
            escape(&self.note),
            escape(&self.description())
        );
        for (i, bar) in self.bars.iter().enumerate() {
            let top = ROW * i as f64;
            let share = if bar.share.is_finite() { bar.share.clamp(0.0, 1.0) } else { 0.0 };
            let length = share * (WIDTH - NAMES - VALUES);
            *page += &format!(
                "<text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
                 <rect class=\"bar\" x=\"{NAMES}\" y=\"{}\" width=\"{length:.1}\" height=\"14\"/>\
                 <text x=\"{:.1}\" y=\"{}\">{:.0} %</text>\n",
                NAMES - 8.0,
                top + 16.0,
                escape(&bar.name),
                top + 4.0,
                NAMES + length + 8.0,
                top + 16.0,
                100.0 * share
            );
        }
        *page += "</svg>\n</figure>\n</section>\n";
    }

    fn description(&self) -> String {
        let each = self.bars.iter().map(|bar| format!("{} {:.0} %", bar.name, 100.0 * bar.share));
        format!("{}: {}", self.heading, each.collect::<Vec<_>>().join(", "))
    }
}
