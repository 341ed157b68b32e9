//! `limbeck answer`: one question, or a stream of them.

use anyhow::Result;
use limbeck_data::decode::Candidate;
use limbeck_data::rows;
use limbeck_runtime::{Answered, Answerer, Asked};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::stream::answer_lines;
use super::subject::Subject;
use crate::cli::answering::AnswerArgs;
use crate::cli::lengths::LengthArgs;
use crate::config::{Layer, Task};
use crate::console::Console;
use crate::exit::{Ending, InputError};

/// One answer as JSON.
#[derive(Debug, Serialize)]
struct Answer {
    /// As the line that asked gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    /// A slice of the context; empty for "no answer".
    answer: String,
    /// The probability among the candidates.
    score: f64,
    /// First code point of the answer in the context.
    start: usize,
    /// Code point past its last.
    end: usize,
    /// The candidates, best first.
    n_best: Vec<Candidate>,
    /// One a token of the first window, with `--logits`.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_logits: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_logits: Option<Vec<f32>>,
    /// Code points of the context that a token covers; null outside the context.
    #[serde(skip_serializing_if = "Option::is_none")]
    offsets: Option<Vec<Option<[usize; 2]>>>,
}

/// A line of standard input.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object with `question` and `context`")]
struct Line {
    #[serde(default)]
    id: Option<Value>,
    question: String,
    context: String,
}

/// Runs the command.
pub fn run(args: &AnswerArgs, console: Console) -> Result<Ending> {
    let context = args.question.is_some().then(|| context(args)).transpose()?;
    let mut answerer = open(&args.model, &args.settings.layer, &args.length, console)?;
    let (Some(question), Some(context)) = (&args.question, context) else {
        return answer_lines(|lines: &[&Line]| {
            let asked: Vec<_> = lines.iter().map(|line| line.asked()).collect();
            let answered = answerer.answer_all(&asked)?;
            let ids = lines.iter().map(|line| line.id.clone());
            Ok(ids.zip(answered).map(|(id, one)| Answer::new(id, one, args.logits)).collect())
        });
    };
    let answered = answerer.answer(question, &context)?;
    let answer = Answer::new(None, answered, args.logits);
    console.result(&answer, || match answer.answer.as_str() {
        "" => format!("no answer ({:.1} %)", 100.0 * answer.score),
        text => format!("{text} ({:.1} %)", 100.0 * answer.score),
    })?;
    Ok(Ending::Done)
}

/// Opens a model for answering.
pub fn open(model: &str, flags: &Layer, length: &LengthArgs, console: Console) -> Result<Answerer> {
    let subject = Subject::open(model, flags, length, console)?;
    let decode = subject.decode(subject.task.unwrap_or(Task::Squad));
    Ok(Answerer::new(subject.model, subject.tokenizer, subject.features, decode))
}

/// The text that holds the answer.
fn context(args: &AnswerArgs) -> Result<String> {
    match (&args.context, &args.context_file) {
        (Some(text), _) => Ok(text.clone()),
        (None, Some(path)) => Ok(rows::text(path)?),
        (None, None) => {
            let advice = "give --context TEXT or --context-file FILE";
            Err(InputError::new("a question without a context", "answer", advice).into())
        }
    }
}

impl Line {
    fn asked(&self) -> Asked<'_> {
        Asked { question: &self.question, context: &self.context }
    }
}

impl Answer {
    fn new(id: Option<Value>, answered: Answered, logits: bool) -> Answer {
        let Answered { decoded, first_window } = answered;
        let chosen = decoded.predicted();
        let offsets = first_window.offsets;
        Answer {
            id,
            score: chosen.map_or(0.0, |chosen| chosen.probability),
            start: chosen.map_or(0, |chosen| chosen.start),
            end: chosen.map_or(0, |chosen| chosen.end),
            answer: decoded.text,
            n_best: decoded.candidates,
            start_logits: logits.then_some(first_window.start_logits),
            end_logits: logits.then_some(first_window.end_logits),
            offsets: logits.then_some(offsets),
        }
    }
}
