//! What must hold of a whole page.

use super::*;

fn prediction(
    model: &str,
    range: Option<std::ops::Range<usize>>,
    probability: f64,
    exact: bool,
) -> Prediction {
    Prediction { model: model.to_owned(), range, probability: Some(probability), exact }
}

pub(super) fn sample() -> Report {
    let line = |name: &str, points: Vec<(f64, f64)>| Series { name: name.to_owned(), points };
    let plot = |heading: &str, y_label: &str, series| {
        Section::Plot(Plot {
            heading: heading.to_owned(),
            x_label: "step".to_owned(),
            y_label: y_label.to_owned(),
            series,
        })
    };
    let steps = || (1..=200).map(|index| f64::from(index) * 10.0);
    let column = |name: &str, numeric| Column { name: name.to_owned(), numeric };
    let strings = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect();
    Report {
        title: "Demo <run> & report".to_owned(),
        summary: "A teacher of 4 layers was distilled into a student of 2. The student is 2.4 \
                  times as fast and keeps 97 % of the teacher's F1."
            .to_owned(),
        figures: [("81.4", "student F1"), ("83.9", "teacher F1"), ("2.4×", "as fast")]
            .map(|(value, label)| Figure { value: value.into(), label: label.into() })
            .into(),
        sections: vec![
            plot(
                "Training loss",
                "loss",
                vec![
                    line("teacher", steps().map(|x| (x, 4.0 * (-x / 600.0).exp() + 0.2 + 0.15 * (x * 0.7).sin())).collect()),
                    line("student, distilled", steps().map(|x| (x, 3.6 * (-x / 900.0).exp() + 0.4)).collect()),
                    line("student, labels only", steps().map(|x| (x, 3.9 * (-x / 1400.0).exp() + 0.6)).collect()),
                ],
            ),
            plot("Learning rate", "learning rate", vec![line("teacher", steps().map(|x| (x, if x < 200.0 { x * 5e-6 } else { 1e-3 * (2000.0 - x) / 1800.0 })).collect())]),
            plot(
                "Scores on the development set",
                "F1",
                vec![
                    line("teacher", (1..=8).map(f64::from).map(|x| (x * 250.0, 84.0 - 60.0 / x)).collect()),
                    line("student, distilled", (1..=8).map(f64::from).map(|x| (x * 250.0, 82.0 - 66.0 / x)).collect()),
                ],
            ),
            Section::Table(Table {
                heading: "Models".to_owned(),
                note: "Scores on 1000 questions that training never showed; one question at a time, two threads.".to_owned(),
                columns: vec![
                    column("model", false),
                    column("exact", true),
                    column("F1", true),
                    column("parameters", true),
                    column("ms a question", true),
                ],
                rows: vec![
                    strings(&["teacher", "82.1", "83.9", "906,242", "3.1"]),
                    strings(&["student, distilled", "79.6", "81.4", "511,490", "1.3"]),
                    strings(&["student, labels only", "71.0", "73.2", "511,490", "1.3"]),
                ],
            }),
            Section::Examples(Examples {
                heading: "Examples".to_owned(),
                note: "The student's answers, marked in the text.".to_owned(),
                examples: vec![
                    Example {
                        question: "Where was Mesalus born?".to_owned(),
                        context: "Vobely earned a living as a miller. Mesalus came into the world in Tarasdale. Vobely was born in Hisenwick. In 1806 Mesalus moved to Sedanbury.".to_owned(),
                        predictions: vec![
                            prediction("distilled", Some(67..76), 0.93, true),
                            prediction("student", Some(109..118), 0.51, false),
                        ],
                        gold: vec!["Tarasdale".to_owned()],
                    },
                    Example {
                        question: "What did Vobely buy?".to_owned(),
                        context: "At the fair Mesalus spent 46 crowns on a table. Vobely always carried a pair of scissors.".to_owned(),
                        predictions: vec![
                            prediction("distilled", Some(41..46), 0.48, false),
                            prediction("student", None, 0.7, true),
                        ],
                        gold: Vec::new(),
                    },
                ],
            }),
            Section::Text { heading: "How to repeat it".to_owned(), paragraphs: vec!["limbeck demo --seed 42 writes the same numbers again.".to_owned()] },
            Section::Configuration { heading: "Resolved configuration".to_owned(), text: "seed = 42\n\n[optim]\nlr = 0.001\nname = \"<adamw>\"\n".to_owned() },
        ],
    }
}

/// Checks that tags nest, and returns their names in order of opening.
fn tags_in_order(page: &str) -> Vec<String> {
    let body = page.strip_prefix("<!DOCTYPE html>\n").unwrap();
    let (mut open, mut names) = (Vec::new(), Vec::new());
    for part in body.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap_or_else(|| panic!("unclosed: {part}"));
        assert!(!text.contains('>'), "stray >: {text}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.split([' ', '/']).next().unwrap();
        names.push(name.to_owned());
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    names
}

#[test]
fn tags_nest_and_the_parts_come_in_order() {
    let page = sample().to_html();
    let names = tags_in_order(&page);
    let count = |wanted: &str| names.iter().filter(|name| *name == wanted).count();
    assert_eq!((count("h1"), count("h2"), count("h3")), (1, 6, 2));
    assert_eq!((count("figure"), count("table"), count("article")), (3, 1, 2));
    assert_eq!((count("mark"), count("details"), count("script")), (2, 1, 0));
    let outline: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| ["header", "main", "footer"].contains(name))
        .collect();
    assert_eq!(outline, ["header", "main", "footer"]);
}

#[test]
fn the_page_loads_nothing_and_escapes_what_it_is_given() {
    let page = sample().to_html();
    for outside in ["http:", "https:", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("<h1>Demo &lt;run&gt; &amp; report</h1>"));
    assert!(page.contains("name = &quot;&lt;adamw&gt;&quot;"));
}

#[test]
fn an_empty_report_is_still_a_page() {
    let names = tags_in_order(&Report::default().to_html());
    assert!(names.contains(&"main".to_owned()));
}

#[test]
fn a_short_row_leaves_its_last_cells_empty() {
    let table = Table {
        columns: vec![
            Column { name: "model".into(), numeric: false },
            Column { name: "F1".into(), numeric: true },
        ],
        rows: vec![vec!["student".into()]],
        ..Table::default()
    };
    let report = Report { sections: vec![Section::Table(table)], ..Report::default() };
    let page = report.to_html();
    assert!(page.contains("<th scope=\"row\">student</th><td class=\"number\"></td>"));
}

/// Writes the sample for looking at: `LIMBECK_SAMPLE_REPORT=page.html cargo test`.
#[test]
fn the_sample_can_be_written_for_looking_at() {
    let page = sample().to_html();
    assert!(page.len() < 200_000, "{} bytes", page.len());
    if let Ok(path) = std::env::var("LIMBECK_SAMPLE_REPORT") {
        std::fs::write(path, page).unwrap();
    }
}
