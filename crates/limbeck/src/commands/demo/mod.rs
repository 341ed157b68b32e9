//! `limbeck demo`: the whole job, on data and models that it makes itself.
//!
//! A teacher is trained from scratch; then two students of the same sizes, the same
//! weights at the start and the same questions in the same order: one learns from the
//! labels alone, the other from the teacher's logits too.
//!
//! # Layout
//! - `plan`: the corpus, the models, the settings of the three runs.
//! - `measure`: scores, sizes, and the time of a question.
//! - `page`: the report.

mod measure;
mod page;
mod plan;
mod weights;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use limbeck_data::SquadData;
use limbeck_train::folder::{Found, RunFolder, write_json};
use serde_json::Value;

use super::train::{self, Trained};
use crate::cli::demo::DemoArgs;
use crate::console::Console;
use crate::exit::Ending;
use crate::interrupt;
use crate::progress::duration;
use crate::ranks::Part;
use measure::Results;
use plan::Plan;

/// Runs the command.
pub fn run(args: &DemoArgs, console: Console) -> Result<Ending> {
    let begun = Instant::now();
    let plan = Plan::new(args);
    let out = &args.out;
    let (mut folder, found) =
        RunFolder::open(out, serde_json::to_value(&plan.corpus)?, args.overwrite)?;
    let metrics_path = out.join("metrics.json");
    if found == Found::Finished {
        let text = std::fs::read(&metrics_path)
            .with_context(|| format!("cannot read {}", metrics_path.display()))?;
        let metrics: Value = serde_json::from_slice(&text)
            .with_context(|| format!("cannot read {}", metrics_path.display()))?;
        let line = format!("{}: finished already; --overwrite starts afresh", out.display());
        console.result(&metrics, || line)?;
        return Ok(Ending::Done);
    }
    folder.begin()?;
    interrupt::install()?;
    console.message("making questions and untrained models");
    let corpus = plan.prepare()?;
    let mut scores = Vec::new();
    for (name, config) in plan.runs() {
        console.message(&format!("training: {name}"));
        match train::run(&config, args.overwrite, &Part::Alone, console)? {
            Trained::Interrupted => return Ok(Ending::Interrupted),
            Trained::Helped => {}
            Trained::Finished(result) => scores.push(result.metrics.unwrap_or_default()),
        }
    }
    let mut results = measure::measure(&plan, &corpus.dev, &scores, console)?;
    results.seconds = begun.elapsed().as_secs_f64();
    let report = page::report(&plan, &corpus.dev, &results)?;
    limbeck_data::files::replace(&out.join("report.html"), report.to_html().as_bytes())?;
    write_json(&metrics_path, &results)?;
    folder.finish()?;
    console.result(&results, || summary(out, &results, &corpus.dev))?;
    Ok(Ending::Done)
}

/// What is said at the end: the models, and what to try next.
fn summary(out: &Path, results: &Results, dev: &SquadData) -> String {
    let mut text = format!(
        "{:<14} {:>6} {:>6} {:>11} {:>6} {:>14}\n",
        "", "exact", "f1", "parameters", "MB", "ms a question"
    );
    for (name, model) in results.models() {
        text += &format!(
            "{name:<14} {:>6.2} {:>6.2} {:>11} {:>6.2} {:>14.2}\n",
            model.exact,
            model.f1,
            model.parameters,
            model.bytes as f64 / 1e6,
            model.milliseconds_per_question
        );
    }
    text += &format!("\nDone in {}. The report is ", duration(results.seconds));
    text += &format!("{}.\n", out.join("report.html").display());
    let answered = |asked: &&measure::Asked| matches!(&asked.answers, [.., distilled] if distilled.exact && distilled.range.is_some());
    let asked = results.questions.iter().find(answered).or(results.questions.first());
    let Some(question) = asked.and_then(|asked| dev.questions.get(asked.question)) else {
        return text;
    };
    text + &format!(
        "Ask the distilled student:\n\n  limbeck answer --model {} \\\n    --question {} \\\n    --context {}\n",
        quoted(&out.join("distilled").display().to_string()),
        quoted(&question.text),
        quoted(dev.context(question))
    )
}

/// A word that a shell takes as it is.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    match text.chars().all(is_plain) && !text.is_empty() {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn what_is_printed_for_a_shell_can_be_pasted() {
        assert_eq!(quoted("runs/demo-1"), "runs/demo-1");
        assert_eq!(quoted("Who?"), "'Who?'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
