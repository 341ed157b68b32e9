//! `limbeck evaluate` and `limbeck predict`: answers to every question of a file, or with a
//! classifier (`texts`) labels of every text.

mod texts;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use limbeck_data::decode;
use limbeck_data::{Features, Gold, Purpose, SquadData, error_report, predictions};
use limbeck_runtime::logits::{Memory, span_logits};
use limbeck_train::evaluation::EvaluationSet;
use limbeck_train::folder::write_json;
use limbeck_train::observer::{Observer, advance};
use limbeck_train::ranks::Ranks;
use serde_json::{Map, Value};

use super::guard::refuse_own_file;
use super::place::Destination;
use super::questions::{Notes, read_noting};
use super::score;
use super::subject::{Subject, is_classifier};
use crate::cli::answering::{EvaluateArgs, PredictArgs};
use crate::console::Console;
use crate::exit::{Ending, InputError};
use crate::interrupt;
use crate::progress::Progress;

/// How many of the worst questions `errors.json` lists.
const WORST_QUESTIONS: usize = 100;

/// Runs `evaluate`.
pub fn evaluate(args: &EvaluateArgs, console: Console) -> Result<Ending> {
    let EvaluateArgs { predict: args, mismatched } = args;
    if is_classifier(&args.model)? {
        return texts::evaluate(args, mismatched.as_deref(), console);
    }
    if mismatched.is_some() {
        let what = "--mismatched is for texts, and the model answers questions";
        return Err(InputError::new(what, &args.model, "").into());
    }
    let Asked { subject, data, features, outputs } = Asked::open(args, Gold::Read, console)?;
    let has_gold =
        |question: &limbeck_data::Question| question.is_impossible || !question.answers.is_empty();
    if !data.questions.iter().any(has_gold) {
        let what = "no question has an answer to score against";
        let place = args.data.display().to_string();
        return Err(InputError::new(what, place, "use `limbeck predict`").into());
    }
    let decode = subject.decode(subject.task_for(&data));
    let set = EvaluationSet { data, features, decode, tune_threshold: false };
    let mut progress = Progress::new(console);
    let Some(evaluation) = set.evaluate(&subject.model, &mut Ranks::alone(), &mut progress)? else {
        return Ok(Ending::Interrupted);
    };
    drop(progress);
    if let Some(out) = outputs.out() {
        predictions::write(out, &set.data, &evaluation.decoded)?;
        write_json(&out.join("metrics.json"), &evaluation.metrics)?;
        let texts = predictions::texts(&set.data, &evaluation.decoded);
        let errors = error_report::build(&set.data, &texts, WORST_QUESTIONS);
        write_json(&out.join("errors.json"), &errors)?;
    }
    outputs.deliver()?;
    console.result(&evaluation.metrics, || score::as_text(&evaluation.metrics))?;
    Ok(Ending::Done)
}

/// Runs `predict`.
pub fn predict(args: &PredictArgs, console: Console) -> Result<Ending> {
    if is_classifier(&args.model)? {
        return texts::predict(args, console);
    }
    let Asked { subject, data, features, outputs } = Asked::open(args, Gold::Ignored, console)?;
    let mut progress = Progress::new(console);
    progress.stage("answering", Some(features.len() as u64));
    let mut memory = Memory::default();
    let logits = span_logits(
        &subject.model,
        &features,
        0..features.len(),
        &mut memory,
        advance(&mut progress),
    )?;
    let Some(logits) = logits else {
        return Ok(Ending::Interrupted);
    };
    drop(progress);
    let options = subject.decode(subject.task_for(&data));
    let decoded = decode::decode_all(&data, &features, &logits, &options);
    if let (Some(local), Some(out)) = (outputs.out(), &args.out) {
        predictions::write(local, &data, &decoded)?;
        outputs.deliver()?;
        if !console.json {
            let answered = decoded.len();
            console.message(&format!("{answered} answers are in {}", out.display()));
            return Ok(Ending::Done);
        }
    }
    let by_id = data.questions.iter().zip(&decoded);
    let texts: Map<String, Value> = by_id
        .map(|(question, decoded)| (question.id.clone(), decoded.text.clone().into()))
        .collect();
    console.result(&texts, || {
        let lines = texts.iter().map(|(id, text)| format!("{id}\t{}", text.as_str().unwrap_or("")));
        lines.collect::<Vec<_>>().join("\n")
    })?;
    Ok(Ending::Done)
}

/// The folders of the results.
struct Outputs {
    out: Option<Destination>,
    submission: Option<Destination>,
}

impl Outputs {
    /// Makes them before the work, so that none is lost when there is nowhere to write.
    fn open(args: &PredictArgs) -> Result<Self> {
        args.out.as_ref().map_or(Ok(()), |out| refuse_own_file(out, &args.data, "--data"))?;
        let open = |named: &Option<PathBuf>| -> Result<Option<Destination>> {
            let Some(named) = named else { return Ok(None) };
            let destination = Destination::of(named)?;
            std::fs::create_dir_all(destination.local())
                .with_context(|| format!("cannot create {}", named.display()))?;
            Ok(Some(destination))
        };
        Ok(Self { out: open(&args.out)?, submission: open(&args.submission)? })
    }

    fn out(&self) -> Option<&Path> {
        self.out.as_ref().map(Destination::local)
    }

    fn submission(&self) -> Option<&Path> {
        self.submission.as_ref().map(Destination::local)
    }

    /// Brings what was written to where it belongs.
    fn deliver(self) -> Result<()> {
        let mut all = [self.out, self.submission].into_iter().flatten();
        Ok(all.try_for_each(Destination::deliver)?)
    }
}

/// A model and the questions that are put to it.
struct Asked {
    subject: Subject,
    data: SquadData,
    features: Features,
    outputs: Outputs,
}

impl Asked {
    fn open(args: &PredictArgs, gold: Gold, console: Console) -> Result<Asked> {
        if args.submission.is_some() {
            let what = "--submission is for tasks of GLUE, and the model answers questions";
            return Err(InputError::new(what, &args.model, "use --out").into());
        }
        interrupt::install()?;
        let outputs = Outputs::open(args)?;
        let mut notes = Notes::default();
        let tell = |text: &str| console.message(text);
        let data = read_noting(&args.data, gold, args.limit, &mut notes, tell)?;
        if let Some(out) = outputs.out() {
            notes.write(out)?;
        }
        let subject = Subject::open(&args.model, &args.settings.layer, &args.length, console)?;
        let (features, _) =
            Features::build(&data, &subject.tokenizer, &subject.features, Purpose::Predict)?;
        Ok(Asked { subject, data, features, outputs })
    }
}
