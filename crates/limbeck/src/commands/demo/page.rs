//! `report.html` of a demo.

use std::path::Path;

use anyhow::{Context, Result};
use limbeck_data::SquadData;
use serde_json::Value;

use super::measure::{Asked, ModelResult, Results};
use super::plan::{MODELS, Plan};
use crate::progress::duration;
use crate::report::{
    Column, Example, Examples, Figure, Plot, Prediction, Report, Section, Series, Table,
};

/// Examples of each kind.
const EXAMPLES_OF_A_KIND: usize = 2;

/// What the page calls the models.
const LABELS: [&str; MODELS.len()] = ["teacher", "student, labels only", "student, distilled"];

/// The page.
pub fn report(plan: &Plan, dev: &SquadData, results: &Results) -> Result<Report> {
    let logs = MODELS.map(|name| read_log(&plan.out.join(name).join("train.jsonl")));
    let [teacher, student, distilled] = logs;
    let logs = [teacher?, student?, distilled?];
    let curve = |heading: &str, y_label: &str, key: &str| {
        let series = LABELS.iter().zip(&logs);
        Section::Plot(Plot {
            heading: heading.to_owned(),
            x_label: "optimiser step".to_owned(),
            y_label: y_label.to_owned(),
            series: series
                .map(|(name, log)| Series { name: (*name).to_owned(), points: points(log, key) })
                .collect(),
        })
    };
    Ok(Report {
        title: "One teacher, two students".to_owned(),
        summary: summary(results),
        figures: figures(results),
        sections: vec![
            curve("Loss against the labels", "cross-entropy", "loss_hard"),
            curve("F1 on questions kept apart", "F1 in per cent", "eval_f1"),
            Section::Table(table(dev, results)),
            Section::Examples(examples(dev, results)),
            what_was_done(plan, dev),
            Section::Configuration {
                heading: "Configuration".to_owned(),
                text: configuration(plan)?,
            },
        ],
    })
}

fn summary(results: &Results) -> String {
    let Results { teacher, student, distilled, seconds, .. } = results;
    let verdict = match distilled.f1 - student.f1 {
        gain if gain.abs() < 0.05 => "the same F1".to_owned(),
        gain if gain > 0.0 => format!("{gain:.1} points of F1 more"),
        gain => format!("{:.1} points of F1 less", -gain),
    };
    format!(
        "Both students are {:.1} times smaller than the teacher. They start from the same weights \
         and see the same questions in the same order. The one that also learnt from the \
         teacher's logits has {verdict}. All of it took {}.",
        teacher.parameters as f64 / distilled.parameters.max(1) as f64,
        duration(*seconds)
    )
}

fn figures(results: &Results) -> Vec<Figure> {
    let Results { teacher, student, distilled, .. } = results;
    let figure = |value: String, label: &str| Figure { value, label: label.to_owned() };
    let ratio = |of: fn(&ModelResult) -> f64| of(teacher) / of(distilled).max(f64::MIN_POSITIVE);
    vec![
        figure(format!("{:.1}", teacher.f1), "teacher, F1"),
        figure(format!("{:.1}", student.f1), "student, labels only, F1"),
        figure(format!("{:.1}", distilled.f1), "student, distilled, F1"),
        figure(format!("{:.1}×", ratio(|m| m.parameters as f64)), "smaller than the teacher"),
        figure(
            format!("{:.1}×", ratio(|m| m.milliseconds_per_question)),
            "faster than the teacher",
        ),
    ]
}

fn table(dev: &SquadData, results: &Results) -> Table {
    let column = |name: &str, numeric| Column { name: name.to_owned(), numeric };
    Table {
        heading: "The models: scores, size, speed".to_owned(),
        note: format!(
            "Scores in per cent on {} questions about people that training never names. \
             Time is the median of {} questions, one at a time, from text to text. The last \
             model is the distilled student with weights of one byte instead of four.",
            grouped(dev.questions.len()),
            results.questions.len()
        ),
        columns: vec![
            column("model", false),
            column("exact", true),
            column("F1", true),
            column("parameters", true),
            column("MB on disk", true),
            column("ms a question", true),
        ],
        rows: LABELS
            .iter()
            .chain(&["student, distilled, int8"])
            .zip(results.models())
            .map(|(label, (_, model))| {
                vec![
                    (*label).to_owned(),
                    format!("{:.1}", model.exact),
                    format!("{:.1}", model.f1),
                    grouped(model.parameters),
                    format!("{:.2}", model.bytes as f64 / 1e6),
                    format!("{:.2}", model.milliseconds_per_question),
                ]
            })
            .collect(),
    }
}

