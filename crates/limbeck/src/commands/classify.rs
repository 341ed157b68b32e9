//! `limbeck classify`: the labels of one text, or of a stream of them.

use std::collections::HashSet;

use anyhow::Result;
use limbeck_data::text_keys::Keyed;
use limbeck_model::ProblemType;
use limbeck_runtime::{Classified, Classifier, Label, OpenClassifier, Text};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::stream::answer_lines;
use super::subject::report_missing;
use super::subject::texts::{check_text_length, with_lengths};
use crate::cli::classify::ClassifyArgs;
use crate::commands::models::resolve;
use crate::console::{Console, columns};
use crate::exit::{Ending, one_line};

/// Labels that are shown to a person; JSON has them all.
const MOST_SHOWN: usize = 5;

/// The labels of one text as JSON.
#[derive(Debug, Serialize)]
struct Reply {
    /// As the line that asked gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    /// The label for which most speaks.
    label: String,
    /// How much.
    score: f64,
    /// Every label, best first.
    labels: Vec<Label>,
    /// One a label, by the labels' numbers, with `--logits`.
    #[serde(skip_serializing_if = "Option::is_none")]
    logits: Option<Vec<f32>>,
    /// Whether the text was longer than what was read of it.
    truncated: bool,
}

/// A line of standard input.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
struct Line {
    id: Option<Value>,
    text: String,
    pair: Option<String>,
    /// Keys that mean nothing.
    unknown: Vec<String>,
}

/// Runs the command.
pub fn run(args: &ClassifyArgs, console: Console) -> Result<Ending> {
    let (mut classifier, max_length) = open(args, console)?;
    let Some(text) = &args.text else {
        let mut told = HashSet::new();
        return answer_lines(|lines: &[&Line]| {
            for name in lines.iter().flat_map(|line| &line.unknown) {
                if told.insert(name.clone()) {
                    console.message(&format!("`{name}` means nothing here and is passed over"));
                }
            }
            let texts: Vec<_> = lines.iter().map(|line| line.asked()).collect();
            let classified = classifier.classify_all(&texts)?;
            let ids = lines.iter().map(|line| line.id.clone());
            Ok(ids.zip(classified).map(|(id, one)| Reply::new(id, one, args.logits)).collect())
        });
    };
    let classified = classifier.classify(text, args.pair.as_deref())?;
    if classified.truncated && !console.json {
        console.message(&format!("the text is longer: its first {max_length} tokens were read"));
    }
    let problem = classifier.classes().problem();
    let reply = Reply::new(None, classified, args.logits);
    console.result(&reply, || as_text(&reply.labels, problem))?;
    Ok(Ending::Done)
}

/// Opens the model; also says how many tokens of a text are read.
fn open(args: &ClassifyArgs, console: Console) -> Result<(Classifier, usize)> {
    let dir = resolve(&args.model)?;
    let mut opened = OpenClassifier::open(&dir)?;
    report_missing(&opened.load, console);
    if let Some(length) = args.max_length {
        check_text_length(length, opened.model.config(), &dir)?;
        opened.max_length = length;
    }
    let max_length = opened.max_length;
    opened.model = with_lengths(opened.model, &args.length, max_length, &opened.plans)?;
    Ok((Classifier::new(opened), max_length))
}

fn as_text(labels: &[Label], problem: ProblemType) -> String {
    // A name comes from the model's folder and may hold anything.
    let named = labels.iter().take(MOST_SHOWN).map(|Label { label, score }| {
        let score = match problem {
            ProblemType::Regression => format!("{score:.4}"),
            _ => format!("{:.1} %", 100.0 * score),
        };
        (one_line(label), score)
    });
    let named: Vec<_> = named.collect();
    let rows: Vec<_> = named.iter().map(|(name, score)| (name.as_str(), score.clone())).collect();
    columns(&rows)
}

impl TryFrom<Map<String, Value>> for Line {
    type Error = String;

    fn try_from(object: Map<String, Value>) -> Result<Line, Self::Error> {
        let Keyed { id, text, pair, unknown, .. } =
            Keyed::read_alone(object).map_err(|error| error.to_string())?;
        let text = text.ok_or("the text is null")?;
        let unknown = unknown.into_iter().map(|(name, _)| one_line(&name)).collect();
        Ok(Line { id, text, pair, unknown })
    }
}

impl Line {
    fn asked(&self) -> Text<'_> {
        Text { text: &self.text, pair: self.pair.as_deref() }
    }
}

impl Reply {
    fn new(id: Option<Value>, classified: Classified, logits: bool) -> Reply {
        let best = classified.best();
        Reply {
            id,
            label: best.map(|best| best.label.clone()).unwrap_or_default(),
            score: best.map_or(0.0, |best| best.score),
            labels: classified.labels,
            logits: logits.then_some(classified.logits),
            truncated: classified.truncated,
        }
    }
}
