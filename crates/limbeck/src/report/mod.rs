//! `report.html`: what a run did, as one file that needs nothing else.
//!
//! A [`Report`] is plain data; [`Report::to_html`] is the only way out. The page has
//! no script and loads nothing. Every text is escaped.
//!
//! # Layout
//! - `plot`: line plots as SVG.
//! - `scatter`, `parallel`, `bars`: points, lines over many axes, and bars, as SVG.
//! - `ticks`: round numbers for axes, and how they are written.
//! - `examples`: questions with the predicted answer marked in the context.
//! - `html`: escaping.
//! - `style.css`: light and dark, wide and narrow, paper.

mod bars;
mod examples;
mod html;
mod parallel;
mod plot;
mod scatter;
mod ticks;

pub use bars::{Bar, Bars};
pub use examples::{Example, Examples, Prediction};
pub use parallel::{Coordinate, Line, Parallel};
pub use plot::{Plot, Series};
pub use scatter::{Dot, Scatter};

use html::escape;

/// A page.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The page's heading.
    pub title: String,
    /// One or two sentences on what was done and what came of it.
    pub summary: String,
    /// The few numbers to see first.
    pub figures: Vec<Figure>,
    /// The rest, in order. Plots that follow each other stand side by side where the
    /// screen is wide enough.
    pub sections: Vec<Section>,
}

/// A number to see first.
#[derive(Debug, Clone)]
pub struct Figure {
    /// The number as it is shown, with its unit.
    pub value: String,
    /// What it is.
    pub label: String,
}

/// A part of a page.
#[derive(Debug, Clone)]
pub enum Section {
    /// Paragraphs.
    Text {
        /// The section's heading.
        heading: String,
        /// One text a paragraph.
        paragraphs: Vec<String>,
    },
    /// A line plot.
    Plot(Plot),
    /// A plot of points.
    Scatter(Scatter),
    /// Lines over many axes.
    Parallel(Parallel),
    /// Bars.
    Bars(Bars),
    /// A table.
    Table(Table),
    /// A table to whose rows links of the page lead: `#` and the text of the first cell,
    /// after this word and a dash.
    Anchored(&'static str, Table),
    /// Questions with their answers.
    Examples(Examples),
    /// A configuration, folded away.
    Configuration {
        /// The line that unfolds it.
        heading: String,
        /// The configuration as written in a recipe.
        text: String,
    },
}

/// A table; its first column names the rows.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// The section's heading.
    pub heading: String,
    /// A sentence on how to read it; may be empty.
    pub note: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// The cells as they are shown; missing ones stay empty.
    pub rows: Vec<Vec<String>>,
}

/// A column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// Whether it holds numbers, which are set flush right.
    pub numeric: bool,
}

impl Report {
    /// The whole page.
    pub fn to_html(&self) -> String {
        let title = escape(&self.title);
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
             <meta name=\"color-scheme\" content=\"light dark\"/>\n\
             <title>{title}</title>\n<style>\n{}</style>\n</head>\n<body>\n<header>\n\
             <h1>{title}</h1>\n",
            include_str!("style.css"),
        );
        if !self.summary.is_empty() {
            page += &format!("<p class=\"summary\">{}</p>\n", escape(&self.summary));
        }
        if !self.figures.is_empty() {
            page += "<dl class=\"figures\">\n";
            for Figure { value, label } in &self.figures {
                page +=
                    &format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(label), escape(value));
            }
            page += "</dl>\n";
        }
        page += "</header>\n<main>\n";
        let mut in_plots = false;
        for section in &self.sections {
            let is_plot =
                matches!(section, Section::Plot(_) | Section::Scatter(_) | Section::Bars(_));
            if is_plot != in_plots {
                page += if is_plot { "<div class=\"plots\">\n" } else { "</div>\n" };
                in_plots = is_plot;
            }
            section.write(&mut page);
        }
        if in_plots {
            page += "</div>\n";
        }
        page += &format!(
            "</main>\n<footer>Limbeck {}</footer>\n</body>\n</html>\n",
            env!("CARGO_PKG_VERSION")
        );
        page
    }
}

impl Section {
    fn write(&self, page: &mut String) {
        match self {
            Self::Text { heading, paragraphs } => {
                *page += &format!("<section>\n<h2>{}</h2>\n", escape(heading));
                for paragraph in paragraphs {
                    *page += &format!("<p>{}</p>\n", escape(paragraph));
                }
                *page += "</section>\n";
            }
            Self::Plot(plot) => plot.write(page),
            Self::Scatter(scatter) => scatter.write(page),
            Self::Parallel(parallel) => parallel.write(page),
            Self::Bars(bars) => bars.write(page),
            Self::Table(table) => table.write(page, None),
            Self::Anchored(word, table) => table.write(page, Some(word)),
            Self::Examples(examples) => examples.write(page),
            Self::Configuration { heading, text } => {
                *page += &format!(
                    "<section>\n<details>\n<summary>{}</summary>\n\
                     <pre tabindex=\"0\">{}</pre>\n</details>\n</section>\n",
                    escape(heading),
                    escape(text)
                );
            }
        }
    }
}

impl Table {
    fn write(&self, page: &mut String, anchor: Option<&str>) {
        let heading = escape(&self.heading);
        *page += &format!("<section>\n<h2>{heading}</h2>\n");
        if !self.note.is_empty() {
            *page += &format!("<p class=\"note\">{}</p>\n", escape(&self.note));
        }
        // A wide table scrolls by itself, also by keyboard.
        *page += &format!(
            "<div class=\"scroll\" role=\"region\" aria-label=\"{heading}\" tabindex=\"0\">\n\
             <table>\n<thead><tr>"
        );
        let class = |column: &Column| if column.numeric { " class=\"number\"" } else { "" };
        for column in &self.columns {
            *page += &format!("<th scope=\"col\"{}>{}</th>", class(column), escape(&column.name));
        }
        *page += "</tr></thead>\n<tbody>\n";
        for row in &self.rows {
            *page += &match (anchor, row.first()) {
                (Some(word), Some(first)) => format!("<tr id=\"{word}-{}\">", escape(first)),
                _ => "<tr>".to_owned(),
            };
            for (index, column) in self.columns.iter().enumerate() {
                let cell = escape(row.get(index).map_or("", String::as_str));
                *page += &if index == 0 {
                    format!("<th scope=\"row\">{cell}</th>")
                } else {
                    format!("<td{}>{cell}</td>", class(column))
                };
            }
            *page += "</tr>\n";
        }
        *page += "</tbody>\n</table>\n</div>\n</section>\n";
    }
}

#[cfg(test)]
mod tests;