/// Questions on which the students differ, both ways, and some that both get wrong.
fn examples(dev: &SquadData, results: &Results) -> Examples {
    let chosen = [[false, true], [true, false], [false, false]].into_iter().flat_map(|wanted| {
        let fits = move |asked: &&Asked| asked.exact()[1..] == wanted;
        results.questions.iter().filter(fits).take(EXAMPLES_OF_A_KIND)
    });
    Examples {
        heading: "Examples".to_owned(),
        note: format!(
            "From the first {} questions: {EXAMPLES_OF_A_KIND} each that only the distilled \
             student answers, that only the other answers, and that both get wrong, as far as \
             there are any. The distilled student's answer is marked.",
            results.questions.len()
        ),
        examples: chosen.filter_map(|asked| example(dev, asked)).collect(),
    }
}

fn example(dev: &SquadData, asked: &Asked) -> Option<Example> {
    let question = dev.questions.get(asked.question)?;
    let predictions = LABELS.iter().zip(&asked.answers).rev().map(|(label, reply)| Prediction {
        model: (*label).to_owned(),
        range: reply.range.clone(),
        probability: Some(reply.probability),
        exact: reply.exact,
    });
    Some(Example {
        question: question.text.clone(),
        context: dev.context(question).to_owned(),
        predictions: predictions.collect(),
        gold: question.answers.iter().map(|answer| answer.text.clone()).collect(),
    })
}

fn what_was_done(plan: &Plan, dev: &SquadData) -> Section {
    let corpus = &plan.corpus;
    let paragraphs = [
        format!(
            "The questions are generated: {} to learn from and {} kept apart. A paragraph tells of \
             two people in {} to {} sentences, so that wrong answers of the right type stand close \
             by. {:.0} % of the questions have no answer. The names in the \
             questions kept apart never occur in training, though their syllables do.",
            grouped(corpus.train_questions),
            grouped(dev.questions.len()),
            corpus.min_sentences,
            corpus.max_sentences,
            100.0 * corpus.unanswerable_share
        ),
        format!(
            "{:.0} % of the questions to learn from are labelled with what some sentence of their \
             paragraph tells, mostly a wrong one: people make mistakes too. The teacher learns to \
             doubt such labels; its softened probabilities are a steadier guide for a student than \
             the labels themselves. The labels of the questions kept apart are all right.",
            100.0 * corpus.wrong_label_share
        ),
        "All three models start from random weights; their heads begin by looking at the same word \
         elsewhere and at its neighbours, which shortens training. The teacher and the first student learn from \
         the labels. The second student minimises a weighted sum of the same loss and of the \
         divergence from the teacher's softened probabilities, on the same questions; the teacher \
         saw them in training too. Nothing else differs between the students."
            .to_owned(),
        "Each model was evaluated ten times while it was trained. Its best state by F1 was kept, \
         with the threshold of \"no answer\" that suits it best, as fine-tuning does. One seed is one draw: repeat it with other values of --seed."
            .to_owned(),
    ];
    Section::Text { heading: "What was done".to_owned(), paragraphs: paragraphs.into() }
}

/// The three runs as recipes.
fn configuration(plan: &Plan) -> Result<String> {
    let mut text = String::new();
    for (name, config) in plan.runs() {
        let recipe = toml::to_string(&config).context("cannot write the configuration")?;
        text += &format!("# {name}\n{recipe}\n");
    }
    Ok(text)
}

/// The lines of a `train.jsonl`.
fn read_log(path: &Path) -> Result<Vec<Value>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .with_context(|| format!("cannot read {}", path.display()))
}

/// `(step, value)` of the lines that have the key.
fn points(log: &[Value], key: &str) -> Vec<(f64, f64)> {
    log.iter().filter_map(|line| Some((line["step"].as_f64()?, line[key].as_f64()?))).collect()
}

/// `1234567` as `1,234,567`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn a_curve_takes_the_lines_that_have_its_key() {
        let log = [json!({"step": 1, "loss": 2.5}), json!({"step": 2, "eval_f1": 80.0})];
        assert_eq!(points(&log, "eval_f1"), [(2.0, 80.0)]);
    }
}
