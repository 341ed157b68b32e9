//! `limbeck answer`: one question, or a stream of them.

use std::io::{self, BufRead};
use std::sync::mpsc::{self, Receiver};

use anyhow::{Context, Result};
use limbeck_data::decode::Candidate;
use limbeck_runtime::{Answered, Answerer, Asked};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::subject::Subject;
use crate::cli::answering::AnswerArgs;
use crate::config::{Layer, Task};
use crate::console::{self, Console};
use crate::exit::{Ending, InputError, line_of};

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
struct Line {
    #[serde(default)]
    id: Option<Value>,
    question: String,
    context: String,
}

/// Runs the command.
pub fn run(args: &AnswerArgs, console: Console) -> Result<Ending> {
    let context = args.question.is_some().then(|| context(args)).transpose()?;
    let mut answerer = open(&args.model, &args.settings.layer, console)?;
    let (Some(question), Some(context)) = (&args.question, context) else {
        return stream(&mut answerer, args.logits);
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
pub fn open(model: &str, flags: &Layer, console: Console) -> Result<Answerer> {
    let subject = Subject::open(model, flags, console)?;
    let decode = subject.decode(subject.task.unwrap_or(Task::Squad));
    Ok(Answerer::new(subject.model, subject.tokenizer, subject.features, decode))
}

/// The text that holds the answer.
fn context(args: &AnswerArgs) -> Result<String> {
    match (&args.context, &args.context_file) {
        (Some(text), _) => Ok(text.clone()),
        (None, Some(path)) => std::fs::read_to_string(path).map_err(|error| {
            let what = "cannot read the context";
            InputError::new(what, path.display().to_string(), error.to_string()).into()
        }),
        (None, None) => {
            let advice = "give --context TEXT or --context-file FILE";
            Err(InputError::new("a question without a context", "answer", advice).into())
        }
    }
}

/// Lines of standard input that are answered together, if so many are waiting.
const MOST_TOGETHER: usize = 64;

/// Answers every line of standard input with a line of standard output, in order. A line
/// that comes alone is answered at once; those that wait go through together.
fn stream(answerer: &mut Answerer, logits: bool) -> Result<Ending> {
    let mut ending = Ending::Done;
    let lines = lines_of_standard_input();
    while let Ok(first) = lines.recv() {
        let waiting = lines.try_iter().take(MOST_TOGETHER - 1);
        let together = std::iter::once(first).chain(waiting).collect::<io::Result<Vec<_>>>();
        let together = together.context("cannot read standard input")?;
        for ((number, _), reply) in together.iter().zip(replies(answerer, &together, logits)) {
            let reply = match reply {
                Ok(answer) => serde_json::to_string(&answer)?,
                Err(error) => {
                    ending = Ending::PartlyRefused;
                    json!({ "error": line_of(&error), "line": number }).to_string()
                }
            };
            console::print(&reply)?;
        }
    }
    Ok(ending)
}

/// A line and its number, from 1.
type Numbered = (usize, Vec<u8>);

/// The lines that are not empty, read ahead on a thread of their own.
fn lines_of_standard_input() -> Receiver<io::Result<Numbered>> {
    let (sender, receiver) = mpsc::sync_channel(MOST_TOGETHER);
    std::thread::spawn(move || {
        for (index, line) in io::stdin().lock().split(b'\n').enumerate() {
            let blank = line.as_ref().is_ok_and(|line| line.trim_ascii().is_empty());
            // Sending fails when nobody answers any more.
            if !blank && sender.send(line.map(|line| (index + 1, line))).is_err() {
                break;
            }
        }
    });
    receiver
}

/// An answer, or what is wrong, for each line.
fn replies(answerer: &mut Answerer, lines: &[Numbered], logits: bool) -> Vec<Result<Answer>> {
    let parsed: Vec<Result<Line, _>> =
        lines.iter().map(|(_, line)| serde_json::from_slice(line)).collect();
    let asked: Vec<Asked<'_>> = parsed.iter().flatten().map(Line::asked).collect();
    let mut together = answerer.answer_all(&asked).ok().map(Vec::into_iter);
    let reply = |line: Result<Line, serde_json::Error>| {
        let line = line?;
        let answered = match &mut together {
            Some(answers) => answers.next().expect("an answer for each question"),
            // One of them cannot be answered: each for itself shows which.
            None => answerer.answer(&line.question, &line.context)?,
        };
        Ok(Answer::new(line.id, answered, logits))
    };
    parsed.into_iter().map(reply).collect()
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
